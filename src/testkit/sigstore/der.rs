//! DER and certificates by hand, so that malformed ones can be minted as well.

use super::Key;

/// Tag, length, parts.
pub fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let mut out = vec![tag];
    match body.len() {
        n @ 0..=127 => out.push(u8::try_from(n).unwrap()),
        n @ 128..=255 => out.extend([0x81, u8::try_from(n).unwrap()]),
        n @ 256..=0xffff => out.extend([0x82, u8::try_from(n >> 8).unwrap(), u8::try_from(n & 255).unwrap()]),
        n => out.extend([&[0x83], &u32::try_from(n).unwrap().to_be_bytes()[1..]].concat()),
    }
    out.extend(body);
    out
}

/// SEQUENCE.
pub fn seq(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, parts)
}

/// OBJECT IDENTIFIER.
pub fn oid(text: &str) -> Vec<u8> {
    let arcs: Vec<u64> = text.split('.').map(|arc| arc.parse().unwrap()).collect();
    let mut body = vec![u8::try_from(arcs[0] * 40 + arcs[1]).unwrap()];
    for arc in &arcs[2..] {
        let mut bytes = vec![u8::try_from(arc & 127).unwrap()];
        let mut rest = arc >> 7;
        while rest > 0 {
            bytes.push(u8::try_from(rest & 127).unwrap() | 128);
            rest >>= 7;
        }
        body.extend(bytes.iter().rev());
    }
    tlv(6, &[&body])
}

/// OCTET STRING.
pub fn octets(bytes: &[u8]) -> Vec<u8> {
    tlv(4, &[bytes])
}

/// UTF8String.
pub fn utf8(text: &str) -> Vec<u8> {
    tlv(0x0c, &[text.as_bytes()])
}

/// INTEGER below 128, or bytes with a first one below 128.
pub fn integer(bytes: &[u8]) -> Vec<u8> {
    tlv(2, &[bytes])
}

/// UTCTime.
pub fn utc(time: i64) -> Vec<u8> {
    tlv(0x17, &[moment(time, "%y%m%d%H%M%SZ").as_bytes()])
}

/// GeneralizedTime.
pub fn generalized(time: i64) -> Vec<u8> {
    tlv(0x18, &[moment(time, "%Y%m%d%H%M%SZ").as_bytes()])
}

fn moment(time: i64, form: &str) -> String {
    jiff::Timestamp::from_second(time).unwrap().strftime(form).to_string()
}

/// Distinguished name with an organisation only.
pub fn name(organisation: &str) -> Vec<u8> {
    seq(&[&tlv(0x31, &[&seq(&[&oid("2.5.4.10"), &utf8(organisation)])])])
}

/// Extension; `FALSE` is never written, because verifiers encode again.
pub fn extension(id: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let flag: &[u8] = if critical { &[1, 1, 0xff] } else { &[] };
    seq(&[&oid(id), flag, &octets(value)])
}

/// ecdsa-with-SHA256.
pub fn ecdsa_sha256() -> Vec<u8> {
    seq(&[&oid("1.2.840.10045.4.3.2")])
}

/// Body of a certificate of version 3.
pub struct Tbs<'a> {
    /// Serial number.
    pub serial: u8,
    /// Organisation of the issuer.
    pub issuer: &'a str,
    /// Organisation of the subject; empty for an empty name.
    pub subject: &'a str,
    /// Validity, in seconds.
    pub valid: (i64, i64),
    /// SubjectPublicKeyInfo.
    pub spki: &'a [u8],
}

impl Tbs<'_> {
    /// Writes the body with `extensions`.
    pub fn with(&self, extensions: &[Vec<u8>]) -> Vec<u8> {
        let subject = if self.subject.is_empty() { seq(&[]) } else { name(self.subject) };
        seq(&[
            &tlv(0xa0, &[&integer(&[2])]),
            &integer(&[self.serial]),
            &ecdsa_sha256(),
            &name(self.issuer),
            &seq(&[&utc(self.valid.0), &utc(self.valid.1)]),
            &subject,
            self.spki,
            &tlv(0xa3, &[&seq(&[&extensions.concat()])]),
        ])
    }
}

