//! Tests of registry_client.
