//! Encodings and checksums.

use super::function;
use crate::chart::template::{Arguments, Engine, Function, Trouble, Value, sprint};
use crate::model::digest::{Algorithm, Digest, hex};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The group.
pub(super) const FUNCTIONS: &[Function] = &[
    function("b64enc", |_, given| Ok(STANDARD.encode(given.text(0)?).into())),
    function("b64dec", |_, given| {
        Ok(match STANDARD.decode(given.text(0)?) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned().into(),
            // sprig gives the words of the error as the value.
            Err(why) => format!("illegal base64 data: {why}").into(),
        })
    }),
    function("b32enc", |_, given| Ok(base32(given.text(0)?.as_bytes()).into())),
    function("b32dec", |_, given| {
        Ok(un_base32(given.text(0)?).unwrap_or_else(|| "illegal base32 data".to_owned()).into())
    }),
    function("sha256sum", |_, given| Ok(Digest::of(given.text(0)?.as_bytes()).hex().into())),
    function("sha512sum", |_, given| Ok(Digest::of_with(Algorithm::Sha512, given.text(0)?.as_bytes()).hex().into())),
    function("sha1sum", |_, given| Ok(hex(&sha1(given.text(0)?.as_bytes())).into())),
    function("adler32sum", |_, given| {
        let step = |(a, b): (u32, u32), byte: u8| {
            let a = (a + u32::from(byte)) % 65521;
            (a, (b + a) % 65521)
        };
        let (a, b) = given.text(0)?.bytes().fold((1, 0), step);
        Ok(((b << 16) | a).to_string().into())
    }),
    function("html", |_, given| {
        escaped(given, |sign| match sign {
            '"' => Some("&#34;"),
            '\'' => Some("&#39;"),
            '&' => Some("&amp;"),
            '<' => Some("&lt;"),
            '>' => Some("&gt;"),
            _ => None,
        })
    }),
    function("js", |_, given| {
        escaped(given, |sign| match sign {
            '\\' => Some("\\\\"),
            '\'' => Some("\\'"),
            '"' => Some("\\\""),
            '<' => Some("\\u003C"),
            '>' => Some("\\u003E"),
            '&' => Some("\\u0026"),
            '=' => Some("\\u003D"),
            '\n' => Some("\\u000A"),
            _ => None,
        })
    }),
    function("urlquery", url_query),
];

fn escaped(given: &Arguments, with: fn(char) -> Option<&'static str>) -> Result<Value, Trouble> {
    let mut out = String::new();
    for sign in sprint(&given.0)?.chars() {
        match with(sign) {
            Some(text) => out.push_str(text),
            None => out.push(sign),
        }
    }
    Ok(out.into())
}

fn url_query(_: &mut Engine, given: &Arguments) -> Result<Value, Trouble> {
    let mut out = String::new();
    for byte in sprint(&given.0)?.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    Ok(out.into())
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn base32(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(5) {
        let mut block = [0_u8; 8];
        block[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(block);
        let signs = (chunk.len() * 8).div_ceil(5);
        for at in 0..8 {
            let value = usize::try_from((bits >> (35 - 5 * at)) & 31).unwrap_or_default();
            out.push(if at < signs { char::from(BASE32[value]) } else { '=' });
        }
    }
    out
}

fn un_base32(text: &str) -> Option<String> {
    let (mut bits, mut count, mut bytes) = (0_u32, 0_u32, Vec::new());
    for sign in text.trim_end_matches('=').bytes() {
        let value = BASE32.iter().position(|known| *known == sign)?;
        bits = (bits << 5) | u32::try_from(value).ok()?;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push(((bits >> count) & 0xff).to_le_bytes()[0]);
            bits &= (1 << count) - 1;
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// SHA-1, which charts use for short names only.
fn sha1(bytes: &[u8]) -> [u8; 20] {
    let mut state: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    let mut padded = bytes.to_vec();
    padded.push(0x80);
    while padded.len() % 64 != 56 {
        padded.push(0);
    }
    padded.extend((bytes.len() as u64 * 8).to_be_bytes());
    for block in padded.chunks(64) {
        let mut words = [0_u32; 80];
        for (word, four) in words.iter_mut().zip(block.chunks(4)) {
            *word = four.iter().fold(0, |word, byte| (word << 8) | u32::from(*byte));
        }
        for at in 16..80 {
            words[at] = (words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16]).rotate_left(1);
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (at, word) in words.iter().enumerate() {
            let (f, k) = match at {
                0..20 => ((b & c) | (!b & d), 0x5a82_7999),
                20..40 => (b ^ c ^ d, 0x6ed9_eba1),
                40..60 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc),
                _ => (b ^ c ^ d, 0xca62_c1d6_u32),
            };
            let next = a.rotate_left(5).wrapping_add(f).wrapping_add(e).wrapping_add(k).wrapping_add(*word);
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
        }
        for (sum, part) in state.iter_mut().zip([a, b, c, d, e]) {
            *sum = sum.wrapping_add(part);
        }
    }
    let mut out = [0; 20];
    for (four, word) in out.chunks_mut(4).zip(state) {
        four.copy_from_slice(&word.to_be_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_and_encodings_are_the_known_ones() {
        assert_eq!(hex(&sha1(b"abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(hex(&sha1(&[b'a'; 100])), "7f9000257a4918d7072655ea468540cdcbd42e0c");
        for (plain, encoded) in [("", ""), ("f", "MY======"), ("foobar", "MZXW6YTBOI======"), ("fooba", "MZXW6YTB")] {
            assert_eq!(base32(plain.as_bytes()), encoded);
            assert_eq!(un_base32(encoded).as_deref(), Some(plain));
        }
    }
}
