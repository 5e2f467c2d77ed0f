//! Carries a delivery plan out: blobs, then documents, artifact by artifact, each tag last.
//!
//! Two feeders drive it: a bundle that is read once and in order, and sources that are read in any order.

use super::context::Context;
use super::error::{FlowError, ItemFault};
use super::plan_delivery::{ArtifactPlan, BlobPlan, DeliveryPlan, DocumentStep};
use super::shipment::Shipment;
use crate::document::receipt::{Moved, Outcome};
use crate::model::event::Stage;
use crate::model::port::Destination;
use crate::model::{Descriptor, Digest, Event, Fault, FaultKind, Repository};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Opens the bytes of a blob once more, where that is possible: after a break, or for a blob that vanished.
pub type Reopen<'a> = &'a (dyn Fn(&Descriptor) -> Result<Option<Box<dyn Read + Send>>, FlowError> + Sync);

/// Bytes on their way, and who checks them against their digest before the last of them goes out.
pub enum Content<'r> {
    /// Whoever gives them.
    Checked(&'r mut (dyn Read + Send)),
    /// Whoever takes them.
    Unchecked(&'r mut (dyn Read + Send)),
}

/// Times that a blob is sent before the run gives up.
const TRIES: usize = 3;

/// A delivery in progress, shared by all workers.
pub struct Delivery<'a> {
    plan: &'a DeliveryPlan,
    shipment: &'a Shipment,
    to: &'a dyn Destination,
    context: &'a Context<'a>,
    reopen: Reopen<'a>,
    blobs: BTreeMap<&'a Digest, &'a BlobPlan>,
    /// Artifacts that wait for each streamed blob.
    waiters: BTreeMap<Digest, Vec<usize>>,
    state: Mutex<State>,
}

struct State {
    /// How many streamed blobs each artifact still waits for.
    waiting: Vec<usize>,
    /// Places that hold a blob since this run.
    settled: BTreeSet<(Repository, Digest)>,
    outcomes: Vec<Option<Outcome>>,
    moved: Moved,
}

impl<'a> Delivery<'a> {
    /// Begins; nothing is sent yet.
    pub fn new(
        plan: &'a DeliveryPlan,
        shipment: &'a Shipment,
        to: &'a dyn Destination,
        context: &'a Context<'a>,
        reopen: Reopen<'a>,
    ) -> Self {
        let blobs: BTreeMap<&Digest, &BlobPlan> =
            plan.blobs.iter().map(|blob| (&blob.descriptor.digest, blob)).collect();
        let mut waiters: BTreeMap<Digest, Vec<usize>> = BTreeMap::new();
        let mut waiting = vec![0; plan.artifacts.len()];
        for (at, _) in plan.artifacts.iter().enumerate().filter(|(_, artifact)| !artifact.present) {
            let needed = shipment.blobs_of_artifact(at).into_iter().map(|blob| blob.descriptor.digest);
            for digest in needed.filter(|digest| blobs.get(digest).is_some_and(|blob| streamed(shipment, blob))) {
                waiters.entry(digest).or_default().push(at);
                waiting[at] += 1;
            }
        }
        let outcomes = plan.artifacts.iter().map(|a| a.present.then_some(Outcome::AlreadyThere)).collect();
        let state = Mutex::new(State { waiting, settled: BTreeSet::new(), outcomes, moved: Moved::default() });
        Self { plan, shipment, to, context, reopen, blobs, waiters, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the plan of a blob whose bytes must come from the feeder; `None` where nobody lacks it.
    pub fn wanted(&self, digest: &Digest) -> Option<&'a BlobPlan> {
        self.blobs.get(digest).copied().filter(|blob| streamed(self.shipment, blob))
    }

    /// Returns all blobs whose bytes must come from the feeder, in the order of need.
    pub fn streamed(&self) -> Vec<&'a BlobPlan> {
        self.plan.blobs.iter().filter(|blob| streamed(self.shipment, blob)).collect()
    }

