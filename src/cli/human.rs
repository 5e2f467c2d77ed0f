//! Numbers and tables for people.

/// Returns a number of bytes with a binary unit and one decimal: `734.0 MiB`; whole bytes below 1 KiB.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if n < 1024 {
        return format!("{n} B");
    }
    let exponent = ((63 - n.leading_zeros()) / 10).min(5);
    let unit = UNITS[exponent as usize - 1];
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let value = n as f64 / f64::from(exponent * 10).exp2();
    format!("{value:.1} {unit}")
}

/// Returns `n` with the word that fits it: `1 artifact`, `2 artifacts`.
pub fn count(n: u64, word: &str) -> String {
    if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") }
}

/// Parses a size: a number of bytes, or one with `KiB`, `MiB`, `GiB`, `TiB`, `kB`, `MB`, `GB`, `TB`, or `K`, `M`, `G`, `T` for the binary units.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim() {
        "" | "B" => 1,
        "K" | "KiB" => 1 << 10,
        "M" | "MiB" => 1 << 20,
        "G" | "GiB" => 1 << 30,
        "T" | "TiB" => 1 << 40,
        "kB" | "KB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        other => return Err(format!("{other:?} is no unit of size; MiB, GiB, MB and GB are some")),
    };
    let number: u64 = number.parse().map_err(|_| format!("{text:?} does not begin with a whole number"))?;
    number.checked_mul(factor).ok_or_else(|| format!("{text:?} is too large"))
}

/// Parses a rate: a size with or without `/s` behind it.
pub fn parse_rate(text: &str) -> Result<u64, String> {
    match parse_bytes(text.strip_suffix("/s").unwrap_or(text))? {
        0 => Err(format!("{text:?} would take for ever")),
        rate => Ok(rate),
    }
}

/// Returns a time in its two largest units: `3 h 20 min`, `4 min 5 s`, `12 s`; at least one second.
pub fn seconds(n: u64) -> String {
    let n = n.max(1);
    match (n / 86_400, n / 3_600 % 24, n / 60 % 60, n % 60) {
        (0, 0, 0, s) => format!("{s} s"),
        (0, 0, m, s) => format!("{m} min {s} s"),
        (0, h, m, _) => format!("{h} h {m} min"),
        (d, h, ..) => format!("{d} d {h} h"),
    }
}

/// Returns rows of cells with their columns aligned, two blanks between them.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let mut out = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.chars().count())))
            .collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well_and_parse_back() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1024), "1.0 KiB");
        assert_eq!(bytes(769_654_784), "734.0 MiB");
        assert_eq!(bytes(u64::MAX), "16384.0 PiB");
        assert_eq!(parse_bytes("64MiB"), Ok(64 << 20));
        assert_eq!(parse_bytes("4GB"), Ok(4_000_000_000));
        assert_eq!(parse_bytes("12"), Ok(12));
        assert!(parse_bytes("64 parsecs").is_err() && parse_bytes("MiB").is_err() && parse_bytes("99999999T").is_err());
    }

    #[test]
    fn rates_and_times_read_well() {
        assert_eq!(parse_rate("100MB/s"), Ok(100_000_000));
        assert_eq!(parse_rate("1MiB"), Ok(1 << 20));
        assert!(parse_rate("0").is_err() && parse_rate("MB/s").is_err());
        for (n, text) in [(0, "1 s"), (59, "59 s"), (245, "4 min 5 s"), (12_000, "3 h 20 min"), (180_000, "2 d 2 h")] {
            assert_eq!(seconds(n), text);
        }
    }

    #[test]
    fn columns_are_aligned() {
        let rows = vec![vec!["a".into(), "bb".into()], vec!["ccc".into(), "d".into()]];
        assert_eq!(table(&rows), "a    bb\nccc  d\n");
    }
}
