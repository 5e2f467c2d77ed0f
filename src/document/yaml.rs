//! YAML as people write it, with limits and places. The door of the YAML crate.

use super::PaperError;
use crate::model::limits;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads one YAML document from `text`, which a person calls `place`.
pub fn parse<T: DeserializeOwned>(text: &str, place: &str) -> Result<T, PaperError> {
    check_size(text, place)?;
    serde_saphyr::from_str(text).map_err(|error| syntax(&error, place))
}

/// Returns `value` as YAML, for a paper that a person may read and change.
pub fn write<T: Serialize>(value: &T) -> String {
    // Serialising our own values to memory fails only for keys that are no text, and no paper has one.
    serde_saphyr::to_string(value).unwrap_or_default()
}

fn check_size(text: &str, place: &str) -> Result<(), PaperError> {
    let size = text.len() as u64;
    if size > limits::PAPER_BYTES {
        return Err(PaperError::TooLarge { place: place.to_owned(), size, limit: limits::PAPER_BYTES });
    }
    Ok(())
}

fn syntax(error: &serde_saphyr::Error, place: &str) -> PaperError {
    let (line, column) = error.location().map_or((1, 1), |at| (at.line() as usize, at.column() as usize));
    PaperError::Syntax { place: place.to_owned(), line, column, why: error.to_string() }
}
