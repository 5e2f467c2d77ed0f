//! HTML that cannot be injected into: names of elements and classes are fixed in the program, everything else is text.
//!
//! There are no attributes but classes, and so no address that a browser could follow. Characters that cannot be
//! seen, or that turn the direction of what follows, are shown as their number.

use std::fmt::{Display, Write as _};

/// A piece of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Markup(String);

impl Markup {
    /// Makes text of what a person or another program wrote.
    pub(super) fn text(text: impl Display) -> Self {
        let mut out = String::new();
        for c in text.to_string().chars() {
            match c {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '"' => out.push_str("&quot;"),
                '\'' => out.push_str("&#39;"),
                '\n' => out.push_str("<br>"),
                c if is_hidden(c) => drop(write!(out, "\\u{{{:x}}}", c as u32)),
                c => out.push(c),
            }
        }
        Self(out)
    }

    /// Makes an element around `inside`.
    pub(super) fn element(name: &'static str, class: &'static str, inside: impl IntoIterator<Item = Self>) -> Self {
        let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
        let inside: String = inside.into_iter().map(|piece| piece.0).collect();
        Self(format!("<{name}{class}>{inside}</{name}>\n"))
    }

    /// Makes an element around text.
    pub(super) fn around(name: &'static str, class: &'static str, text: impl Display) -> Self {
        let Self(text) = Self::text(text);
        let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
        Self(format!("<{name}{class}>{text}</{name}>"))
    }

    /// Joins pieces.
    pub(super) fn all(pieces: impl IntoIterator<Item = Self>) -> Self {
        Self(pieces.into_iter().map(|piece| piece.0).collect())
    }

    /// Makes a table with these headings; no table where there are no rows.
    pub(super) fn table(class: &'static str, headings: &[&'static str], rows: Vec<Vec<Self>>) -> Self {
        if rows.is_empty() {
            return Self::default();
        }
        let heads = headings.iter().map(|heading| Self::around("th", "", heading));
        let head = Self::element("thead", "", [Self::element("tr", "", heads)]);
        let row =
            |cells: Vec<Self>| Self::element("tr", "", cells.into_iter().map(|cell| Self::element("td", "", [cell])));
        Self::element("table", class, [head, Self::element("tbody", "", rows.into_iter().map(row))])
    }

    /// Returns a whole page with nothing outside itself: no script, and a rule that forbids any.
    pub(super) fn page(title: impl Display, style: &'static str, body: Self) -> String {
        let title = Self::around("title", "", title).0;
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n{title}\n<style>\n{style}</style>\n</head>\n\
             <body>\n{}</body>\n</html>\n",
            body.0
        )
    }
}

/// Returns whether a character cannot be seen or changes how others are seen.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_stays_text() {
        let Markup(text) = Markup::text("<b onload='x'>\"&\u{202e}gpj.\u{0}\n");
        assert_eq!(text, "&lt;b onload=&#39;x&#39;&gt;&quot;&amp;\\u{202e}gpj.\\u{0}<br>");
        assert_eq!(Markup::table("", &["A"], Vec::new()), Markup::default());
    }

    proptest! {
        #[test]
        fn no_text_opens_an_element(text in any::<String>()) {
            let Markup(out) = Markup::text(&text);
            prop_assert!(!out.replace("<br>", "").contains(['<', '>', '"', '\'']));
            prop_assert!(!out.chars().any(is_hidden));
        }
    }
}
