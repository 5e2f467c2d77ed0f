//! Gives payload out of a bundle: from volumes by their tables, or from a stream as it comes. Either way a blob's last
//! piece is given only if all of it matches its digest.

use crate::bundle::{BundleReader, Entry, OpenBundle, ReadError};
use crate::flow::error::FlowError;
use crate::model::{Digest, Fault, FaultKind};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::PathBuf;

/// A bundle that gives its payload.
pub struct Supply {
    from: Given,
    sizes: BTreeMap<Digest, u64>,
}

enum Given {
    /// Any blob, any number of times.
    Volumes(Box<OpenBundle>),
    /// Every blob once, in the order of the bundle; nothing once it has been read.
    Stream(Option<Box<(BundleReader, Option<Entry>)>>),
}

/// Takes one blob: its digest, its size, its bytes.
pub type Taker<'a, E> = &'a mut dyn FnMut(&Digest, u64, &mut dyn Read) -> Result<(), E>;

impl Supply {
    /// Opens the volumes once more for random access, or goes on in the stream.
    pub fn new(
        files: Option<&[PathBuf]>,
        (reader, first): (BundleReader, Option<Entry>),
        bundle_id: &Digest,
    ) -> Result<Self, FlowError> {
        let sizes = reader.inventory().iter().map(|record| (record.digest.clone(), record.size)).collect();
        let Some(files) = files else {
            return Ok(Self { from: Given::Stream(Some(Box::new((reader, first)))), sizes });
        };
        let bundle = OpenBundle::open(files)?;
        if bundle.bundle_id() != bundle_id {
            let why = "it was replaced while it was opened".to_owned();
            return Err(FlowError::Content { item: "the bundle".to_owned(), why });
        }
        Ok(Self { from: Given::Volumes(Box::new(bundle)), sizes })
    }

    /// Returns whether payload can be had in parts, one part after the other.
    pub const fn again(&self) -> bool {
        matches!(self.from, Given::Volumes(_))
    }

    /// Puts payload into the order in which a stream of the same bundle would give it.
    pub fn sort(&self, payload: &mut [Digest]) {
        if let Given::Volumes(bundle) = &self.from {
            payload.sort_by_cached_key(|digest| bundle.place(digest));
        }
    }

    /// Reads a stream that nobody has read to its end, and checks it: whoever gives it is not left with a broken pipe.
    pub fn drain(&mut self) -> Result<(), FlowError> {
        self.pour(&[], &mut |_, _, _| Ok(()))
    }

    /// Gives every blob of `wanted`, in the order of the bundle, to `take`. A stream is read to its end.
    pub fn pour<E: From<FlowError>>(&mut self, wanted: &[Digest], take: Taker<'_, E>) -> Result<(), E> {
        match &mut self.from {
            Given::Volumes(bundle) => {
                for digest in wanted {
                    let content = bundle.blob(digest, 0).map_err(FlowError::from)?;
                    let size = self.sizes.get(digest);
                    let (Some(size), Some(mut content)) = (size, content) else { return Err(missing(digest).into()) };
                    take(digest, *size, &mut *content)?;
                }
                Ok(())
            }
            Given::Stream(open) => match open.take() {
                Some(stream) => from_stream(stream.0, stream.1, wanted, take),
                None => wanted.first().map_or(Ok(()), |digest| Err(missing(digest).into())),
            },
        }
    }
}

fn missing(digest: &Digest) -> FlowError {
    FlowError::Incomplete { what: "an image".to_owned(), digest: digest.clone() }
}

fn from_stream<E: From<FlowError>>(
    mut reader: BundleReader,
    first: Option<Entry>,
    wanted: &[Digest],
    take: Taker<'_, E>,
) -> Result<(), E> {
    let mut open: BTreeSet<&Digest> = wanted.iter().collect();
    let mut next = first;
    while let Some(entry) = next {
        if entry.document.is_none() && open.remove(&entry.digest) {
            let mut content = Chunks { reader: &mut reader, piece: Vec::new(), at: 0, ended: false };
            take(&entry.digest, entry.size, &mut content)?;
        }
        // What nobody wants is checked all the same on the way to the next.
        next = reader.next().map_err(FlowError::from)?;
    }
    reader.finish().map_err(FlowError::from)?;
    match open.first() {
        Some(digest) => Err(missing(digest).into()),
        None => Ok(()),
    }
}

/// Reads the current blob of a stream.
struct Chunks<'r> {
    reader: &'r mut BundleReader,
    piece: Vec<u8>,
    at: usize,
    ended: bool,
}

impl Read for Chunks<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() && !self.ended {
            let piece = self.reader.chunk().map_err(damaged)?;
            self.ended = piece.is_none();
            self.piece = piece.unwrap_or_default();
            self.at = 0;
        }
        let rest = &self.piece[self.at..];
        let n = rest.len().min(buffer.len());
        buffer[..n].copy_from_slice(&rest[..n]);
        self.at += n;
        Ok(n)
    }
}

fn damaged(error: ReadError) -> io::Error {
    let kind = if matches!(error, ReadError::Io { .. }) { FaultKind::Local } else { FaultKind::Damaged };
    Fault::new(kind, "the bundle", error.to_string()).because(error).into_io()
}
