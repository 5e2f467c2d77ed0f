//! Hostile and broken parity: it may fail, and it never changes what is good, gives wrong bytes or takes memory.

use crate::bundle_golden::{World, small_chunks, stream_of};
use crate::parity::{Set, WATCH, cut, findings, flip, long};
use airlift::bundle::{BundleReader, Input, ParityError, check, look_for_damage, repair};
use airlift::model::evidence::{FindingClass, Severity};
use std::fs;
use std::io::Cursor;
use std::path::Path;

/// Replaces bytes in all segments' heads of a parity volume and seals head, table and footer again.
fn forge(path: &Path, change: impl Fn(&mut [u8])) {
    let mut bytes = fs::read(path).unwrap();
    let number = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let (data, parity, volumes) = (number(&bytes, 257 + 56), number(&bytes, 257 + 52), number(&bytes, 257 + 60));
    // One stripe of one block for each shard: the sets of these tests are that small.
    let end = 257 + 88 + 40 * volumes + 16 * (data + parity);
    change(&mut bytes[257..end]);
    let digest: [u8; 32] = blake3::hash(&bytes[257..end]).into();
    bytes[end..end + 32].copy_from_slice(&digest);
    let length = bytes.len();
    bytes[length - 96 - 32..length - 96].copy_from_slice(&digest);
    let sealed = [&bytes[17..257], &bytes[length - 96 - 64..length - 96], &bytes[length - 64..]].concat();
    bytes[length - 96..length - 64].copy_from_slice(airlift::model::Digest::of(&sealed).value());
    fs::write(path, bytes).unwrap();
}

#[test]
fn bytes_all_over_a_parity_volume_are_checked_in_a_file_and_in_a_stream() {
    let (world, options) = cut();
    let set = Set::new(&world, options, "1");
    let good = set.good[&set.parity[0]].clone();
    let before = stream_of(&set.volumes);
    let mut file = good.clone();
    for at in (0..700)
        .step_by(3)
        .chain((700..good.len() - 300).step_by(1997))
        .chain((good.len() - 300..good.len()).step_by(2))
    {
        file[at] ^= 1;
        fs::write(&set.parity[0], &file).unwrap();
        let found = findings(set.all());
        assert_eq!(found.len(), 1, "byte {at}: {found:#?}");
        let stream = [&before[..], &file].concat();
        let piped = check(Input::Stream(Box::new(Cursor::new(stream.clone()))), 1, &|_| {});
        assert!(!piped.findings.is_empty(), "byte {at} of a stream");
        let read = BundleReader::open(Input::Stream(Box::new(Cursor::new(stream)))).and_then(BundleReader::finish);
        assert!(read.is_err(), "byte {at}");
        file[at] ^= 1;
    }
}

#[test]
fn parity_may_follow_in_a_stream_whole_and_of_this_set_only() {
    let (world, options) = cut();
    let set = Set::new(&world, options, "2");
    let stream = |parts: &[Vec<u8>]| Input::Stream(Box::new(Cursor::new(parts.concat())));
    let (data, one, two) =
        (stream_of(&set.volumes), fs::read(&set.parity[0]).unwrap(), fs::read(&set.parity[1]).unwrap());
    for behind in [vec![], vec![one.clone()], vec![one.clone(), two.clone()], vec![two.clone(), one.clone()]] {
        let parts = [vec![data.clone()], behind].concat();
        assert_eq!(check(stream(&parts), 1, &|_| {}).findings, []);
        world.assert_read(stream(&parts));
    }
    let foreign = Set::new(&World::small(&[500]), small_chunks(None), "1");
    let foreign = fs::read(&foreign.parity[0]).unwrap();
    let (first, rest) = data.split_at(set.good[&set.volumes[0]].len());
    for parts in [
        vec![data.clone(), one[..one.len() - 1].to_vec()],
        vec![data.clone(), one[..300].to_vec()],
        vec![data.clone(), one[..100].to_vec()],
        vec![data.clone(), one.clone(), b"x".to_vec()],
        vec![data.clone(), foreign],
        vec![data.clone(), data.clone()],
        vec![one.clone(), data.clone()],
        vec![first.to_vec(), one.clone(), rest.to_vec()],
    ] {
        assert!(!check(stream(&parts), 1, &|_| {}).findings.is_empty());
        assert!(BundleReader::open(stream(&parts)).and_then(BundleReader::finish).is_err());
    }
}

#[test]
fn parity_of_another_set_is_passed_over_and_repairs_nothing() {
    let (world, options) = cut();
    let set = Set::new(&world, options, "1");
    let other = Set::new(&World::small(&[9000, 500]), small_chunks(None), "1");
    let stray = set.root.path().join("stray.airlift");
    fs::copy(&other.parity[0], &stray).unwrap();
    world.assert_read(Input::Files(set.found()));
    let found = findings(set.found());
    assert!(matches!(&found[..], [one] if one.severity == Severity::Warning && one.class == FindingClass::Media));
    fs::remove_file(&set.parity[0]).unwrap();
    fs::remove_file(&set.volumes[0]).unwrap();
    let error = look_for_damage(&set.volumes[1..], None, WATCH).unwrap_err();
    assert!(matches!(error, ParityError::Absent { .. }), "{error}");
    fs::remove_file(stray).unwrap();
    let error = look_for_damage(&set.found(), None, WATCH).unwrap_err();
    assert!(matches!(error, ParityError::Absent { .. }), "{error}");
}

