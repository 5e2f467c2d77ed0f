//! The plan of a bundle: everything that is known before the first byte of payload is fetched.
//!
//! Documents are compressed here and kept so; payload is only described. Where nothing has to be packed later, the
//! place of every byte of the bundle is known from here on (a closed layout), so blobs can be written in any order.

use super::arrange::{self, Arranged};
use super::compress::{self, Packer};
use super::frame;
use super::header::{self, VolumeHeader};
use super::inventory::{self, Class, InventoryRecord};
use super::layout::{self, Cut, LayoutError, Span};
use super::sequence::{self, Region, Sequence};
use super::sizes::VolumeSizes;
use super::statement::{self, Statement};
use super::trailer;
use crate::model::digest::Algorithm;
use crate::model::{Content, Descriptor, Digest, MediaType, limits};
use std::collections::{BTreeMap, HashSet};
use std::io;

/// Content of the first entry (OCI image layout specification).
pub(super) const OCI_LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
/// Entries of the head in their order; those of [`Papers`] that are optional may be absent.
pub(super) const HEAD: [&str; 9] = [
    "oci-layout",
    "index.json",
    "airlift/head.json",
    "airlift/head.sig",
    "airlift/lock.json",
    "airlift/policy.json",
    "airlift/evidence.json",
    statement::BASE,
    "airlift/inventory",
];

/// Documents in the head of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Papers {
    /// OCI image index of all artifacts (`index.json`).
    pub index: Vec<u8>,
    /// Lock (`airlift/lock.json`).
    pub lock: Vec<u8>,
    /// Policy that was applied (`airlift/policy.json`).
    pub policy: Option<Vec<u8>>,
    /// Evidence (`airlift/evidence.json`).
    pub evidence: Vec<u8>,
    /// Bases of a delta (`airlift/base.json`); `None` in a bundle that holds everything it lists.
    pub base: Option<Vec<u8>>,
}

impl Papers {
    /// Returns the number of entries of the head.
    pub(super) fn entries(&self) -> u64 {
        7 + u64::from(self.policy.is_some()) + u64::from(self.base.is_some())
    }
}

/// One blob to pack.
#[derive(Debug, Clone)]
pub struct Item {
    /// Type, digest and size.
    pub descriptor: Descriptor,
    /// What it is for.
    pub class: Class,
    /// Whether its bytes are at hand.
    pub body: Body,
}

/// Bytes of an item.
#[derive(Debug, Clone)]
pub enum Body {
    /// At hand.
    Document(Vec<u8>),
    /// Fetched later, through [`super::BundleWriter::fill`].
    Payload,
    /// Left out of a delta: the far side has it.
    Omitted,
}

/// How a bundle is cut and compressed. Nothing of this enters the statement.
#[derive(Debug, Clone)]
pub struct Options {
    /// Largest size of each volume; `None` for one file.
    pub volume_size: Option<VolumeSizes>,
    /// Bytes of content in one frame at most: a power of two from 4 KiB to 16 MiB.
    pub chunk_size: u32,
    /// Level of compression.
    pub level: i32,
}

impl Default for Options {
    /// One file, chunks of 4 MiB, level 3.
    fn default() -> Self {
        Self { volume_size: None, chunk_size: 4 << 20, level: 3 }
    }
}

/// Why a bundle cannot be planned.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Chunk size or level is outside its range.
    #[error("{name} {value} is not possible, expected {expected}")]
    Option {
        /// Which option.
        name: &'static str,
        /// Value asked for.
        value: i64,
        /// What is possible.
        expected: &'static str,
    },
    /// One digest stands twice among the items.
    #[error("{0} stands twice among the items")]
    Twice(Digest),
    /// Bytes at hand are not what their descriptor promises.
    #[error("expected {want}, the bytes at hand are {got}")]
    Mismatch {
        /// What was promised.
        want: Box<Descriptor>,
        /// What the bytes are.
        got: Content,
    },
    /// Something is left out, and no bases say why.
    #[error("{0} is left out, but the bundle states no bases")]
    NoBase(Digest),
    /// A manifest or index came without its bytes.
    #[error("{0} is a manifest, and its bytes are not at hand")]
    ManifestWithoutBytes(Box<Descriptor>),
    /// A document is above its limit.
    #[error("{name} has {size} bytes, the limit is {limit}")]
    TooLarge {
        /// Which document.
        name: String,
        /// Its size in bytes.
        size: u64,
        /// Limit in bytes.
        limit: u64,
    },
    /// The frames cannot be laid out.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The encoder does not work.
    #[error("cannot compress")]
    Encoder(#[source] io::Error),
}

