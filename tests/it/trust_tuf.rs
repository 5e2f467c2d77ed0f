//! Fetching roots by TUF: what an honest mirror shows, and everything that a hostile one may try.

use airlift::model::{Fault, FaultKind, port::FileTree};
use airlift::testkit::sigstore::Key;
use airlift::testkit::tuf::{FilesInMemory, TufRepository, sign};
use airlift::trust::{TRUSTED_ROOT, TufError, TufFetched, TufRequest, TufState, fetch_by_tuf};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const T0: i64 = 1_700_000_000;
const DAY: i64 = 86_400;
const WEEK: i64 = 7 * DAY;

fn repository() -> TufRepository {
    TufRepository::new(T0, TRUSTED_ROOT, b"{\"root\": 1}")
}

fn fetch_at(
    initial: &[u8],
    files: &BTreeMap<String, Vec<u8>>,
    state: &TufState,
    now: i64,
) -> Result<TufFetched, TufError> {
    let request = TufRequest { initial_root: initial.to_vec(), state: state.clone(), target: TRUSTED_ROOT.into(), now };
    fetch_by_tuf(request, Arc::new(FilesInMemory(files.clone())))
}

fn fetch(repository: &TufRepository) -> Result<TufFetched, TufError> {
    fetch_at(&repository.initial(), &repository.files, &TufState::new(), T0 + DAY)
}

/// Fetches after one file was edited as JSON and not signed again.
fn edited(file: &str, edit: impl Fn(&mut Value)) -> String {
    let mut repository = repository();
    let mut value: Value = serde_json::from_slice(&repository.files[file]).unwrap();
    edit(&mut value);
    repository.files.insert(file.into(), value.to_string().into_bytes());
    fetch(&repository).unwrap_err().to_string()
}

#[test]
fn a_target_is_fetched_with_the_versions_under_which_it_was_taken() {
    let mut repository = repository();
    let fetched = fetch(&repository).unwrap();
    assert_eq!(fetched.bytes, b"{\"root\": 1}");
    assert_eq!((fetched.versions.root, fetched.versions.targets), (1, 1));
    assert_eq!(fetched.versions.expires, "2023-11-21T22:13:20Z");
    repository.publish(TRUSTED_ROOT, b"{\"root\": 2}");
    let again = fetch_at(&repository.initial(), &repository.files, &fetched.state, T0 + DAY).unwrap();
    assert_eq!((again.bytes.as_slice(), again.versions.targets), (&b"{\"root\": 2}"[..], 2));
}

#[test]
fn rotated_keys_are_followed_from_the_first_root_to_the_newest() {
    let mut repository = repository();
    let before = fetch(&repository).unwrap();
    for version in 2..=4 {
        repository.rotate();
        repository.publish(TRUSTED_ROOT, format!("{{\"root\": {version}}}").as_bytes());
    }
    for state in [&TufState::new(), &before.state] {
        let fetched = fetch_at(&repository.initial(), &repository.files, state, T0 + DAY).unwrap();
        assert_eq!((fetched.bytes.as_slice(), fetched.versions.root), (&b"{\"root\": 4}"[..], 4));
    }
    // Without a link of the chain the newest root is not reached, and what it signed is refused.
    repository.files.remove("3.root.json");
    let error = fetch(&repository).unwrap_err();
    assert!(matches!(error, TufError::Refused { .. }), "{error}");
}

