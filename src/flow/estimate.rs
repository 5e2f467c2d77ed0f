//! What a pack will come to, and an import behind it, said before payload is fetched.
//!
//! It is the plan of [`super::pack()`] itself, only not carried out: so the numbers agree with what happens then.

use super::context::Context;
use super::error::FlowError;
use super::pack::{Prepared, Request, prepare};
use super::plan_delivery::{self, Prefix};
use super::preflight::{self, Mode};
use super::shipment::Shipment;
use crate::bundle::{Bounds, WriteError, free_at, nearest_folder};
use crate::model::Finding;
use crate::model::evidence::FindingClass;
use crate::model::port::{Destination, Source};
use std::path::{Path, PathBuf};

/// What a pack is measured against.
#[derive(Default)]
pub struct Aims<'a> {
    /// Path prefix of the volumes.
    pub out: Option<&'a Path>,
    /// Where the bundle will be imported.
    pub to: Option<(&'a Prefix, &'a dyn Destination)>,
}

/// What a pack will come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Estimate {
    /// Artifacts.
    pub artifacts: usize,
    /// Blobs and documents in the bundle.
    pub objects: usize,
    /// Bytes of payload that are fetched.
    pub payload: u64,
    /// Size of the bundle.
    pub bundle: Bounds,
    /// Parity volumes and their bytes, where parity was asked for and its size can be known.
    pub parity: Option<(u64, u64)>,
    /// Room where the volumes are written.
    pub room: Option<Room>,
    /// What an import will do.
    pub landing: Option<Landing>,
    /// What a person should know.
    pub findings: Vec<Finding>,
}

/// Room in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Where.
    pub folder: PathBuf,
    /// Bytes that are needed at least, beside those that an unfinished run holds already.
    pub needed: u64,
    /// Bytes that are needed at most.
    pub most: u64,
    /// Bytes that the file system offers.
    pub available: u64,
}

impl Room {
    /// Returns whether what is needed at least is there.
    pub const fn is_enough(&self) -> bool {
        self.needed <= self.available
    }

    /// Returns whether there is room whatever compression gives.
    pub const fn is_certain(&self) -> bool {
        self.most <= self.available
    }
}

/// What an import will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landing {
    /// Host and prefix, or the folder's stand-in for them.
    pub destination: String,
    /// Artifacts that are not there.
    pub artifacts: usize,
    /// Bytes that will be sent.
    pub bytes: u64,
    /// Why it would be refused.
    pub problems: Vec<Finding>,
}

/// Plans a pack, and an import behind it, and carries out neither.
pub fn estimate(
    request: Request<'_>,
    source: &dyn Source,
    aims: &Aims<'_>,
    context: &Context<'_>,
) -> Result<Estimate, FlowError> {
    let amount = request.parity;
    let making = super::making::Making::new(source, &request.lock);
    let Prepared { plan, shipment, mut warnings, artifacts, .. } = prepare(request, &making, context)?;
    let bundle = plan.bounds().map_err(WriteError::from)?;
    let parity = amount.and_then(|amount| plan.parity(amount));
    if amount.is_some() && parity.is_none() {
        warnings.push(Finding::warning(FindingClass::Media, "parity", UNMEASURED));
    }
    let beside = parity.map_or(0, |(_, bytes)| bytes);
    let room = aims.out.map(|out| room(out, bundle, (plan.kept_at(out), beside))).transpose()?;
    let landing = match aims.to {
        Some((prefix, to)) => Some(landing(&shipment, prefix, to, &mut warnings, context)?),
        None => None,
    };
    let (objects, payload) = (plan.objects(), plan.payload_bytes());
    Ok(Estimate { artifacts, objects, payload, bundle, parity, room, landing, findings: warnings })
}

/// Why the bytes of parity are not told.
const UNMEASURED: &str =
    "its bytes are not counted: volumes become as long as payload packs, and parity as long as the longest";

fn room(out: &Path, bundle: Bounds, (kept, beside): (u64, u64)) -> Result<Room, FlowError> {
    let folder = nearest_folder(out.parent().unwrap_or_else(|| Path::new(".")));
    let available = free_at(out).map_err(|error| FlowError::file(&folder, "cannot be asked for room", error))?;
    let rest = |bytes: u64| bytes.saturating_add(beside).saturating_sub(kept);
    Ok(Room { folder, needed: rest(bundle.bytes.least), most: rest(bundle.bytes.most), available })
}

fn landing(
    shipment: &Shipment,
    prefix: &Prefix,
    to: &dyn Destination,
    findings: &mut Vec<Finding>,
    context: &Context<'_>,
) -> Result<Landing, FlowError> {
    let place = to.place(prefix.host()).map_err(|fault| FlowError::destination(prefix.to_string(), fault))?;
    let plan = plan_delivery::plan(shipment, prefix, to, context)?;
    let (artifacts, bytes) = (plan.missing(), plan.bytes_to_send());
    let problems = match preflight::check(shipment, &plan, to, place, Mode { create_projects: true, dry_run: true }) {
        Ok(passed) => {
            findings.extend(passed.findings);
            Vec::new()
        }
        Err(FlowError::Preflight(problems)) => problems,
        Err(other) => return Err(other),
    };
    Ok(Landing { destination: prefix.to_string(), artifacts, bytes, problems })
}

/// Says where the room that is there may not be enough, or is not.
pub fn shortage(room: &Room) -> Result<Option<String>, FlowError> {
    if !room.is_enough() {
        return Err(WriteError::no_room(&room.folder, room.needed, room.available).into());
    }
    let (folder, most, available) = (room.folder.display(), room.most, room.available);
    let unsure = !room.is_certain();
    Ok(unsure
        .then(|| format!("{folder} has {available} bytes of room; up to {most} may be needed, as payload compresses")))
}
