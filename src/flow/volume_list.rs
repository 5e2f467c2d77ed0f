//! The volumes of a bundle for people: a list to print, and checksums that one side reads to the other.

use crate::bundle::{VolumeMark, VolumeSet};
use crate::emit::volume_list::{ListedVolume, VolumeList, text};
use crate::model::digest::hex;
use crate::model::evidence::FindingClass;
use crate::model::spoken::Spoken;
use crate::model::{Digest, Finding};
use serde::Serialize;

/// Checksums of a set: of each volume, of all of them, and of the bundle whatever its cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checksums {
    /// What has a checksum, with it.
    pub known: Vec<(String, Spoken)>,
}

/// A checksum that somebody was told, and what it turned out to be that of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Heard {
    /// As it was told.
    pub checksum: Spoken,
    /// What has it; `None` where nothing of what was checked has.
    pub of: Option<String>,
}

/// Writes the list of the volumes of a set.
pub fn volume_list(set: &VolumeSet) -> String {
    let line = |volume: &VolumeMark| ListedVolume {
        number: volume.number,
        file: volume.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        bytes: volume.bytes,
        checksum: spoken(volume),
    };
    text(&VolumeList {
        bundle: &set.bundle,
        cut: hex(&set.set_id)[..12].to_owned(),
        checksum: set_checksum(set),
        volumes: set.volumes.iter().map(line).collect(),
    })
}

/// Returns the checksum of all volumes of a set, where each of them could be read.
pub fn set_checksum(set: &VolumeSet) -> Option<Spoken> {
    set.digest().map(|digest| Spoken::of(&digest))
}

/// Returns the checksum of a volume, where its table is intact.
pub fn spoken(volume: &VolumeMark) -> Option<Spoken> {
    volume.digest.map(|digest| Spoken::of(&digest))
}

impl Checksums {
    /// Returns the checksums of a whole set.
    pub fn of_set(set: &VolumeSet) -> Self {
        let mut all = Self::of_volumes(&set.volumes, &set.bundle);
        all.known.extend(set_checksum(set).map(|checksum| ("all volumes".to_owned(), checksum)));
        all
    }

    /// Returns the checksums of some volumes of a bundle.
    pub fn of_volumes(volumes: &[VolumeMark], bundle: &Digest) -> Self {
        let one = |volume: &VolumeMark| {
            spoken(volume).map(|checksum| (format!("volume {} ({})", volume.number, volume.path.display()), checksum))
        };
        let mut known: Vec<(String, Spoken)> = volumes.iter().filter_map(one).collect();
        known.push(("the bundle".to_owned(), Spoken::of_digest(bundle)));
        Self { known }
    }

    /// Tells what each of `told` is the checksum of; one that nothing has is a finding.
    pub fn compare(&self, told: &[Spoken]) -> (Vec<Heard>, Vec<Finding>) {
        let of =
            |checksum: &Spoken| self.known.iter().find(|(_, known)| known == checksum).map(|(what, _)| what.clone());
        let heard: Vec<Heard> = told.iter().map(|checksum| Heard { checksum: *checksum, of: of(checksum) }).collect();
        let strange = heard.iter().filter(|heard| heard.of.is_none());
        let findings = strange.map(|heard| self.strange(&heard.checksum)).collect();
        (heard, findings)
    }

    fn strange(&self, told: &Spoken) -> Finding {
        let nearest = self.known.iter().min_by_key(|(_, known)| known.differing_groups(told).len());
        let what = match nearest.map(|(what, known)| (what, known, known.differing_groups(told))) {
            Some((what, known, groups)) if groups.len() < 4 => {
                let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
                format!("is not that of {what}, which is {known}: group {} differs", groups.join(" and "))
            }
            _ => {
                let list: Vec<String> = self.known.iter().map(|(what, known)| format!("{known} of {what}")).collect();
                format!("is none of what is here: {}", list.join(", "))
            }
        };
        Finding::error(FindingClass::Integrity, format!("checksum {told}"), what)
            .with_hint("ask for it again; if it was heard rightly, these are not the volumes that were sent")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> VolumeSet {
        let volume = |number: u32| VolumeMark {
            number,
            path: format!("b.{number:03}.airlift").into(),
            bytes: 5,
            digest: Some([number as u8; 32]),
        };
        VolumeSet { bundle: Digest::of(b"x"), set_id: [7; 32], volumes: vec![volume(1), volume(2)] }
    }

    #[test]
    fn what_was_told_is_found_among_volumes_bundle_and_set() {
        let set = set();
        let told = [Spoken::of(&[2; 32]), Spoken::of_digest(&set.bundle), set_checksum(&set).unwrap()];
        let (heard, findings) = Checksums::of_set(&set).compare(&told);
        let of: Vec<&str> = heard.iter().map(|heard| heard.of.as_deref().unwrap()).collect();
        assert_eq!((of, findings), (vec!["volume 2 (b.002.airlift)", "the bundle", "all volumes"], Vec::new()));
    }

    #[test]
    fn what_nothing_has_is_a_finding_that_names_the_groups_that_differ() {
        let mut near = [2; 32];
        near[1] ^= 0x10;
        let (heard, findings) = Checksums::of_set(&set()).compare(&[Spoken::of(&near), Spoken::of(&[99; 32])]);
        assert!(heard.iter().all(|heard| heard.of.is_none()));
        assert!(
            findings[0].what.contains("volume 2 (b.002.airlift)") && findings[0].what.contains("differs"),
            "{findings:?}"
        );
        assert!(findings[1].what.contains("none of what is here"), "{findings:?}");
    }

    #[test]
    fn a_set_has_another_checksum_when_a_volume_changes_or_is_unreadable() {
        let (good, mut other, mut unreadable) = (set(), set(), set());
        other.volumes[1].digest = Some([9; 32]);
        unreadable.volumes[1].digest = None;
        assert_ne!(set_checksum(&good), set_checksum(&other));
        assert_eq!(set_checksum(&unreadable), None);
    }
}
