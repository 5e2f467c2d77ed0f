//! The line that a mistake stands in, with a caret under the place, for people. Programs get one line without it.

use std::fmt;

/// Characters of a line that are shown at most; of a longer one, those around the place.
const WIDTH: usize = 100;

/// A line of a paper with the place of a mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    line: usize,
    text: String,
    /// Characters in front of the place.
    before: usize,
    /// Characters of the place.
    length: usize,
}

impl Quote {
    /// Takes the line `line` of `text`, with the place at `column`; both count from 1. `None` where there is no such line.
    pub fn of(text: &str, line: usize, column: usize) -> Option<Self> {
        let whole: Vec<char> = text.lines().nth(line.checked_sub(1)?)?.chars().collect();
        let place = column.checked_sub(1)?.min(whole.len());
        let length = word(&whole[place..]);
        let start = if whole.len() <= WIDTH { 0 } else { place.saturating_sub(WIDTH / 2).min(whole.len() - WIDTH) };
        let end = (start + WIDTH).min(whole.len());
        let (front, back) = (if start > 0 { "…" } else { "" }, if end < whole.len() { "…" } else { "" });
        let text: String = whole[start..end].iter().map(|c| seen(*c)).collect();
        let before = place - start + front.chars().count();
        let length = length.min(end.saturating_sub(place)).max(1);
        Some(Self { line, text: format!("{front}{text}{back}"), before, length })
    }
}

impl fmt::Display for Quote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let carets = format!("{}{}", " ".repeat(self.before), "^".repeat(self.length));
        write!(f, "  {margin} |\n  {number} | {}\n  {margin} | {carets}", self.text)
    }
}

/// Returns how many characters belong to the word, number or quoted text that stands there.
fn word(rest: &[char]) -> usize {
    match rest.first() {
        Some(quote @ ('"' | '\'')) => rest.iter().skip(1).position(|c| c == quote).map_or(1, |end| end + 2),
        _ => rest.iter().take_while(|c| c.is_alphanumeric() || "_-./@+".contains(**c)).count(),
    }
}

/// Returns a character that takes one place and does nothing to a terminal.
fn seen(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() || crate::model::fault::printable(&c.to_string()).is_empty() && !c.is_whitespace() => '·',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn picture(text: &str, line: usize, column: usize) -> String {
        Quote::of(text, line, column).map(|quote| quote.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_caret_stands_under_the_word_that_is_wrong() {
        let text = "kind: Mirror\nimagse: [x]\n";
        assert_eq!(picture(text, 2, 1), "    |\n  2 | imagse: [x]\n    | ^^^^^^");
        assert_eq!(picture("a: 'x y' z\n", 1, 4), "    |\n  1 | a: 'x y' z\n    |    ^^^^^");
        assert_eq!(picture("\ta: [", 1, 5), "    |\n  1 |  a: [\n    |     ^");
        assert_eq!(picture("a", 1, 9), "    |\n  1 | a\n    |  ^");
        assert_eq!(picture(&"x\n".repeat(12), 12, 1), "     |\n  12 | x\n     | ^");
    }

    #[test]
    fn a_place_that_is_not_there_has_no_picture() {
        assert_eq!(picture("a\n", 3, 1), "");
        assert_eq!(picture("a\n", 0, 1), "");
        assert_eq!(picture("a\n", 1, 0), "");
    }

    #[test]
    fn of_a_long_line_the_surroundings_are_shown() {
        let text = format!("{}WRONG{}", "a ".repeat(500), " b".repeat(500));
        let picture = picture(&text, 1, 1001);
        let lines: Vec<&str> = picture.lines().collect();
        assert!(
            lines[1].starts_with("  1 | …") && lines[1].ends_with('…') && lines[1].chars().count() < 110,
            "{picture}"
        );
        let at = lines[1].chars().position(|c| c == 'W').unwrap();
        assert_eq!(lines[2].chars().position(|c| c == '^'), Some(at), "{picture}");
    }

    proptest! {
        #[test]
        fn a_picture_is_three_lines_that_do_nothing_to_a_terminal(
            text in "[ab\\t\\x1b\u{202e}: \"é\n\r]{0,300}", line in 0usize..4, column in 0usize..300,
        ) {
            if let Some(quote) = Quote::of(&text, line, column) {
                let shown = quote.to_string();
                prop_assert_eq!(shown.lines().count(), 3);
                prop_assert!(shown.chars().all(|c| c == '\n' || !c.is_control()));
                let widest = shown.lines().map(|line| line.chars().count()).max().unwrap_or_default();
                prop_assert!(widest <= WIDTH + 12);
            }
        }
    }
}
