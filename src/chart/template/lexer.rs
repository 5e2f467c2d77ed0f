//! Cuts a template into tokens, as Go's `text/template/parse` does: trim markers, comments, the literals of Go.

use std::iter::Peekable;
use std::str::CharIndices;

/// A token with its line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token<'t> {
    /// What it is.
    pub kind: Kind<'t>,
    /// Line from 1.
    pub line: usize,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind<'t> {
    /// Text outside of actions.
    Text(&'t str),
    /// `{{`
    Open,
    /// `}}`
    Close,
    /// Blanks inside of an action: they part operands.
    Blank,
    /// `.`
    Dot,
    /// `.name`, without the dot.
    Field(&'t str),
    /// `$name`, with the sign.
    Variable(&'t str),
    /// Name of a function, keyword, `true`, `nil`.
    Word(&'t str),
    /// Text in quotes, read.
    Text2(String),
    /// Number that is whole.
    Int(i64),
    /// Number that is not.
    Float(f64),
    /// `(`
    Paren,
    /// `)`
    ParenEnd,
    /// `|`
    Bar,
    /// `:=`
    Declare,
    /// `=`
    Assign,
    /// `,`
    Comma,
}

/// Cuts `text`; an error comes with its line.
pub(crate) fn tokens(text: &str) -> Result<Vec<Token<'_>>, (usize, String)> {
    let mut lexer = Lexer { text, at: 0, line: 1, tokens: Vec::new() };
    lexer.run()?;
    Ok(lexer.tokens)
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    line: usize,
    tokens: Vec<Token<'t>>,
}

type Lexed<T> = Result<T, (usize, String)>;

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

impl<'t> Lexer<'t> {
    fn run(&mut self) -> Lexed<()> {
        loop {
            let rest = &self.text[self.at..];
            let Some(open) = rest.find("{{") else {
                self.text_token(rest);
                return Ok(());
            };
            let after = &rest.as_bytes()[open + 2..];
            let trims = after.first() == Some(&b'-') && after.get(1).copied().is_some_and(is_blank);
            let before = if trims { rest[..open].trim_end_matches(BLANKS) } else { &rest[..open] };
            self.text_token(before);
            self.skip_to(self.at + rest[..open].len() - before.len());
            self.skip_to(self.at + 2 + if trims { 2 } else { 0 });
            if self.text[self.at..].starts_with("/*") {
                self.comment()?;
            } else {
                self.push(Kind::Open);
                self.action()?;
            }
        }
    }

    fn text_token(&mut self, text: &'t str) {
        if !text.is_empty() {
            self.push(Kind::Text(text));
        }
        self.skip_to(self.at + text.len());
    }

    fn push(&mut self, kind: Kind<'t>) {
        self.tokens.push(Token { kind, line: self.line });
    }

    fn skip_to(&mut self, at: usize) {
        self.line += self.text.as_bytes()[self.at..at].iter().filter(|b| **b == b'\n').count();
        self.at = at;
    }

    fn wrong<T>(&self, why: impl Into<String>) -> Lexed<T> {
        Err((self.line, why.into()))
    }

    fn comment(&mut self) -> Lexed<()> {
        let Some(end) = self.text[self.at..].find("*/") else { return self.wrong("a comment does not end") };
        self.skip_to(self.at + end + 2);
        if self.end().is_none() { self.wrong("a comment ends before its action does") } else { Ok(()) }
    }

    /// Steps over the end of an action, where it stands here.
    fn end(&mut self) -> Option<()> {
        let rest = &self.text[self.at..];
        if rest.starts_with("}}") {
            self.skip_to(self.at + 2);
            return Some(());
        }
        let bytes = rest.as_bytes();
        if bytes.first().copied().is_some_and(is_blank) && rest[1..].starts_with("-}}") {
            let after = &rest[4..];
            let blanks = after.len() - after.trim_start_matches(BLANKS).len();
            self.skip_to(self.at + 4 + blanks);
            return Some(());
        }
        None
    }

    fn action(&mut self) -> Lexed<()> {
        loop {
            let line = self.line;
            if self.end().is_some() {
                self.tokens.push(Token { kind: Kind::Close, line });
                return Ok(());
            }
            let rest = &self.text[self.at..];
            let Some(first) = rest.chars().next() else { return self.wrong("an action does not end") };
            let (kind, length) = self.token(rest, first)?;
            self.push(kind);
            self.skip_to(self.at + length);
        }
    }

    fn token(&self, rest: &'t str, first: char) -> Lexed<(Kind<'t>, usize)> {
        let word = |from: usize| {
            let name = |c: char| c == '_' || c.is_alphanumeric();
            from + rest[from..].find(|c| !name(c)).unwrap_or(rest.len() - from)
        };
        Ok(match first {
            ' ' | '\t' | '\r' | '\n' => (Kind::Blank, self.blanks(rest)),
            '(' => (Kind::Paren, 1),
            ')' => (Kind::ParenEnd, 1),
            '|' => (Kind::Bar, 1),
            ',' => (Kind::Comma, 1),
            '=' => (Kind::Assign, 1),
            ':' if rest.starts_with(":=") => (Kind::Declare, 2),
            '"' => self.quoted(rest)?,
            '`' => match rest[1..].find('`') {
                Some(end) => (Kind::Text2(rest[1..=end].replace('\r', "")), end + 2),
                None => return self.wrong("a raw text does not end"),
            },
            '\'' => self.character(rest)?,
            '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => self.number(rest)?,
            '.' => match word(1) {
                1 => (Kind::Dot, 1),
                end => (Kind::Field(&rest[1..end]), end),
            },
            '$' => (Kind::Variable(&rest[..word(1)]), word(1)),
            '+' | '-' | '0'..='9' => self.number(rest)?,
            c if c == '_' || c.is_alphanumeric() => (Kind::Word(&rest[..word(0)]), word(0)),
            other => return self.wrong(format!("the sign {other:?} means nothing in an action")),
        })
    }

    /// Counts blanks; the one before `-}}` belongs to the end of the action.
    fn blanks(&self, rest: &str) -> usize {
        let length = rest.len() - rest.trim_start_matches(BLANKS).len();
        if length > 1 && rest[length..].starts_with("-}}") { length - 1 } else { length }
    }

    fn quoted(&self, rest: &'t str) -> Lexed<(Kind<'t>, usize)> {
        let mut read = String::new();
        let mut signs = rest.char_indices().peekable();
        signs.next();
        while let Some((at, sign)) = signs.next() {
            match sign {
                '"' => return Ok((Kind::Text2(read), at + 1)),
                '\n' => break,
                '\\' => match escape(&mut signs) {
                    Some(sign) => read.push(sign),
                    None => return self.wrong("an escape in a text is none that Go knows"),
                },
                other => read.push(other),
            }
        }
        self.wrong("a text in quotes does not end")
    }

    fn character(&self, rest: &'t str) -> Lexed<(Kind<'t>, usize)> {
        let mut signs = rest.char_indices().peekable();
        signs.next();
        let sign = match signs.next() {
            Some((_, '\\')) => escape(&mut signs),
            Some((_, sign)) => Some(sign),
            None => None,
        };
        match (sign, signs.next()) {
            (Some(sign), Some((end, '\''))) => Ok((Kind::Int(i64::from(u32::from(sign))), end + 1)),
            _ => self.wrong("a character in quotes does not end"),
        }
    }

    fn number(&self, rest: &'t str) -> Lexed<(Kind<'t>, usize)> {
        let bytes = rest.as_bytes();
        let hex = rest.trim_start_matches(['+', '-']).to_ascii_lowercase().starts_with("0x");
        let part = |at: usize| {
            let (byte, before) = (bytes[at], if at == 0 { b' ' } else { bytes[at - 1] });
            match byte {
                b'+' | b'-' => at == 0 || matches!(before, b'p' | b'P') || (!hex && matches!(before, b'e' | b'E')),
                b'.' | b'_' => true,
                other => other.is_ascii_alphanumeric(),
            }
        };
        let end = (0..bytes.len()).find(|at| !part(*at)).unwrap_or(bytes.len());
        let text = &rest[..end];
        let plain = text.replace('_', "");
        if let Some(number) = whole_number(&plain) {
            return Ok((Kind::Int(number), end));
        }
        match plain.parse::<f64>().ok().or_else(|| hex_float(&plain)) {
            Some(number) if number.is_finite() => Ok((Kind::Float(number), end)),
            _ => self.wrong(format!("{text:?} is no number")),
        }
    }
}

/// Reads a whole number with Go's prefixes: `0x`, `0o`, `0b`, a leading 0 for octal.
pub(crate) fn whole_number(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if !digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let size = i128::from(u64::from_str_radix(digits, radix).ok()?);
    i64::try_from(if negative { -size } else { size }).ok()
}

/// Reads a float such as `0x1p-2`: a hexadecimal whole number times a power of two.
fn hex_float(text: &str) -> Option<f64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let lower = digits.to_ascii_lowercase();
    let (mantissa, power) = lower.strip_prefix("0x")?.split_once('p')?;
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = u32::from_str_radix(&format!("{whole}{part}"), 16).ok()?;
    let power = power.parse::<i32>().ok()? - 4 * i32::try_from(part.len()).ok()?;
    let number = f64::from(digits) * 2_f64.powi(power);
    Some(if negative { -number } else { number })
}

/// Reads what follows a backslash.
fn escape(signs: &mut Peekable<CharIndices<'_>>) -> Option<char> {
    let (_, sign) = signs.next()?;
    let mut digits = |count: usize, radix: u32| {
        let text: String = signs.by_ref().take(count).map(|(_, sign)| sign).collect();
        char::from_u32(u32::from_str_radix(&text, radix).ok()?)
    };
    Some(match sign {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'v' => '\u{b}',
        '\\' | '"' | '\'' => sign,
        'x' => digits(2, 16)?,
        'u' => digits(4, 16)?,
        'U' => digits(8, 16)?,
        '0'..='7' => {
            let first = sign.to_digit(8)?;
            let rest = digits(2, 8)?;
            char::from_u32(first * 64 + u32::from(rest))?
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind<'_>> {
        tokens(text).unwrap().into_iter().map(|token| token.kind).collect()
    }

    #[test]
    fn trim_markers_take_blanks_away_on_their_side() {
        assert_eq!(kinds("a \n{{- . -}}\n b"), [Kind::Text("a"), Kind::Open, Kind::Dot, Kind::Close, Kind::Text("b")]);
        assert_eq!(kinds("a {{/* x */}} b"), [Kind::Text("a "), Kind::Text(" b")]);
        assert_eq!(kinds("a {{- /* x */ -}} b"), [Kind::Text("a"), Kind::Text("b")]);
        assert_eq!(kinds("{{-3}}"), [Kind::Open, Kind::Int(-3), Kind::Close]);
    }

    #[test]
    fn literals_are_those_of_go() {
        let read = kinds(r#"{{ "a\n\"\u00e9" `\n` 'x' 0x1F 1_000 1.5 1e3 0x1p4 $ $x .a.b }}"#);
        let read: Vec<Kind<'_>> = read.into_iter().filter(|kind| *kind != Kind::Blank).collect();
        let want = [
            Kind::Open,
            Kind::Text2("a\n\"é".into()),
            Kind::Text2("\\n".into()),
            Kind::Int(120),
            Kind::Int(31),
            Kind::Int(1000),
            Kind::Float(1.5),
            Kind::Float(1000.0),
            Kind::Float(16.0),
            Kind::Variable("$"),
            Kind::Variable("$x"),
            Kind::Field("a"),
            Kind::Field("b"),
            Kind::Close,
        ];
        assert_eq!(read, want);
    }

    #[test]
    fn a_mistake_comes_with_its_line() {
        for text in ["\n{{ \"a", "\n{{ . ", "\n{{ % }}", "\n{{/* x", "\n{{ 1.2.3 }}"] {
            assert_eq!(tokens(text).unwrap_err().0, 2, "{text:?}");
        }
    }
}
