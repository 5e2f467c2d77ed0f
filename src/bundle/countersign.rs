//! Countersignatures: files beside the volumes, each somebody's word about the bundle (FORMAT.md, "Countersignatures").
//!
//! A file opens like a volume, so that plain zstd passes over it, and holds a statement, an envelope over it and,
//! where it was asked for, the report that the statement names. What they say and who signed is the caller's to
//! judge; here it is checked that the bytes are those that were written, and about which bundle.

use super::disk;
use super::fields::{Fields, FieldsMut};
use super::frame::PROLOGUE;
use super::frames::damaged;
use super::read_error::{ReadError, Spot};
use super::write_error::WriteError;
use crate::model::{Content, Digest, limits};
use std::fs::{File, OpenOptions};
use std::io::{self, Cursor, ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Magic number of the skippable frame.
const SKIPPABLE: [u8; 4] = [0x5F, 0x2A, 0x4D, 0x18];
const MAGIC: &[u8; 8] = b"AIRLCSIG";
const VERSION: (u16, u16) = (1, 0);
/// Bytes of prologue and skippable header.
const OPENING: usize = 17;
/// Bytes before the statement.
const HEAD: usize = 81;
/// Bytes of the digest at the end.
const DIGEST: usize = 32;
/// Longest file.
const LONGEST: u64 = HEAD as u64
    + limits::COUNTERSIGNATURE_BYTES
    + super::trailer::SLOT as u64
    + limits::COUNTERSIGNED_REPORT_BYTES
    + DIGEST as u64;

/// What a countersignature is made of.
#[derive(Debug, Clone, Copy)]
pub struct Countersigning<'a> {
    /// The bundle that it is about.
    pub bundle: &'a Digest,
    /// Statement, canonical JSON.
    pub statement: &'a [u8],
    /// Envelope over the statement.
    pub envelope: &'a [u8],
    /// Report that is carried; empty for none.
    pub report: &'a [u8],
}

/// A countersignature as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Countersignature {
    /// File, or `stream`.
    pub place: String,
    /// The bundle that it says it is about.
    pub bundle: Digest,
    /// Statement.
    pub statement: Vec<u8>,
    /// Envelope over the statement.
    pub envelope: Vec<u8>,
    /// What the carried report is, where one is carried. Its bytes are not kept: [`carried_report`] reads them.
    pub report: Option<Content>,
}

impl Countersigning<'_> {
    /// Returns the bytes of the file, or why they would not be read again.
    pub fn to_bytes(&self) -> Result<Vec<u8>, WriteError> {
        let parts: [(&str, &[u8], u64); 3] = [
            ("statement", self.statement, limits::COUNTERSIGNATURE_BYTES),
            ("envelope", self.envelope, super::trailer::SLOT as u64),
            ("report", self.report, limits::COUNTERSIGNED_REPORT_BYTES),
        ];
        if let Some((what, part, limit)) = parts.iter().find(|(_, part, limit)| part.len() as u64 > *limit) {
            return Err(WriteError::Envelope(format!("the {what} has {} bytes, {limit} fit", part.len())));
        }
        let mut head = [0; HEAD];
        let length = HEAD - OPENING + parts.iter().map(|(_, part, _)| part.len()).sum::<usize>() + DIGEST;
        let mut fields = FieldsMut(&mut head);
        fields.put(0, &PROLOGUE);
        fields.put(9, &SKIPPABLE);
        fields.put_u32(13, length as u32);
        fields.put(17, MAGIC);
        fields.put(25, &VERSION.0.to_le_bytes());
        fields.put(27, &VERSION.1.to_le_bytes());
        fields.put(33, self.bundle.value());
        fields.put_u32(65, self.statement.len() as u32);
        fields.put_u32(69, self.envelope.len() as u32);
        fields.put_u64(73, self.report.len() as u64);
        let mut bytes = head.to_vec();
        parts.iter().for_each(|(_, part, _)| bytes.extend_from_slice(part));
        let digest = Digest::of(&bytes);
        bytes.extend_from_slice(digest.value());
        Ok(bytes)
    }
}

