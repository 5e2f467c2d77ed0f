//! From registries to a registry with no bundle between: the same gathering, judging, planning and delivery.

use super::context::Context;
use super::deliver::{Content, Delivery, Reopen};
use super::error::FlowError;
use super::gather::{Gathered, gather};
use super::import::Imported;
use super::making::Making;
use super::plan_delivery::{Prefix, plan};
use super::pool;
use super::preflight::{self, Mode};
use super::receipt::{Frame, receipt};
use crate::document::lock::Lock;
use crate::model::event::Stage;
use crate::model::port::{Destination, Source};
use crate::model::{Descriptor, Event};
use crate::trust::Judge;
use std::io::{self, Read};

/// What is mirrored, and under which conditions.
pub struct Request<'a> {
    /// What is wanted.
    pub lock: Lock,
    /// Policy.
    pub judge: &'a Judge,
    /// Where it goes.
    pub prefix: &'a Prefix,
    /// How it is meant.
    pub mode: Mode,
    /// Now, RFC 3339; asked for at start and end.
    pub now: &'a dyn Fn() -> String,
}

/// Mirrors. A run with nothing new writes nothing.
pub fn sync(
    request: Request<'_>,
    source: &dyn Source,
    to: &dyn Destination,
    context: &Context<'_>,
) -> Result<Imported, FlowError> {
    let started = (request.now)();
    let making = Making::new(source, &request.lock);
    let source: &dyn Source = &making;
    let place =
        to.place(request.prefix.host()).map_err(|fault| FlowError::destination(request.prefix.to_string(), fault))?;
    let Gathered { shipment, origin, warnings, .. } =
        gather(request.lock, source, request.judge, context.threads.max(8), context.events)?;
    let mut plan = plan(&shipment, request.prefix, to, context)?;
    plan.findings.extend(warnings);
    let preflight = preflight::check(&shipment, &plan, to, place, request.mode)?;
    if request.mode.dry_run {
        return Ok(Imported { plan, findings: preflight.findings, receipt: None, failure: None });
    }
    let open = |want: &Descriptor| -> Result<Option<Box<dyn Read + Send>>, FlowError> {
        let Some(at) = origin.get(&want.digest) else { return Ok(None) };
        source.open(at, want, 0).map(Some).map_err(|fault| FlowError::source(format!("{at}@{}", want.digest), fault))
    };
    let delivery = Delivery::new(&plan, &shipment, to, context, &open);
    context.tell(Event::Started { stage: Stage::Import, items: plan.missing() as u64, bytes: plan.bytes_to_send() });
    let failure = context.or_stopped(run(&delivery, &open, context)).err();
    context.tell(Event::Finished { stage: Stage::Import });
    let why = failure.as_ref().map(ToString::to_string).unwrap_or_default();
    let (outcomes, moved) = delivery.finish(&why);
    let frame = Frame {
        bundle: None,
        authenticity: "mirrored directly; every artifact was judged under the policy".to_owned(),
        signatures: Vec::new(),
        destination: request.prefix.to_string(),
        product: preflight.place.product,
        started,
        finished: (request.now)(),
        findings: preflight.findings.clone(),
        moved,
    };
    let receipt = receipt(frame, &shipment, &shipment.evidence, &plan, outcomes);
    Ok(Imported { plan, findings: preflight.findings, receipt: Some(receipt), failure })
}

fn run(delivery: &Delivery<'_>, open: Reopen<'_>, context: &Context<'_>) -> Result<(), FlowError> {
    pool::each(&delivery.ready(), context.threads, |at| delivery.publish(*at))?;
    pool::each(&delivery.streamed(), context.threads, |blob| {
        context.go_on()?;
        let Some(content) = open(&blob.descriptor)? else { return delivery.blob(blob, None) };
        let mut content = context.stoppable(content);
        let mut counted = Counted { content: &mut *content, context, broke: false };
        match delivery.blob(blob, Some(Content::Unchecked(&mut counted))) {
            // The destination only passed on that the source ended early.
            Err(FlowError::Destination(item)) if counted.broke => Err(FlowError::Source(vec![item])),
            other => other,
        }
    })?;
    Ok(())
}

/// Tells of the bytes that pass, and remembers whether their source broke.
struct Counted<'a> {
    content: &'a mut (dyn Read + Send),
    context: &'a Context<'a>,
    broke: bool,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(buffer);
        match &read {
            Ok(n) => self.context.tell(Event::Moved { stage: Stage::Import, bytes: *n as u64 }),
            Err(error) => self.broke |= error.kind() != io::ErrorKind::Interrupted,
        }
        read
    }
}
