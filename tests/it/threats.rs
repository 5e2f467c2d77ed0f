//! Forgeries beside those of `trust.rs`: each is refused, and for its own reason. Numbers are those of the table in
//! `docs/trust-checks.md`.

use airlift::document::policy::Policy;
use airlift::model::{Descriptor, Digest, MediaType, Verdict};
use airlift::testkit::sigstore::{self as kit, Key, Layer, Leaf, Sct, World};
use airlift::trust::{Candidate, Judge, Judgement, PublicKey, simple};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature as raw;
use serde_json::{Value, json};

const T0: i64 = 1_700_000_000;
const NOW: i64 = T0 + 86_400;
const WHO: &str = "https://code.example/team/app/.github/workflows/release.yaml@refs/heads/main";
const ISSUER: &str = "https://token.example";
const SIGN: &str = "https://sigstore.dev/cosign/sign/v1";
const REKOR: &str = "dev.sigstore.cosign/bundle";
const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";

fn subject() -> Descriptor {
    Descriptor::of(MediaType::OCI_MANIFEST, b"the image")
}

fn leaf() -> Leaf {
    Leaf::new(WHO, ISSUER, T0 + 1000)
}

fn signs() -> String {
    kit::statement(&subject().digest, SIGN)
}

fn payload() -> Vec<u8> {
    simple::payload("registry.example/team/app", &subject().digest)
}

/// One rule with one signer: a workflow, or a key.
struct Bench {
    world: World,
    root: Value,
    key: String,
    signer: String,
}

impl Bench {
    fn keyless(more: &str) -> Self {
        let world = World::new(T0);
        let root = world.root();
        let signer = format!("keyless: {{trustRoot: corporate, issuer: \"{ISSUER}\", identity: \"{WHO}\"{more}}}");
        Self { world, root, key: Key::new().pem(), signer }
    }

    fn by_key(pem: String) -> Self {
        Self { key: pem, signer: "key: release".into(), ..Self::keyless("") }
    }

    fn judge(&self) -> Judge {
        let text = format!(
            "apiVersion: airlift/v1alpha1\nkind: Policy\ntrustRoots: {{corporate: {{file: root.json}}}}\nkeys: {{release: {{file: release.pub}}}}\nrules:\n  - match: [\"**\"]\n    signatures:\n      - {}\n",
            self.signer
        );
        let policy = Policy::parse(&text, "policy.yaml").unwrap_or_else(|e| panic!("{e}\n{text}"));
        let mut load = |file: &str| match file {
            "root.json" => Ok(self.root.to_string().into_bytes()),
            "release.pub" => Ok(self.key.clone().into_bytes()),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        };
        Judge::new(&policy, &mut load, NOW).unwrap_or_else(|e| panic!("{e}"))
    }

    fn found(&self, candidates: &[Candidate]) -> Judgement {
        self.judge().judge(&"registry.example/team/app:1.0".parse().unwrap(), &subject(), candidates)
    }

    fn bundle(&self, bundle: &Value) -> Judgement {
        self.found(&[kit::referrer(&subject(), &bundle.to_string())])
    }

    fn sig(&self, layer: &Layer) -> Judgement {
        self.found(&[kit::tagged(&subject().digest, "sig", std::slice::from_ref(layer))])
    }

    fn att(&self, layer: &Layer) -> Judgement {
        self.found(&[kit::tagged(&subject().digest, "att", std::slice::from_ref(layer))])
    }
}

fn accepted(row: &str, judgement: &Judgement) {
    assert!(judgement.accepted, "{row}: {judgement:#?}");
}

fn refused(row: &str, judgement: &Judgement, words: &str) {
    assert!(!judgement.accepted, "{row} was accepted: {judgement:#?}");
    assert!(judgement.evidence.iter().all(|e| e.verdict != Verdict::Good), "{row}: {judgement:#?}");
    assert!(judgement.reason.contains(words), "{row} gives {:?}, expected {words:?}", judgement.reason);
}