/// Statement, envelope and report by their places in a file.
struct Parts<'a> {
    bundle: Digest,
    statement: &'a [u8],
    envelope: &'a [u8],
    report: &'a [u8],
}

/// Takes a whole file apart. Each byte of it is compared, counted or under the digest at the end.
fn parse<'a>(bytes: &'a [u8], place: &str) -> Result<Parts<'a>, ReadError> {
    let bad = |what: &str| damaged(spot(place, bytes.len() as u64), what);
    let body = bytes.len().checked_sub(DIGEST).filter(|body| *body >= HEAD);
    let Some((body, digest)) = body.map(|at| bytes.split_at(at)) else {
        return Err(bad("the countersignature ends early"));
    };
    if Digest::of(body).value() != digest {
        return Err(bad("the countersignature is damaged: it does not match the digest at its end"));
    }
    let fields = Fields(body);
    if fields.array::<8>(17) != *MAGIC {
        return Err(bad("the countersignature is damaged: it does not open as one"));
    }
    let (major, minor) = (fields.u16(25), fields.u16(27));
    if major > VERSION.0 {
        let needs = format!("needs a program that reads countersignatures of version {major}.{minor}");
        return Err(ReadError::Later { place: place.to_owned(), needs });
    }
    let lengths = [u64::from(fields.u32(65)), u64::from(fields.u32(69)), fields.u64(73)];
    let counted = lengths.iter().try_fold(HEAD as u64, |sum, length| sum.checked_add(*length));
    if major != VERSION.0 || fields.u32(29) != 0 || counted != Some(body.len() as u64) {
        return Err(bad("the countersignature states lengths that it has not"));
    }
    let limits = [limits::COUNTERSIGNATURE_BYTES, super::trailer::SLOT as u64, limits::COUNTERSIGNED_REPORT_BYTES];
    let names = ["the statement of a countersignature", "its envelope", "its report"];
    for ((size, limit), what) in lengths.into_iter().zip(limits).zip(names) {
        if size > limit {
            return Err(ReadError::TooLarge { place: place.to_owned(), what: what.to_owned(), size, limit });
        }
    }
    let (statement, rest) = body[HEAD..].split_at(lengths[0] as usize);
    let (envelope, report) = rest.split_at(lengths[1] as usize);
    Ok(Parts { bundle: Digest::Sha256(fields.array(33)), statement, envelope, report })
}

impl Parts<'_> {
    fn owned(&self, place: &str) -> Countersignature {
        let report = Content { digest: Digest::of(self.report), size: self.report.len() as u64 };
        Countersignature {
            place: place.to_owned(),
            bundle: self.bundle.clone(),
            statement: self.statement.to_vec(),
            envelope: self.envelope.to_vec(),
            report: (report.size > 0).then_some(report),
        }
    }
}

fn spot(place: &str, length: u64) -> Spot {
    Spot { volume: 0, file: place.to_owned(), offset: 0, length, hit: None }
}

/// Returns whether a countersignature starts with these bytes.
fn opens(bytes: &[u8]) -> bool {
    bytes.len() >= OPENING && bytes[..9] == PROLOGUE && bytes[9..13] == SKIPPABLE
}

/// Reads the rest of the countersignature whose opening was read.
fn rest(opening: &[u8], from: &mut dyn Read, place: &str) -> Result<Vec<u8>, ReadError> {
    let length = u64::from(Fields(opening).u32(13));
    let size = length + OPENING as u64;
    if size > LONGEST {
        let what = "the countersignature".to_owned();
        return Err(ReadError::TooLarge { place: place.to_owned(), what, size, limit: LONGEST });
    }
    let mut bytes = opening.to_vec();
    let fail = |source| ReadError::Io { place: place.to_owned(), offset: OPENING as u64, source };
    if from.take(length).read_to_end(&mut bytes).map_err(fail)? as u64 != length {
        return Err(damaged(spot(place, bytes.len() as u64), "the countersignature ends early"));
    }
    Ok(bytes)
}

/// Reads as much of the opening as there is.
fn opening(from: &mut dyn Read, place: &str) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::with_capacity(OPENING);
    let fail = |source| ReadError::Io { place: place.to_owned(), offset: 0, source };
    from.take(OPENING as u64).read_to_end(&mut bytes).map_err(fail)?;
    Ok(bytes)
}

