//! Parity: whatever is lost or damaged up to the amount that was asked for comes back to the byte.

use crate::bundle_golden::{World, assert_tree, installed, mixed, noise, repository, small_chunks, unpack_plainly};
use airlift::bundle::{
    Class, Damage, Input, Options, ParityAmount, ParityError, ParityRequest, Repaired, Watch, add_parity, check,
    find_volumes, look_for_damage, repair,
};
use airlift::model::{Finding, MediaType};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const WATCH: Watch<'static> = Watch { threads: 2, moved: &|_| {}, stopped: &|| false };

/// A bundle with parity in a folder of its own, and a copy of all its files.
pub struct Set {
    pub root: tempfile::TempDir,
    pub volumes: Vec<PathBuf>,
    pub parity: Vec<PathBuf>,
    pub good: BTreeMap<PathBuf, Vec<u8>>,
}

impl Set {
    pub fn new(world: &World, options: Options, amount: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let volumes = world.write(&root.path().join("b"), options).volumes;
        let parity = make(&volumes, amount).unwrap();
        let good = volumes.iter().chain(&parity).map(|path| (path.clone(), fs::read(path).unwrap())).collect();
        Self { root, volumes, parity, good }
    }

    pub fn all(&self) -> Vec<PathBuf> {
        self.volumes.iter().chain(&self.parity).cloned().collect()
    }

    /// Returns the files that are there, as a person names the folder.
    pub fn found(&self) -> Vec<PathBuf> {
        find_volumes(&[self.root.path().to_owned()]).unwrap()
    }

    pub fn look(&self) -> Damage {
        look_for_damage(&self.found(), None, WATCH).unwrap()
    }

    pub fn repair(&self) -> Repaired {
        repair(&self.look(), None, WATCH).unwrap()
    }

    /// Puts everything back as it was and removes the rest.
    pub fn reset(&self) {
        for entry in fs::read_dir(self.root.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() && !self.good.contains_key(&path) {
                fs::remove_file(path).unwrap();
            }
        }
        self.good.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
    }

    #[track_caller]
    pub fn assert_whole(&self) {
        for (path, bytes) in &self.good {
            assert!(fs::read(path).is_ok_and(|found| found == *bytes), "{} is not as it was", path.display());
        }
    }
}

pub fn make(volumes: &[PathBuf], amount: &str) -> Result<Vec<PathBuf>, ParityError> {
    add_parity(ParityRequest { volumes, amount: amount.parse().unwrap(), folder: None }, WATCH)
}

/// Flips a bit at `at`.
pub fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 16;
    fs::write(path, bytes).unwrap();
}

pub fn findings(files: Vec<PathBuf>) -> Vec<Finding> {
    check(Input::Files(files), 2, &|_| {}).findings
}

/// Several volumes of unequal lengths.
pub fn cut() -> (World, Options) {
    (World::small(&[9000, 12_000, 7000, 300]), small_chunks(Some(18_000)))
}

/// Few volumes of several stripes each.
pub fn long() -> (World, Options) {
    (World::small(&[150_000, 170_000, 160_000, 90_000]), small_chunks(Some(250_000)))
}

#[test]
fn any_volumes_up_to_the_number_of_parity_volumes_come_back_to_the_byte() {
    let (world, options) = cut();
    let set = Set::new(&world, options, "2");
    let all = set.all();
    assert!(set.volumes.len() >= 3 && set.parity.len() == 2);
    for lost in 1u32..1 << all.len() {
        let gone: Vec<&PathBuf> = all.iter().enumerate().filter(|(n, _)| lost >> n & 1 == 1).map(|(_, p)| p).collect();
        let data = gone.iter().filter(|path| set.volumes.contains(path)).count();
        if gone.len() > 3 || gone.len() - data == 2 {
            continue;
        }
        gone.iter().for_each(|path| fs::remove_file(path).unwrap());
        let repaired = set.repair();
        if gone.len() <= 2 {
            set.assert_whole();
            assert_eq!(repaired.rebuilt.len(), gone.len());
        } else {
            // One too many: said how many and where, and nothing was written.
            let damage = set.look();
            let lack = &damage.lacks()[0];
            assert_eq!((lack.stripe, lack.damaged as usize), (0, data), "{lost:b}");
            assert_eq!(lack.damaged - lack.repairable, 1, "{lost:b}");
            assert_eq!(repaired.hopeless.len(), data);
            assert!(gone.iter().all(|path| !path.exists()));
        }
        set.reset();
    }
}

