//! Extended headers of tar entries (POSIX pax): records of the form `LENGTH KEY=VALUE` and a line feed.
//!
//! Two readers must not see two archives, so a record that is not exactly of that form is an error, never skipped.

use std::collections::BTreeSet;

/// What an extended header says that counts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pax {
    /// Name in place of the header's.
    pub(super) path: Option<Vec<u8>>,
    /// Target of a link in place of the header's.
    pub(super) link: Option<Vec<u8>>,
    /// Size in place of the header's, in bytes.
    pub(super) size: Option<u64>,
}

impl Pax {
    /// Reads the records of one extended header. Times, owners and whatever else does not change bytes are read over.
    pub(super) fn parse(mut bytes: &[u8]) -> Result<Self, String> {
        let mut pax = Self::default();
        let mut seen = BTreeSet::new();
        while !bytes.is_empty() {
            let (key, value, rest) = record(bytes).ok_or("a record of its extended header is not well formed")?;
            if !seen.insert(key.to_vec()) {
                return Err(format!("its extended header says {:?} twice", String::from_utf8_lossy(key)));
            }
            match key {
                b"path" => pax.path = Some(value.to_vec()),
                b"linkpath" => pax.link = Some(value.to_vec()),
                b"size" => pax.size = Some(number(value).ok_or("the size in its extended header is no number")?),
                _ if key.starts_with(b"GNU.sparse.") => return Err("it is a sparse file".to_owned()),
                _ => {}
            }
            bytes = rest;
        }
        Ok(pax)
    }

    /// Returns whether it says nothing that counts.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Returns key and value of the first record, and the bytes behind it.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let blank = bytes.iter().take(20).position(|b| *b == b' ')?;
    let length = usize::try_from(number(&bytes[..blank])?).ok()?;
    let record = bytes.get(blank + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|b| *b == b'=')?;
    let (key, value) = (&record[..equals], &record[equals + 1..]);
    (!key.is_empty() && !key.contains(&0)).then_some((key, value, &bytes[length..]))
}

/// Reads digits and nothing else.
fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(key: &str, value: &str) -> String {
        let bare = key.len() + value.len() + 3;
        let mut length = bare + 1;
        while format!("{length}").len() + bare != length {
            length += 1;
        }
        format!("{length} {key}={value}\n")
    }

    #[test]
    fn what_counts_is_taken_and_the_rest_is_read_over() {
        let text = [line("mtime", "1.5"), line("path", "a=b\nc"), line("size", "9"), line("linkpath", "x")].concat();
        let pax = Pax::parse(text.as_bytes()).unwrap();
        assert_eq!(
            (pax.path.as_deref(), pax.size, pax.link.as_deref()),
            (Some(&b"a=b\nc"[..]), Some(9), Some(&b"x"[..]))
        );
        assert!(Pax::parse(line("comment", "x").as_bytes()).unwrap().is_empty());
    }

    #[test]
    fn a_record_that_is_not_exactly_of_its_form_is_refused() {
        let path = line("path", "a");
        for bad in [
            "9 path=a",
            "8 path=a\n",
            "11 path=a\n",
            "x path=a\n",
            " path=a\n",
            "+9 path=a\n",
            "-9 path=a\n",
            "9  path=a\n",
            "6 =aa\n",
            "5 aa\n",
            "99999999999999999999999 path=a\n",
            "0 path=a\n",
            "3 \n",
            "\0\0\0",
        ] {
            assert!(Pax::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(Pax::parse(format!("{path}{path}").as_bytes()).unwrap_err().contains("twice"));
        assert!(Pax::parse(line("size", "-1").as_bytes()).is_err() && Pax::parse(line("size", "").as_bytes()).is_err());
        assert!(Pax::parse(line("GNU.sparse.major", "1").as_bytes()).unwrap_err().contains("sparse"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Pax::parse(&bytes);
        }

        #[test]
        fn what_is_written_is_read_back(value in "[^\u{0}]{0,300}", size in any::<u64>()) {
            let text = [line("path", &value), line("size", &size.to_string())].concat();
            let pax = Pax::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(pax.path.unwrap(), value.into_bytes());
            prop_assert_eq!(pax.size, Some(size));
        }
    }
}
