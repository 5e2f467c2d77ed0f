//! Signatures over files: the three versions of a bundle, keys and certificates, and the client of the conformance suite.

use airlift::testkit::sigstore::{self as kit, Key, Leaf, World};
use airlift::trust::{FileProof, FileSigner, PublicKey, RootText, SignedFile, verify_file};
use serde_json::{Value, json};

const T0: i64 = 1_700_000_000;
const NOW: i64 = T0 + 86_400;
const WHO: &str = "https://code.example/team/app/.github/workflows/release.yaml@refs/heads/main";
const ISSUER: &str = "https://token.example";
const FILE: &[u8] = b"a file\n";

fn leaf() -> Leaf {
    Leaf::new(WHO, ISSUER, T0 + 1000)
}

fn root(world: &World) -> RootText {
    RootText { name: "root.json".into(), bytes: world.root().to_string().into_bytes() }
}

fn verified(world: &World, bundle: &Value, file: &[u8]) -> Result<FileProof, String> {
    let (signer, root) = (FileSigner::Certificate { identity: WHO, issuer: ISSUER }, root(world));
    let bytes = SignedFile::Bytes(file.to_vec());
    let by_bytes = verify_file(bundle.to_string().as_bytes(), &bytes, signer, &root, NOW);
    let digest = SignedFile::Digest(airlift::model::Digest::of(file));
    let by_digest = verify_file(bundle.to_string().as_bytes(), &digest, signer, &root, NOW);
    assert_eq!(by_bytes.as_ref().map_err(ToString::to_string), by_digest.as_ref().map_err(ToString::to_string));
    by_bytes.map_err(|error| error.to_string())
}

#[test]
fn a_file_is_verified_under_all_three_versions_of_a_bundle() {
    let world = World::new(T0);
    for version in ["0.1", "0.2", "0.3"] {
        let bundle = world.file_bundle(&leaf(), FILE, version);
        let proof = verified(&world, &bundle, FILE).unwrap_or_else(|e| panic!("{version}: {e}"));
        assert_eq!((proof.log.as_str(), proof.times.as_slice()), ("proof", &["2023-11-14T22:31:00Z".to_owned()][..]));
        assert_eq!(proof.not_checked, ["revocation"]);
        let error = verified(&world, &bundle, b"another file").unwrap_err();
        assert!(error.contains("does not match artifact hash"), "{version}: {error}");
    }
}

#[test]
fn an_older_label_weakens_nothing() {
    let world = World::new(T0);
    for version in ["0.1", "0.2"] {
        let edited = |edit: &dyn Fn(&mut Value)| {
            let mut bundle = world.file_bundle(&leaf(), FILE, version);
            edit(&mut bundle["verificationMaterial"]);
            verified(&world, &bundle, FILE).unwrap_err()
        };
        let entry = |material: &mut Value, key: &str| {
            drop(material["tlogEntries"][0].as_object_mut().unwrap().remove(key));
        };
        let promise_only = edited(&|material| entry(material, "inclusionProof"));
        assert!(promise_only.contains("has no inclusion proof"), "{promise_only}");
        let no_entry = edited(&|material| material["tlogEntries"] = json!([]));
        assert!(no_entry.contains("has no log entry"), "{no_entry}");
        let no_chain = edited(&|material| material["x509CertificateChain"]["certificates"] = json!([]));
        assert!(!no_chain.is_empty());
        let two =
            edited(&|material| material["certificate"] = material["x509CertificateChain"]["certificates"][0].clone());
        assert!(two.contains("either a certificate or a public key"), "{two}");
    }
    let mut newer = world.file_bundle(&leaf(), FILE, "0.1");
    newer["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.3".into();
    assert!(verified(&world, &newer, FILE).unwrap_err().contains("certificate chain"));
    newer["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.4".into();
    assert!(verified(&world, &newer, FILE).is_err());
}

#[test]
fn a_statement_about_a_file_is_verified_with_its_type() {
    let world = World::new(T0);
    let statement = kit::statement(&airlift::model::Digest::of(FILE), "https://spdx.dev/Document");
    for bundle in [world.bundle(&leaf(), &statement), world.bundle_v2(&leaf(), &statement)] {
        let proof = verified(&world, &bundle, FILE).unwrap();
        assert_eq!(proof.predicate_type.as_deref(), Some("https://spdx.dev/Document"));
        assert!(verified(&world, &bundle, b"another file").is_err());
    }
    let untyped = statement.replace("in-toto.io/Statement/v1", "in-toto.io/Statement/v9");
    let error = verified(&world, &world.bundle(&leaf(), &untyped), FILE).unwrap_err();
    assert!(error.contains("not an in-toto statement"), "{error}");
}

#[test]
fn a_key_is_wanted_or_a_certificate_and_nothing_passes_for_the_other() {
    let world = World::new(T0);
    let key = Key::new();
    let public = PublicKey::from_pem(key.pem().as_bytes()).unwrap();
    let file = SignedFile::Bytes(FILE.to_vec());
    let by_key = |bundle: &Value, key: &PublicKey| {
        let proof = verify_file(bundle.to_string().as_bytes(), &file, FileSigner::Key(key), &root(&world), NOW);
        proof.map(|_| ()).map_err(|error| error.to_string())
    };
    let bundle = world.file_bundle_by_key(&key, FILE, T0 + 60);
    assert_eq!(by_key(&bundle, &public), Ok(()));
    let other = PublicKey::from_pem(Key::new().pem().as_bytes()).unwrap();
    assert!(by_key(&bundle, &other).is_err());
    let error = by_key(&world.file_bundle(&leaf(), FILE, "0.3"), &public).unwrap_err();
    assert!(error.contains("signed under a certificate"), "{error}");
    let error = verified(&world, &bundle, FILE).unwrap_err();
    assert!(error.contains("made with a key"), "{error}");
}
