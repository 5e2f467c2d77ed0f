//! Lists of references: one a line, `#` begins a comment, blank lines do not count.
//!
//! Lines may end as on any system and a byte order mark may stand in front. Every line that is no reference is
//! reported, not the first only; a reference that stands twice is taken once.

use super::files::{FileError, Named};
use crate::document::yaml;
use crate::model::ImageRef;
use std::collections::BTreeMap;

/// Bad lines that are listed; more are counted only.
const LISTED: usize = 100;

/// Why a list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The file cannot be read, is too long or is no text.
    #[error(transparent)]
    File(#[from] FileError),
    /// Some lines are no references.
    #[error("{place}: {count} lines are no references{}", lines(.first, *.count))]
    Lines {
        /// File as the person called it.
        place: String,
        /// How many lines.
        count: usize,
        /// The first of them: number and reason.
        first: Vec<(usize, String)>,
    },
    /// No line is a reference.
    #[error("{0} names nothing: every line is blank or a comment")]
    Empty(String),
}

fn lines(first: &[(usize, String)], count: usize) -> String {
    let mut text: String = first.iter().map(|(line, why)| format!("\n  line {line}: {why}")).collect();
    if count > first.len() {
        text.push_str(&format!("\n  and {} more", count - first.len()));
    }
    text
}

/// One reference of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Line from 1.
    pub line: usize,
    /// What stands there.
    pub reference: ImageRef,
    /// Further lines that name the same.
    pub again: Vec<usize>,
}

/// Reads a list.
pub fn read(file: &Named) -> Result<Vec<Listed>, ListError> {
    parse(&file.read()?, &file.shown)
}

/// Reads a list from the bytes of the file that a person calls `place`.
pub fn parse(bytes: &[u8], place: &str) -> Result<Vec<Listed>, ListError> {
    let text = yaml::decode(bytes, place).map_err(FileError::from)?;
    let mut found: Vec<Listed> = Vec::new();
    let mut seen: BTreeMap<ImageRef, usize> = BTreeMap::new();
    let (mut first, mut count) = (Vec::new(), 0);
    for (at, line) in text.lines().enumerate() {
        let Some(word) = without_comment(line) else { continue };
        match reference(word) {
            Ok(reference) => match seen.get(&reference) {
                Some(earlier) => found[*earlier].again.push(at + 1),
                None => {
                    seen.insert(reference.clone(), found.len());
                    found.push(Listed { line: at + 1, reference, again: Vec::new() });
                }
            },
            Err(why) => {
                count += 1;
                if first.len() < LISTED {
                    first.push((at + 1, why));
                }
            }
        }
    }
    match (count, found.is_empty()) {
        (0, true) => Err(ListError::Empty(place.to_owned())),
        (0, false) => Ok(found),
        _ => Err(ListError::Lines { place: place.to_owned(), count, first }),
    }
}

/// Returns what a line says without its comment; nothing where nothing is left.
fn without_comment(line: &str) -> Option<&str> {
    let end = line
        .char_indices()
        .find(|(at, c)| *c == '#' && line[..*at].chars().next_back().is_none_or(char::is_whitespace))
        .map_or(line.len(), |(at, _)| at);
    Some(line[..end].trim()).filter(|word| !word.is_empty())
}

fn reference(word: &str) -> Result<ImageRef, String> {
    if word.split_whitespace().nth(1).is_some() {
        let shown: String = word.chars().take(120).collect();
        return Err(format!("{shown:?} has a blank in it; one reference a line is expected"));
    }
    word.strip_prefix("oci://").unwrap_or(word).parse().map_err(|error| format!("{error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::{Duration, Instant};

    #[test]
    fn lists_are_read_however_they_were_saved() {
        let text = "\u{feff}# all\r\n\r\nnginx:1.27\t# web\r\n  quay.io/a/b:1  \r\ndocker.io/library/nginx:1.27\r\n\toci://h.example/c:2";
        let found = parse(text.as_bytes(), "x.txt").unwrap();
        let shown: Vec<_> = found.iter().map(|l| (l.line, l.reference.to_string(), l.again.len())).collect();
        assert_eq!(
            shown,
            [
                (3, "docker.io/library/nginx:1.27".to_owned(), 1),
                (4, "quay.io/a/b:1".to_owned(), 0),
                (6, "h.example/c:2".to_owned(), 0)
            ]
        );
    }

    #[test]
    fn every_bad_line_is_named() {
        let text = "a:1\nB\nc d\nx//y:1\nok\nh/\0:1\n${REGISTRY}/x:1\n";
        let error = parse(text.as_bytes(), "x.txt").unwrap_err().to_string();
        assert!(error.starts_with("x.txt: 5 lines are no references\n  line 2: "), "{error}");
        for line in ["line 3: \"c d\"", "line 4", "line 6", "line 7"] {
            assert!(error.contains(line), "{error}");
        }
        assert!(parse(b"# nothing\n\n", "x").unwrap_err().to_string().contains("names nothing"));
        assert!(parse(b"\xff\xfea\0:\x001\0", "x").unwrap_err().to_string().contains("UTF-16"));
    }

    #[test]
    fn a_line_of_ten_mebibytes_is_one_short_error() {
        let mut bytes = b"a:1\n".to_vec();
        bytes.resize(10 << 20, b'a');
        let error = parse(&bytes, "x").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.len() < 1000, "{error}");
        let many = parse("-\n".repeat(5000).as_bytes(), "x").unwrap_err().to_string();
        assert!(many.contains("5000 lines") && many.ends_with("and 4900 more"));
    }

    #[test]
    fn a_large_list_is_read_in_no_time() {
        let text: String = (0..40_000).map(|i| format!("h.example/team/image-{i}:1.{i}.0\n")).collect();
        assert!(text.len() > 1 << 20);
        let start = Instant::now();
        assert_eq!(parse(text.as_bytes(), "x").unwrap().len(), 40_000);
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_err_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes, "x");
        }

        #[test]
        fn comments_and_blanks_change_nothing(text in "[a-z]{1,8}(/[a-z]{1,5})?:[a-z0-9]{1,5}", blank in "[ \\t]{1,3}") {
            let bare = parse(text.as_bytes(), "x").unwrap();
            let dressed = parse(format!("{blank}{text}{blank}#{blank}{text}\r\n\r\n").as_bytes(), "x").unwrap();
            prop_assert_eq!(bare, dressed);
        }
    }
}
