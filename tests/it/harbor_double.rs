//! Tests of harbor_double.
