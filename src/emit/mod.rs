//! Floor 3: papers in, text out; one generator, one file. Knows papers and values, opens no file and asks nobody.

pub mod lading;
mod markup;
