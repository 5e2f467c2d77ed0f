//! What every verb is handed beside its own arguments.

use super::error::FlowError;
use crate::model::{Event, EventSink};
use std::sync::atomic::{AtomicBool, Ordering};

/// Company of a run: who hears of it, how wide it works, and whether it was asked to stop.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Hears what happens.
    pub events: &'a dyn EventSink,
    /// Things done at once.
    pub threads: usize,
    /// Set from outside to end the run in order.
    pub stop: &'a AtomicBool,
}

impl Context<'_> {
    /// Tells the listener.
    pub fn tell(&self, event: Event) {
        self.events.take(event);
    }

    /// Fails once the run was asked to stop.
    pub fn go_on(&self) -> Result<(), FlowError> {
        if self.stop.load(Ordering::Relaxed) { Err(FlowError::Interrupted) } else { Ok(()) }
    }
}