#[test]
fn a_promise_by_an_unknown_key_is_refused_in_both_forms() {
    let bench = Bench::keyless("");
    let stranger = kit::log::Log::new("log.example");
    let mut bundle = bench.world.bundle(&leaf(), &signs());
    let entry = &mut bundle["verificationMaterial"]["tlogEntries"][0];
    let body = decoded(&entry["canonicalizedBody"]);
    // The stranger signs what names the good log.
    let named = |log: &World, index: usize| {
        let id = airlift::model::digest::hex(&log.log.key.id());
        let text = format!(
            r#"{{"body":"{}","integratedTime":{},"logID":"{id}","logIndex":{index}}}"#,
            kit::b64(&body),
            T0 + 1060
        );
        kit::b64(&stranger.key.sign(text.as_bytes()))
    };
    entry["inclusionPromise"]["signedEntryTimestamp"] = named(&bench.world, 3).into();
    refused("10", &bench.bundle(&bundle), "SET verification failed");
    let mut layer = bench.world.simple(&leaf(), &payload());
    let mut rekor: Value = serde_json::from_str(&layer.annotations[REKOR]).unwrap();
    rekor["SignedEntryTimestamp"] = kit::b64(&stranger.key.sign(b"anything")).into();
    layer.annotations.insert(REKOR.into(), rekor.to_string());
    refused("10 legacy", &bench.sig(&layer), "SET verification failed");
    rekor["SignedEntryTimestamp"] = "".into();
    layer.annotations.insert(REKOR.into(), rekor.to_string());
    refused("10 empty", &bench.sig(&layer), "");
}

fn decoded(value: &Value) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(value.as_str().unwrap()).unwrap()
}

#[test]
fn an_entry_of_the_second_kind_must_be_about_this_signature() {
    let bench = Bench::keyless("");
    let other = bench.world.bundle_v2(&leaf(), &signs());
    let mut bundle = bench.world.bundle_v2(&leaf(), &signs());
    bundle["verificationMaterial"]["tlogEntries"] = other["verificationMaterial"]["tlogEntries"].clone();
    refused("17 v2", &bench.bundle(&bundle), "does not match");
    let mut bundle = bench.world.bundle_v2(&leaf(), &signs());
    bundle["dsseEnvelope"]["payload"] = kit::b64(kit::statement(&subject().digest, "x").as_bytes()).into();
    refused("30 v2", &bench.bundle(&bundle), "");
    for part in ["rootHash", "hashes"] {
        let mut bundle = bench.world.bundle_v2(&leaf(), &signs());
        let proof = &mut bundle["verificationMaterial"]["tlogEntries"][0]["inclusionProof"];
        match part {
            "hashes" => proof["hashes"] = json!([]),
            _ => drop(proof.as_object_mut().unwrap().remove("checkpoint")),
        }
        refused(&format!("12 v2 {part}"), &bench.bundle(&bundle), "");
    }
}

#[test]
fn an_attestation_of_the_older_form_that_was_edited_is_refused() {
    let tail = |bench: &Bench, layer: &Layer| bench.att(layer);
    let bench = Bench::keyless("");
    let statement = kit::statement(&subject().digest, "https://spdx.dev/Document");
    let edited = |edit: &dyn Fn(&mut Value)| {
        let mut layer = bench.world.attestation(&leaf(), &statement);
        let mut envelope: Value = serde_json::from_slice(&layer.bytes).unwrap();
        edit(&mut envelope);
        layer.bytes = envelope.to_string().into_bytes();
        tail(&bench, &layer)
    };
    let payload = kit::b64(signs().as_bytes());
    refused("30 att payload", &edited(&|e| e["payload"] = payload.clone().into()), "signature verification failed");
    refused("30 att type", &edited(&|e| e["payloadType"] = "text/plain".into()), "");
    refused("30 att none", &edited(&|e| e["signatures"] = json!([])), "0 signatures");
    let about = |digest: &Digest| tail(&bench, &bench.world.attestation(&leaf(), &kit::statement(digest, SIGN)));
    refused("26 att", &about(&Digest::of(b"another image")), "");
}

