//! Tests of bundle_damage.