/// What a tar entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// Document of the head, by its number in [`HEAD`].
    Head(usize),
    /// Blob, by its ordinal in the inventory.
    Blob(u32),
}

/// How the content of an entry is stored.
#[derive(Debug, Clone)]
pub(super) enum Stored {
    /// Packed frames that are at hand.
    Frames(Vec<Box<[u8]>>),
    /// Room for the envelope.
    Slot,
    /// Raw frames, filled in any order.
    Raw,
    /// Packed frames, filled in order at the end.
    Packed,
}

/// One tar entry of the plan.
#[derive(Debug, Clone)]
pub(super) struct PlannedEntry {
    /// What it is.
    pub what: What,
    /// Bytes of content.
    pub size: u64,
    /// How it is stored.
    pub stored: Stored,
}

/// Everything about a bundle that is known before payload is fetched.
pub struct BundlePlan {
    pub(super) options: Options,
    pub(super) cut: Cut,
    pub(super) entries: Vec<PlannedEntry>,
    pub(super) inventory: Vec<InventoryRecord>,
    pub(super) arranged: Arranged,
    /// Number of entries of the head.
    pub(super) head: u64,
    media_types: Vec<MediaType>,
    media: Vec<u16>,
    /// Entry of each ordinal; beyond the last one where the blob is left out.
    places: Vec<u32>,
    base_id: [u8; 32],
    statement: Vec<u8>,
    bundle_id: Digest,
    set_id: [u8; 32],
}

impl BundlePlan {
    /// Plans a bundle of `items`, in the order of the lock and children first.
    pub fn new(papers: Papers, items: Vec<Item>, options: Options) -> Result<Self, PlanError> {
        check_options(&options)?;
        let items = ordered(items)?;
        let mut packer = Packer::new(options.level, options.chunk_size).map_err(PlanError::Encoder)?;
        let inventory: Vec<InventoryRecord> = items.iter().map(record).collect();
        if let Some(without) = inventory.iter().find(|record| record.omitted && papers.base.is_none()) {
            return Err(PlanError::NoBase(without.digest.clone()));
        }
        let listed = inventory::bytes(&inventory);
        let (statement, documents) = head_documents(&papers, &listed, &inventory)?;
        let mut pack = |bytes: &[u8]| -> Result<Stored, PlanError> {
            let frames = bytes.chunks(options.chunk_size as usize).map(|chunk| packer.pack(chunk));
            let frames: io::Result<Vec<Vec<u8>>> = frames.collect();
            Ok(Stored::Frames(frames.map_err(PlanError::Encoder)?.into_iter().map(Vec::into_boxed_slice).collect()))
        };
        let mut entries = Vec::new();
        for (number, bytes) in &documents {
            let stored = if *number == 3 { Stored::Slot } else { pack(bytes)? };
            entries.push(PlannedEntry { what: What::Head(*number), size: bytes.len() as u64, stored });
        }
        let head = entries.len() as u64;
        let (media_types, media) = intern(&items);
        for (ordinal, item) in items.into_iter().enumerate() {
            let stored = match item.body {
                Body::Omitted => continue,
                Body::Document(bytes) if !bytes.is_empty() => pack(&bytes)?,
                _ if item.descriptor.size == 0 || item.descriptor.media_type.is_compressed() => Stored::Raw,
                _ => Stored::Packed,
            };
            entries.push(PlannedEntry { what: What::Blob(ordinal as u32), size: item.descriptor.size, stored });
        }
        sort_blobs(&mut entries[head as usize..], &inventory);
        let places = places(&entries, inventory.len());
        let bundle_id = Digest::of(&statement);
        let base_id = papers.base.as_deref().map_or([0; 32], trailer::sha256_of);
        let cut = Cut {
            bundle_id: trailer::sha256_of(&statement),
            chunk_size: options.chunk_size,
            limits: options.volume_size.clone().unwrap_or_else(|| 0.into()),
            features: if papers.base.is_some() { header::DELTA } else { 0 },
            encoder: encoder_field(options.level),
        };
        let plan = Self {
            arranged: Arranged::empty(options.volume_size.clone()),
            set_id: [0; 32],
            options,
            cut,
            entries,
            inventory,
            head,
            media_types,
            media,
            places,
            base_id,
            statement,
            bundle_id,
        };
        plan.arrange()
    }

