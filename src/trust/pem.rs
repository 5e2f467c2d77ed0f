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
    match next(text.trim())? {
        (pem, "") => Ok(pem),
        _ => Err("text stands behind the PEM block"),
    }
}

/// Reads every block of `text`, one at least; between them may stand blanks and lines that begin with `#`.
pub(super) fn parse_all(text: &str) -> Result<Vec<Pem>, &'static str> {
    let mut blocks = Vec::new();
    let mut rest = skip(text);
    while !rest.is_empty() || blocks.is_empty() {
        let (block, after) = next(rest)?;
        blocks.push(block);
        rest = skip(after);
    }
    Ok(blocks)
}

fn skip(text: &str) -> &str {
    let mut rest = text.trim();
    while rest.starts_with('#') {
        rest = rest.split_once('\n').map_or("", |(_, after)| after.trim_start());
    }
    rest
}

fn next(text: &str) -> Result<(Pem, &str), &'static str> {
    let rest = text.strip_prefix("-----BEGIN ").ok_or("no PEM block begins here")?;
    let (label, rest) = rest.split_once("-----").ok_or("the first line of the PEM block does not end")?;
    let end = format!("-----END {label}-----");
    let (body, after) = rest.split_once(&end).ok_or("the PEM block does not end")?;
    let body: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let bytes = STANDARD.decode(body).map_err(|_| "the PEM block is no base64")?;
    Ok((Pem { label: label.to_owned(), bytes }, after))
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

    #[test]
    fn several_blocks_are_read_and_nothing_between_them_is_overlooked() {
        let (one, two) = (write("CERTIFICATE", b"one"), write("CERTIFICATE", b"two"));
        let read = |text: &str| parse_all(text).map(|all| all.into_iter().map(|pem| pem.bytes).collect::<Vec<_>>());
        assert_eq!(read(&format!("# the first\n{one}\n\n# the second\n{two}")).unwrap(), [b"one", b"two"]);
        for broken in ["", "# nothing", &format!("{one}subject=x\n{two}"), &format!("{one}----BEGIN CERTIFICATE-----")]
        {
            assert!(read(broken).is_err(), "{broken:?}");
        }
    }
}
