//! Beside the floors, for tests only: doubles and generators.
//!
//! Doubles implement the whole of what they stand for, refuse misuse, and serve manual trials as well.

pub mod archives;
pub mod files;
pub mod harbor;
pub mod image;
pub mod notation;
pub mod sigstore;
pub mod tuf;
pub mod web;