#[test]
fn a_root_that_the_keys_before_it_did_not_sign_is_refused() {
    let mut repository = repository();
    let initial = repository.initial();
    let foreign = TufRepository::new(T0, TRUSTED_ROOT, b"{\"evil\": 1}");
    let signed = foreign.root(2, T0 + WEEK);
    let own: Vec<&Key> = foreign.root_keys.iter().collect();
    repository.files.insert("2.root.json".into(), sign(&signed, &own));
    let error = fetch(&repository).unwrap_err();
    assert!(error.to_string().contains("threshold not met for role root"), "{error}");
    // One of two old keys is not enough.
    let one_old: Vec<&Key> = own.iter().copied().chain([&repository.root_keys[0]]).collect();
    let half = sign(&signed, &one_old);
    repository.files.insert("2.root.json".into(), half);
    assert!(fetch(&repository).unwrap_err().to_string().contains("1/2 valid signatures"));
    // A version is not skipped, and another repository's first root is another repository.
    let skipping = sign(&repository.root(3, T0 + WEEK), &repository.root_keys.iter().collect::<Vec<_>>());
    repository.files.insert("2.root.json".into(), skipping);
    assert!(fetch(&repository).unwrap_err().to_string().contains("increment by one"));
    let error = fetch_at(&initial, &foreign.files, &TufState::new(), T0 + DAY).unwrap_err();
    assert!(matches!(error, TufError::Refused { .. }), "{error}");
}

#[test]
fn what_has_expired_is_refused_and_the_clock_is_named() {
    let repository = repository();
    let at = |now| fetch_at(&repository.initial(), &repository.files, &TufState::new(), now);
    assert!(at(T0 + WEEK - 1).is_ok());
    let error = at(T0 + WEEK + 1).unwrap_err();
    assert!(error.to_string().contains("the timestamp metadata of memory expired at 2023-11-21T22:13:20Z; it is"));
    assert!(error.hint().contains("is the clock of this machine right?"), "{}", error.hint());
    let error = at(T0 + 53 * WEEK).unwrap_err().to_string();
    assert!(error.contains("the root metadata"), "{error}");
}

#[test]
fn a_mirror_that_shows_an_older_state_is_refused() {
    let mut repository = repository();
    let old = repository.files.clone();
    repository.publish(TRUSTED_ROOT, b"{\"root\": 2}");
    let seen = fetch(&repository).unwrap();
    let error = fetch_at(&repository.initial(), &old, &seen.state, T0 + DAY).unwrap_err();
    assert!(error.to_string().contains("offers version 1 of timestamp, but version 2 was seen before"), "{error}");
    assert!(error.hint().contains("ask another mirror"));
    // The floor holds when the metadata that set it has expired meanwhile.
    let mut renewed = TufRepository { files: old, start: T0 + 2 * WEEK, version: 0, ..repository };
    renewed.publish(TRUSTED_ROOT, b"{\"root\": 1}");
    let error = fetch_at(&seen.state["root.json"], &renewed.files, &seen.state, T0 + 15 * DAY).unwrap_err();
    assert!(matches!(error, TufError::WentBack { .. }), "{error}");
}

#[test]
fn a_mirror_that_freezes_is_noticed_when_its_metadata_expires() {
    let repository = repository();
    let seen = fetch(&repository).unwrap();
    let frozen = fetch_at(&repository.initial(), &repository.files, &seen.state, T0 + 6 * DAY).unwrap();
    let error = fetch_at(&repository.initial(), &repository.files, &frozen.state, T0 + 8 * DAY).unwrap_err();
    assert!(matches!(error, TufError::Expired { .. }), "{error}");
}

#[test]
fn metadata_that_was_changed_is_refused_whatever_was_changed() {
    for file in ["timestamp.json", "1.snapshot.json", "1.targets.json", "1.root.json"] {
        let version = edited(file, |value| value["signed"]["version"] = 9.into());
        assert!(!version.is_empty(), "{file}");
        let unsigned = edited(file, |value| value["signatures"] = json!([]));
        assert!(!unsigned.is_empty(), "{file}");
        let expires = edited(file, |value| value["signed"]["expires"] = "2999-01-01T00:00:00Z".into());
        assert!(!expires.is_empty(), "{file}");
    }
    let twice = edited("timestamp.json", |value| {
        let first = value["signatures"][0].clone();
        value["signatures"].as_array_mut().unwrap().push(first);
    });
    assert!(twice.contains("duplicate signature"), "{twice}");
    let threshold = edited("1.root.json", |value| value["signed"]["roles"]["root"]["threshold"] = 0.into());
    assert!(threshold.contains("initial TUF root"), "{threshold}");
}

