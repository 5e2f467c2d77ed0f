//! airlift carries container images, Helm charts and OpenOva Blueprints across an air gap.
//!
//! The map. Floors point downwards only; `tests/it/architecture.rs` checks it.
//!
//! | floor | rooms | what for |
//! |---|---|---|
//! | 5 | `cli` | commands, output for people and programs, exit numbers |
//! | 4 | [`flow`] | the verbs, as functions over ports: plan, then run |
//! | 3 | [`store`] [`registry`] [`serve`] [`trust`] [`discover`] [`chart`] [`bundle`] [`emit`] [`cluster`] [`checkout`] [`node`] | adapters and formats; each knows the floors below and none of its neighbours |
//! | 2 | [`document`] | the papers: mirror file, policy, lock, receipt |
//! | 1 | [`model`] | values and ports; no input or output |
//!
//! The journey of a reference: `&str` → [`model::ImageRef`] → found with its origin (`discover`) → pinned
//! ([`document::lock::Lock`], `flow::resolve`) → pulled, judged (`trust`) and packed (`bundle`) → verified on the
//! far side → imported → [`document::receipt::Receipt`].

pub mod bundle;
pub mod chart;
pub mod checkout;
pub mod cli;
pub mod cluster;
pub mod discover;
pub mod document;
pub mod emit;
pub mod flow;
pub mod model;
pub mod node;
pub mod registry;
pub mod serve;
pub mod store;
pub mod trust;

#[cfg(any(test, feature = "testkit"))]
#[expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the kit is for tests, where a broken invariant ends the test"
)]
pub mod testkit;