    /// Returns the artifacts that wait for no blob from the feeder.
    pub fn ready(&self) -> Vec<usize> {
        let state = self.state();
        let open = |at: &usize| state.outcomes[*at].is_none() && state.waiting[*at] == 0;
        (0..self.plan.artifacts.len()).filter(open).collect()
    }

    /// Sends one blob to the first place that lacks it and makes it appear in the others; then publishes
    /// every artifact that waited for nothing else.
    pub fn blob(&self, blob: &BlobPlan, content: Option<Content<'_>>) -> Result<(), FlowError> {
        let want = &blob.descriptor;
        let Some((first, others)) = blob.missing_in.split_first() else { return Ok(()) };
        self.send(first, want, content)?;
        for place in others {
            self.appear(place, want, first)?;
        }
        for at in self.settle(want) {
            self.publish(at)?;
        }
        Ok(())
    }

    /// Notes that a blob is in, and returns the artifacts that waited for nothing else.
    fn settle(&self, want: &Descriptor) -> Vec<usize> {
        let mut state = self.state();
        let mut complete = Vec::new();
        for at in self.waiters.get(&want.digest).into_iter().flatten() {
            state.waiting[*at] -= 1;
            if state.waiting[*at] == 0 {
                complete.push(*at);
            }
        }
        complete
    }

    /// Makes everything that artifact `at` still needs appear, then its documents, its tag last.
    pub fn publish(&self, at: usize) -> Result<(), FlowError> {
        self.context.go_on()?;
        let Some(artifact) = self.plan.artifacts.get(at) else { return Ok(()) };
        for blob in self.shipment.blobs_of_artifact(at) {
            self.ensure(&artifact.repository, &blob.descriptor)?;
        }
        if artifact.waits {
            self.state().outcomes[at] = Some(Outcome::Waiting);
            return Ok(());
        }
        for step in &artifact.documents {
            self.document(at, artifact, step)?;
        }
        self.state().outcomes[at] = Some(Outcome::Imported);
        let done =
            Event::Done { stage: Stage::Import, item: artifact.destination.clone(), outcome: "imported".to_owned() };
        self.context.tell(done);
        Ok(())
    }

    /// Makes a blob that was not streamed appear: from the shipment's memory, or from another repository.
    fn ensure(&self, place: &Repository, want: &Descriptor) -> Result<(), FlowError> {
        let Some(blob) = self.blobs.get(&want.digest) else { return Ok(()) };
        let settled = self.state().settled.contains(&(place.clone(), want.digest.clone()));
        if settled || !blob.missing_in.contains(place) {
            return Ok(());
        }
        match (&blob.present_in, self.shipment.small(&want.digest)) {
            (_, Some(bytes)) => self.send(place, want, Some(Content::Checked(&mut &bytes[..]))),
            (Some(from), None) => self.appear(place, want, from),
            (None, None) => Ok(()),
        }
    }

    /// Mounts `want` from `from`, or copies it inside the destination where it cannot be mounted.
    fn appear(&self, place: &Repository, want: &Descriptor, from: &Repository) -> Result<(), FlowError> {
        let fail = |fault| FlowError::destination(format!("{} in {place}", want.digest), fault);
        if self.to.mount(place, want, from).map_err(fail)? {
            let mut state = self.state();
            state.moved.blobs_mounted += 1;
            state.settled.insert((place.clone(), want.digest.clone()));
            return Ok(());
        }
        let mut content = self.to.open(from, want, 0).map_err(fail)?;
        self.send(place, want, Some(Content::Unchecked(&mut *content)))
    }