#[test]
fn one_form_does_not_pass_for_another() {
    let bench = Bench::keyless("");
    // What is signed in one form, offered in the layer of the other.
    let mut as_att = bench.world.simple(&leaf(), &payload());
    as_att.media_type = MediaType::DSSE_ENVELOPE;
    refused("payload type 1", &bench.att(&as_att), "does not parse");
    let mut as_sig = bench.world.attestation(&leaf(), &signs());
    as_sig.media_type = MediaType::COSIGN_SIMPLE_SIGNING;
    refused("payload type 2", &bench.sig(&as_sig), "no signature annotation");
    // A statement signed as if it were a simple payload, and the reverse: good signatures over the wrong thing.
    let statement = bench.world.simple(&leaf(), signs().as_bytes());
    refused("payload type 3", &bench.sig(&statement), "the signed payload does not parse");
    let text = String::from_utf8(payload()).unwrap();
    refused("payload type 4", &bench.bundle(&bench.world.bundle(&leaf(), &text)), "");
    // A bundle whose version is taken down to the older form: its statement is an attestation there, its log a promise.
    let bundle = bench.world.bundle(&leaf(), &signs());
    let entry = &bundle["verificationMaterial"]["tlogEntries"][0];
    let hex = airlift::model::digest::hex(&decoded(&entry["logId"]["keyId"]));
    let rekor = json!({"SignedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"], "Payload": {
        "body": entry["canonicalizedBody"], "logID": hex,
        "integratedTime": T0 + 1060, "logIndex": 3,
    }});
    let certificate = kit::pem("CERTIFICATE", &decoded(&bundle["verificationMaterial"]["certificate"]["rawBytes"]));
    let annotations = [(REKOR.to_owned(), rekor.to_string()), (CERTIFICATE.to_owned(), certificate)].into();
    let downgraded = Layer {
        bytes: bundle["dsseEnvelope"].to_string().into_bytes(),
        media_type: MediaType::DSSE_ENVELOPE,
        annotations,
    };
    let judgement = bench.att(&downgraded);
    assert!(!judgement.accepted && judgement.evidence[0].predicate_type.as_deref() == Some(SIGN), "{judgement:#?}");
    assert_eq!(judgement.evidence[0].log.as_deref(), Some("promise"), "a downgrade shows");
}

#[test]
fn a_subject_that_differs_in_one_digest_is_another_subject() {
    let bench = Bench::keyless("");
    let with = |digest: Value| {
        let mut statement: Value = serde_json::from_str(&signs()).unwrap();
        statement["subject"] = json!([{"name": "registry.example/team/app", "digest": digest}]);
        bench.bundle(&bench.world.bundle(&leaf(), &statement.to_string()))
    };
    let (hex, sha512) = (subject().digest.hex(), "0".repeat(128));
    accepted("good", &with(json!({"sha256": hex, "sha512": sha512})));
    let other = Digest::of(b"another image").hex();
    refused("26 sha256", &with(json!({"sha256": other, "gitCommit": hex})), "does not match any subject");
    refused("26 algorithm", &with(json!({"sha1": hex})), "");
    refused("26 upper case", &with(json!({"sha256": hex.to_uppercase()})), "");
    refused("26 cut", &with(json!({"sha256": &hex[..62]})), "");
    refused("26 none", &with(json!({})), "");
}

#[test]
fn what_counts_of_a_certificate_is_its_newer_issuer_and_its_log() {
    let bench = Bench::keyless("");
    let claimed = |number: u8, value: &str| {
        let leaf = Leaf { claims: vec![(number, value.into())], issuer: "https://evil.example".into(), ..leaf() };
        bench.bundle(&bench.world.bundle(&leaf, &signs()))
    };
    // The older extension says what the rule wants, the one that counts does not.
    refused("2 older extension", &claimed(1, ISSUER), "of the issuer https://evil.example");
    let none = Bench::keyless(", sct: none");
    let unlogged = Leaf { sct: Sct::None, ..leaf() };
    accepted("sct: none", &none.bundle(&none.world.bundle(&unlogged, &signs())));
    refused("22 demanded", &bench.bundle(&bench.world.bundle(&unlogged, &signs())), "timestamp");
}

