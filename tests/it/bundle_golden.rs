//! Tests of bundle_golden.