/// Returns the bytes of the countersignature in a file; `None` where the file is something else.
fn file(path: &Path) -> Result<Option<Vec<u8>>, ReadError> {
    let place = path.display().to_string();
    let fail = |source| ReadError::Io { place: place.clone(), offset: 0, source };
    let mut file = File::open(path).map_err(fail)?;
    if !file.metadata().map_err(fail)?.is_file() {
        return Ok(None);
    }
    let opening = opening(&mut file, &place)?;
    if !opens(&opening) {
        return Ok(None);
    }
    let bytes = rest(&opening, &mut file, &place)?;
    let mut more = [0; 1];
    if file.read(&mut more).map_err(fail)? > 0 {
        let at = Spot { offset: bytes.len() as u64, ..spot(&place, 1) };
        return Err(damaged(at, "the file goes on behind the end of the countersignature"));
    }
    Ok(Some(bytes))
}

/// Reads a file; `None` where it is no countersignature.
pub(super) fn read(path: &Path) -> Result<Option<Countersignature>, ReadError> {
    let place = path.display().to_string();
    file(path)?.map(|bytes| Ok(parse(&bytes, &place)?.owned(&place))).transpose()
}

/// Returns the report that the countersignature at `path` carries; `None` where it carries none, or is none.
pub fn carried_report(path: &Path) -> Result<Option<Vec<u8>>, ReadError> {
    let Some(bytes) = file(path)? else { return Ok(None) };
    let report = parse(&bytes, &path.display().to_string())?.report.to_vec();
    Ok((!report.is_empty()).then_some(report))
}

/// Countersignatures that stand before the volumes, and the stream that goes on with the first volume.
type Piled = (Vec<Countersignature>, Box<dyn Read + Send>);

/// Takes the countersignatures from the start of a stream.
pub(super) fn from_stream(mut stream: Box<dyn Read + Send>) -> Result<Piled, ReadError> {
    let mut found = Vec::new();
    loop {
        let opening = opening(&mut stream, "stream")?;
        if !opens(&opening) {
            return Ok((found, Box::new(Cursor::new(opening).chain(stream))));
        }
        if found.len() == limits::COUNTERSIGNATURES {
            return Err(many("stream", found.len() + 1));
        }
        let bytes = rest(&opening, &mut stream, "stream")?;
        found.push(parse(&bytes, "stream")?.owned("stream"));
    }
}

/// Refuses what is about another bundle than `bundle`, and more than are allowed.
pub(super) fn belong(found: &[Countersignature], bundle: &[u8; 32]) -> Vec<ReadError> {
    let foreign = found.iter().filter(|one| one.bundle != Digest::Sha256(*bundle)).map(|one| ReadError::OtherBundle {
        place: one.place.clone(),
        expected: Box::new(Digest::Sha256(*bundle)),
        found: Box::new(one.bundle.clone()),
    });
    let mut problems: Vec<ReadError> = foreign.collect();
    if found.len() > limits::COUNTERSIGNATURES {
        problems.push(many(&found[0].place, found.len()));
    }
    problems
}

fn many(place: &str, found: usize) -> ReadError {
    ReadError::Many { place: place.to_owned(), found, limit: limits::COUNTERSIGNATURES }
}

/// Returns where the countersignature of somebody called `who` belongs, beside a bundle whose first volume is `volume`.
///
/// The name sorts before those of the volumes, so `cat NAME.*.airlift` gives it first, where a stream needs it.
pub fn name_beside(volume: &Path, who: &str) -> PathBuf {
    let name = volume.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = name.strip_suffix(".airlift").unwrap_or(&name);
    let numbered = name
        .rsplit_once('.')
        .filter(|(_, number)| number.len() >= 3 && number.bytes().all(|byte| byte.is_ascii_digit()));
    let (stem, digits) = numbered.map_or((name, 3), |(stem, number)| (stem, number.len()));
    disk::folder(volume).join(format!("{stem}.{}.countersigned-{who}.airlift", "0".repeat(digits)))
}

