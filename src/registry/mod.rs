//! Floor 3: the client of the OCI distribution protocol, and of Harbor.