#[test]
fn evidence_is_read_within_bounds_whatever_it_claims() {
    let bench = Bench::keyless("");
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    let mut layer = bench.world.simple(&leaf(), &payload());
    layer.annotations.insert(REKOR.into(), deep.clone());
    refused("44 deep annotation", &bench.sig(&layer), "recursion limit");
    refused("44 deep payload", &bench.sig(&bench.world.simple(&leaf(), deep.as_bytes())), "");
    let mut envelope = bench.world.attestation(&leaf(), &signs());
    envelope.bytes = deep.clone().into_bytes();
    refused("44 deep envelope", &bench.att(&envelope), "recursion limit");
    refused("44 deep statement", &bench.bundle(&bench.world.bundle(&leaf(), &deep)), "");
    // A chain of certificates is never read: its length costs nothing and changes nothing.
    let mut chained = bench.world.simple(&leaf(), &payload());
    let block = kit::pem("CERTIFICATE", &[0; 900]);
    chained.annotations.insert("dev.sigstore.cosign/chain".into(), block.repeat(500));
    accepted("44 chain", &bench.sig(&chained));
    let mut two = bench.world.simple(&leaf(), &payload());
    let doubled = format!("{}{}", two.annotations[CERTIFICATE], kit::pem("CERTIFICATE", &[0; 9]));
    two.annotations.insert(CERTIFICATE.into(), doubled);
    refused("44 two certificates", &bench.sig(&two), "text stands behind the PEM block");
    // More layers than are judged make the whole manifest unread; more manifests than that are counted.
    let good = bench.world.simple(&leaf(), &payload());
    let many = kit::tagged(&subject().digest, "sig", &vec![good; 65]);
    let read =
        airlift::model::ImageDocument::parse(&many.document.bytes, &many.document.descriptor.media_type).unwrap();
    assert!(!airlift::trust::wants_layers(&read), "65 layers are not fetched");
    let huge = Layer {
        bytes: vec![b' '; (8 << 20) + 1],
        media_type: MediaType::SIGSTORE_BUNDLE,
        annotations: Default::default(),
    };
    let extra = json!({"artifactType": MediaType::SIGSTORE_BUNDLE, "subject": subject().bare()});
    refused("44 size", &bench.found(&[kit::manifest(extra, MediaType::OCI_EMPTY, &[huge])]), "the limit is 8388608");
    let root = RootCase::padded((8 << 20) + 1);
    assert!(root.contains("the limit is 8388608"), "{root}");
    assert!(RootCase::text(&deep).contains("recursion limit"));
}

/// What a judge says about a root that cannot be used.
struct RootCase;

impl RootCase {
    fn padded(length: usize) -> String {
        Self::text(&" ".repeat(length))
    }

    fn text(text: &str) -> String {
        let policy = "apiVersion: airlift/v1alpha1\nkind: Policy\ntrustRoots: {corporate: {file: root.json}}\nrules:\n  - match: [\"**\"]\n    signatures: [{keyless: {trustRoot: corporate, issuer: i, identity: j}}]\n";
        let mut load = |_: &str| Ok(text.as_bytes().to_vec());
        let judge = Judge::new(&Policy::parse(policy, "p").unwrap(), &mut load, NOW);
        judge.err().map(|e| e.to_string()).unwrap_or_default()
    }
}

/// A key of another kind than those of the kit: its public half, and a signature over the payload.
fn signed_by_kind(kind: &str) -> (String, Vec<u8>) {
    let (random, payload) = (SystemRandom::new(), payload());
    let (spki, signature) = match kind {
        "Ed25519" => {
            use aws_lc_rs::encoding::AsDer as _;
            use raw::KeyPair as _;
            let pair = raw::Ed25519KeyPair::generate().unwrap();
            let spki: aws_lc_rs::encoding::PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
            (spki.as_ref().to_vec(), pair.sign(&payload).as_ref().to_vec())
        }
        "P-384" => {
            use aws_lc_rs::encoding::AsDer as _;
            use raw::KeyPair as _;
            // cosign hashes with SHA-256 whatever the curve.
            let pair = raw::EcdsaKeyPair::generate(&raw::ECDSA_P384_SHA384_ASN1_SIGNING).unwrap();
            let spki: aws_lc_rs::encoding::PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
            (spki.as_ref().to_vec(), pair.sign(&random, &payload).unwrap().as_ref().to_vec())
        }
        _ => {
            use aws_lc_rs::encoding::AsDer as _;
            use raw::KeyPair as _;
            let pair = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
            let spki: aws_lc_rs::encoding::PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(&raw::RSA_PKCS1_SHA256, &random, &payload, &mut signature).unwrap();
            (spki.as_ref().to_vec(), signature)
        }
    };
    (kit::pem("PUBLIC KEY", &spki), signature)
}

