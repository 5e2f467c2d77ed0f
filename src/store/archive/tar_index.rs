//! Where each file of a tar lies. One pass over the headers; nothing is unpacked, nothing is followed.
//!
//! The `tar` crate reads the fields of a header; the walk is our own, because a mirror must see what every other
//! reader sees or refuse: a header whose size and extended header differ, a second file of one name, bytes behind
//! the end (CVE-2025-62518, CVE-2026-33055). Follows POSIX `ustar` and `pax`, and GNU's long names.

use super::pax::Pax;
use crate::model::{Fault, FaultKind, limits};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::io::{self, Read};
use tar::{EntryType, Header};

const BLOCK: u64 = 512;
/// Largest size that the eleven octal digits of a header hold.
const OCTAL: u64 = 0o77_777_777_777;

/// Bytes of a tar in order, some of which need not be looked at.
pub(super) trait Tape: Read {
    /// Passes over up to `count` bytes and returns how many there were.
    fn pass(&mut self, count: u64) -> io::Result<u64>;
}

/// What stands under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    /// A file: where its first byte lies, and how many there are.
    File {
        /// Offset in the tar.
        at: u64,
        /// Bytes.
        size: u64,
    },
    /// A link, hard or soft, to this name within the same tar.
    Link(String),
}

/// How much a tar may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) entries: usize,
    pub(super) names: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { entries: limits::ARCHIVE_ENTRIES, names: limits::ARCHIVE_NAMES_BYTES }
    }
}

impl Room {
    /// Takes one more name, where there is room for it.
    pub(super) fn take(&mut self, name: &str) -> Result<(), Flaw> {
        if self.entries == 0 {
            return Err(Flaw::large(format!("it holds more than {} files", limits::ARCHIVE_ENTRIES)));
        }
        if self.names < name.len() {
            let what = format!("the names of its files have more than {} bytes", limits::ARCHIVE_NAMES_BYTES);
            return Err(Flaw::large(what));
        }
        self.entries -= 1;
        self.names -= name.len();
        Ok(())
    }
}

/// What is wrong with a tar, in words that name the entry.
#[derive(Debug)]
pub(super) struct Flaw {
    kind: FaultKind,
    what: String,
}

impl Flaw {
    pub(super) fn form(what: impl Into<String>) -> Self {
        Self { kind: FaultKind::Malformed, what: what.into() }
    }

    pub(super) fn large(what: impl Into<String>) -> Self {
        Self { kind: FaultKind::TooLarge, what: what.into() }
    }

    /// States the flaw of the archive at `place`.
    pub(super) fn at(self, place: &str) -> Fault {
        Fault::new(self.kind, place, self.what)
    }
}

/// Reads the headers of the tar on `tape`, which a person calls `place`.
pub(super) fn index(tape: &mut dyn Tape, place: &str, room: Room) -> Result<BTreeMap<String, Item>, Fault> {
    let mut walk = Walk { tape, at: 0, place, room, items: BTreeMap::new() };
    walk.all()?;
    Ok(walk.items)
}

/// What was said beforehand about the entry that comes next.
#[derive(Default)]
struct Ahead {
    pax: Option<Pax>,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
}

struct Walk<'a> {
    tape: &'a mut dyn Tape,
    at: u64,
    place: &'a str,
    room: Room,
    items: BTreeMap<String, Item>,
}

