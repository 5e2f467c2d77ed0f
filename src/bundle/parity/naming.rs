//! Names of the files of a set, learnt from those that are there.

use crate::bundle::disk;
use std::path::{Path, PathBuf};

/// Names of one set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Naming {
    /// Where files go that have no place yet.
    pub folder: PathBuf,
    /// Name before the number.
    stem: String,
    /// Digits of the number; 0 for a single file without one.
    pub digits: u32,
}

/// Ending of all volumes.
const ENDING: &str = ".airlift";

impl Naming {
    /// Learns the names from volumes with their numbers. A set whose files were called otherwise is called as the first.
    pub(super) fn of_volumes<'a>(volumes: impl Iterator<Item = (u32, &'a Path)>) -> Option<Self> {
        let mut fallback = None;
        for (number, path) in volumes {
            let folder = disk::folder(path);
            let name = stem_of(path)?;
            let numbered = name.rsplit_once('.').filter(|(_, digits)| digits.parse() == Ok(number));
            if let Some((stem, digits)) = numbered {
                return Some(Self { folder, stem: stem.to_owned(), digits: digits.len() as u32 });
            }
            let digits = if number == 1 && fallback.is_none() { 0 } else { 3 };
            fallback.get_or_insert(Self { folder, stem: name, digits });
        }
        fallback
    }

    /// Learns the names from a parity volume, which knows the digits of the others.
    pub(super) fn of_parity(number: u32, path: &Path, digits: u32) -> Option<Self> {
        let name = stem_of(path)?;
        let is_number = |text: &str| text.strip_prefix('p').is_some_and(|digits| digits.parse() == Ok(number));
        let stem = name.rsplit_once('.').filter(|(_, end)| is_number(end)).map_or(name.as_str(), |(stem, _)| stem);
        Some(Self { folder: disk::folder(path), stem: stem.to_owned(), digits: digits.min(9) })
    }

    /// Takes the digits that somebody knows better, where a file without a number said nothing of them.
    pub(super) fn with_digits(mut self, digits: u32) -> Self {
        if self.digits == 0 {
            self.digits = digits.min(9);
        }
        self
    }

    /// Returns the name of a data volume.
    pub(super) fn data(&self, number: u32) -> PathBuf {
        let digits = self.digits as usize;
        let name = match digits {
            0 => format!("{}{ENDING}", self.stem),
            _ => format!("{}.{number:0digits$}{ENDING}", self.stem),
        };
        self.folder.join(name)
    }

    /// Returns the name of parity volume `number` of `of`. It sorts behind those of all data volumes.
    pub(super) fn parity(&self, number: u32, of: u32) -> PathBuf {
        let digits = of.to_string().len().max(2);
        self.folder.join(format!("{}.p{number:0digits$}{ENDING}", self.stem))
    }
}

/// Returns the name of a file without the endings that this program gives.
fn stem_of(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    Some(name.split_once(ENDING).map_or(name.clone(), |(stem, _)| stem.to_owned()))
}

/// Returns a name for what stands at `path` and is replaced: one that nothing has.
pub(super) fn set_aside(path: &Path) -> PathBuf {
    let with = |ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let first = with(".damaged");
    let more = (2..).map(|n| with(&format!(".damaged-{n}")));
    std::iter::once(first).chain(more).find(|name| !name.exists()).unwrap_or_default()
}

/// Returns a name like this one that nothing has, for what must not take its place.
pub(super) fn another(path: &Path) -> PathBuf {
    let named = |ending: String| path.with_extension(ending);
    let first = named(format!("repaired{ENDING}"));
    let more = (2..).map(|n| named(format!("repaired-{n}{ENDING}")));
    std::iter::once(first).chain(more).find(|name| !name.exists()).unwrap_or_default()
}

/// Returns the name of a file while it is written.
pub(super) fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learnt(volumes: &[(u32, &str)]) -> Naming {
        Naming::of_volumes(volumes.iter().map(|(n, path)| (*n, Path::new(*path)))).unwrap()
    }

    #[test]
    fn names_are_learnt_from_any_volume_that_kept_its_own() {
        let naming = learnt(&[(1, "a/strange.airlift"), (3, "m/b.x.0003.airlift")]);
        assert_eq!(naming.data(12), Path::new("m/b.x.0012.airlift"));
        assert_eq!(naming.parity(1, 2), Path::new("m/b.x.p01.airlift"));
        assert_eq!(naming.parity(7, 200), Path::new("m/b.x.p007.airlift"));
        let single = learnt(&[(1, "b.airlift")]);
        assert_eq!(single.data(1), Path::new("./b.airlift"));
        assert_eq!(single.parity(2, 5), Path::new("./b.p02.airlift"));
        assert_eq!(learnt(&[(2, "b.002.airlift.damaged")]).data(1), Path::new("./b.001.airlift"));
        let parity = Naming::of_parity(2, Path::new("m/b.p02.airlift"), 3).unwrap();
        assert_eq!(parity.data(1), Path::new("m/b.001.airlift"));
        assert_eq!(Naming::of_parity(2, Path::new("b.p02.airlift"), 0).unwrap().data(1), Path::new("./b.airlift"));
    }

    #[test]
    fn parity_sorts_behind_every_volume_and_its_countersignatures() {
        let mut names = ["b.p01.airlift", "b.001.airlift", "b.9999.airlift", "b.000.countersigned-0a.airlift"];
        names.sort_unstable();
        assert_eq!(names[3], "b.p01.airlift");
        assert!("b.airlift" < "b.p01.airlift");
    }
}
