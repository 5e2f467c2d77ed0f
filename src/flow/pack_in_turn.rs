//! Packs onto media that take the volumes one after the other.

use super::context::Context;
use super::error::FlowError;
use super::making::Making;
use super::pack::{Packed, Request, open_at, prepare};
use crate::bundle::{Sources, Target, WrittenInTurn, write_in_turn};
use crate::model::event::Stage;
use crate::model::port::Source;
use crate::model::{Descriptor, Event, Fault};

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
    let (artifacts, payload, warnings) = (prepared.artifacts, prepared.plan.payload_bytes(), prepared.warnings);
    let omitted = prepared.plan.is_delta().then(|| prepared.plan.omitted());
    drop(prepared.shipment);
    context.tell(Event::Started { stage: Stage::Pack, items: 0, bytes: payload });
    let mut open = |want: &Descriptor, from: u64| {
        let content = open_at(source, &prepared.origin, want, from);
        content.map(|content| context.stoppable(content)).map_err(Fault::into_io)
    };
    let moved = |bytes| context.tell(Event::Moved { stage: Stage::Pack, bytes });
    let sources = Sources { open: &mut open, moved: &moved };
    let done = write_in_turn(&prepared.plan, envelope.as_deref(), sources, target);
    let WrittenInTurn { written, resumed } = context.or_stopped(done.map_err(FlowError::from))?;
    context.tell(Event::Finished { stage: Stage::Pack });
    let resumed = written.marks.iter().take(resumed as usize).map(|mark| mark.bytes).sum();
    Ok(Packed { written, artifacts, payload, omitted, resumed, parity: Vec::new(), warnings })
}
