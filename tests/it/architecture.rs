//! Floors point downwards, and each foreign crate has one door.
//!
//! Reads the sources for `crate::<room>` and `<crate>::`. A grouped import straight after `crate::`
//! would hide the rooms, so it is refused.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Floor of each room. An unknown room is an error, not "lowest".
const FLOORS: [(&str, u8); 16] = [
    ("model", 1),
    ("document", 2),
    ("bundle", 3),
    ("chart", 3),
    ("checkout", 3),
    ("cluster", 3),
    ("discover", 3),
    ("emit", 3),
    ("node", 3),
    ("registry", 3),
    ("serve", 3),
    ("store", 3),
    ("trust", 3),
    ("flow", 4),
    ("cli", 5),
    ("testkit", 6),
];

/// Door of each foreign crate: a file, or a room where the crate's types are that room's subject.
/// `serde`, `serde_json` and `thiserror` are free everywhere; `testkit` may open any door.
const DOORS: [(&str, &[&str]); 41] = [
    ("sha2", &["model/digest.rs"]),
    ("serde_saphyr", &["document/yaml.rs"]),
    ("semver", &["discover/select.rs"]),
    ("globset", &["document/pattern.rs", "discover/select.rs"]),
    ("jiff", &["trust/time.rs", "cli/clock.rs", "document/date.rs"]),
    ("blake3", &["bundle/frame.rs"]),
    ("xxhash_rust", &["bundle/frame.rs"]),
    ("zstd", &["bundle/compress.rs", "store/archive/unpack.rs"]),
    ("bytes", &["registry/", "serve/"]),
    (
        "base64",
        &[
            "registry/",
            "trust/",
            "serve/auth.rs",
            "document/policy/import/containers.rs",
            "discover/kube/inside.rs",
            "chart/functions/",
            "cluster/kubeconfig.rs",
        ],
    ),
    ("tempfile", &["store/", "serve/folder.rs", "flow/publish.rs", "cli/", "chart/program.rs", "checkout/"]),
    ("rustix", &["bundle/disk.rs", "store/outgoing_file.rs", "flow/guard.rs", "cli/prompt.rs", "store/"]),
    ("tokio", &["registry/", "serve/", "cluster/http.rs"]),
    ("reqwest", &["registry/http.rs", "cluster/http.rs"]),
    ("http_auth", &["registry/auth.rs"]),
    ("url", &["registry/", "cluster/"]),
    (
        "secrecy",
        &[
            "registry/",
            "trust/keys.rs",
            "trust/keyfile.rs",
            "cli/connect.rs",
            "cli/signing.rs",
            "cli/keygen.rs",
            "cluster/",
        ],
    ),
    ("axum", &["serve/"]),
    ("tokio_rustls", &["serve/tls.rs", "serve/line.rs"]),
    ("bcrypt", &["serve/users.rs"]),
    ("futures_util", &["registry/", "serve/"]),
    ("http_body_util", &["registry/", "serve/"]),
    ("httpdate", &["registry/retry.rs"]),
    ("sigstore_verify", &["trust/"]),
    ("sigstore_trust_root", &["trust/"]),
    ("sigstore_crypto", &["trust/"]),
    ("sigstore_types", &["trust/"]),
    ("sigstore_tuf", &["trust/tuf.rs"]),
    ("aws_lc_rs", &["trust/keys.rs", "trust/notation/algorithm.rs"]),
    ("x509_cert", &["trust/notation/"]),
    ("cms", &["trust/notation/token.rs"]),
    ("coset", &["trust/notation/cose.rs"]),
    ("webpki", &["trust/notation/chain.rs"]),
    ("rustls_pki_types", &["trust/notation/chain.rs"]),
    ("scrypt", &["trust/keyfile.rs"]),
    ("crypto_secretbox", &["trust/keyfile.rs"]),
    ("regex", &["document/policy/regexp.rs", "discover/tags.rs", "chart/", "discover/kustomize/target.rs"]),
    ("clap", &["cli/"]),
    (
        "tar",
        &[
            "cli/demo/",
            "chart/archive.rs",
            "store/outgoing_archive.rs",
            "document/chart_yaml.rs",
            "checkout/archive.rs",
            "store/archive/tar_index.rs",
        ],
    ),
    (
        "flate2",
        &["cli/demo/", "chart/archive.rs", "document/chart_yaml.rs", "checkout/archive.rs", "store/archive/unpack.rs"],
    ),
    ("indicatif", &["cli/progress.rs"]),
];

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

/// Returns each source file's path below `src`, with its lines of production code.
fn production() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    files.sort();
    let read = |path: PathBuf| {
        let name = path.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let code: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        (name, code.join("\n"))
    };
    files.into_iter().map(read).collect()
}

fn room(file: &str) -> Option<&str> {
    file.split_once('/').map(|(room, _)| room)
}

/// Returns the identifiers that follow each `crate::` in `code`; a group gives `{`.
fn named_rooms(code: &str) -> Vec<String> {
    let ident = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let name = |rest: &str| if rest.starts_with('{') { "{".to_owned() } else { ident(rest) };
    code.match_indices("crate::")
        .filter(|(at, _)| !code[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
        .map(|(at, found)| name(&code[at + found.len()..]))
        .collect()
}

#[test]
fn a_room_names_only_rooms_of_lower_floors() {
    let floors: BTreeMap<&str, u8> = FLOORS.into();
    let mut wrong = Vec::new();
    for (file, code) in production() {
        let Some(own) = room(&file) else { continue };
        let Some(floor) = floors.get(own) else {
            wrong.push(format!("{file}: the room {own:?} stands on no floor; add it to FLOORS"));
            continue;
        };
        for named in named_rooms(&code) {
            match floors.get(named.as_str()) {
                None => {
                    wrong.push(format!("{file}: names crate::{named}, which is no room (one room for each use line)"))
                }
                Some(_) if named == own => {}
                Some(below) if below < floor => {}
                Some(_) => wrong.push(format!("{file}: floor {floor} names crate::{named}, which is not below it")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_foreign_crate_is_named_behind_its_door_only() {
    let mut wrong = Vec::new();
    for (file, code) in production() {
        for (foreign, doors) in DOORS {
            let named = code
                .match_indices(&format!("{foreign}::"))
                .any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '.')));
            let open = file.starts_with("testkit/") || doors.iter().any(|door| file.starts_with(door));
            if named && !open {
                wrong.push(format!("{file}: names {foreign}, whose door is {}", doors.join(" or ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_reader_of_imports_sees_groups_and_paths() {
    assert_eq!(named_rooms("use crate::{model, flow};"), ["{"]);
    assert_eq!(named_rooms("crate::cli::run(); mycrate::x();"), ["cli"]);
}

#[test]
fn every_file_says_what_it_is_for_and_stays_readable() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for (file, code) in production() {
        let text = fs::read_to_string(root.join(&file)).unwrap();
        if !text.starts_with("//!") {
            wrong.push(format!("{file}: does not open with //!"));
        }
        let lines = code.lines().filter(|line| !line.trim().is_empty()).count();
        if lines > 500 {
            wrong.push(format!("{file}: {lines} lines of code, the ceiling is 500"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
