//! A bundle from a pipe: what is handed on was promised by the inventory, to the byte, and what is hostile ends early.
#![no_main]

use airlift::bundle::{BundleReader, Input, ReadError, Summary};
use airlift::model::{Digest, Digester};
use libfuzzer_sys::fuzz_target;
use std::io::Cursor;

/// Bytes of the header of a volume that its digest, which follows them, is about.
const HEADER: usize = 225;

fuzz_target!(|bytes: &[u8]| {
    let _ = read(bytes.to_vec());
    if bytes.len() > HEADER + 32 {
        // A header with the right digest, so that what lies behind that check is reached.
        let mut mended = bytes.to_vec();
        let digest = Digest::of(&mended[..HEADER]);
        mended[HEADER..HEADER + 32].copy_from_slice(digest.value());
        if mended != bytes {
            let _ = read(mended);
        }
    }
});

fn read(bytes: Vec<u8>) -> Result<Summary, ReadError> {
    let length = bytes.len() as u64;
    let mut reader = BundleReader::open(Input::Stream(Box::new(Cursor::new(bytes))))?;
    assert_eq!(Digest::of(reader.statement()), *reader.bundle_id());
    reader.papers()?;
    let (promised, mut blobs) = (reader.inventory().len() as u64, 0);
    while let Some(entry) = reader.next()? {
        let mut digester = Digester::new(entry.digest.algorithm());
        digester.update(entry.document.as_deref().unwrap_or_default());
        while let Some(chunk) = reader.chunk()? {
            digester.update(&chunk);
        }
        let found = digester.finish();
        assert_eq!((found.digest, found.size), (entry.digest, entry.size));
        blobs += 1;
    }
    let summary = reader.finish()?;
    assert_eq!((summary.bytes, summary.blobs, blobs), (length, promised, promised));
    Ok(summary)
}