#[test]
fn a_target_that_is_not_what_is_signed_is_refused() {
    let mut repository = repository();
    let path = repository.files.keys().find(|path| path.starts_with("targets/")).unwrap().clone();
    repository.files.insert(path.clone(), b"{\"root\": 9}".to_vec());
    assert!(fetch(&repository).unwrap_err().to_string().contains("sha256 mismatch"));
    repository.files.insert(path.clone(), b"{\"root\": 1} and more".to_vec());
    assert!(fetch(&repository).unwrap_err().to_string().contains("more than 11 bytes"));
    repository.files.remove(&path);
    assert!(matches!(fetch(&repository).unwrap_err(), TufError::Absent { .. }));
}

#[test]
fn a_signature_by_another_key_is_refused() {
    let mut repository = repository();
    let value: Value = serde_json::from_slice(&repository.files["timestamp.json"]).unwrap();
    repository.files.insert("timestamp.json".into(), sign(&value["signed"], &[&Key::new()]));
    let error = fetch(&repository).unwrap_err();
    assert!(error.to_string().contains("threshold not met for role timestamp: 0/1"), "{error}");
    assert!(error.hint().contains("nothing was written"), "{}", error.hint());
}

#[test]
fn what_a_mirror_gives_is_bounded_and_has_one_reading() {
    let mut repository = repository();
    let good = repository.files["timestamp.json"].clone();
    repository.files.insert("timestamp.json".into(), vec![b' '; 20_000]);
    assert!(fetch(&repository).unwrap_err().to_string().contains("more than 16384 bytes"));
    let doubled = String::from_utf8(good).unwrap().replacen("\"version\":", "\"version\":1,\"version\":", 1);
    repository.files.insert("timestamp.json".into(), doubled.into_bytes());
    assert!(fetch(&repository).unwrap_err().to_string().contains("stands twice"));
    repository.files.insert("timestamp.json".into(), b"<html>".to_vec());
    assert!(fetch(&repository).unwrap_err().to_string().contains("does not parse"));
    repository.files.remove("timestamp.json");
    let error = fetch(&repository).unwrap_err();
    assert_eq!(error.to_string(), "memory has no timestamp.json");
    let error = fetch_at(b"{}", &BTreeMap::new(), &TufState::new(), T0).unwrap_err();
    assert!(error.to_string().contains("initial TUF root cannot be used"), "{error}");
}

#[test]
fn a_root_that_renews_itself_for_ever_is_not_followed_for_ever() {
    let mut repository = repository();
    for _ in 0..40 {
        repository.rotate();
    }
    let error = fetch(&repository).unwrap_err();
    assert!(error.to_string().contains("root rotations"), "{error}");
}

/// A mirror that cannot be reached.
struct Away;

impl FileTree for Away {
    fn place(&self) -> String {
        "away".into()
    }

    fn file(&self, path: &str, _: u64) -> Result<Option<Vec<u8>>, Fault> {
        Err(Fault::new(FaultKind::Unavailable, path, "no answer"))
    }
}

#[test]
fn a_mirror_that_is_away_is_told_as_it_was_told() {
    let request = TufRequest {
        initial_root: repository().initial(),
        state: TufState::new(),
        target: TRUSTED_ROOT.into(),
        now: T0,
    };
    let TufError::Mirror(fault) = fetch_by_tuf(request, Arc::new(Away)).unwrap_err() else { panic!() };
    assert_eq!((fault.kind, fault.what.as_str()), (FaultKind::Unavailable, "no answer"));
}

#[test]
fn a_state_that_was_tampered_with_sets_no_floor_and_opens_nothing() {
    let repository = repository();
    let seen = fetch(&repository).unwrap();
    for name in seen.state.keys() {
        let mut state = seen.state.clone();
        state.insert(name.clone(), b"{\"signed\":{},\"signatures\":[]}".to_vec());
        let fetched = fetch_at(&repository.initial(), &repository.files, &state, T0 + DAY).unwrap();
        assert_eq!(fetched.bytes, seen.bytes, "{name}");
    }
}
