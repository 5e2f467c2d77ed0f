//! Floor 3: files in, names of artifacts with their origins out.