/// Gives `bytes` the name `path`, which nothing has yet: written beside, synced, renamed, folder synced.
///
/// A run that was killed leaves `path` with `.partial` behind it; the next run begins that file anew.
pub fn write_countersignature(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    let partial = PathBuf::from(format!("{}.partial", path.display()));
    let fail = |what, path: &Path| {
        let path = path.to_owned();
        move |error: io::Error| WriteError::disk(what, &path, error)
    };
    let open = OpenOptions::new().write(true).create(true).truncate(false).open(&partial);
    let mut file = open.map_err(fail("write", &partial))?;
    // A run that ended between the opening and the lock has given this very file its final name.
    let named = |file: &File| Ok::<_, io::Error>(file.metadata()?.ino() == std::fs::metadata(&partial)?.ino());
    if !disk::lock(&file).map_err(fail("lock", &partial))? || !named(&file).unwrap_or(false) {
        return Err(WriteError::Busy(partial));
    }
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write(&mut file).map_err(fail("write", &partial))?;
    match disk::rename_new(&partial, path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            std::fs::remove_file(&partial).map_err(fail("remove", &partial))?;
            return Err(WriteError::Exists { path: path.to_owned(), why: "something has that name".to_owned() });
        }
        Err(error) => return Err(WriteError::disk("rename", &partial, error)),
    }
    let folder = disk::folder(path);
    disk::sync_folder(&folder).map_err(fail("sync", &folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn made(report: &[u8]) -> Vec<u8> {
        let bundle = Digest::of(b"bundle");
        Countersigning { bundle: &bundle, statement: b"{\"a\":1}\n", envelope: b"{}", report }.to_bytes().unwrap()
    }

    fn stream(bytes: Vec<u8>) -> Result<Vec<Countersignature>, ReadError> {
        from_stream(Box::new(Cursor::new(bytes))).map(|(found, _)| found)
    }

    #[test]
    fn it_reads_back_from_a_file_and_from_a_stream_before_the_volumes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.000.countersigned-a.airlift");
        write_countersignature(&path, &made(b"a report")).unwrap();
        let found = read(&path).unwrap().unwrap();
        assert_eq!((found.statement.as_slice(), found.envelope.as_slice()), (&b"{\"a\":1}\n"[..], &b"{}"[..]));
        assert_eq!(found.report, Some(Content { digest: Digest::of(b"a report"), size: 8 }));
        assert_eq!(carried_report(&path).unwrap().unwrap(), b"a report");
        let mut piled = [made(b""), made(b"r")].concat();
        piled.extend(b"what follows");
        let (found, mut rest) = from_stream(Box::new(Cursor::new(piled))).unwrap();
        let mut left = Vec::new();
        rest.read_to_end(&mut left).unwrap();
        assert_eq!((found.len(), left.as_slice()), (2, &b"what follows"[..]));
        assert_eq!(found[0].report, None);
        assert_eq!(stream(b"short".to_vec()).unwrap(), []);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (path, good) = (folder.path().join("x.airlift"), made(b"report"));
        for at in 0..good.len() {
            for bit in [0, 3, 7] {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                std::fs::write(&path, &bad).unwrap();
                // Within the first 13 bytes it is not known for a countersignature any more, and no volume either.
                let refused = read(&path).map(|found| found.is_none());
                assert!(matches!(refused, Err(_) | Ok(true)), "byte {at}, bit {bit}");
                assert_eq!(matches!(refused, Ok(true)), at < 13, "byte {at}, bit {bit}");
                assert!(stream(bad).map_or(true, |found| found.is_empty()), "byte {at}, bit {bit}");
            }
            std::fs::write(&path, &good[..at]).unwrap();
            assert!(read(&path).map_or(true, |found| found.is_none()), "cut at {at}");
        }
        std::fs::write(&path, [good.as_slice(), b"x"].concat()).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("goes on behind"));
    }

    #[test]
    fn a_later_version_says_what_it_needs() {
        let mut later = made(b"");
        later[25] = 2;
        let at = later.len() - DIGEST;
        let digest = Digest::of(&later[..at]);
        later[at..].copy_from_slice(digest.value());
        assert!(matches!(stream(later), Err(ReadError::Later { .. })));
    }

    #[test]
    fn sizes_end_at_their_limits() {
        let bundle = Digest::of(b"");
        let make = |statement: usize, report: usize| {
            let (statement, report) = (vec![b' '; statement], vec![b' '; report]);
            Countersigning { bundle: &bundle, statement: &statement, envelope: b"{}", report: &report }.to_bytes()
        };
        let (most, report) = (limits::COUNTERSIGNATURE_BYTES as usize, limits::COUNTERSIGNED_REPORT_BYTES as usize);
        assert_eq!(stream(make(most, report).unwrap()).unwrap().len(), 1);
        assert!(make(most + 1, 0).is_err() && make(0, report + 1).is_err());
        let mut long = made(b"");
        long[13..17].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(stream(long), Err(ReadError::TooLarge { .. })));
        // What states more than its limit is refused although its bytes are whole.
        let envelope = vec![b' '; super::super::trailer::SLOT + 1];
        let mut odd =
            Countersigning { bundle: &bundle, statement: &envelope, envelope: b"", report: b"" }.to_bytes().unwrap();
        odd[65..69].fill(0);
        odd[69..73].copy_from_slice(&(envelope.len() as u32).to_le_bytes());
        let at = odd.len() - DIGEST;
        let digest = Digest::of(&odd[..at]);
        odd[at..].copy_from_slice(digest.value());
        assert!(matches!(stream(odd), Err(ReadError::TooLarge { .. })));
    }

    #[test]
    fn more_than_the_limit_and_those_of_another_bundle_are_refused() {
        let pile = |count: usize| stream(made(b"").repeat(count));
        assert_eq!(pile(limits::COUNTERSIGNATURES).unwrap().len(), limits::COUNTERSIGNATURES);
        assert!(matches!(pile(limits::COUNTERSIGNATURES + 1), Err(ReadError::Many { found: 17, .. })));
        let mut found = pile(2).unwrap();
        let [own, other] = [b"bundle", b"anothe"].map(|id| *<&[u8; 32]>::try_from(Digest::of(id).value()).unwrap());
        assert!(belong(&found, &own).is_empty());
        assert!(matches!(belong(&found, &other)[..], [ReadError::OtherBundle { .. }, ReadError::OtherBundle { .. }]));
        found = vec![found[0].clone(); limits::COUNTERSIGNATURES + 1];
        assert!(matches!(belong(&found, &own)[..], [ReadError::Many { .. }]));
    }

    #[test]
    fn the_name_sorts_before_the_volumes() {
        for (volume, name) in [
            ("d/site.001.airlift", "d/site.000.countersigned-ab.airlift"),
            ("site.0001.airlift", "./site.0000.countersigned-ab.airlift"),
            ("site.airlift", "./site.000.countersigned-ab.airlift"),
            ("v1.2.airlift", "./v1.2.000.countersigned-ab.airlift"),
        ] {
            assert_eq!(name_beside(Path::new(volume), "ab"), Path::new(name));
        }
    }

    #[test]
    fn a_name_that_is_taken_is_not_given_again_and_a_half_file_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.airlift");
        std::fs::write(folder.path().join("x.airlift.partial"), vec![7; 10_000]).unwrap();
        write_countersignature(&path, &made(b"")).unwrap();
        assert!(read(&path).unwrap().is_some());
        let error = write_countersignature(&path, &made(b"r")).unwrap_err();
        assert!(matches!(error, WriteError::Exists { .. }), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(statement in "[ -~]{0,200}", envelope in "[ -~]{0,200}", report in proptest::collection::vec(any::<u8>(), 0..300)) {
            let bundle = Digest::of(statement.as_bytes());
            let parts = Countersigning { bundle: &bundle, statement: statement.as_bytes(), envelope: envelope.as_bytes(), report: &report };
            let bytes = parts.to_bytes().unwrap();
            let found = stream(bytes).unwrap().remove(0);
            prop_assert_eq!(found.statement, statement.as_bytes());
            prop_assert_eq!(found.envelope, envelope.as_bytes());
            prop_assert_eq!((found.bundle, found.report.map_or(0, |r| r.size)), (bundle, report.len() as u64));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut framed = made(b"");
            framed.splice(17.., bytes);
            let _ = stream(framed);
        }
    }
}
