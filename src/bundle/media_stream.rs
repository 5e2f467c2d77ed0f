//! Volumes from media that are put in one after the other, as one stream in their order.
//!
//! Before anything of a volume is handed on, its header must say that it is the one whose turn it is; a foreign or
//! swapped one is refused and asked for again. Nothing is read twice, and nothing is written to a medium.

use super::countersign;
use super::media::MediaFolders;
use super::tables::Volume;
use super::volume_check::{VolumeName, volume_name};
use super::volumes::{find_volumes, footer};
use crate::model::medium::{MediumUse, WantedVolume};
use crate::model::{Digest, Fault, FaultKind, limits};
use std::fs::File;
use std::io::{self, Cursor, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Volumes of one bundle, in order, wherever they appear.
pub struct MediaStream {
    media: MediaFolders,
    /// Set that is read, once volume 1 was found.
    set: Option<VolumeName>,
    now: Option<Open>,
    /// Countersignatures that lay beside the first volume.
    before: Cursor<Vec<u8>>,
    ended: bool,
}

struct Open {
    number: u32,
    file: File,
    offset: u64,
    is_last: bool,
}

impl MediaStream {
    /// Starts before volume 1. Nothing is looked for before the first byte is wanted.
    ///
    /// `media.folders` may also name files and patterns, as [`find_volumes`] takes them.
    pub fn new(media: MediaFolders) -> Self {
        Self { media, set: None, now: None, before: Cursor::default(), ended: false }
    }

    /// Opens volume `number` at `offset`, asking for it until it is there.
    fn find(&mut self, number: u32, offset: u64, mut why: Option<String>) -> io::Result<()> {
        loop {
            let found = match why.take() {
                Some(why) => Err(why),
                None => self.look(number),
            };
            match found.and_then(|(path, name)| Ok((open(&path, offset)?, name))) {
                Ok(((file, is_last), name)) => {
                    if number == 1 && offset == 0 {
                        self.before = Cursor::new(self.countersignatures(&name.bundle));
                    }
                    self.now = Some(Open { number, file, offset, is_last });
                    self.set = Some(name);
                    return Ok(());
                }
                Err(why) => self.change(number, &why)?,
            }
        }
    }

    fn change(&mut self, number: u32, why: &str) -> io::Result<()> {
        let wanted = WantedVolume {
            purpose: MediumUse::Read,
            number,
            total: self.set.as_ref().and_then(|set| set.total),
            bundle: self.set.as_ref().map(|set| set.bundle.clone()),
            bytes: None,
            file: None,
            folders: Vec::new(),
        };
        let shown = wanted.shown();
        let place = self.media.folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ");
        self.media.change(wanted, why).map_err(|why| {
            Fault::new(FaultKind::Interrupted, place, format!("{shown} was not put in: {why}")).into_io()
        })
    }

    /// Returns the file of volume `number`, or why what is there will not do.
    fn look(&self, number: u32) -> Result<(PathBuf, VolumeName), String> {
        let mut named: Vec<(PathBuf, VolumeName)> = self.files().into_iter().filter_map(named).collect();
        let here = |(path, name): &(PathBuf, VolumeName)| {
            format!("volume {} of bundle {} ({})", name.number, name.bundle.short(), path.display())
        };
        let all: Vec<String> = named.iter().map(here).collect();
        let ours = |name: &VolumeName| self.set.as_ref().is_none_or(|set| set.set_id == name.set_id);
        named.retain(|(_, name)| name.number == number && ours(name));
        let same = named.iter().all(|(_, name)| name.set_id == named[0].1.set_id);
        // Of two copies the one whose own table holds is worth more.
        let best = named.iter().position(|(path, _)| Volume::open(path).is_ok()).unwrap_or(0);
        match (named.is_empty(), same) {
            (false, true) => Ok(named.swap_remove(best)),
            (false, false) => Err(format!("volumes {number} of several sets are there: {}", all.join(", "))),
            (true, _) if all.is_empty() => Err("no volume is there".to_owned()),
            (true, _) => Err(format!("it is not there, but {}", all.join(", "))),
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        // A mount point that is not there yet is no error: somebody is asked for it.
        let found = |folder: &PathBuf| find_volumes(std::slice::from_ref(folder)).unwrap_or_default();
        self.media.folders.iter().flat_map(found).collect()
    }

    /// Returns the countersignatures of a bundle that are there now, one behind the other.
    fn countersignatures(&self, bundle: &Digest) -> Vec<u8> {
        let ours = |path: &PathBuf| matches!(countersign::read(path), Ok(Some(found)) if found.bundle == *bundle);
        let files = self.files().into_iter().filter(ours).take(limits::COUNTERSIGNATURES);
        files.filter_map(|path| std::fs::read(path).ok()).flatten().collect()
    }
}

fn named(path: PathBuf) -> Option<(PathBuf, VolumeName)> {
    let name = volume_name(&path).ok()?;
    Some((path, name))
}

/// Opens a volume that has all of its bytes; tells whether it is the last one.
fn open(path: &Path, offset: u64) -> Result<(File, bool), String> {
    let shown = path.display();
    let opened = File::open(path).and_then(|mut file| {
        file.seek(SeekFrom::Start(offset))?;
        let length = file.metadata()?.len();
        Ok((file, length))
    });
    let (file, length) = opened.map_err(|error| format!("{shown} cannot be read: {error}"))?;
    // A copy that was cut off is found out here, and not when the next medium is in.
    match footer(path).filter(|footer| footer.file_length == length) {
        Some(footer) => Ok((file, footer.is_last())),
        None => Err(format!("{shown} is that volume, and it is cut off or its end is damaged")),
    }
}

impl Read for MediaStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.ended {
            return Ok(0);
        }
        loop {
            let Some(open) = &mut self.now else {
                self.find(1, 0, None)?;
                continue;
            };
            let before = self.before.read(buffer)?;
            if before > 0 {
                return Ok(before);
            }
            let (number, offset) = (open.number, open.offset);
            match open.file.read(buffer) {
                Ok(0) if open.is_last => {
                    self.ended = true;
                    return Ok(0);
                }
                Ok(0) => self.find(number + 1, 0, None)?,
                Ok(n) => {
                    open.offset += n as u64;
                    return Ok(n);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Taken away, or worn out: the same volume may come back, and is read on where it was left.
                Err(error) => self.find(number, offset, Some(format!("it cannot be read any more: {error}")))?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::header::{LENGTH, VolumeHeader};
    use crate::bundle::trailer::{FOOTER, Footer, LAST, WITH_TAIL};
    use crate::model::medium::ChangeMedium;
    use std::sync::{Arc, Mutex};

    /// Volumes that are nothing but a header, a text and a footer.
    fn volume(folder: &Path, name: &str, (number, set): (u32, u8), is_last: bool) {
        let header = VolumeHeader {
            bundle_id: [set; 32],
            set_id: [set; 32],
            number,
            total: 3,
            file_length: 1,
            volume_limit: 1,
            sizes: 0,
            base_id: [0; 32],
            stream_offset: 0,
            plain_offset: 0,
            first_item: 0,
            chunk_size: 4096,
            encoder: [0; 24],
        };
        let flags = if is_last { LAST | WITH_TAIL } else { 0 };
        let content = format!("content {number}");
        let file_length = (LENGTH + content.len() + FOOTER) as u64;
        let footer = Footer { digest: [0; 32], set_id: [set; 32], number, flags, table_length: 0, file_length };
        let bytes = [&header.bytes()[..], content.as_bytes(), &footer.bytes()].concat();
        std::fs::write(folder.join(name), bytes).unwrap();
    }

    type Steps = Vec<Box<dyn FnMut() + Send>>;

    /// Does one step each time, and keeps what it was told.
    struct Script(Steps, Arc<Mutex<Vec<String>>>);

    impl ChangeMedium for Script {
        fn change(&mut self, wanted: &WantedVolume, why: &str) -> Result<(), Fault> {
            self.1.lock().unwrap().push(format!("{}: {why}", wanted.shown()));
            if self.0.is_empty() {
                return Err(Fault::new(FaultKind::Interrupted, "", "nobody came"));
            }
            self.0.remove(0)();
            Ok(())
        }
    }

    fn stream(folder: &Path, steps: Steps) -> (MediaStream, Arc<Mutex<Vec<String>>>) {
        let said = Arc::new(Mutex::new(Vec::new()));
        let script: Box<dyn ChangeMedium> = Box::new(Script(steps, Arc::clone(&said)));
        (MediaStream::new(MediaFolders { folders: vec![folder.to_owned()], change: Some(script) }), said)
    }

    #[test]
    fn volumes_come_in_order_and_a_foreign_one_is_asked_for_again() {
        let root = tempfile::tempdir().unwrap();
        let slot = root.path().join("slot");
        let to = slot.clone();
        let put = move |name: &'static str, number: u32, set: u8| {
            let to = to.clone();
            Box::new(move || {
                let _ = std::fs::remove_dir_all(&to);
                std::fs::create_dir(&to).unwrap();
                volume(&to, name, (number, set), number == 3);
            }) as Box<dyn FnMut() + Send>
        };
        let steps = vec![
            put("b.airlift", 1, 7),
            put("x.airlift", 2, 8),
            put("c.airlift", 3, 7),
            put("any.airlift", 2, 7),
            put("d.airlift", 3, 7),
        ];
        let (mut stream, said) = stream(&slot, steps);
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let order: Vec<&str> = text.match_indices("content ").map(|(at, _)| &text[at + 8..at + 9]).collect();
        assert_eq!(order, ["1", "2", "3"]);
        let said = said.lock().unwrap();
        assert_eq!(said[0], "volume 1: no volume is there");
        assert!(
            said[1].starts_with("volume 2 of 3 of bundle 070707070707: it is not there, but volume 1 of"),
            "{said:?}"
        );
        assert!(said[2].contains("volume 2 of bundle 080808080808"), "{said:?}");
        assert!(said[3].contains("it is not there, but volume 3"), "{said:?}");
        assert_eq!(said.len(), 5);
    }

    #[test]
    fn when_nobody_comes_the_reading_ends_with_the_volume_that_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        volume(folder.path(), "b.airlift", (1, 7), false);
        let (mut stream, _) = stream(folder.path(), Vec::new());
        let error = stream.read_to_end(&mut Vec::new()).unwrap_err();
        let fault = error.get_ref().unwrap().downcast_ref::<Fault>().unwrap();
        assert_eq!(fault.kind, FaultKind::Interrupted);
        assert!(fault.what.contains("volume 2 of 3") && fault.what.contains("nobody came"), "{}", fault.what);
    }

    #[test]
    fn a_volume_that_was_cut_off_is_refused_before_any_of_it_is_handed_on() {
        let folder = tempfile::tempdir().unwrap();
        volume(folder.path(), "b.airlift", (1, 7), false);
        let path = folder.path().join("b.airlift");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        let again = move || std::fs::write(&path, &bytes).unwrap();
        let (mut stream, said) = stream(folder.path(), vec![Box::new(again)]);
        assert_eq!(stream.read(&mut [0; 9]).unwrap(), 9);
        assert!(said.lock().unwrap()[0].contains("is that volume, and it is cut off"), "{said:?}");
    }

    #[test]
    fn first_volumes_of_two_sets_are_no_choice() {
        let folder = tempfile::tempdir().unwrap();
        volume(folder.path(), "a.airlift", (1, 7), false);
        volume(folder.path(), "b.airlift", (1, 8), false);
        let (mut stream, said) = stream(folder.path(), Vec::new());
        assert!(stream.read(&mut [0; 9]).is_err());
        assert!(said.lock().unwrap()[0].contains("several sets"), "{said:?}");
    }
}
