//! Damage to bundles: every byte, every length, every row of the damage table. All of it is refused, by the reader
//! of a stream as by the check of files, and nothing panics.

use super::bundle_golden::{World, noise, small_chunks, stream_of};
use airlift::bundle::{BundleReader, Checked, Input, ReadClass, ReadError, check, find_volumes};
use airlift::model::digest::Algorithm;
use airlift::model::{Finding, MediaType};
use std::io::Cursor;
use std::path::{Path, PathBuf};

fn read_all(bytes: Vec<u8>) -> Result<(), ReadError> {
    let mut reader = BundleReader::open(Input::Stream(Box::new(Cursor::new(bytes))))?;
    reader.papers()?;
    while reader.next()?.is_some() {
        while reader.chunk()?.is_some() {}
    }
    reader.finish().map(drop)
}

fn checked(volumes: &[PathBuf]) -> Checked {
    check(Input::Files(volumes.to_vec()), 2, &|_| {})
}

fn checked_stream(bytes: Vec<u8>) -> Checked {
    check(Input::Stream(Box::new(Cursor::new(bytes))), 2, &|_| {})
}

/// Everything that a bundle can hold, as small as it goes.
fn tiny() -> World {
    let mut world = World::small(&[300, 5000, 0]);
    world.add(MediaType::OCI_LAYER_TAR, airlift::bundle::Class::Payload, noise(9, 4500), false);
    let sha512 = (noise(10, 200), false);
    world.add_with(Algorithm::Sha512, MediaType::OCI_LAYER_GZIP, airlift::bundle::Class::Payload, sha512);
    world
}

#[test]
fn a_whole_bundle_has_no_findings() {
    for volume_size in [None, Some(16_000)] {
        let folder = tempfile::tempdir().unwrap();
        let world = tiny();
        let written = world.write(&folder.path().join("b"), small_chunks(volume_size));
        for found in [checked(&written.volumes), checked_stream(stream_of(&written.volumes))] {
            assert_eq!(found.findings, []);
            assert_eq!(found.papers, Some(world.papers.clone()));
            let summary = found.summary.unwrap();
            assert_eq!((summary.bytes, summary.volumes), (written.bytes, written.volumes.len() as u32));
        }
    }
}

#[test]
fn every_byte_that_changes_is_refused() {
    for volume_size in [None, Some(17_000)] {
        let folder = tempfile::tempdir().unwrap();
        let written = tiny().write(&folder.path().join("b"), small_chunks(volume_size));
        let good = stream_of(&written.volumes);
        assert!(read_all(good.clone()).is_ok());
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            let Err(error) = read_all(bad) else { panic!("byte {at} of {}", good.len()) };
            let class = error.class();
            let first = at < 257 && matches!(class, ReadClass::Format);
            assert!(first || matches!(class, ReadClass::Integrity), "byte {at}: {class:?} {error}");
        }
    }
}