#[test]
fn keys_of_each_supported_kind_are_known_by_their_own_signatures_only() {
    for kind in ["Ed25519", "RSA"] {
        let (pem, signature) = signed_by_kind(kind);
        let annotations = [(kit::SIGNATURE.to_owned(), kit::b64(&signature))].into();
        let mut layer = Layer { bytes: payload(), media_type: MediaType::COSIGN_SIMPLE_SIGNING, annotations };
        let bench = Bench::by_key(pem);
        accepted(kind, &bench.sig(&layer));
        let other = Bench::by_key(signed_by_kind(kind).0);
        refused(kind, &other.sig(&layer), "the key release did not make this signature");
        let foreign = Bench::by_key(Key::new().pem());
        refused(kind, &foreign.sig(&layer), "the key release did not make this signature");
        let mut flipped = signature.clone();
        flipped[7] ^= 1;
        layer.annotations.insert(kit::SIGNATURE.into(), kit::b64(&flipped));
        refused(kind, &bench.sig(&layer), "the key release did not make this signature");
    }
    let (pem, signature) = signed_by_kind("P-384");
    let public = PublicKey::from_pem(pem.as_bytes()).unwrap();
    assert!(public.verifies(&payload(), &signature) && !public.verifies(b"another", &signature));
}

#[test]
fn a_key_without_a_log_signs_for_this_subject_in_this_type_only() {
    let world = World::new(T0);
    let key = Key::new();
    let bench = Bench::by_key(key.pem());
    accepted("good", &bench.bundle(&world.bundle_by_key(&key, &signs(), None)));
    let of_other = kit::statement(&Digest::of(b"another image"), SIGN);
    refused("26 key", &bench.bundle(&world.bundle_by_key(&key, &of_other, None)), "not about sha256:");
    let retyped = signs().replace("Statement/v1", "Statement/v9");
    refused("29 key", &bench.bundle(&world.bundle_by_key(&key, &retyped, None)), "not an in-toto statement");
    // The right statement under a payload type of another kind of document, signed as such.
    let mut typed = world.bundle_by_key(&key, &signs(), None);
    let kind = "application/vnd.airlift.bundle.v1+json";
    let signed = format!("DSSEv1 {} {kind} {} {}", kind.len(), signs().len(), signs());
    typed["dsseEnvelope"]["payloadType"] = kind.into();
    typed["dsseEnvelope"]["signatures"][0]["sig"] = kit::b64(&key.sign(signed.as_bytes())).into();
    refused("30 type", &bench.bundle(&typed), "not an in-toto statement");
    let mut edited = world.bundle_by_key(&key, &signs(), None);
    edited["dsseEnvelope"]["payload"] = kit::b64(kit::statement(&subject().digest, "x").as_bytes()).into();
    refused("30 payload", &bench.bundle(&edited), "the key release did not make this signature");
}

/// Public keys that were made for this test and signed nothing.
const UNSUPPORTED: [(&str, &str); 3] = [
    (
        "RSA of 1024 bits",
        "-----BEGIN PUBLIC KEY-----\nMIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCbPrrmdoc2wQDVThK8LGeU75kP\njWT8JbPkrYPjCmsTwFrO+QT/79/ulwG+U/9JMac4e4FFt8ZyHbEgBeNkggDQ6i0y\nZ8QfWOR4dsjNCJwn9hUj5L92CrpK+V+mkWIACdO1w/iCnabL2Fv0iRZQFmntUN3W\neXwSiZo0SQs6GcpvXQIDAQAB\n-----END PUBLIC KEY-----\n",
    ),
    (
        "P-521",
        "-----BEGIN PUBLIC KEY-----\nMIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQBLMoSai/cokHwkldI4471GHRuwKvF\nW5qklIUZbMsTTm2vNdaP+ciMYV38iwSxDJ+5ndcyHSuyzapVuCXTfshEq+UAdgVw\nUbB0BxuEmMmwXKllJ6h0YagVnWieYrV77CaHEIfMz8pmTcyHec+/ar9ahRJDefiu\nLnTEEIz2P5JWl/hbUII=\n-----END PUBLIC KEY-----\n",
    ),
    (
        "secp256k1",
        "-----BEGIN PUBLIC KEY-----\nMFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEn7DU+upQgp6IzeAbqWE+kMkyp+RkhT75\nJMOZ4W70j5TQk3Hr0eDu5giSl4vCdxZDf3ehdfyNKYrAq5dxQBMJFg==\n-----END PUBLIC KEY-----\n",
    ),
];

#[test]
fn keys_of_other_kinds_and_sizes_are_refused_by_name() {
    for (kind, pem) in UNSUPPORTED {
        let error = PublicKey::from_pem(pem.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("supported are ECDSA P-256"), "{kind}: {error}");
    }
}
