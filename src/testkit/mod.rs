//! Beside the floors, for tests only: doubles and generators.

pub mod sigstore;
