//! Tests of registry_server.
