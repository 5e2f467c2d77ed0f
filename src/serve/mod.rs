//! Floor 3: an embedded OCI registry.