    fn arrange(mut self) -> Result<Self, PlanError> {
        let regions = self.regions()?;
        self.arranged = arrange::arrange(&self, &regions)?;
        if let Some(total) = self.volumes() {
            self.cut.limits = self.cut.limits.up_to(total);
        }
        self.set_id = self.cut.set_id(self.arranged.digest);
        Ok(self)
    }

    /// Returns the region of each blob entry; fails where a document cannot stand where it would have to.
    fn regions(&self) -> Result<Vec<Option<Region>>, PlanError> {
        let mut sequence = Sequence::new(self.options.chunk_size);
        let region = |entry: &PlannedEntry| {
            let What::Blob(ordinal) = entry.what else { return Ok(None) };
            let record = &self.inventory[ordinal as usize];
            let packed = !matches!(entry.stored, Stored::Raw);
            let limit = if record.class == Class::Payload {
                u64::from(self.options.chunk_size)
            } else {
                limits::HEAD_DOCUMENT_BYTES
            };
            let region = sequence.admit(u64::from(ordinal), record.class, record.size, packed);
            let document = matches!(entry.stored, Stored::Frames(_));
            match region {
                Some(Region::Documents) => Ok(region),
                Some(_) if !document => Ok(region),
                _ => Err(PlanError::TooLarge { name: record.digest.to_string(), size: record.size, limit }),
            }
        };
        self.entries.iter().map(region).collect()
    }

    /// Returns whether this is a delta, which may leave blobs out.
    pub fn is_delta(&self) -> bool {
        self.base_id != [0; 32]
    }

    /// Returns number and bytes of the blobs that are left out.
    pub fn omitted(&self) -> (u64, u64) {
        let omitted = self.inventory.iter().filter(|record| record.omitted).count() as u64;
        (omitted, inventory::total(&self.inventory) - inventory::carried(&self.inventory))
    }

    /// Returns the digest of the statement: what is inside.
    pub fn bundle_id(&self) -> &Digest {
        &self.bundle_id
    }

    /// Returns the identity of this physical cut: content, chunk and volume size, encoder, layout.
    pub fn set_id(&self) -> [u8; 32] {
        self.set_id
    }

    /// Returns the bytes of `airlift/head.json`: what is signed.
    pub fn statement(&self) -> &[u8] {
        &self.statement
    }

    /// Returns the bytes of all volumes together, where the layout is closed.
    pub fn size(&self) -> Option<u64> {
        let total = self.volumes()?;
        let last = self.arranged.cursor.volumes().last()?;
        Some(last.stream_offset + layout::file_length(last, total, total))
    }

    /// Returns the number of volumes, where the layout is closed.
    pub fn volumes(&self) -> Option<u32> {
        self.is_closed().then(|| self.arranged.cursor.number())
    }

    /// Returns the bytes of payload that have to be fetched.
    pub fn payload_bytes(&self) -> u64 {
        let fetched = |entry: &&PlannedEntry| matches!(entry.stored, Stored::Raw | Stored::Packed);
        self.entries.iter().filter(fetched).map(|entry| entry.size).sum()
    }

    /// Returns whether every place is known.
    pub(super) fn is_closed(&self) -> bool {
        self.arranged.digest.is_some()
    }

    /// Returns a number of volumes that is never passed, whatever compression gives.
    pub(super) fn most_volumes(&self) -> u32 {
        let known = self.arranged.cursor.number();
        let (false, Some(sizes)) = (self.is_closed(), &self.options.volume_size) else { return known };
        let chunk = u64::from(self.options.chunk_size);
        let frame = compress::bound(chunk) + trailer::RECORD as u64;
        let rest = self.entries.iter().filter(|entry| matches!(entry.stored, Stored::Packed));
        let frames: u64 = rest.map(|entry| 1 + entry.size.div_ceil(chunk)).sum();
        // Each further volume takes at least what is left of it beside its ends and one frame that does not fit.
        let mut left = frames.saturating_add(1).saturating_mul(frame);
        let mut most = known + 1;
        while left > 0 && most < limits::VOLUMES {
            let around = trailer::tail_length(most) + trailer::trailer_length(1) + frame;
            left = left.saturating_sub(sizes.of(most).saturating_sub(around).max(1));
            most += 1;
        }
        most.min(limits::VOLUMES)
    }

    /// Returns the name of an entry in the tar stream.
    pub(super) fn name(&self, entry: &PlannedEntry) -> String {
        match entry.what {
            What::Head(number) => HEAD[number].to_owned(),
            What::Blob(ordinal) => blob_name(&self.inventory[ordinal as usize].digest),
        }
    }