impl Walk<'_> {
    fn all(&mut self) -> Result<(), Fault> {
        let mut ahead = Ahead::default();
        loop {
            let block = self.block()?;
            if block.iter().all(|b| *b == 0) {
                return self.end(&ahead);
            }
            let header = Header::from_byte_slice(&block);
            self.check_sum(header)?;
            let stated = self.stated_size(header)?;
            match header.entry_type() {
                EntryType::XHeader => {
                    self.once(ahead.pax.is_some())?;
                    ahead.pax = Some(self.pax(stated)?);
                }
                EntryType::XGlobalHeader => {
                    if !self.pax(stated)?.is_empty() {
                        return Err(self.flaw("a global header names files or sizes"));
                    }
                }
                EntryType::GNULongName => {
                    self.once(ahead.long_name.is_some())?;
                    ahead.long_name = Some(self.long(stated)?);
                }
                EntryType::GNULongLink => {
                    self.once(ahead.long_link.is_some())?;
                    ahead.long_link = Some(self.long(stated)?);
                }
                _ => self.entry(header, stated, std::mem::take(&mut ahead))?,
            }
        }
    }

    /// Takes up one entry and passes over its content.
    fn entry(&mut self, header: &Header, stated: u64, ahead: Ahead) -> Result<(), Fault> {
        let pax = ahead.pax.unwrap_or_default();
        let raw = self.one_of(ahead.long_name, pax.path, || header.path_bytes().into_owned())?;
        let shown = shown(&raw);
        let size = self.agreed_size(&shown, stated, pax.size)?;
        let folder = header.entry_type().is_dir() || (header.entry_type().is_file() && raw.ends_with(b"/"));
        let name = self.clean(&raw)?;
        let item = match header.entry_type() {
            EntryType::Regular | EntryType::Directory if folder => None,
            EntryType::Regular => Some(Item::File { at: self.at, size }),
            kind @ (EntryType::Symlink | EntryType::Link) => {
                let none = || header.link_name_bytes().map(|name| name.into_owned()).unwrap_or_default();
                let target = self.one_of(ahead.long_link, pax.link, none)?;
                Some(Item::Link(self.target(&name, &target, kind == EntryType::Symlink)?))
            }
            other => {
                return Err(self
                    .flaw(format!("{shown} is neither a file nor a folder (type {:?})", char::from(other.as_byte()))));
            }
        };
        if !matches!(item, Some(Item::File { .. })) && size > 0 {
            return Err(self.flaw(format!("{shown} is no file and has content all the same")));
        }
        self.room.take(&name).map_err(|flaw| flaw.at(self.place))?;
        match item {
            None => {}
            Some(_) if name.is_empty() => return Err(self.flaw(format!("{shown} names no file"))),
            Some(item) => match self.items.entry(name) {
                Slot::Vacant(slot) => _ = slot.insert(item),
                Slot::Occupied(_) => return Err(self.flaw(format!("{shown} is in it twice"))),
            },
        }
        self.pass(size, &shown)
    }

    /// Returns the one name that was given; where two were, readers disagree which counts.
    fn one_of(
        &self,
        long: Option<Vec<u8>>,
        pax: Option<Vec<u8>>,
        header: impl FnOnce() -> Vec<u8>,
    ) -> Result<Vec<u8>, Fault> {
        match (long, pax) {
            (Some(_), Some(_)) => Err(self.flaw("an entry has two long names")),
            (Some(name), None) | (None, Some(name)) => Ok(name),
            (None, None) => Ok(header()),
        }
    }

    /// Returns the size that header and extended header agree on. A header has no room for more than 8 GiB; writers
    /// leave it at zero then.
    fn agreed_size(&self, shown: &str, stated: u64, extended: Option<u64>) -> Result<u64, Fault> {
        match extended {
            None => Ok(stated),
            Some(size) if size == stated || (stated == 0 && size > OCTAL) => Ok(size),
            Some(size) => Err(self.flaw(format!("{shown} has {stated} bytes in one header and {size} in another"))),
        }
    }

    /// Returns a name in the one form that the table uses.
    fn clean(&self, raw: &[u8]) -> Result<String, Fault> {
        if raw.len() > limits::ARCHIVE_NAME_BYTES {
            let what = format!("the name of an entry has more than {} bytes", limits::ARCHIVE_NAME_BYTES);
            return Err(Flaw::large(what).at(self.place));
        }
        let leads_elsewhere = || self.flaw(format!("{} leads out of the archive", shown(raw)));
        let text = std::str::from_utf8(raw).map_err(|_| self.flaw(format!("{} is no text", shown(raw))))?;
        if text.starts_with('/') {
            return Err(leads_elsewhere());
        }
        if text.is_empty() || text.contains(|c: char| c.is_control() || c == '\\') {
            return Err(self.flaw(format!("{} is no name of a file", shown(raw))));
        }
        let parts: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        if parts.contains(&"..") { Err(leads_elsewhere()) } else { Ok(parts.join("/")) }
    }

    /// Returns the name that a link at `name` stands for. A soft link counts from its own folder.
    fn target(&self, name: &str, raw: &[u8], soft: bool) -> Result<String, Fault> {
        if !soft {
            return self.clean(raw);
        }
        let elsewhere = || self.flaw(format!("{name:?} is a link to {}, which leads out of the archive", shown(raw)));
        let text = std::str::from_utf8(raw).map_err(|_| elsewhere())?;
        if text.starts_with('/') || text.is_empty() || text.contains(|c: char| c.is_control() || c == '\\') {
            return Err(elsewhere());
        }
        let mut parts: Vec<&str> = name.split('/').collect();
        parts.pop();
        for part in text.split('/') {
            match part {
                "" | "." => {}
                ".." => _ = parts.pop().ok_or_else(elsewhere)?,
                part => parts.push(part),
            }
        }
        Ok(parts.join("/"))
    }

    /// Checks that nothing but zeros follows: bytes that one reader skips are content to another.
    fn end(&mut self, ahead: &Ahead) -> Result<(), Fault> {
        if ahead.pax.is_some() || ahead.long_name.is_some() || ahead.long_link.is_some() {
            return Err(self.flaw("its last extended header belongs to nothing"));
        }
        if self.block()?.iter().any(|b| *b != 0) {
            return Err(self.flaw("an empty header stands in the middle of it"));
        }
        let mut buffer = vec![0; 64 << 10];
        loop {
            match self.tape.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) if buffer[..read].iter().all(|b| *b == 0) => {}
                Ok(_) => return Err(self.flaw("something stands behind its end")),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Fault::from_io(error, self.place, "cannot be read")),
            }
        }
    }

    fn pax(&mut self, size: u64) -> Result<Pax, Fault> {
        if size > limits::ARCHIVE_PAX_BYTES {
            let what = format!("an extended header has {size} bytes, the limit is {}", limits::ARCHIVE_PAX_BYTES);
            return Err(Flaw::large(what).at(self.place));
        }
        let bytes = self.bytes(size)?;
        Pax::parse(&bytes).map_err(|why| self.flaw(format!("an entry cannot be read: {why}")))
    }

    /// Reads a long name of GNU tar, which ends with a zero byte.
    fn long(&mut self, size: u64) -> Result<Vec<u8>, Fault> {
        if size > limits::ARCHIVE_NAME_BYTES as u64 + 1 {
            let what = format!("a long name has {size} bytes, the limit is {}", limits::ARCHIVE_NAME_BYTES);
            return Err(Flaw::large(what).at(self.place));
        }
        let mut name = self.bytes(size)?;
        if name.pop() == Some(0) && !name.contains(&0) { Ok(name) } else { Err(self.flaw("a long name does not end")) }
    }

    fn once(&self, already: bool) -> Result<(), Fault> {
        if already { Err(self.flaw("an entry has two extended headers of one kind")) } else { Ok(()) }
    }

    fn check_sum(&self, header: &Header) -> Result<(), Fault> {
        let bytes = header.as_bytes();
        let sum: u32 =
            bytes.iter().enumerate().map(|(at, b)| if (148..156).contains(&at) { 32 } else { u32::from(*b) }).sum();
        match header.cksum() {
            Ok(stated) if stated == sum => Ok(()),
            _ if self.at == BLOCK => Err(self.flaw("it is no tar")),
            _ => Err(self.flaw(format!("the header at byte {} does not match its checksum", self.at - BLOCK))),
        }
    }

    /// Reads the size of a header: octal digits, or a binary number that is not negative and fits 63 bits.
    fn stated_size(&self, header: &Header) -> Result<u64, Fault> {
        let field = &header.as_old().size;
        let broken = || self.flaw(format!("the size in the header at byte {} is no size", self.at - BLOCK));
        let binary = field[0] & 0x80 != 0;
        if binary && (field[0] != 0x80 || field[1..4] != [0; 3]) {
            return Err(broken());
        }
        header.entry_size().ok().filter(|size| *size <= i64::MAX as u64).ok_or_else(broken)
    }

    fn block(&mut self) -> Result<[u8; BLOCK as usize], Fault> {
        let mut block = [0; BLOCK as usize];
        self.fill(&mut block)?;
        Ok(block)
    }

    /// Reads content of `size` bytes, and the zeros that fill its last block.
    fn bytes(&mut self, size: u64) -> Result<Vec<u8>, Fault> {
        let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
        self.fill(&mut bytes)?;
        self.pass_bytes(padding(size), "its end")?;
        Ok(bytes)
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Fault> {
        self.tape.read_exact(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.flaw("it ends early, without the mark of its end"),
            _ => Fault::from_io(error, self.place, "cannot be read"),
        })?;
        self.at += buffer.len() as u64;
        Ok(())
    }

    fn pass(&mut self, size: u64, shown: &str) -> Result<(), Fault> {
        self.pass_bytes(size.saturating_add(padding(size)), shown)
    }

    fn pass_bytes(&mut self, count: u64, shown: &str) -> Result<(), Fault> {
        let passed = self.tape.pass(count).map_err(|error| Fault::from_io(error, self.place, "cannot be read"))?;
        if passed < count {
            return Err(self.flaw(format!("it ends early, within {shown}")));
        }
        self.at += count;
        Ok(())
    }

    fn flaw(&self, what: impl Into<String>) -> Fault {
        Flaw::form(what).at(self.place)
    }
}