    /// Sends the bytes of `want`; opens them anew after a break, where that is possible.
    fn send(&self, place: &Repository, want: &Descriptor, content: Option<Content<'_>>) -> Result<(), FlowError> {
        let fail = |fault| FlowError::destination(format!("{} in {place}", want.digest), fault);
        let mut last = match content {
            Some(content) => match self.put(place, want, content) {
                Ok(()) => return self.sent(place, want),
                Err(fault) => Some(fault),
            },
            None => None,
        };
        for _ in 1..TRIES {
            self.context.go_on()?;
            if last.as_ref().is_some_and(|fault| !worth_another_try(fault)) {
                break;
            }
            // The answer may have been lost on the way back, not the bytes on the way there.
            if last.is_some() && self.to.has(place, want).unwrap_or(false) {
                return self.sent(place, want);
            }
            let Some(mut again) = self.open_again(want)? else { break };
            match self.to.put(place, want, &mut *again) {
                Ok(()) => return self.sent(place, want),
                Err(fault) => last = Some(fault),
            }
        }
        let nothing = || {
            Fault::new(
                FaultKind::Unavailable,
                place.to_string(),
                "the bytes cannot be read a second time here: run the same command again",
            )
        };
        Err(fail(last.unwrap_or_else(nothing)))
    }

    fn put(&self, place: &Repository, want: &Descriptor, content: Content<'_>) -> Result<(), Fault> {
        match content {
            Content::Checked(content) => self.to.put_checked(place, want, content),
            Content::Unchecked(content) => self.to.put(place, want, content),
        }
    }

    fn open_again(&self, want: &Descriptor) -> Result<Option<Box<dyn Read + Send>>, FlowError> {
        match self.shipment.small(&want.digest) {
            Some(bytes) => Ok(Some(Box::new(std::io::Cursor::new(bytes.to_vec())))),
            None => (self.reopen)(want),
        }
    }

    fn sent(&self, place: &Repository, want: &Descriptor) -> Result<(), FlowError> {
        let mut state = self.state();
        state.moved.blobs_sent += 1;
        state.moved.bytes_sent += want.size;
        state.settled.insert((place.clone(), want.digest.clone()));
        Ok(())
    }

    /// Sends one document; where the destination lost a blob meanwhile, sends that again and repeats.
    fn document(&self, at: usize, artifact: &ArtifactPlan, step: &DocumentStep) -> Result<(), FlowError> {
        let item = || match &step.tag {
            Some(tag) => format!("{}:{tag}", artifact.repository),
            None => format!("{}@{}", artifact.repository, step.digest),
        };
        let document = self
            .shipment
            .verbatim(&step.digest)
            .ok_or_else(|| FlowError::Incomplete { what: artifact.destination.clone(), digest: step.digest.clone() })?;
        for round in 1..=TRIES {
            match self.to.put_manifest(&artifact.repository, &document, step.tag.as_ref()) {
                Ok(()) => break,
                Err(fault) if fault.kind == FaultKind::Missing && round < TRIES => {
                    self.send_what_vanished(at, artifact)?
                }
                Err(fault) => return Err(FlowError::Destination(ItemFault { item: item(), fault })),
            }
        }
        self.state().moved.documents_sent += 1;
        Ok(())
    }

    fn send_what_vanished(&self, at: usize, artifact: &ArtifactPlan) -> Result<(), FlowError> {
        for blob in self.shipment.blobs_of_artifact(at) {
            let want = &blob.descriptor;
            let fail = |fault| FlowError::destination(format!("{} in {}", want.digest, artifact.repository), fault);
            if !self.to.has(&artifact.repository, want).map_err(fail)? {
                self.send(&artifact.repository, want, None)?;
            }
        }
        Ok(())
    }

    /// Ends: what became of each artifact, and what moved. An artifact that was not reached failed for `why`.
    pub fn finish(self, why: &str) -> (Vec<Outcome>, Moved) {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let open = || Outcome::Failed { why: why.to_owned() };
        let outcomes = state.outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(open)).collect();
        (outcomes, state.moved)
    }
}

/// A blob is streamed when no repository of the destination has it and its bytes are not in memory.
fn streamed(shipment: &Shipment, blob: &BlobPlan) -> bool {
    blob.present_in.is_none() && shipment.small(&blob.descriptor.digest).is_none()
}

fn worth_another_try(fault: &Fault) -> bool {
    matches!(fault.kind, FaultKind::Unavailable | FaultKind::Missing)
}