    /// Returns the number of an entry in volume tables.
    pub(super) fn number(&self, index: usize) -> u64 {
        match self.entries[index].what {
            What::Head(_) => index as u64,
            What::Blob(ordinal) => self.head + u64::from(ordinal),
        }
    }

    /// Returns type, digest and size of a blob.
    pub(super) fn descriptor(&self, ordinal: u32) -> Descriptor {
        let record = &self.inventory[ordinal as usize];
        let media_type = self.media_types[usize::from(self.media[ordinal as usize])].clone();
        Descriptor::new(media_type, Content { digest: record.digest.clone(), size: record.size })
    }

    /// Returns type, digest and size of the blob that entry `index` is.
    pub(super) fn wanted(&self, index: usize) -> Descriptor {
        match self.entries[index].what {
            What::Blob(ordinal) => self.descriptor(ordinal),
            What::Head(_) => Descriptor::of("", b""),
        }
    }

    /// Returns the size of the entry before entry `index`.
    pub(super) fn size_before(&self, index: usize) -> u64 {
        index.checked_sub(1).map_or(0, |before| self.entries[before].size)
    }

    /// Returns whether the content of entry `index` is fetched while it is written.
    pub(super) fn is_payload(&self, index: usize) -> bool {
        self.entries.get(index).is_some_and(|entry| matches!(entry.stored, Stored::Raw | Stored::Packed))
    }

    /// Returns the entry of the blob with this digest.
    pub(super) fn entry_with(&self, digest: &Digest) -> Option<usize> {
        let ordinal = self.inventory.iter().position(|record| record.digest == *digest)?;
        self.entry_of(ordinal as u32)
    }

    /// Returns a number of bytes that volume `number` never passes if it starts with entry `index` and is the last one.
    pub(super) fn most_bytes(&self, index: usize, number: u32) -> u64 {
        let around = trailer::tail_length(number) + trailer::trailer_length(1) + super::header::LENGTH as u64;
        let frames = |entry: &PlannedEntry| {
            let chunks = arrange::chunks(entry.size, self.options.chunk_size);
            // Glue is shorter than the padding and the three blocks that it stands for.
            chunks.fold(2048 + trailer::RECORD as u64, |sum, content| {
                sum.saturating_add(compress::bound(content).max(frame::raw_length(content)) + trailer::RECORD as u64)
            })
        };
        self.entries.iter().skip(index).map(frames).fold(around + 2048, u64::saturating_add)
    }

    /// Returns the entry of the blob with this ordinal.
    pub(super) fn entry_of(&self, ordinal: u32) -> Option<usize> {
        self.places.get(ordinal as usize).map(|index| *index as usize).filter(|index| *index < self.entries.len())
    }

    /// Returns the header of volume `number`, which stands at `span`.
    pub(super) fn header(&self, number: u32, span: &Span) -> VolumeHeader {
        let total = self.volumes().unwrap_or(0);
        VolumeHeader {
            bundle_id: self.cut.bundle_id,
            set_id: self.set_id,
            number,
            total,
            file_length: if total == 0 { 0 } else { layout::file_length(span, number, total) },
            volume_limit: self.cut.limits.of(number),
            sizes: Some(self.cut.limits.list().len() as u32).filter(|sizes| *sizes > 1).unwrap_or(0),
            stream_offset: span.stream_offset,
            plain_offset: span.plain_offset,
            first_item: span.first_item,
            chunk_size: self.cut.chunk_size,
            base_id: self.base_id,
            encoder: self.cut.encoder,
        }
    }
}

/// Returns the entry of each ordinal; beyond the last one where a blob has none.
fn places(entries: &[PlannedEntry], blobs: usize) -> Vec<u32> {
    let mut places = vec![u32::MAX; blobs];
    for (index, entry) in (0..).zip(entries) {
        if let What::Blob(ordinal) = entry.what {
            places[ordinal as usize] = index;
        }
    }
    places
}

/// Returns the name of a blob in the tar stream.
pub(super) fn blob_name(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}

fn check_options(options: &Options) -> Result<(), PlanError> {
    let chunk = options.chunk_size;
    if !chunk.is_power_of_two() || !(4 << 10..=16 << 20).contains(&chunk) {
        let expected = "a power of two from 4096 to 16777216";
        return Err(PlanError::Option { name: "chunk size", value: i64::from(chunk), expected });
    }
    if !compress::levels().contains(&options.level) {
        let expected = "a level of zstd";
        return Err(PlanError::Option { name: "level", value: i64::from(options.level), expected });
    }
    Ok(())
}