const fn padding(size: u64) -> u64 {
    (BLOCK - size % BLOCK) % BLOCK
}

/// Returns a name as it can be shown.
fn shown(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(&raw[..raw.len().min(200)]);
    format!("{text:?}")
}

#[cfg(test)]
mod tests {
    use super::super::joined::{Joined, Stretch};
    use super::*;
    use crate::testkit::archives::{Tar, header, record};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn read(bytes: &[u8]) -> Result<BTreeMap<String, Item>, Fault> {
        read_within(bytes, Room::default())
    }

    fn read_within(bytes: &[u8], room: Room) -> Result<BTreeMap<String, Item>, Fault> {
        index(&mut Stretch::whole(&Arc::new(Joined::memory(bytes))), "x.tar", room)
    }

    #[track_caller]
    fn refused(tar: Tar, why: &str) {
        refused_bytes(&tar.finish(), FaultKind::Malformed, why);
    }

    #[track_caller]
    fn refused_bytes(bytes: &[u8], kind: FaultKind, why: &str) {
        let fault = read(bytes).unwrap_err();
        assert!(fault.what.contains(why) && fault.kind == kind, "{why:?} is not in {fault}");
    }

    #[test]
    fn files_are_found_where_they_lie_and_links_where_they_lead() {
        let tar = Tar::new()
            .folder("a/")
            .file("./a/one", b"abc")
            .file("two", &[7; 513])
            .soft_link("a/soft", "../two")
            .hard_link("hard", "./a/one")
            .pax(&[("path", &"n".repeat(300)), ("mtime", "1")])
            .file("short", b"");
        let bytes = tar.finish();
        let items = read(&bytes).unwrap();
        let Item::File { at, size } = items["a/one"] else { panic!("a file") };
        assert_eq!(&bytes[at as usize..(at + size) as usize], b"abc");
        let Item::File { at, size } = items["two"] else { panic!("a file") };
        assert_eq!(&bytes[at as usize..(at + size) as usize], &[7; 513]);
        assert_eq!(items["a/soft"], Item::Link("two".to_owned()));
        assert_eq!(items["hard"], Item::Link("a/one".to_owned()));
        assert!(items.contains_key(&"n".repeat(300)) && items.len() == 5);
    }

