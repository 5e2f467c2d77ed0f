//! PEM: one block of base64 between its two lines (RFC 7468), read strictly.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// One block.
#[derive(Debug)]
pub(super) struct Pem {
    /// Label: `PUBLIC KEY`, `CERTIFICATE`, ….
    pub label: String,
    /// Content.
    pub bytes: Vec<u8>,
}

/// Reads the only block of `text`; blanks around it are ignored, anything else is not.
pub(super) fn parse(text: &str) -> Result<Pem, &'static str> {
    let text = text.trim();
    let rest = text.strip_prefix("-----BEGIN ").ok_or("no PEM block begins here")?;
    let (label, rest) = rest.split_once("-----").ok_or("the first line of the PEM block does not end")?;
    let end = format!("-----END {label}-----");
    let (body, after) = rest.split_once(&end).ok_or("the PEM block does not end")?;
    if !after.is_empty() {
        return Err("text stands behind the PEM block");
    }
    let body: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let bytes = STANDARD.decode(body).map_err(|_| "the PEM block is no base64")?;
    Ok(Pem { label: label.to_owned(), bytes })
}

/// Writes a block with lines of 64 characters.
pub(super) fn write(label: &str, bytes: &[u8]) -> String {
    let body = STANDARD.encode(bytes);
    let mut out = format!("-----BEGIN {label}-----\n");
    for (at, c) in body.chars().enumerate() {
        if at > 0 && at % 64 == 0 {
            out.push('\n');
        }
        out.push(c);
    }
    out.push_str(&format!("\n-----END {label}-----\n"));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_reads_back_and_two_blocks_are_refused() {
        for length in [0, 1, 47, 48, 49, 200] {
            let bytes = vec![7; length];
            let text = write("X Y", &bytes);
            assert!(text.lines().all(|line| line.len() <= 64));
            let read = parse(&text).unwrap();
            assert_eq!((read.label.as_str(), read.bytes), ("X Y", bytes));
            assert!(parse(&format!("{text}{text}")).is_err());
            assert!(parse(&format!("x{text}")).is_err());
            assert!(parse(&text[..text.len() - 8]).is_err());
        }
    }
}
