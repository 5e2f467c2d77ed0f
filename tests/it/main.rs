//! One integration binary. Real parts and the kill tests run where their programs are installed; the
//! gate says what it skipped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, missing_docs, reason = "tests")]

mod architecture;
mod bad_input;
mod bundle_damage;
mod bundle_golden;
mod catalogue;
mod chart_functions;
mod chart_images;
mod chart_limits;
mod chart_render;
mod cluster;
mod commands;
mod countersign;
mod discover;
mod flux;
mod generate;
mod harbor_double;
mod harbor_journey;
mod journey;
mod kill;
mod kustomize;
mod lading;
mod limits;
mod lock_operations;
mod made;
mod media;
mod notation;
mod operators;
mod policy;
mod policy_imports;
mod registry_client;
mod registry_server;
mod seals;
mod selection;
mod serve_bundle;
mod stage;
mod threats;
mod threats_bundle;
mod trust;
mod trust_client;
mod trust_conformance;
mod trust_figures;
mod trust_tuf;
mod trust_verbs;