    #[test]
    fn names_that_lead_out_of_the_archive_are_refused() {
        for name in ["../x", "a/../../x", "a/..", "/etc/x", "blobs/sha256/../../x", ".."] {
            refused(Tar::new().file(name, b"x"), "leads out of the archive");
            refused(Tar::new().pax(&[("path", name)]).file("good", b"x"), "leads out of the archive");
            refused(
                Tar::new()
                    .entry(b'L', format!("{name}\0").as_bytes(), format!("{name}\0").as_bytes())
                    .file("good", b"x"),
                "leads out",
            );
        }
        for name in ["a\\b", "C:\\x", "a\nb", "a\u{1b}[31mb", "\u{7f}"] {
            refused(Tar::new().file(name, b"x"), "is no name of a file");
        }
        refused(Tar::new().pax(&[("path", "a\0b")]).file("good", b"x"), "is no name of a file");
        refused(Tar::new().entry(b'0', b"\xff\xfe", b"x"), "is no text");
        let shown = read(&Tar::new().file("\u{1b}[31m", b"x").finish()).unwrap_err().to_string();
        assert!(!shown.contains('\u{1b}'), "{shown}");
    }

    #[test]
    fn links_that_lead_out_of_the_archive_are_refused() {
        for target in ["/etc/passwd", "../../x", "..", "", "a/../../../x"] {
            if target != ".." {
                refused(Tar::new().soft_link("d/link", target), "leads out of the archive");
            }
        }
        for target in ["/etc/passwd", "../x"] {
            refused(Tar::new().hard_link("link", target), "leads out of the archive");
        }
        refused(Tar::new().pax(&[("linkpath", "/etc/passwd")]).soft_link("a", "b"), "leads out of the archive");
        // A file below a link has a name of its own; the link is never walked through.
        let items = read(&Tar::new().soft_link("d", "e").file("d/x", b"1").finish()).unwrap();
        assert_eq!(items.len(), 2);
    }

