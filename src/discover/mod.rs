//! Floor 3: files in, names of artifacts with their origins out.
pub mod files;
pub mod list;
pub mod mapping;
pub mod rules;
pub mod select;