#[test]
fn the_last_volume_of_an_open_layout_comes_back_though_no_header_counts_the_volumes() {
    let mut world = World::small(&[9000, 9000]);
    world.add(MediaType::OCI_LAYER_TAR, Class::Payload, noise(7, 30_000), false);
    let set = Set::new(&world, small_chunks(Some(18_000)), "1");
    for path in [set.volumes.last().unwrap(), &set.volumes[0]] {
        fs::remove_file(path).unwrap();
        let found = findings(set.found());
        assert!(found.iter().any(|finding| finding.what.contains("is missing")), "{found:#?}");
        set.repair();
        set.assert_whole();
    }
    world.assert_read(Input::Files(set.found()));
}

#[test]
fn bad_sectors_in_every_volume_at_different_stripes_are_no_loss() {
    let (world, options) = long();
    let set = Set::new(&world, options, "1");
    assert!(set.volumes.len() >= 3);
    // A later stripe in each volume before, stripe 0 in the last; the very first and the very last byte among them.
    for (stripe, path) in set.volumes.iter().rev().enumerate() {
        flip(path, stripe * 65_536 + 10_000);
    }
    flip(set.volumes.last().unwrap(), 0);
    let last = set.good[&set.volumes[0]].len() - 1;
    flip(&set.volumes[0], last);
    let repaired = set.repair();
    assert_eq!(repaired.rebuilt.len(), set.volumes.len());
    set.assert_whole();
    // What was replaced is kept.
    for made in &repaired.rebuilt {
        let kept = made.kept.as_ref().unwrap();
        assert!(kept.to_string_lossy().ends_with(".airlift.damaged") && kept.exists());
    }
    assert_eq!(findings(set.found()), []);
}

#[test]
fn too_much_damage_names_stripe_and_number_and_what_can_be_saved_is_saved() {
    let (world, options) = long();
    let set = Set::new(&world, options, "1");
    // Volumes 1 and 2 are hit in the same stripe, volume 3 in another one.
    flip(&set.volumes[0], 65_536 + 5);
    flip(&set.volumes[1], 65_536 + 60_000);
    flip(&set.volumes[2], 5);
    let damage = set.look();
    let lack = damage.lacks().to_vec();
    assert_eq!((lack.len(), damage.lacking()), (1, 1));
    assert_eq!((lack[0].stripe, lack[0].damaged, lack[0].repairable), (1, 2, 1));
    assert_eq!(lack[0].volumes, [1, 2]);
    let repaired = set.repair();
    assert_eq!(repaired.hopeless, [1, 2]);
    assert_eq!(repaired.rebuilt.iter().map(|made| made.number).collect::<Vec<_>>(), [3]);
    assert!(fs::read(&set.volumes[2]).unwrap() == set.good[&set.volumes[2]]);
    // One of the two is carried again: now the other can be made.
    fs::write(&set.volumes[0], &set.good[&set.volumes[0]]).unwrap();
    set.repair();
    set.assert_whole();
}

#[test]
fn a_single_file_survives_bursts_wherever_they_are() {
    let world = World::small(&[400_000, 300_000, 123_456]);
    let set = Set::new(&world, small_chunks(None), "5%");
    let file = &set.volumes[0];
    let good = set.good[file].clone();
    assert_eq!((set.volumes.len(), set.parity.len()), (1, 5));
    let piece = good.len().div_ceil(100).next_multiple_of(4096);
    for start in [0, 1, 5000, 100_000, good.len() - 4 * piece] {
        let mut bad = good.clone();
        bad[start..start + 4 * piece].fill(0xEE);
        fs::write(file, &bad).unwrap();
        assert_eq!(set.repair().rebuilt.len(), 1, "burst at {start}");
        set.assert_whole();
        set.reset();
    }
    // Cut short, made longer, and without its end and its beginning at once.
    for bad in [&good[..good.len() - 4 * piece], &[&good[..], b"more"].concat(), &good[..good.len() - 1]] {
        fs::write(file, bad).unwrap();
        set.repair();
        set.assert_whole();
        set.reset();
    }
    let mut bad = good[..good.len() - 100].to_vec();
    bad[..300].fill(0);
    fs::write(file, &bad).unwrap();
    set.repair();
    set.assert_whole();
}