    #[test]
    fn devices_pipes_sparse_files_and_unknown_types_are_refused() {
        for kind in *b"34679SDMVXZ" {
            refused(Tar::new().entry(kind, b"x", b""), "neither a file nor a folder");
        }
        refused(Tar::new().pax(&[("GNU.sparse.major", "1")]).file("x", b""), "sparse");
        refused(Tar::new().entry(b'5', b"folder", b"content"), "has content all the same");
        refused(Tar::new().changed(b'2', "l", 5, |b| b[157] = b'x').content(b"hello"), "has content all the same");
    }

    #[test]
    fn sizes_that_two_readers_read_differently_are_refused() {
        let inner = Tar::new().file("hidden", b"x").finish();
        refused(Tar::new().pax(&[("size", "0")]).file("a", &inner), "in another");
        refused(Tar::new().pax(&[("size", "2048")]).changed(b'0', "a", 0, |_| {}).content(&inner), "in another");
        refused(Tar::new().pax(&[("size", "8589934591")]).changed(b'0', "a", 0, |_| {}), "in another");
        let items = read(&Tar::new().pax(&[("size", "3")]).file("a", b"abc").finish()).unwrap();
        assert_eq!(items["a"], Item::File { at: 1536, size: 3 });
        // More than the digits of a header hold: writers leave zero there.
        let large = Tar::new().pax(&[("size", "8589934592")]).changed(b'0', "a", 0, |_| {}).finish();
        refused_bytes(&large, FaultKind::Malformed, "ends early, within");
    }

