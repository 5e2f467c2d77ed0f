//! Events: what happens while a verb runs, for whoever shows it. The library itself prints nothing.

use serde::Serialize;

/// Stages of the work, in the order in which a run passes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Names are looked up.
    Resolve,
    /// Documents and evidence are collected and judged.
    Judge,
    /// Payload is fetched and written.
    Pack,
    /// Bytes are checked.
    Verify,
    /// Parity volumes are made.
    Parity,
    /// Damage is looked for, and what is damaged is made again.
    Repair,
    /// The destination is asked what it has.
    Compare,
    /// Payload is sent.
    Import,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "event")]
pub enum Event {
    /// A stage began; totals are known beforehand, or zero where there is nothing to count.
    Started {
        /// Which.
        stage: Stage,
        /// Things to do.
        items: u64,
        /// Bytes to move.
        bytes: u64,
    },
    /// Bytes moved since the last such event.
    Moved {
        /// Where.
        stage: Stage,
        /// How many.
        bytes: u64,
    },
    /// One thing was done.
    Done {
        /// Where.
        stage: Stage,
        /// Which.
        item: String,
        /// What came of it, in one word or a few: `pulled`, `already there`.
        outcome: String,
    },
    /// Something that a person should know and that stops nothing.
    Warned {
        /// About what.
        item: String,
        /// In words.
        message: String,
    },
    /// A stage ended.
    Finished {
        /// Which.
        stage: Stage,
    },
}

/// Takes events, from any thread.
pub trait EventSink: Send + Sync {
    /// Takes one.
    fn take(&self, event: Event);
}

/// Takes events and forgets them.
pub struct Silent;

impl EventSink for Silent {
    fn take(&self, _: Event) {}
}