#[test]
fn damaged_parity_is_made_again_and_what_is_left_of_it_is_used() {
    let (world, options) = long();
    let set = Set::new(&world, options, "2");
    let length = set.good[&set.parity[0]].len();
    // Header, head of the segment, blocks, table and footer.
    for at in [3, 30, 200, 300, 400, length / 2, length - 300, length - 1] {
        flip(&set.parity[0], at);
        let warned = findings(set.found());
        assert!(warned.iter().all(|finding| finding.severity == airlift::model::evidence::Severity::Warning));
        assert_eq!(warned.len(), 1, "byte {at}: {warned:#?}");
        world.assert_read(Input::Files(set.found()));
        let repaired = set.repair();
        assert_eq!(repaired.rebuilt.len(), 1, "byte {at}");
        set.assert_whole();
        set.reset();
    }
    // Both are damaged in different blocks, and a volume is damaged in a third stripe: still enough.
    flip(&set.parity[0], length - 1000);
    flip(&set.parity[1], 257 + 2000 + 65_536);
    flip(&set.volumes[0], 100);
    set.repair();
    set.assert_whole();
    // A parity volume without its header and its trailer is still one: by its footer, or by its header.
    set.reset();
    let short = &set.good[&set.parity[0]][..length - 500];
    fs::write(&set.parity[0], short).unwrap();
    fs::remove_file(&set.parity[1]).unwrap();
    fs::remove_file(set.volumes.last().unwrap()).unwrap();
    set.repair();
    set.assert_whole();
}

#[test]
fn files_are_known_by_their_headers_in_any_folder_under_any_name() {
    let (world, options) = cut();
    let set = Set::new(&world, options, "2");
    let far = set.root.path().join("far");
    fs::create_dir(&far).unwrap();
    fs::remove_file(&set.volumes[1]).unwrap();
    fs::rename(&set.volumes[0], far.join("x.airlift")).unwrap();
    fs::rename(&set.parity[1], far.join("y.airlift")).unwrap();
    // Volume 3 has the name of the one that is lost.
    fs::rename(&set.volumes[2], &set.volumes[1]).unwrap();
    let named = find_volumes(&[set.root.path().to_owned(), far.clone()]).unwrap();
    let damage = look_for_damage(&named, None, WATCH).unwrap();
    let repaired = repair(&damage, None, WATCH).unwrap();
    assert_eq!(repaired.rebuilt.len(), 1);
    assert!(fs::read(&repaired.rebuilt[0].file).unwrap() == set.good[&set.volumes[1]]);
    assert!(fs::read(&set.volumes[1]).unwrap() == set.good[&set.volumes[2]], "a good volume was moved");
    let all = find_volumes(&[set.root.path().to_owned(), far]).unwrap();
    assert_eq!(findings(all), []);
}

#[test]
fn what_is_good_in_several_damaged_copies_is_put_together() {
    let (world, options) = long();
    let set = Set::new(&world, options, "1");
    let copies = set.root.path().join("copies");
    fs::create_dir(&copies).unwrap();
    for (n, path) in set.volumes.iter().enumerate() {
        let copy = copies.join(path.file_name().unwrap());
        fs::copy(path, &copy).unwrap();
        flip(path, 100 + n);
        flip(&copy, 65_536 + 100 + n);
    }
    let named = find_volumes(&[set.root.path().to_owned(), copies]).unwrap();
    let damage = look_for_damage(&named, None, WATCH).unwrap();
    assert_eq!(damage.lacking(), 0);
    repair(&damage, None, WATCH).unwrap();
    set.assert_whole();
}

#[test]
fn with_a_folder_nothing_else_is_touched_and_a_second_run_has_nothing_to_do() {
    let (world, options) = long();
    let set = Set::new(&world, options, "1");
    flip(&set.volumes[1], 70_000);
    let damaged = fs::read(&set.volumes[1]).unwrap();
    let into = set.root.path().join("made");
    fs::create_dir(&into).unwrap();
    let damage = look_for_damage(&set.found(), Some(&into), WATCH).unwrap();
    let repaired = repair(&damage, Some(&into), WATCH).unwrap();
    let made = into.join(set.volumes[1].file_name().unwrap());
    assert_eq!(repaired.rebuilt[0].file, made);
    assert!(fs::read(&made).unwrap() == set.good[&set.volumes[1]]);
    assert!(fs::read(&set.volumes[1]).unwrap() == damaged);
    let again = look_for_damage(&set.found(), Some(&into), WATCH).unwrap();
    assert!(again.is_whole());
    assert_eq!(repair(&again, Some(&into), WATCH).unwrap(), Repaired::default());
}