/// Signs a body.
pub fn certificate(tbs: &[u8], ca: &Key) -> Vec<u8> {
    seq(&[tbs, &ecdsa_sha256(), &tlv(3, &[&[0], &ca.sign(tbs)])])
}

/// Key usage: the bits of the one byte, and how many at its end are unused.
pub fn key_usage(bits: u8, unused: u8) -> Vec<u8> {
    extension("2.5.29.15", true, &tlv(3, &[&[unused, bits]]))
}

/// Basic constraints of an authority.
pub fn authority() -> Vec<u8> {
    extension("2.5.29.19", true, &seq(&[&[1, 1, 0xff]]))
}

/// A self-signed authority.
pub fn root(key: &Key, organisation: &str, valid: (i64, i64)) -> Vec<u8> {
    let tbs = Tbs { serial: 1, issuer: organisation, subject: organisation, valid, spki: key.spki() };
    certificate(&tbs.with(&[authority(), key_usage(0b0000_0100, 2)]), key)
}

/// The extension with one signed certificate timestamp over `precert`, the body without this extension.
pub fn sct(ct: &Key, issuer: &Key, precert: &[u8], at: i64) -> Vec<u8> {
    let ms = u64::try_from(at * 1000).unwrap().to_be_bytes();
    let length = u32::try_from(precert.len()).unwrap().to_be_bytes();
    let signed = [&[0, 0][..], &ms, &[0, 1], &issuer.id(), &length[1..], precert, &[0, 0]].concat();
    let signature = ct.sign(&signed);
    let length = u16::try_from(signature.len()).unwrap().to_be_bytes();
    [&[0][..], &ct.id(), &ms, &[0, 0, 4, 3], &length, &signature].concat()
}

/// The extension that holds timestamps.
pub fn sct_list(timestamps: &[Vec<u8>]) -> Vec<u8> {
    let one = |sct: &Vec<u8>| [&u16::try_from(sct.len()).unwrap().to_be_bytes()[..], sct].concat();
    let list = timestamps.iter().map(one).collect::<Vec<_>>().concat();
    let list = [&u16::try_from(list.len()).unwrap().to_be_bytes()[..], &list].concat();
    extension("1.3.6.1.4.1.11129.2.4.2", false, &octets(&list))
}

/// RFC 3161 response over `signature`, by the authority whose certificate body has `issuer` and `serial`.
pub fn timestamp(tsa: &Key, issuer: &str, serial: u8, signature: &[u8], at: i64) -> Vec<u8> {
    let sha256 = seq(&[&oid("2.16.840.1.101.3.4.2.1")]);
    let kind = oid("1.2.840.113549.1.9.16.1.4");
    let hash = |bytes: &[u8]| sigstore_crypto::sha256(bytes).as_bytes().to_vec();
    let info = seq(&[
        &integer(&[1]),
        &oid("1.3.6.1.4.1.57264.2"),
        &seq(&[&sha256, &octets(&hash(signature))]),
        &integer(&[7]),
        &generalized(at),
    ]);
    let attribute = |id: &str, value: &[u8]| seq(&[&oid(id), &tlv(0x31, &[value])]);
    let attributes =
        [attribute("1.2.840.113549.1.9.3", &kind), attribute("1.2.840.113549.1.9.4", &octets(&hash(&info)))].concat();
    let signer = seq(&[
        &integer(&[1]),
        &seq(&[&name(issuer), &integer(&[serial])]),
        &sha256,
        &tlv(0xa0, &[&attributes]),
        &ecdsa_sha256(),
        &octets(&tsa.sign(&tlv(0x31, &[&attributes]))),
    ]);
    let content = seq(&[&kind, &tlv(0xa0, &[&octets(&info)])]);
    let data = seq(&[&integer(&[3]), &tlv(0x31, &[&sha256]), &content, &tlv(0x31, &[&signer])]);
    seq(&[&seq(&[&integer(&[0])]), &seq(&[&oid("1.2.840.113549.1.7.2"), &tlv(0xa0, &[&data])])])
}
