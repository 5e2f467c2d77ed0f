//! From a bundle to a destination: one pass over the medium, nothing visible before it is verified.

use super::context::Context;
use super::deliver::{Content, Delivery};
use super::error::FlowError;
use super::judge_again::judge_again;
use super::notices::notices;
use super::opened::{Opened, open};
use super::plan_delivery::{BlobPlan, DeliveryPlan, Prefix, plan_asking};
use super::preflight::{self, Mode};
use super::receipt::{Frame, receipt};
use super::shipment::Shipment;
use super::still_there::settle;
use super::unknowable::clock_doubts;
use crate::bundle::{BundleReader, Entry, Input, OpenBundle};
use crate::document::receipt::Receipt;
use crate::model::event::Stage;
use crate::model::port::Destination;
use crate::model::{Descriptor, Event, Finding};
use crate::trust::{Authors, Judge};
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

/// What is imported, and under which conditions.
pub struct Request<'a> {
    /// Volumes, or a stream.
    pub from: Medium,
    /// Whose signature is accepted.
    pub authors: &'a Authors,
    /// The far side's own policy; `None` leaves it at the author's signature and the author's policy.
    pub judge: Option<&'a Judge>,
    /// Where it goes.
    pub prefix: &'a Prefix,
    /// How it is meant.
    pub mode: Mode,
    /// Now, RFC 3339; asked for at start and end.
    pub now: &'a dyn Fn() -> String,
}

/// Where a bundle is read from.
pub enum Medium {
    /// Volumes that can be read again at any place.
    Files(Vec<PathBuf>),
    /// Bytes that pass once.
    Stream(Box<dyn Read + Send>),
}

/// What an import came to: the plan, and the receipt unless it was a dry run.
pub struct Imported {
    /// What was planned.
    pub plan: DeliveryPlan,
    /// What a person should know.
    pub findings: Vec<Finding>,
    /// What arrived; `None` after a dry run.
    pub receipt: Option<Receipt>,
    /// Why the run ended early, where it did; the receipt then lists what arrived all the same.
    pub failure: Option<FlowError>,
}

/// Imports a bundle. Problems that are known beforehand are errors; what fails on the way is in the result.
pub fn import(request: Request<'_>, to: &dyn Destination, context: &Context<'_>) -> Result<Imported, FlowError> {
    let started = (request.now)();
    let place =
        to.place(request.prefix.host()).map_err(|fault| FlowError::destination(request.prefix.to_string(), fault))?;
    let (input, files) = match request.from {
        Medium::Files(files) => (Input::Files(files.clone()), Some(files)),
        Medium::Stream(stream) => (Input::Stream(stream), None),
    };
    let opened = open(input, request.authors)?;
    let evidence = match request.judge {
        Some(judge) => judge_again(&opened.shipment, judge)?,
        None => opened.shipment.evidence.clone(),
    };
    let mut plan = plan_asking(&opened.shipment, request.prefix, to, context, &opened.doubted())?;
    settle(&mut plan, &opened, request.prefix, to, context)?;
    let mut preflight = preflight::check(&opened.shipment, &plan, to, place, request.mode)?;
    preflight.findings.extend(notices(&opened.shipment.lock, &evidence));
    preflight.findings.extend(request.judge.iter().flat_map(|judge| clock_doubts(judge, &opened.shipment.evidence)));
    if request.mode.dry_run {
        return Ok(Imported { plan, findings: preflight.findings, receipt: None, failure: None });
    }
    let Opened { reader, first, shipment, authenticity, signatures, bundle_id, .. } = opened;
    let reopen = |want: &Descriptor| reopen(files.as_deref(), want);
    let delivery = Delivery::new(&plan, &shipment, to, context, &reopen);
    context.tell(Event::Started {
        stage: Stage::Import,
        items: plan.missing() as u64,
        bytes: shipment_bytes(&reader, &shipment),
    });
    let failure = context.or_stopped(run(&delivery, reader, first, context)).err();
    context.tell(Event::Finished { stage: Stage::Import });
    let why = failure.as_ref().map(ToString::to_string).unwrap_or_default();
    let (outcomes, moved) = delivery.finish(&why);
    let frame = Frame {
        bundle: Some(bundle_id),
        authenticity,
        signatures,
        destination: request.prefix.to_string(),
        product: preflight.place.product,
        started,
        finished: (request.now)(),
        findings: preflight.findings.clone(),
        moved,
    };
    let receipt = receipt(frame, &shipment, &evidence, &plan, outcomes);
    Ok(Imported { plan, findings: preflight.findings, receipt: Some(receipt), failure })
}

fn shipment_bytes(reader: &BundleReader, shipment: &Shipment) -> u64 {
    let payload = |digest| shipment.document(digest).is_none() && shipment.small(digest).is_none();
    reader
        .inventory()
        .iter()
        .filter(|record| !record.omitted && payload(&record.digest))
        .map(|record| record.size)
        .sum()
}

