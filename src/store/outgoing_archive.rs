//! Writes an OCI image layout as a tar, entry after entry, to anything that takes bytes.
//!
//! The bytes are decided by the entries alone: no clock, no owner, no order of a file system. `index.json` comes last,
//! so a stream that is cut at any byte names no image, whoever reads it. An entry says its size before its content:
//! content that is shorter or longer ends the archive with an error, and what was written so far is worth nothing.

use std::io::{self, Read, Write};

/// Bytes of a tar block.
const BLOCK: u64 = 512;
/// What every entry has as its time: zero makes some programs warn.
const TIME: u64 = 1;
/// Bytes copied at a time.
const PIECE: usize = 128 * 1024;
/// Two empty blocks.
const END: usize = 1024;

/// Why an archive ended before it was whole.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The content of an entry could not be had, or is not as long as was said.
    #[error("the content of {name} cannot be read")]
    Content {
        /// Entry.
        name: String,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// Whoever takes the bytes does not take them.
    #[error("{name} cannot be written")]
    Output {
        /// Entry.
        name: String,
        /// Cause.
        #[source]
        source: io::Error,
    },
}

/// An archive in the making.
pub struct ArchiveWriter<W> {
    output: W,
}

impl<W: Write> ArchiveWriter<W> {
    /// Begins an archive in `output`.
    pub const fn new(output: W) -> Self {
        Self { output }
    }

    /// Adds an entry of `size` bytes; `content` must give exactly that many.
    pub fn entry(&mut self, name: &str, size: u64, content: &mut dyn Read) -> Result<(), ArchiveError> {
        self.put(name, &head(name, size))?;
        let read = |source| ArchiveError::Content { name: name.to_owned(), source };
        let mut buffer = vec![0; PIECE];
        let mut left = size;
        loop {
            let n = match content.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other.map_err(read)?,
            };
            if n as u64 > left || (n == 0 && left > 0) {
                let how = if n == 0 { "ends early" } else { "goes on" };
                return Err(read(io::Error::other(format!("{size} bytes were promised, and it {how}"))));
            }
            if n == 0 {
                break;
            }
            left -= n as u64;
            self.put(name, &buffer[..n])?;
        }
        self.put(name, &vec![0; padding(size)])
    }

    /// Adds an entry whose content is at hand.
    pub fn bytes(&mut self, name: &str, mut content: &[u8]) -> Result<(), ArchiveError> {
        self.entry(name, content.len() as u64, &mut content)
    }

    /// Ends the archive with its last entry and gives back what took the bytes.
    pub fn close(mut self, name: &str, content: &[u8]) -> Result<W, ArchiveError> {
        self.put(name, &closing(name, content))?;
        self.output.flush().map_err(|source| ArchiveError::Output { name: name.to_owned(), source })?;
        Ok(self.output)
    }

    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.output.write_all(bytes).map_err(|source| ArchiveError::Output { name: name.to_owned(), source })
    }
}

/// Returns how many bytes an entry of `size` bytes takes in an archive.
pub fn entry_length(name: &str, size: u64) -> u64 {
    head(name, size).len() as u64 + size + padding(size) as u64
}

/// Returns the bytes with which an archive ends whose last entry is this one.
pub fn closing(name: &str, content: &[u8]) -> Vec<u8> {
    let size = content.len() as u64;
    let mut bytes = head(name, size);
    bytes.extend(content);
    bytes.resize(bytes.len() + padding(size) + END, 0);
    bytes
}

/// Returns the header of a regular file; a name of more than 100 bytes stands in an entry of its own before it.
fn head(name: &str, size: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if name.len() > 100 {
        let mut long = name.as_bytes().to_vec();
        long.push(0);
        bytes.extend(block("././@LongLink", long.len() as u64, tar::EntryType::GNULongName));
        let padding = padding(long.len() as u64);
        bytes.extend(long);
        bytes.resize(bytes.len() + padding, 0);
    }
    bytes.extend(block(name, size, tar::EntryType::Regular));
    bytes
}

fn block(name: &str, size: u64, kind: tar::EntryType) -> [u8; BLOCK as usize] {
    let mut header = tar::Header::new_gnu();
    let short = &name.as_bytes()[..name.len().min(100)];
    header.as_old_mut().name[..short.len()].copy_from_slice(short);
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(TIME);
    header.set_size(size);
    header.set_cksum();
    *header.as_bytes()
}

const fn padding(size: u64) -> usize {
    (size.next_multiple_of(BLOCK) - size) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads an archive with the reader of the tar crate.
    fn read(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
        let mut archive = tar::Archive::new(bytes);
        let entries = archive.entries().unwrap();
        let one = |entry: io::Result<tar::Entry<'_, &[u8]>>| {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (entry.path().unwrap().to_string_lossy().into_owned(), content)
        };
        entries.map(one).collect()
    }

    #[test]
    fn what_was_written_is_read_by_another_reader_long_names_included() {
        let long = format!("blobs/sha512/{}", "a1".repeat(64));
        let mut writer = ArchiveWriter::new(Vec::new());
        writer.bytes("oci-layout", b"{}").unwrap();
        writer.bytes(&long, &[7; 513]).unwrap();
        writer.bytes("empty", b"").unwrap();
        let bytes = writer.close("index.json", b"{\"a\":1}").unwrap();
        let lengths = entry_length("oci-layout", 2) + entry_length(&long, 513) + entry_length("empty", 0);
        assert_eq!(bytes.len() as u64, lengths + closing("index.json", b"{\"a\":1}").len() as u64);
        let found = read(&bytes);
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["oci-layout", &long, "empty", "index.json"]);
        assert_eq!(found[1].1, [7; 513]);
    }

    #[test]
    fn a_large_size_is_stated_as_other_readers_take_it() {
        let size = (8 << 30) + 12_345;
        let header = block("blobs/sha256/x", size, tar::EntryType::Regular);
        assert_eq!(tar::Header::from_byte_slice(&header).size().unwrap(), size);
    }

    #[test]
    fn content_of_another_length_than_promised_is_an_error() {
        for (promised, content) in [(3, &b"ab"[..]), (3, b"abcd"), (0, b"a"), (1, b"")] {
            let mut writer = ArchiveWriter::new(Vec::new());
            let mut content = content;
            let error = writer.entry("x", promised, &mut content).unwrap_err();
            assert!(matches!(error, ArchiveError::Content { .. }), "{error:?}");
        }
    }

    #[test]
    fn a_cut_archive_never_holds_the_last_entry() {
        let mut writer = ArchiveWriter::new(Vec::new());
        writer.bytes("blobs/sha256/x", &[1; 700]).unwrap();
        let whole = writer.close("index.json", b"[]").unwrap();
        let last = closing("index.json", b"[]").len();
        for cut in (0..whole.len() - last + 512).step_by(64) {
            let mut archive = tar::Archive::new(&whole[..cut]);
            let names = archive.entries().unwrap().map_while(Result::ok);
            let shown = |mut entry: tar::Entry<'_, &[u8]>| {
                let read = io::copy(&mut entry, &mut io::sink()).ok()?;
                (read == entry.size()).then(|| entry.path().unwrap().into_owned())
            };
            assert!(names.filter_map(shown).all(|name| name.as_os_str() != "index.json"), "{cut}");
        }
    }
}
