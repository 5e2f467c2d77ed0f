//! One integration binary. Real parts and the kill tests run where their programs are installed; the
//! gate says what it skipped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, missing_docs, reason = "tests")]

mod architecture;
mod bad_input;
mod bundle_damage;
mod bundle_golden;
mod catalogue;
mod chart_images;
mod chart_limits;
mod chart_render;
mod cluster;
mod commands;
mod discover;
mod flux;
mod generate;
mod harbor_double;
mod harbor_journey;
mod journey;
mod kill;
mod kustomize;
mod limits;
mod lock_operations;
mod made;
mod operators;
mod registry_client;
mod registry_server;
mod selection;
mod serve_bundle;
mod stage;
mod trust;