#[test]
fn parity_that_is_there_is_kept_and_what_lacks_is_added() {
    let (world, options) = cut();
    let set = Set::new(&world, options, "3");
    fs::remove_file(&set.parity[1]).unwrap();
    fs::write(set.root.path().join("b.p02.airlift.partial"), "what a killed run left").unwrap();
    assert_eq!(make(&set.volumes, "3").unwrap(), set.parity);
    set.assert_whole();
    assert_eq!(set.found().len(), set.good.len());
    let other = make(&set.volumes, "2").unwrap_err();
    assert!(matches!(other, ParityError::Exists { .. }), "{other}");
    set.assert_whole();
    fs::remove_file(&set.volumes[2]).unwrap();
    let holes = make(&set.found(), "3").unwrap_err();
    assert!(matches!(holes, ParityError::Read(_)), "{holes}");
}

#[test]
fn parity_adds_nothing_to_what_plain_programs_give() {
    if !installed("zstd") || !installed("tar") {
        return;
    }
    for (volume_size, amount) in [(None, "3"), (Some(16_000), "2")] {
        let world = mixed();
        let set = Set::new(&world, small_chunks(volume_size), amount);
        let tree = set.root.path().join("tree");
        let mut named = set.all();
        named.sort();
        assert_eq!(named, set.all(), "by name the parity volumes come last");
        unpack_plainly(&named, &tree);
        assert_tree(&world, &tree);
        for path in &set.parity {
            let copy = path.with_extension("zst");
            fs::copy(path, &copy).unwrap();
            let output = Command::new("zstd").args(["-d", "-q", "-c"]).arg(&copy).output().unwrap();
            assert!(output.status.success() && output.stdout.is_empty());
        }
        if installed("python3") {
            let script = repository("scripts/read_bundle.py");
            let output = Command::new("python3").arg(&script).arg(&tree).args(&named).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

/// Parity volumes of golden bundles, with the amounts that they were made with.
const GOLDEN: [(&str, &str); 2] = [("bundle-1.0-one", "2"), ("bundle-1.0-cut", "1")];

#[test]
fn golden_parity_is_made_byte_for_byte_and_repairs_golden_bundles() {
    let folder = repository("testdata/golden");
    for (name, amount) in GOLDEN {
        let kept = find_volumes(&[folder.join(format!("{name}*"))]).unwrap();
        let kept: Vec<PathBuf> = kept.into_iter().filter(|path| !path.to_string_lossy().contains(".p0")).collect();
        if std::env::var_os("AIRLIFT_WRITE_GOLDEN").is_some() {
            make(&kept, amount).unwrap();
        }
        let root = tempfile::tempdir().unwrap();
        let copy = |path: &PathBuf| {
            let to = root.path().join(path.file_name().unwrap());
            fs::copy(path, &to).unwrap();
            to
        };
        let volumes: Vec<PathBuf> = kept.iter().map(copy).collect();
        for made in make(&volumes, amount).unwrap() {
            let old = fs::read(folder.join(made.file_name().unwrap())).unwrap();
            assert!(fs::read(&made).unwrap() == old, "{} differs from the golden file", made.display());
        }
        flip(&volumes[0], 100);
        let damage = look_for_damage(&volumes, None, WATCH).unwrap();
        repair(&damage, None, WATCH).unwrap();
        assert!(fs::read(&volumes[0]).unwrap() == fs::read(&kept[0]).unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_hit_comes_back_while_it_is_not_too_much(
        sizes in proptest::collection::vec(0usize..200_000, 1..5),
        volume_size in proptest::option::of(30_000u64..400_000),
        parity in 1u32..4,
        hits in proptest::collection::vec((0usize..10, 0.0f64..1.0), 1..4),
    ) {
        let world = World::small(&sizes);
        let options = small_chunks(volume_size);
        let set = Set::new(&world, options, &ParityAmount::Volumes(parity).to_string());
        let all = set.all();
        // As many files as there is parity are hit, each in one place.
        for (which, part) in hits.iter().take(parity as usize) {
            let path = &all[which % all.len()];
            flip(path, (*part * (set.good[path].len() - 1) as f64) as usize);
        }
        match look_for_damage(&set.found(), None, WATCH) {
            Ok(damage) => drop(repair(&damage, None, WATCH).unwrap()),
            // What is left of the parity volumes tells nothing any more; then nothing else was hit.
            Err(error) => {
                prop_assert!(matches!(error, ParityError::Absent { .. }), "{error}");
                set.parity.iter().for_each(|path| fs::remove_file(path).unwrap());
                make(&set.volumes, &parity.to_string()).unwrap();
            }
        }
        set.assert_whole();
        prop_assert_eq!(findings(set.found()), vec![]);
    }
}
