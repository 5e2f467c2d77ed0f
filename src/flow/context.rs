//! What every verb is handed beside its own arguments.

use super::error::FlowError;
use crate::model::{Event, EventSink, Fault, FaultKind};
use std::io::{self, Read};
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

    /// Returns bytes that end with a fault once the run was asked to stop: a blob can be as long as a night.
    pub(super) fn stoppable<'c>(&'c self, content: Box<dyn Read + Send + 'c>) -> Box<dyn Read + Send + 'c> {
        Box::new(Stoppable { content, stop: self.stop })
    }

    /// Tells a failure that the wish to stop has brought about from one that has a cause of its own.
    pub(super) fn or_stopped<T>(&self, result: Result<T, FlowError>) -> Result<T, FlowError> {
        result.map_err(|error| if self.stop.load(Ordering::Relaxed) { FlowError::Interrupted } else { error })
    }
}

struct Stoppable<'a> {
    content: Box<dyn Read + Send + 'a>,
    stop: &'a AtomicBool,
}

impl Read for Stoppable<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Fault::new(FaultKind::Interrupted, "the run", "was asked to stop").into_io());
        }
        self.content.read(buffer)
    }
}