#[test]
fn lists_that_lie_make_nothing_that_does_not_pass_its_own_checks() {
    let (world, options) = cut();
    let set = Set::new(&world, options, "1");
    let count = set.volumes.len();
    // The hash of a good block of volume 2 is another one: it looks damaged, and what is made does not fit the list.
    forge(&set.parity[0], |head| head[88 + 40 * count + 16] ^= 1);
    let damage = set.look();
    let volume = &damage.conditions()[1];
    assert!(!volume.whole && volume.damaged == 1);
    let error = repair(&damage, None, WATCH).unwrap_err();
    assert!(matches!(error, ParityError::Refuted { number: 2, .. }), "{error}");
    let data: Vec<_> = set.volumes.iter().map(|path| fs::read(path).unwrap() == set.good[path]).collect();
    assert_eq!(data, vec![true; count], "a good volume was touched");
    // The digest of a volume is another one.
    set.reset();
    forge(&set.parity[0], |head| head[88 + 8] ^= 1);
    fs::remove_file(&set.volumes[0]).unwrap();
    let error = repair(&set.look(), None, WATCH).unwrap_err();
    assert!(matches!(error, ParityError::Refuted { number: 1, .. }), "{error}");
    assert!(!set.volumes[0].exists());
    let left = fs::read_dir(set.root.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|ending| ending == "partial"));
    assert_eq!(left.count(), 0, "what did not pass is left");
}

#[test]
fn sizes_that_cannot_be_are_refused_before_memory_is_taken() {
    let (world, options) = cut();
    let set = Set::new(&world, options, "1");
    let put = |at: usize, value: u64, width: usize| {
        move |head: &mut [u8]| head[at..at + width].copy_from_slice(&value.to_le_bytes()[..width])
    };
    for (at, value, width) in [
        (52, 257, 4),
        (52, u64::from(u32::MAX), 4),
        (56, 1_000_000, 4),
        (60, 1001, 4),
        (60, u64::from(u32::MAX), 4),
        (64, 0, 8),
        (64, 1 << 52, 8),
        (64, u64::MAX - 63, 8),
        (88, u64::MAX, 8),
        (88, 0, 8),
        (80, u64::from(u32::MAX), 4),
    ] {
        set.reset();
        forge(&set.parity[0], put(at, value, width));
        let found = findings(set.all());
        assert!(found.iter().all(|one| one.severity == Severity::Warning) && found.len() == 1, "{at}: {found:#?}");
        let error = look_for_damage(&set.all(), None, WATCH).unwrap_err();
        assert!(matches!(error, ParityError::Absent { .. }), "{at}: {error}");
    }
}

#[test]
fn parity_volumes_that_disagree_are_outvoted() {
    let (world, options) = cut();
    let set = Set::new(&world, options, "3");
    forge(&set.parity[1], |head| head[88] ^= 64);
    fs::remove_file(&set.volumes[1]).unwrap();
    let damage = set.look();
    assert_eq!(damage.useless(), [set.parity[1].clone()]);
    let repaired = set.repair();
    assert_eq!(repaired.rebuilt.len(), 2);
    set.assert_whole();
    // One list of three lies: the two others count.
    let count = set.volumes.len();
    forge(&set.parity[0], |head| head[88 + 40 * count] ^= 1);
    set.repair();
    set.assert_whole();
}

#[test]
fn parity_cut_short_anywhere_is_used_as_far_as_it_goes() {
    let (world, options) = long();
    let set = Set::new(&world, options, "1");
    let good = set.good[&set.parity[0]].clone();
    for length in [0, 100, 256, 257, 300, 600, 70_000, good.len() - 97, good.len() - 1] {
        fs::write(&set.parity[0], &good[..length]).unwrap();
        flip(&set.volumes[0], 1000);
        match look_for_damage(&set.found(), None, WATCH) {
            Ok(damage) => {
                repair(&damage, None, WATCH).unwrap();
                assert!(length < 66_000 || fs::read(&set.volumes[0]).unwrap() == set.good[&set.volumes[0]]);
            }
            Err(error) => assert!(length <= 600 && matches!(error, ParityError::Absent { .. }), "{length}: {error}"),
        }
        set.reset();
    }
}

#[test]
fn a_run_that_was_asked_to_stop_leaves_nothing_of_a_final_name() {
    let (world, options) = long();
    let set = Set::new(&world, options, "1");
    let stopped = airlift::bundle::Watch { stopped: &|| true, ..WATCH };
    flip(&set.volumes[0], 1000);
    assert!(matches!(look_for_damage(&set.found(), None, stopped), Err(ParityError::Stopped)));
    let damage = set.look();
    assert!(matches!(repair(&damage, None, stopped), Err(ParityError::Stopped)));
    set.repair();
    set.assert_whole();
}
