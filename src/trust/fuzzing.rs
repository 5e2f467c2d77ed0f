//! A door for the fuzz targets: parsers of foreign evidence, which nobody else may call.
//!
//! Each function gives what it is handed to one parser and returns only what a target needs to check a promise. It is
//! hidden, and no part of the interface.

use super::notation;
use super::notation::Form;

/// Reads and verifies an envelope of the Notary Project in JSON; returns whether its integrity holds.
pub fn jws(bytes: &[u8]) -> bool {
    notation::Verified::read(Form::Jws, bytes).is_ok()
}

/// Reads and verifies an envelope of the Notary Project in CBOR; returns whether its integrity holds.
pub fn cose(bytes: &[u8]) -> bool {
    notation::Verified::read(Form::Cose, bytes).is_ok()
}

/// Reads the token of a timestamp authority; returns the seconds between which it stands, where it parses.
pub fn timestamp(bytes: &[u8]) -> Option<(i64, i64)> {
    notation::stated_time(bytes)
}
