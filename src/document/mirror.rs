//! The mirror file.
