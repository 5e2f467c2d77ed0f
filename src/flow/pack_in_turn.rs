//! Packs onto media that take the volumes one after the other.

use super::context::Context;
use super::error::FlowError;
use super::making::Making;
use super::pack::{Packed, Request, open_at, prepare};
use crate::bundle::{Sources, Target, WriteError, write_in_turn};
use crate::model::event::Stage;
use crate::model::port::Source;
use crate::model::{Descriptor, Event, Fault, FaultKind};
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Packs volume by volume onto the media of `target`. The bundle is signed before its payload is seen.
pub fn pack_in_turn(
    request: Request<'_>,
    source: &dyn Source,
    target: Target<'_>,
    context: &Context<'_>,
) -> Result<Packed, FlowError> {
    let making = Making::new(source, &request.lock);
    let source: &dyn Source = &making;
    let prepared = prepare(request, source, context)?;
    let envelope = prepared.seal()?;
    if let Some(folder) = target.out.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|error| FlowError::file(folder, "cannot be made", error))?;
    }
    let (artifacts, payload) = (prepared.artifacts, prepared.plan.payload_bytes());
    context.tell(Event::Started { stage: Stage::Pack, items: 0, bytes: payload });
    let halted = Arc::new(AtomicBool::new(false));
    let halt = || halted.store(context.go_on().is_err(), Ordering::Relaxed);
    let mut open = |want: &Descriptor, from: u64| {
        halt();
        let inner = open_at(source, &prepared.origin, want, from).map_err(Fault::into_io)?;
        Ok(Box::new(Halting { inner, halted: Arc::clone(&halted) }) as Box<dyn Read + Send>)
    };
    let moved = |bytes| {
        halt();
        context.tell(Event::Moved { stage: Stage::Pack, bytes });
    };
    let sources = Sources { open: &mut open, moved: &moved };
    let done = write_in_turn(&prepared.plan, envelope.as_deref(), sources, target).map_err(|error| match error {
        WriteError::Source { .. } if context.go_on().is_err() => FlowError::Interrupted,
        other => FlowError::Write(other),
    })?;
    context.tell(Event::Finished { stage: Stage::Pack });
    let resumed = done.written.marks.iter().take(done.resumed as usize).map(|mark| mark.bytes).sum();
    Ok(Packed { written: done.written, artifacts, payload, resumed, warnings: prepared.warnings })
}

/// Source that fails once the run was asked to stop.
struct Halting {
    inner: Box<dyn Read + Send>,
    halted: Arc<AtomicBool>,
}

impl Read for Halting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.halted.load(Ordering::Relaxed) {
            return Err(Fault::new(FaultKind::Interrupted, "the run", "was asked to stop").into_io());
        }
        self.inner.read(buffer)
    }
}