    #[test]
    fn a_size_is_read_as_digits_or_as_a_number_that_is_not_negative() {
        let binary = |bytes: &[u8; 12]| {
            let bytes = *bytes;
            Tar::new().changed(b'0', "a", 0, move |block| block[124..136].copy_from_slice(&bytes)).content(b"abc")
        };
        let good = binary(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]).finish();
        assert_eq!(read(&good).unwrap()["a"], Item::File { at: 512, size: 3 });
        for bad in [
            [0xff; 12],
            [0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3],
            [0x80, 0, 0, 0, 0xff, 0, 0, 0, 0, 0, 0, 3],
            *b"00000000009\0",
            *b"-0000000003\0",
        ] {
            refused(binary(&bad), "is no size");
        }
        refused(Tar::new().changed(b'0', "a", 1 << 30, |_| {}), "ends early, within");
    }

    #[test]
    fn what_is_cut_or_continued_is_refused() {
        let tar = || Tar::new().file("a", b"abc").file("b", &[1; 600]);
        let whole = tar().finish();
        for length in 0..whole.len() {
            assert!(read(&whole[..length]).is_err(), "{length} of {} bytes", whole.len());
        }
        refused_bytes(&tar().cut(), FaultKind::Malformed, "ends early");
        let behind = |extra: &[u8]| [&whole[..], extra].concat();
        assert!(read(&behind(&[0; 9000])).is_ok());
        refused_bytes(&behind(b"x"), FaultKind::Malformed, "behind its end");
        refused_bytes(&behind(&Tar::new().file("c", b"").finish()), FaultKind::Malformed, "behind its end");
        let gap = [&tar().cut()[..], &[0; 512], &Tar::new().file("c", b"").finish()].concat();
        refused_bytes(&gap, FaultKind::Malformed, "in the middle");
        let mut flipped = whole;
        flipped[1024 + 3] ^= 1;
        refused_bytes(&flipped, FaultKind::Malformed, "does not match its checksum");
        refused_bytes(&[b'x'; 1024], FaultKind::Malformed, "it is no tar");
    }

    #[test]
    fn a_name_stands_once() {
        refused(Tar::new().file("a", b"1").file("a", b"2"), "is in it twice");
        refused(Tar::new().file("a", b"1").file("./a", b"1"), "is in it twice");
        refused(Tar::new().soft_link("a", "b").file("a", b"1"), "is in it twice");
        assert!(read(&Tar::new().folder("a/").folder("a/").file("a/b", b"").finish()).is_ok());
        // Nothing is unpacked, so a name in another case is another name.
        assert_eq!(read(&Tar::new().file("a", b"1").file("A", b"1").finish()).unwrap().len(), 2);
    }

    #[test]
    fn extended_headers_say_one_thing_about_one_entry() {
        refused(Tar::new().pax(&[("path", "a")]).pax(&[("path", "b")]).file("c", b""), "two extended headers");
        refused(Tar::new().entry(b'L', b"l", b"a\0").entry(b'L', b"l", b"b\0").file("c", b""), "two extended headers");
        refused(Tar::new().entry(b'L', b"l", b"a\0").pax(&[("path", "b")]).file("c", b""), "two long names");
        refused(Tar::new().entry(b'K', b"l", b"a\0").pax(&[("linkpath", "b")]).soft_link("c", "d"), "two long names");
        refused(Tar::new().file("c", b"").pax(&[("path", "a")]), "belongs to nothing");
        refused(Tar::new().entry(b'L', b"l", b"a").file("c", b""), "does not end");
        refused(Tar::new().entry(b'x', b"p", b"9 path=a"), "not well formed");
        refused(Tar::new().entry(b'g', b"p", record("path", "x").as_bytes()).file("c", b""), "global header");
        assert!(read(&Tar::new().entry(b'g', b"p", record("comment", "x").as_bytes()).file("c", b"").finish()).is_ok());
    }

    #[test]
    fn names_and_headers_end_at_their_limits() {
        let named = |length: usize| {
            let name = "n/".repeat(length / 2) + if length % 2 == 1 { "x" } else { "" };
            Tar::new().entry(b'L', b"l", format!("{name}\0").as_bytes()).file("s", b"").finish()
        };
        assert!(read(&named(limits::ARCHIVE_NAME_BYTES - 1)).is_ok());
        refused_bytes(&named(limits::ARCHIVE_NAME_BYTES + 1), FaultKind::TooLarge, "long name has");
        let long = "n".repeat(limits::ARCHIVE_NAME_BYTES + 1);
        let by_pax = Tar::new().pax(&[("path", &long)]).file("s", b"").finish();
        refused_bytes(&by_pax, FaultKind::TooLarge, "the name of an entry has");
        let padded = |size: u64| {
            let room = usize::try_from(size).unwrap();
            let text = record("comment", &"x".repeat(room - "65536 comment=\n".len()));
            assert_eq!(text.len(), room);
            Tar::new().entry(b'x', b"p", text.as_bytes()).file("s", b"").finish()
        };
        assert!(read(&padded(limits::ARCHIVE_PAX_BYTES)).is_ok());
        refused_bytes(&padded(limits::ARCHIVE_PAX_BYTES + 1), FaultKind::TooLarge, "extended header has");
        // The size alone is enough; the bytes need not be there.
        for kind in [b'x', b'g', b'L', b'K'] {
            let claimed = Tar::new().header(&header(kind, b"h", 1 << 30)).finish();
            refused_bytes(&claimed, FaultKind::TooLarge, "bytes, the limit is");
        }
    }

    #[test]
    fn entries_and_their_names_are_counted() {
        let tar = Tar::new().file("aa", b"").folder("bb/").file("cc", b"").finish();
        let within = |entries, names| read_within(&tar, Room { entries, names }).map_err(|fault| fault.kind);
        assert!(within(3, 6).is_ok());
        assert_eq!(within(2, 6).unwrap_err(), FaultKind::TooLarge);
        assert_eq!(within(3, 5).unwrap_err(), FaultKind::TooLarge);
        assert_eq!(Room::default().entries, limits::ARCHIVE_ENTRIES);
        assert_eq!(Room::default().names, limits::ARCHIVE_NAMES_BYTES);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
            let _ = read(&bytes);
        }

        #[test]
        fn what_one_byte_changes_is_refused_or_lies_within(at in 0_usize..3584, bit in 0_u8..8) {
            let mut bytes = Tar::new().pax(&[("path", "a")]).file("x", b"abc").soft_link("l", "a").file("b", &[1; 600]).finish();
            bytes[at] ^= 1 << bit;
            for item in read(&bytes).unwrap_or_default().into_values() {
                if let Item::File { at, size } = item {
                    prop_assert!(at + size <= bytes.len() as u64);
                }
            }
        }
    }
}
