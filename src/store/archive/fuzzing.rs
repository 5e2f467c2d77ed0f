//! A door to the readers for the fuzz targets. Not part of the interface.

use super::form::SourceName;
use super::joined::{Joined, Stretch};
use super::name::{Name, Naming};
use super::pax::Pax;
use super::survey::{Unpacking, read_archive};
use super::tar_index::{Item, Room, index};
use super::trove::Trove;
use super::unpack::Packing;
use crate::model::Fault;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Reads the headers of a tar; returns each file with its place and size, in order of its name.
pub fn tar(bytes: &[u8]) -> Option<Vec<(String, u64, u64)>> {
    let joined = Arc::new(Joined::memory(bytes));
    let items = index(&mut Stretch::whole(&joined), "fuzz.tar", Room::default()).ok()?;
    let file = |(name, item)| match item {
        Item::File { at, size } => Some((name, at, size)),
        Item::Link(_) => None,
    };
    Some(items.into_iter().filter_map(file).collect())
}

/// Reads one extended header of a tar.
pub fn extended_header(bytes: &[u8]) {
    drop(Pax::parse(bytes));
}

/// Reads a name in an annotation and one of Docker's, and makes a whole name of each.
pub fn name(text: &str, rule: &str) -> Vec<String> {
    let naming = Naming::parse(&[rule]).unwrap_or_default();
    let names = [Name::annotated(text), Name::whole(text)];
    names.iter().filter_map(|name| naming.apply(name)).map(|(repository, _)| repository.to_string()).collect()
}

/// Reads a whole archive whose form is recognised, and which is not compressed, with one rule for names.
pub fn archive(bytes: &[u8], rule: &str) -> Result<Trove, Fault> {
    let name = SourceName::parse("fuzz.tar");
    let stop = AtomicBool::new(false);
    let unpacking = Unpacking { folder: Path::new("/nowhere"), stop: &stop };
    let archives = [(Arc::new(Joined::memory(bytes)), Packing::Plain, "fuzz.tar".to_owned())];
    let contents = read_archive(&name, &archives, unpacking)?;
    Trove::of(vec![contents], &Naming::parse(&[rule]).unwrap_or_default())
}