fn reopen(files: Option<&[PathBuf]>, want: &Descriptor) -> Result<Option<Box<dyn Read + Send>>, FlowError> {
    let Some(files) = files else { return Ok(None) };
    Ok(OpenBundle::open(files)?.blob(&want.digest, 0)?)
}

/// One blob on its way from the reader to a worker.
struct Upload<'a> {
    blob: &'a BlobPlan,
    content: Pieces,
}

enum Job<'a> {
    Publish(usize),
    Upload(Upload<'a>),
}

/// Reads the bundle in order on this thread, while workers send; the first hard error ends both.
fn run(
    delivery: &Delivery<'_>,
    reader: BundleReader,
    first: Option<Entry>,
    context: &Context<'_>,
) -> Result<(), FlowError> {
    let (jobs, queue) = sync_channel::<Job<'_>>(1);
    let queue = Mutex::new(queue);
    let failure: Mutex<Option<FlowError>> = Mutex::new(None);
    let failed = || failure.lock().unwrap_or_else(PoisonError::into_inner).is_some();
    let fail = |error| {
        failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    };
    let feed = std::thread::scope(|scope| {
        for _ in 0..context.threads.max(1) {
            scope.spawn(|| {
                while let Some(job) = next_job(&queue) {
                    let result = match job {
                        _ if failed() => continue,
                        Job::Publish(at) => delivery.publish(at),
                        Job::Upload(mut upload) => {
                            delivery.blob(upload.blob, Some(Content::Checked(&mut upload.content)))
                        }
                    };
                    if let Err(error) = result {
                        fail(error);
                    }
                }
            });
        }
        // Nobody has hung up yet: the workers end only when this sender is gone.
        for at in delivery.ready() {
            drop(jobs.send(Job::Publish(at)));
        }
        let feed = feed(delivery, (reader, first), &jobs, context, &failed);
        drop(jobs);
        feed
    });
    // Damage of the medium is the cause, whatever it made of the upload that was under way.
    feed?;
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

fn next_job<'a>(queue: &Mutex<Receiver<Job<'a>>>) -> Option<Job<'a>> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

fn feed<'a>(
    delivery: &Delivery<'a>,
    (mut reader, first): (BundleReader, Option<Entry>),
    jobs: &SyncSender<Job<'a>>,
    context: &Context<'_>,
    failed: &dyn Fn() -> bool,
) -> Result<(), FlowError> {
    let mut next = first;
    while let Some(entry) = next {
        if failed() {
            return Ok(());
        }
        context.go_on()?;
        pass(delivery, &mut reader, &entry, jobs, context)?;
        next = reader.next()?;
    }
    reader.finish()?;
    Ok(())
}

/// Passes one blob to a worker piece by piece, or only verifies it where nobody lacks it.
fn pass<'a>(
    delivery: &Delivery<'a>,
    reader: &mut BundleReader,
    entry: &Entry,
    jobs: &SyncSender<Job<'a>>,
    context: &Context<'_>,
) -> Result<(), FlowError> {
    let mut sink = delivery.wanted(&entry.digest).and_then(|blob| {
        let (sender, content) = pieces();
        jobs.send(Job::Upload(Upload { blob, content })).ok().map(|()| sender)
    });
    let result = loop {
        context.go_on()?;
        match reader.chunk() {
            Ok(None) => break Ok(()),
            Ok(Some(piece)) => {
                context.tell(Event::Moved { stage: Stage::Import, bytes: piece.len() as u64 });
                // A worker that gave up on this blob does not stop the reading: the rest must be verified all the same.
                sink = sink.filter(|sink| sink.send(Ok(piece)).is_ok());
            }
            Err(error) => break Err(error),
        }
    };
    if let Some(sink) = sink {
        let end = if result.is_ok() { Ok(Vec::new()) } else { Err(io::Error::other("the bundle is damaged here")) };
        drop(sink.send(end));
    }
    Ok(result?)
}

type Piece = io::Result<Vec<u8>>;

fn pieces() -> (SyncSender<Piece>, Pieces) {
    let (sender, receiver) = sync_channel(1);
    (sender, Pieces { receiver, piece: Vec::new(), at: 0, ended: false })
}

/// Reads what the feeder passes. It ends only when the feeder said so: a feeder that vanished is an error.
struct Pieces {
    receiver: Receiver<Piece>,
    piece: Vec<u8>,
    at: usize,
    ended: bool,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.piece.len() && !self.ended {
            let vanished = || io::Error::new(io::ErrorKind::UnexpectedEof, "the reading of the bundle ended here");
            self.piece = self.receiver.recv().map_err(|_| vanished())??;
            self.at = 0;
            self.ended = self.piece.is_empty();
        }
        let rest = &self.piece[self.at..];
        let n = rest.len().min(buffer.len());
        buffer[..n].copy_from_slice(&rest[..n]);
        self.at += n;
        Ok(n)
    }
}