/// Checks the items and puts SHA-256 before SHA-512, as the inventory has them.
fn ordered(items: Vec<Item>) -> Result<Vec<Item>, PlanError> {
    let mut seen = HashSet::with_capacity(items.len());
    for item in &items {
        let want = &item.descriptor;
        if !seen.insert(&want.digest) {
            return Err(PlanError::Twice(want.digest.clone()));
        }
        let bytes: Option<&[u8]> = match &item.body {
            Body::Document(bytes) => Some(bytes),
            Body::Payload | Body::Omitted if item.class == Class::Manifest => {
                return Err(PlanError::ManifestWithoutBytes(Box::new(want.clone())));
            }
            Body::Payload if want.size == 0 => Some(&[]),
            Body::Payload | Body::Omitted => None,
        };
        if let Some(bytes) = bytes.filter(|bytes| !want.names_bytes(bytes)) {
            let digest = Digest::of_with(want.digest.algorithm(), bytes);
            let got = Content { digest, size: bytes.len() as u64 };
            return Err(PlanError::Mismatch { want: Box::new(want.clone()), got });
        }
    }
    let (short, long) =
        items.into_iter().partition::<Vec<_>, _>(|i| i.descriptor.digest.algorithm() == Algorithm::Sha256);
    Ok(short.into_iter().chain(long).collect())
}

fn record(item: &Item) -> InventoryRecord {
    let omitted = matches!(item.body, Body::Omitted);
    InventoryRecord { digest: item.descriptor.digest.clone(), size: item.descriptor.size, class: item.class, omitted }
}

type Documents<'a> = Vec<(usize, Vec<u8>)>;

/// Returns the statement and the documents of the head with their numbers, the empty slot among them.
fn head_documents<'a>(
    papers: &'a Papers,
    listed: &'a [u8],
    inventory: &[InventoryRecord],
) -> Result<(Vec<u8>, Documents<'a>), PlanError> {
    let mut stated: Vec<(usize, &[u8])> = vec![(0, OCI_LAYOUT), (1, &papers.index), (4, &papers.lock)];
    stated.extend(papers.policy.as_deref().map(|policy| (5, policy)));
    stated.push((6, papers.evidence.as_slice()));
    stated.extend(papers.base.as_deref().map(|base| (7, base)));
    stated.push((8, listed));
    for (number, bytes) in &stated {
        let (size, limit) = (bytes.len() as u64, limits::HEAD_DOCUMENT_BYTES);
        if size > limit {
            return Err(PlanError::TooLarge { name: HEAD[*number].to_owned(), size, limit });
        }
    }
    let named: Vec<(&str, &[u8])> = stated.iter().map(|(number, bytes)| (HEAD[*number], *bytes)).collect();
    let statement = Statement::new(&named, inventory).to_bytes();
    let mut documents: Documents = stated.into_iter().map(|(number, bytes)| (number, bytes.to_vec())).collect();
    documents.extend([(2, statement.clone()), (3, vec![0; trailer::SLOT])]);
    documents.sort_by_key(|(number, _)| *number);
    Ok((statement, documents))
}

/// Returns the media types of `items` without repetition, and which of them each item has.
fn intern(items: &[Item]) -> (Vec<MediaType>, Vec<u16>) {
    let mut known: BTreeMap<&MediaType, u16> = BTreeMap::new();
    let mut types = Vec::new();
    let mut numbers = Vec::with_capacity(items.len());
    for item in items {
        let media_type = &item.descriptor.media_type;
        let number = *known.entry(media_type).or_insert_with(|| {
            types.push(media_type.clone());
            (types.len() - 1).min(usize::from(u16::MAX)) as u16
        });
        numbers.push(number);
    }
    (types, numbers)
}

fn sort_blobs(entries: &mut [PlannedEntry], inventory: &[InventoryRecord]) {
    entries.sort_by_key(|entry| {
        let What::Blob(ordinal) = entry.what else { return (Region::Documents, 0, 0) };
        match entry.stored {
            Stored::Frames(_) | Stored::Slot => {
                (Region::Documents, sequence::rank(inventory[ordinal as usize].class), ordinal)
            }
            Stored::Raw => (Region::Raw, 0, ordinal),
            Stored::Packed => (Region::Packed, 0, ordinal),
        }
    });
}

fn encoder_field(level: i32) -> [u8; 24] {
    let text = compress::encoder(level);
    let mut field = [0; 24];
    let n = text.len().min(field.len());
    field[..n].copy_from_slice(&text.as_bytes()[..n]);
    field
}
