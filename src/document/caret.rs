//! Shows the line that a mistake is in, with a caret under its column.

use super::PaperError;

/// Characters of a line that are shown.
const WIDTH: usize = 100;
/// Mistakes of one paper that are shown with their line; the others have their numbers.
const SHOWN: usize = 10;

impl PaperError {
    /// Adds the line of `text`, which is what was read, under a mistake that has a place. Not for papers that hold
    /// secrets.
    #[must_use]
    pub fn with_source(self, text: &str) -> Self {
        match self {
            Self::Several { count, first } => {
                let shown = |(at, error): (usize, Self)| if at < SHOWN { error.with_source(text) } else { error };
                Self::Several { count, first: first.into_iter().enumerate().map(shown).collect() }
            }
            Self::Syntax { line, column, .. } => match snippet(text, line, column) {
                Some(snippet) => Self::Shown { error: Box::new(self), snippet },
                None => self,
            },
            other => other,
        }
    }
}

/// Returns the line and the caret under it, each on a line of its own.
fn snippet(text: &str, line: usize, column: usize) -> Option<String> {
    let source = text.lines().nth(line.checked_sub(1)?)?;
    let at = column.saturating_sub(1);
    let from = if at >= WIDTH { at - WIDTH / 2 } else { 0 };
    let shown: String = source.chars().skip(from).take(WIDTH).map(|c| if hidden(c) { ' ' } else { c }).collect();
    if shown.trim().is_empty() {
        return None;
    }
    let number = line.to_string();
    let gap = " ".repeat(number.len());
    Some(format!("\n    {number} | {}\n    {gap} | {}^", shown.trim_end(), " ".repeat(at - from)))
}

/// Characters that would move the caret or upset a terminal.
fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error(line: usize, column: usize) -> PaperError {
        PaperError::Syntax { place: "m.yaml".to_owned(), line, column, why: "it is wrong".to_owned() }
    }

    #[test]
    fn the_caret_stands_under_the_column() {
        let text = "a: 1\nimgaes: [x]\n";
        let shown = error(2, 1).with_source(text).to_string();
        assert_eq!(shown, "m.yaml:2:1: it is wrong\n    2 | imgaes: [x]\n      | ^");
        let shown = error(2, 10).with_source(text).to_string();
        assert!(shown.ends_with("\n      |          ^"), "{shown}");
        assert_eq!(error(9, 1).with_source(text).to_string(), "m.yaml:9:1: it is wrong");
    }

    #[test]
    fn a_long_line_is_cut_around_the_place_and_cannot_upset_a_terminal() {
        let text = format!("{}\u{1b}[31mX{}", "a".repeat(5000), "b".repeat(5000));
        let shown = error(1, 5006).with_source(&text).to_string();
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[1].len() < 120 && !shown.contains('\u{1b}'), "{shown}");
        assert_eq!(lines[1].chars().nth(lines[2].find('^').unwrap()), Some('X'));
    }

    #[test]
    fn the_first_mistakes_of_many_are_shown() {
        let many = PaperError::Several { count: 30, first: (0..30).map(|_| error(1, 1)).collect() };
        assert_eq!(many.with_source("x: y").to_string().matches('^').count(), 10);
    }

    proptest! {
        #[test]
        fn any_place_in_any_text_is_shown_without_a_panic(text in "\\PC{0,40}\n\\PC{0,200}", line in 0usize..4, column in 0usize..300) {
            let _ = error(line, column).with_source(&text).to_string();
        }
    }
}
