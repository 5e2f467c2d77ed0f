//! Signatures of the Notary Project: minted authorities, good signatures of every kind, and every forgery that must be
//! refused with its own reason.

use crate::stage::{Stage, small};
use airlift::document::policy::Policy;
use airlift::model::evidence::{EvidenceKind, Signer as Signed};
use airlift::model::port::ImageSource;
use airlift::model::{Descriptor, Digest, ImageRef, MediaType, Reference, Repository, Verdict, limits};
use airlift::registry::{Credentials, PlainHttp, Remote, Settings};
use airlift::testkit::harbor::{HarborDouble, HarborOptions, IMPORT_RIGHTS};
use airlift::testkit::image::{Sample, SampleImage};
use airlift::testkit::notation::key::{Kind, Pair};
use airlift::testkit::notation::stamp::{Token, Tsa};
use airlift::testkit::notation::{
    self as kit, COSE, Draft, EXPIRY, Holder, JWS, SCHEME, SUBJECT, Shape, Signer, World,
};
use airlift::testkit::sigstore::{Layer, der, manifest};
use airlift::trust::{Candidate, Judge, Judgement, PolicyFiles, wants_layers};
use coset::CborSerializable as _;
use serde_json::json;
use std::collections::BTreeMap;
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

const T0: i64 = 1_700_000_000;
const SIGNED: i64 = T0 + 1000;
const NOW: i64 = T0 + 86_400;
const YEAR: i64 = 365 * 86_400;
const IDENTITY: &str = "x509.subject: C=US, ST=WA, O=acme";

fn subject() -> Descriptor {
    Descriptor::of(MediaType::OCI_MANIFEST, b"the image")
}

fn name() -> ImageRef {
    "registry.example/team/app:1.0".parse().unwrap()
}

/// What a judge is made of: stores by their reference, the signer's other fields, and the time.
struct Bench {
    world: World,
    /// `ca:acme` and so on, with the PEM in it.
    stores: Vec<(String, String)>,
    identities: String,
    more: String,
    now: i64,
}

impl Bench {
    fn of(kind: Kind) -> Self {
        let world = World::new(kind, T0);
        let stores = vec![("ca:acme".to_owned(), world.ca.pem())];
        Self { world, stores, identities: format!("[\"{IDENTITY}\"]"), more: String::new(), now: NOW }
    }

    fn new() -> Self {
        Self::of(Kind::P256)
    }

    fn store(mut self, reference: &str, pem: String) -> Self {
        self.stores.push((reference.to_owned(), pem));
        self
    }

    fn only_store(mut self, reference: &str) -> Self {
        reference.clone_into(&mut self.stores[0].0);
        self
    }

    fn more(mut self, more: &str) -> Self {
        self.more = format!(", {more}");
        self
    }

    fn judge(&self) -> Judge {
        let split = |reference: &'_ String| {
            reference.split_once(':').map(|(kind, name)| (kind.to_owned(), name.to_owned())).unwrap()
        };
        let stores: Vec<String> = self
            .stores
            .iter()
            .map(|(reference, _)| split(reference))
            .map(|(kind, name)| format!("{name}: {{type: {kind}, files: [{name}.pem]}}"))
            .collect();
        let names: Vec<&str> = self.stores.iter().map(|(reference, _)| reference.as_str()).collect();
        let policy = format!(
            "apiVersion: airlift/v1alpha1\nkind: Policy\ntrustStores: {{{}}}\nrules:\n  - match: [\"registry.example/team/**\"]\n    \
             signatures:\n      - notation: {{trustStores: {names:?}, identities: {}{}}}\n",
            stores.join(", "),
            self.identities,
            self.more
        );
        let mut load = |file: &str| {
            let found = self.stores.iter().find(|(reference, _)| format!("{}.pem", split(reference).1) == file);
            found.map(|(_, pem)| pem.clone().into_bytes()).ok_or_else(|| io::ErrorKind::NotFound.into())
        };
        let policy = Policy::parse(&policy, "policy.yaml").unwrap_or_else(|e| panic!("{e}\n{policy}"));
        Judge::new(&policy, &mut load, self.now).unwrap_or_else(|e| panic!("{e}"))
    }

    fn judgement(&self, candidates: &[Candidate]) -> Judgement {
        self.judge().judge(&name(), &subject(), candidates)
    }

    fn jws(&self, draft: &Draft) -> Judgement {
        self.by(&self.world.signer(), draft)
    }

    fn by(&self, signer: &Signer, draft: &Draft) -> Judgement {
        self.raw(JWS, &draft.jws(signer, None))
    }

    fn raw(&self, media_type: &'static str, envelope: &[u8]) -> Judgement {
        self.judgement(&[kit::referrer(&subject(), media_type, envelope)])
    }
}

fn draft() -> Draft {
    Draft::new(&subject(), SIGNED)
}

fn accepted(what: &str, judgement: &Judgement) {
    assert!(judgement.accepted, "{what}: {judgement:#?}");
    assert!(judgement.evidence.iter().any(|e| e.verdict == Verdict::Good), "{what}: {judgement:#?}");
}

fn refused(what: &str, judgement: &Judgement, words: &str) {
    assert!(!judgement.accepted, "{what} was accepted: {judgement:#?}");
    assert!(judgement.evidence.iter().all(|e| e.verdict != Verdict::Good), "{what}: {judgement:#?}");
    assert!(judgement.reason.contains(words), "{what} gives {:?}, expected {words:?}", judgement.reason);
}

#[test]
fn every_algorithm_in_both_forms_is_accepted_with_a_complete_record() {
    for kind in [Kind::Rsa2048, Kind::Rsa3072, Kind::Rsa4096, Kind::P256, Kind::P384, Kind::P521] {
        let bench = Bench::of(kind);
        let signer = bench.world.signer();
        for (form, envelope) in [(JWS, draft().jws(&signer, None)), (COSE, draft().cose(&signer, None))] {
            let judgement = bench.raw(form, &envelope);
            accepted(&format!("{kind:?} {form}"), &judgement);
            let [evidence] = judgement.evidence.as_slice() else { panic!("{judgement:#?}") };
            assert_eq!(evidence.kind, EvidenceKind::Notation);
            assert_eq!((evidence.log.as_deref(), evidence.times.len()), (Some("none"), 0));
            assert_eq!(evidence.not_checked, ["revocation"]);
            let root = evidence.trust_root.as_ref().unwrap();
            assert_eq!((root.name.as_str(), &root.sha256), ("ca:acme", &Digest::of(&bench.world.ca.der)));
            let Some(Signed::X509 { subject, issuer, sha256, scheme }) = &evidence.signer else {
                panic!("{evidence:?}")
            };
            assert_eq!((subject.as_str(), issuer.as_str()), (SUBJECT, "C=US, ST=WA, O=acme, CN=authority"));
            assert_eq!((sha256, scheme.as_str()), (&Digest::of(&bench.world.leaf.der), "notary.x509"));
        }
    }
}

#[test]
fn a_signing_authority_vouches_for_the_time_after_its_certificate_has_ended() {
    let mut bench = Bench::new().only_store("signingAuthority:acme");
    bench.now = T0 + 2 * YEAR;
    for (form, envelope) in [
        (JWS, draft().by_authority().jws(&bench.world.signer(), None)),
        (COSE, draft().by_authority().cose(&bench.world.signer(), None)),
    ] {
        let judgement = bench.raw(form, &envelope);
        accepted(form, &judgement);
        assert_eq!(judgement.evidence[0].times[0].at, "2023-11-14T22:30:00Z");
        assert_eq!(judgement.evidence[0].time_source.as_deref(), Some("signing authority"));
    }
    let mut late = draft().by_authority();
    late.times.insert(kit::AUTHENTIC_TIME.to_owned(), T0 + 2 * YEAR - 1);
    refused("signed after the certificate's end", &bench.jws(&late), "expired at");
    late.times.insert(kit::AUTHENTIC_TIME.to_owned(), bench.now + 3600);
    refused("signed in the future", &bench.jws(&late), "in the future");
}

#[test]
fn a_timestamp_keeps_a_signature_good_after_its_certificate_has_ended() {
    for kind in [Kind::Rsa2048, Kind::P256, Kind::P384, Kind::P521] {
        let tsa = Tsa::new(kind, T0);
        let mut bench = Bench::new().store("tsa:stamps", tsa.root.pem());
        bench.now = T0 + 2 * YEAR;
        let stamping = |signature: &[u8]| tsa.stamp(signature, &Token { accuracy: Some(1), ..Token::at(SIGNED) });
        let signer = bench.world.signer();
        for (form, envelope) in
            [(JWS, draft().jws(&signer, Some(&stamping))), (COSE, draft().cose(&signer, Some(&stamping)))]
        {
            let judgement = bench.raw(form, &envelope);
            accepted(&format!("{kind:?} {form}"), &judgement);
            assert_eq!(judgement.evidence[0].times[0].at, "2023-11-14T22:30:00Z");
            let source = judgement.evidence[0].time_source.as_deref();
            assert_eq!(source, Some("timestamp by C=US, ST=WA, O=stamps, CN=clock"));
        }
    }
}

/// A bench whose certificate has ended, and which wants a timestamp of `tsa`.
fn after_the_end(tsa: &Tsa) -> Bench {
    let mut bench = Bench::new().store("tsa:stamps", tsa.root.pem());
    bench.now = T0 + 2 * YEAR;
    bench
}

#[test]
fn timestamps_that_prove_nothing_are_refused_each_with_its_reason() {
    let tsa = Tsa::new(Kind::P256, T0);
    let bench = after_the_end(&tsa);
    let token = || Token::at(SIGNED);
    let check = |what: &str, stamping: &dyn Fn(&[u8]) -> Vec<u8>, words: &str| {
        let envelope = draft().jws(&bench.world.signer(), Some(stamping));
        refused(what, &bench.raw(JWS, &envelope), words);
    };
    check("over another signature", &|_| tsa.stamp(b"another signature", &token()), "over another signature");
    check("altered", &|s| tsa.stamp(s, &Token { altered: true, ..token() }), "was altered");
    check("of the future", &|s| tsa.stamp(s, &Token::at(bench.now + 3600)), "is of the future");
    check("after the certificate", &|s| tsa.stamp(s, &Token::at(T0 + YEAR + 1)), "expired at");
    let edge = Token { accuracy: Some(5), ..Token::at(T0 + YEAR - 2) };
    check("perhaps after the certificate", &|s| tsa.stamp(s, &edge), "expired at");
    let edge = Token { accuracy: Some(5), ..Token::at(T0 + 2) };
    check("perhaps before the certificate", &|s| tsa.stamp(s, &edge), "is valid from");
    check("without certificates", &|s| tsa.stamp(s, &Token { certificates: false, ..token() }), "is not in it");
    let anonymous = Token { names_certificate: false, ..token() };
    check("without naming its certificate", &|s| tsa.stamp(s, &anonymous), "1.2.840.113549.1.9.16.2.47");
    let other = Token { content_type: "1.2.840.113549.1.7.1".to_owned(), ..token() };
    check("over something else", &|s| tsa.stamp(s, &other), "no statement of a time");
    check(
        "of another authority",
        &|s| Tsa::new(Kind::P256, T0).stamp(s, &token()),
        "not by the authority that it names",
    );
    check("garbage", &|_| b"no token".to_vec(), "does not parse");
    check("huge", &|_| vec![0x30; 300 << 10], "the limit is 262144");
    check(
        "cut off",
        &|s| {
            let mut t = tsa.stamp(s, &token());
            t.truncate(t.len() - 9);
            t
        },
        "does not parse",
    );
    check(
        "flipped",
        &|s| {
            let mut t = tsa.stamp(s, &token());
            let at = t.len() - 3;
            t[at] ^= 1;
            t
        },
        "was altered",
    );
}

#[test]
fn a_timestamp_authority_must_be_one_and_nothing_else() {
    let usage = || kit::key_usage(true, kit::SIGNS);
    for (what, extensions, words) in [
        ("no purpose", vec![usage()], "is not for timestamps alone"),
        ("purpose not critical", vec![usage(), kit::purposes(false, &[kit::TIME_STAMPING])], "critical extension"),
        (
            "two purposes",
            vec![usage(), kit::purposes(true, &[kit::TIME_STAMPING, kit::CODE_SIGNING])],
            "is not for timestamps alone",
        ),
        ("code signing", vec![usage(), kit::purposes(true, &[kit::CODE_SIGNING])], "is not for timestamps alone"),
        (
            "an authority",
            vec![usage(), kit::authority(None), kit::purposes(true, &[kit::TIME_STAMPING])],
            "stamps nothing itself",
        ),
        ("no usage", vec![kit::purposes(true, &[kit::TIME_STAMPING])], "says nothing of its key's usage"),
    ] {
        let tsa = Tsa::shaped(Kind::P256, T0, extensions);
        let stamping = |signature: &[u8]| tsa.stamp(signature, &Token::at(SIGNED));
        let bench = after_the_end(&tsa);
        refused(what, &bench.raw(JWS, &draft().jws(&bench.world.signer(), Some(&stamping))), words);
    }
    let stranger = Tsa::new(Kind::P256, T0);
    let bench = Bench::new().store(
        "tsa:stamps",
        Holder::root(&Shape::authority("C=US, ST=WA, O=other, CN=root", T0), Pair::new(Kind::P256)).pem(),
    );
    let stamping = |signature: &[u8]| stranger.stamp(signature, &Token::at(SIGNED));
    refused(
        "untrusted",
        &bench.raw(JWS, &draft().jws(&bench.world.signer(), Some(&stamping))),
        "whom no tsa store of the rule vouches for",
    );
    let expired = Tsa::new(Kind::P256, T0 - 20 * YEAR);
    let stamping = |signature: &[u8]| expired.stamp(signature, &Token::at(SIGNED));
    let bench = after_the_end(&expired);
    refused("expired", &bench.raw(JWS, &draft().jws(&bench.world.signer(), Some(&stamping))), "had expired");
}

#[test]
fn the_policy_says_when_a_timestamp_must_be_there() {
    let tsa = Tsa::new(Kind::P256, T0);
    let always = Bench::new().store("tsa:stamps", tsa.root.pem());
    refused("always", &always.jws(&draft()), "has no timestamp, and the rule wants one");
    let mut later = Bench::new().store("tsa:stamps", tsa.root.pem()).more("verifyTimestamp: afterCertExpiry");
    accepted("before the end", &later.jws(&draft()));
    later.now = T0 + 2 * YEAR;
    refused("after the end", &later.jws(&draft()), "has no timestamp, and the rule wants one");
    // A timestamp that nobody in the policy vouches for is worth nothing, and is said to be unchecked.
    let stamping = |signature: &[u8]| tsa.stamp(signature, &Token::at(SIGNED));
    let mut without = Bench::new();
    let envelope = draft().jws(&without.world.signer(), Some(&stamping));
    let judgement = without.raw(JWS, &envelope);
    accepted("no tsa store", &judgement);
    assert_eq!(judgement.evidence[0].not_checked, ["revocation", "timestamp"]);
    assert!(judgement.evidence[0].times.is_empty());
    without.now = T0 + 2 * YEAR;
    refused("no tsa store, expired", &without.raw(JWS, &envelope), "no timestamp that the rule trusts");
}

#[test]
fn what_the_headers_may_not_say_is_refused_in_both_forms() {
    type Edit = fn(&mut Draft);
    let cases: [(&str, Edit, &str); 15] = [
        (
            "another payload type",
            |d| d.content_type = "application/vnd.in-toto+json".into(),
            "not a payload of the Notary Project",
        ),
        (
            "unknown scheme",
            |d| d.scheme = "notary.x509.v2".into(),
            "its signing scheme \"notary.x509.v2\" is not known",
        ),
        (
            "scheme not critical",
            |d| d.critical = Some(vec!["x".into()]),
            "\"x\" is named as a critical header, and is none",
        ),
        (
            "critical header unknown",
            |d| {
                d.more.insert("com.example.must".into(), "x".into());
                d.critical = Some(vec![SCHEME.into(), "com.example.must".into()]);
            },
            "the critical header \"com.example.must\" is not known here",
        ),
        ("critical header twice", |d| d.critical = Some(vec![SCHEME.into(), SCHEME.into()]), "is named twice"),
        (
            "critical header missing",
            |d| d.critical = Some(vec![SCHEME.into(), "com.example.must".into()]),
            "and is none",
        ),
        (
            "expiry not critical",
            |d| {
                d.times.insert(EXPIRY.into(), NOW + 1);
                d.critical = Some(vec![SCHEME.into()]);
            },
            "expiry is not marked critical",
        ),
        (
            "expired",
            |d| {
                d.times.insert(EXPIRY.into(), NOW);
            },
            "its signer let it end at",
        ),
        (
            "expired before it was signed",
            |d| {
                d.times.insert(EXPIRY.into(), SIGNED);
            },
            "before it was signed",
        ),
        (
            "plugin",
            |d| {
                d.more.insert("io.cncf.notary.verificationPlugin".into(), "com.example.p".into());
            },
            "demands the verification plugin \"com.example.p\"",
        ),
        (
            "time of the other scheme",
            |d| {
                d.times.insert(kit::AUTHENTIC_TIME.into(), SIGNED);
            },
            "does not go with the scheme",
        ),
        (
            "relabelled as an authority's",
            |d| d.scheme = "notary.x509.signingAuthority".into(),
            "does not go with the scheme",
        ),
        (
            "an authority's without a time",
            |d| {
                d.scheme = "notary.x509.signingAuthority".into();
                d.times.clear();
            },
            "authenticSigningTime is missing",
        ),
        (
            "authority's time not critical",
            |d| {
                *d = d.clone().by_authority();
                d.critical = Some(vec![SCHEME.into()]);
            },
            "authenticSigningTime is not marked critical",
        ),
        (
            "authority with a signing time",
            |d| {
                *d = d.clone().by_authority();
                d.times.insert(kit::SIGNING_TIME.into(), SIGNED);
            },
            "does not go with the scheme",
        ),
    ];
    let bench = Bench::new();
    for (what, edit, words) in cases {
        let mut draft = draft();
        edit(&mut draft);
        refused(what, &bench.jws(&draft), words);
        refused(what, &bench.raw(COSE, &draft.cose(&bench.world.signer(), None)), words);
    }
    let mut good = draft();
    good.times.insert(EXPIRY.into(), NOW + 1);
    good.more.insert("com.example.may".into(), "x".into());
    accepted("an end to come and a header that nobody needs", &bench.jws(&good));
    accepted("the same in CBOR", &bench.raw(COSE, &good.cose(&bench.world.signer(), None)));
}

#[test]
fn only_the_algorithm_that_goes_with_the_key_counts() {
    let draft = |name: &str| Draft { algorithm: Some(name.to_owned()), ..draft() };
    let bench = Bench::new();
    for name in ["none", "HS256", "RS256", "EdDSA", ""] {
        refused(name, &bench.jws(&draft(name)), "signs no envelope");
    }
    for (name, words) in [("PS256", "signs with ES256"), ("ES384", "signs with ES256")] {
        refused(name, &bench.jws(&draft(name)), words);
    }
    let rsa = Bench::of(Kind::Rsa3072);
    refused("PS256 by a longer key", &rsa.jws(&draft("PS256")), "signs with PS384");
    refused("in CBOR", &rsa.raw(COSE, &draft("-37").cose(&rsa.world.signer(), None)), "signs with PS384");
    refused("an unknown number", &rsa.raw(COSE, &draft("-8").cose(&rsa.world.signer(), None)), "signs no envelope");
    let other = Bench::of(Kind::Ed25519);
    refused("a key that signs nothing", &other.jws(&draft("ES256")), "a key of another kind");
    // Without the header there is no algorithm at all.
    let mut header = draft("ES256").header(&bench.world.signer());
    header.as_object_mut().unwrap().remove("alg");
    let envelope = kit::jws(&header.to_string(), &draft("ES256").payload, &bench.world.signer(), None);
    refused("no algorithm", &bench.raw(JWS, envelope.to_string().as_bytes()), "signs no envelope");
}

#[test]
fn a_signature_counts_for_the_artifact_that_it_names_and_for_no_other() {
    let bench = Bench::new();
    let target = |edit: fn(&mut serde_json::Value)| {
        let mut draft = draft();
        let mut payload: serde_json::Value = serde_json::from_str(&draft.payload).unwrap();
        edit(&mut payload);
        draft.payload = payload.to_string();
        draft
    };
    let other = target(|p| p["targetArtifact"]["digest"] = json!(Digest::of(b"another image").to_string()));
    refused("another image", &bench.jws(&other), "it is about the artifact");
    let size = target(|p| p["targetArtifact"]["size"] = json!(10));
    refused("another size", &bench.jws(&size), "an artifact of size");
    let kind = target(|p| p["targetArtifact"]["mediaType"] = json!(MediaType::OCI_INDEX));
    refused("another type", &bench.jws(&kind), "an artifact of type");
    let none = target(|p| p["targetArtifact"] = json!({}));
    refused("no target", &bench.jws(&none), "the payload does not parse");
    let upper = target(|p| p["targetArtifact"]["digest"] = json!(subject().digest.to_string().to_uppercase()));
    refused("another spelling", &bench.jws(&upper), "it is about the artifact");
    accepted("annotations", &bench.jws(&target(|p| p["targetArtifact"]["annotations"] = json!({"a": "b"}))));
    // A good signature that hangs beside another artifact.
    let stray = kit::referrer(
        &Descriptor::of(MediaType::OCI_MANIFEST, b"another image"),
        JWS,
        &draft().jws(&bench.world.signer(), None),
    );
    refused("of another subject", &bench.judgement(&[stray]), "not to this artifact");
    let empty = bench.judgement(&[]);
    assert!(!empty.accepted && empty.reason.contains("nothing was found"), "{empty:?}");
    let elsewhere: ImageRef = "registry.example/other/app:1.0".parse().unwrap();
    let good = [kit::referrer(&subject(), JWS, &draft().jws(&bench.world.signer(), None))];
    assert!(!bench.judge().judge(&elsewhere, &subject(), &good).accepted, "a policy of another repository");
}

#[test]
fn an_envelope_that_is_altered_or_read_in_two_ways_is_refused() {
    let bench = Bench::new();
    let signer = bench.world.signer();
    let good = String::from_utf8(draft().jws(&signer, None)).unwrap();
    let edit = |from: &str, to: &str| {
        assert!(good.contains(from), "{from:?} in {good}");
        good.replacen(from, to, 1).into_bytes()
    };
    let other = String::from_utf8(draft().jws(&signer, None)).unwrap();
    let value: serde_json::Value = serde_json::from_str(&good).unwrap();
    let with = |key: &str, text: serde_json::Value| {
        let mut value = value.clone();
        value[key] = text;
        value.to_string().into_bytes()
    };
    let payload = serde_json::from_str::<serde_json::Value>(&other).unwrap()["payload"].clone();
    assert_eq!(payload, value["payload"]);
    let evil = Draft { payload: draft().payload.replace("sha256", "sha512"), ..draft() };
    let evil: serde_json::Value = serde_json::from_slice(&evil.jws(&signer, None)).unwrap();
    for (what, envelope, words) in [
        ("payload swapped", with("payload", evil["payload"].clone()), "did not make this signature"),
        ("signature swapped", with("signature", evil["signature"].clone()), "did not make this signature"),
        (
            "header swapped",
            with("protected", {
                let mut later = draft();
                later.times.insert(kit::SIGNING_TIME.into(), SIGNED + 1);
                serde_json::from_slice::<serde_json::Value>(&later.jws(&signer, None)).unwrap()["protected"].clone()
            }),
            "did not make this signature",
        ),
        ("empty signature", with("signature", json!("")), "did not make this signature"),
        (
            "padded base64",
            with("signature", json!(format!("{}==", value["signature"].as_str().unwrap()))),
            "no base64url",
        ),
        ("a key twice", edit("{", "{\"payload\":\"e30\","), "does not parse"),
        ("an unknown key", edit("{", "{\"signatures\":[],"), "does not parse"),
        ("no certificates", with("header", json!({"x5c": []})), "holds no certificate"),
        ("a certificate that is none", with("header", json!({"x5c": ["AAAA"]})), "cannot be read"),
        ("no header", with("header", json!({})), "does not parse"),
        ("something behind it", [good.as_bytes(), b"{}"].concat(), "does not parse"),
        ("no envelope", b"[]".to_vec(), "does not parse"),
        ("deep", "[".repeat(10_000).into_bytes(), "does not parse"),
    ] {
        refused(what, &bench.raw(JWS, &envelope), words);
    }
    let header = draft().header(&signer).to_string();
    let twice = |text: &str, with: &str| format!("{{{with},{}", &text[1..]);
    let envelope = kit::jws(&twice(&header, "\"alg\":\"none\""), &draft().payload, &signer, None);
    refused("a header twice", &bench.raw(JWS, envelope.to_string().as_bytes()), "protected header does not parse");
    let envelope = kit::jws(&header, &twice(&draft().payload, "\"targetArtifact\":{}"), &signer, None);
    refused("a target twice", &bench.raw(JWS, envelope.to_string().as_bytes()), "payload does not parse");
}

#[test]
fn an_altered_or_ambiguous_cose_envelope_is_refused() {
    let bench = Bench::new();
    let good = draft().cose(&bench.world.signer(), None);
    let at = |needle: &[u8]| good.windows(needle.len()).position(|window| window == needle).unwrap();
    let mut payload = good.clone();
    payload[at(b"targetArtifact")] ^= 1;
    refused("payload", &bench.raw(COSE, &payload), "did not make this signature");
    let mut signature = good.clone();
    *signature.last_mut().unwrap() ^= 1;
    refused("signature", &bench.raw(COSE, &signature), "did not make this signature");
    refused("something behind it", &bench.raw(COSE, &[&good[..], b"x"].concat()), "does not parse");
    refused("without its tag", &bench.raw(COSE, &good[1..]), "does not parse");
    refused("cut off", &bench.raw(COSE, &good[..good.len() - 1]), "does not parse");
    refused("deep", &bench.raw(COSE, &vec![0x81; 100_000]), "does not parse");
    refused("nothing", &bench.raw(COSE, b""), "does not parse");
    refused("JSON as CBOR", &bench.raw(COSE, &draft().jws(&bench.world.signer(), None)), "does not parse");
    refused("CBOR as JSON", &bench.raw(JWS, &good), "does not parse");
    // A header whose map has a label twice, signed as it stands.
    let header = draft().cbor_header(&bench.world.signer());
    let label = [&[0x78, SCHEME.len() as u8][..], SCHEME.as_bytes(), &[0x6b], b"notary.x509"].concat();
    let mut written = header.clone().to_vec().unwrap();
    written[0] += 1;
    written.extend(label);
    let made = |header: coset::Header, original_data| {
        let protected = coset::ProtectedHeader { original_data, header };
        kit::cose(protected, draft().payload.into_bytes(), &bench.world.signer(), None)
    };
    refused("a label twice", &bench.raw(COSE, &made(header.clone(), Some(written))), "does not parse");
    let mut untagged = header;
    for (label, value) in &mut untagged.rest {
        if *label == coset::Label::Text(kit::SIGNING_TIME.to_owned()) {
            *value = coset::cbor::value::Value::Integer(SIGNED.into());
        }
    }
    refused("a time without its tag", &bench.raw(COSE, &made(untagged, None)), "is no time");
}

/// A chain of three, and what may be wrong with it.
struct Three {
    root: Holder,
    middle: Holder,
    leaf: Holder,
}

impl Three {
    fn new(root: &Shape, middle: &Shape, leaf: &Shape) -> Self {
        let root = Holder::root(root, Pair::new(Kind::P256));
        let middle = root.issue(middle, Pair::new(Kind::P384));
        let leaf = middle.issue(leaf, Pair::new(Kind::P256));
        Self { root, middle, leaf }
    }

    fn shapes() -> [Shape; 3] {
        [
            Shape::authority("C=US, ST=WA, O=acme, CN=root", T0),
            Shape::authority("C=US, ST=WA, O=acme, CN=middle", T0),
            Shape::signer(SUBJECT, T0),
        ]
    }

    fn signer(&self) -> Signer {
        Signer::new(&self.leaf, &[&self.middle, &self.root])
    }

    fn bench(&self) -> Bench {
        let mut bench = Bench::new();
        bench.stores[0].1 = self.root.pem();
        bench
    }

    fn judgement(&self) -> Judgement {
        self.bench().by(&self.signer(), &draft())
    }
}

#[test]
fn a_chain_is_trusted_by_its_root_or_by_what_stands_between() {
    let [root, middle, leaf] = Three::shapes();
    let three = Three::new(&root, &middle, &leaf);
    accepted("root", &three.judgement());
    let mut bench = three.bench();
    bench.stores[0].1 = three.middle.pem();
    accepted("middle", &bench.by(&three.signer(), &draft()));
    assert_eq!(
        bench.by(&three.signer(), &draft()).evidence[0].trust_root.as_ref().unwrap().sha256,
        Digest::of(&three.middle.der)
    );
    bench.stores[0].1 =
        format!("# an authority that did not issue it\n{}{}", Bench::new().world.ca.pem(), three.root.pem());
    accepted("one of two", &bench.by(&three.signer(), &draft()));
    // A certificate that is its own authority, as notation's test command makes it.
    let alone = Holder::root(&leaf, Pair::new(Kind::Rsa2048));
    bench.stores[0].1 = alone.pem();
    accepted("alone", &bench.by(&Signer::new(&alone, &[]), &draft()));
}

#[test]
fn chains_that_the_specification_does_not_allow_are_refused_each_with_its_reason() {
    type Edit = fn(&mut [Shape; 3]);
    let cases: [(&str, Edit, &str); 17] = [
        ("leaf is an authority", |s| s[2].extensions.push(kit::authority(None)), "signs no artifacts"),
        (
            "leaf without usage",
            |s| {
                s[2].extensions.remove(0);
            },
            "says nothing of its key's usage",
        ),
        ("leaf's usage not critical", |s| s[2].extensions[0] = kit::key_usage(false, kit::SIGNS), "not critical"),
        (
            "leaf does not sign",
            |s| s[2].extensions[0] = kit::key_usage(true, (0b0010_0000, 5)),
            "is not for signatures",
        ),
        ("leaf does more", |s| s[2].extensions[0] = kit::key_usage(true, (0b1010_0000, 5)), "more than sign"),
        ("leaf for servers", |s| s[2].extensions[1] = kit::purposes(false, &["1.3.6.1.5.5.7.3.1"]), "not allowed"),
        (
            "leaf for servers too",
            |s| s[2].extensions[1] = kit::purposes(false, &[kit::CODE_SIGNING, "1.3.6.1.5.5.7.3.1"]),
            "not allowed",
        ),
        ("leaf for timestamps", |s| s[2].extensions[1] = kit::purposes(true, &[kit::TIME_STAMPING]), "not allowed"),
        ("leaf for anything", |s| s[2].extensions[1] = kit::purposes(false, &["2.5.29.37.0"]), "not allowed"),
        (
            "leaf for something else",
            |s| s[2].extensions[1] = kit::purposes(false, &["1.3.6.1.4.1.99999.1"]),
            "is not for code signing",
        ),
        ("leaf's signature", |s| s[2].spoiled = true, "not by the authority that it names"),
        ("middle's signature", |s| s[1].spoiled = true, "not by the authority that it names"),
        ("root's signature", |s| s[0].spoiled = true, "does not end with a root"),
        (
            "middle is no authority",
            |s| {
                s[1].extensions.remove(0);
            },
            "is no authority's",
        ),
        ("middle does not issue", |s| s[1].extensions[1] = kit::key_usage(true, kit::SIGNS), "its key is not for that"),
        ("never valid together", |s| s[1].valid = (T0 - 10, T0 - 1), "never valid at the same time"),
        (
            "critical extension",
            |s| s[2].extensions.push(der::extension("1.3.6.1.4.1.99999.2", true, b"\x05\0")),
            "critical extension that is not known",
        ),
    ];
    for (what, edit, words) in cases {
        let mut shapes = Three::shapes();
        edit(&mut shapes);
        let [root, middle, leaf] = &shapes;
        refused(what, &Three::new(root, middle, leaf).judgement(), words);
    }
    let mut shapes = Three::shapes();
    shapes[0].extensions[0] = kit::authority(Some(0));
    let [root, middle, leaf] = &shapes;
    // The root allows no authority below it. The library does not look at the length that an anchor allows.
    let three = Three::new(root, middle, leaf);
    refused("too long", &three.judgement(), "allows");
    // No purpose at all is no purpose too many.
    let mut shapes = Three::shapes();
    shapes[2].extensions.remove(1);
    let [root, middle, leaf] = &shapes;
    accepted("no purpose", &Three::new(root, middle, leaf).judgement());
}

#[test]
fn a_chain_has_an_order_and_an_end() {
    let [root, middle, leaf] = Three::shapes();
    let three = Three::new(&root, &middle, &leaf);
    let bench = three.bench();
    let chain = |all: &[&Holder]| Signer {
        key: three.leaf.key.clone(),
        chain: all.iter().map(|one| one.der.clone()).collect(),
    };
    let (l, m, r) = (&three.leaf, &three.middle, &three.root);
    for (what, signer, words) in [
        ("no root", chain(&[l, m]), "does not end with a root"),
        ("leaf alone", chain(&[l]), "does not end with a root"),
        ("middle left out", chain(&[l, r]), "its chain is broken"),
        ("other order", chain(&[l, r, m]), "its chain is broken"),
        ("root first", chain(&[r, m, l]), "signs with"),
        ("root twice", chain(&[l, m, r, r]), "goes on behind"),
        ("a stranger's root", chain(&[l, m, &bench.world.ca]), "its chain is broken"),
        ("too many", chain(&vec![l; 17]), "the limit is 16"),
    ] {
        let judgement = bench.by(&signer, &draft());
        if what == "root first" {
            assert!(!judgement.accepted, "{what}");
        } else {
            refused(what, &judgement, words);
        }
    }
    // A root of the same name, with another key.
    let fake = Holder::root(&root, Pair::new(Kind::P256));
    refused("a namesake", &bench.by(&chain(&[l, m, &fake]), &draft()), "not by the authority that it names");
}

#[test]
fn only_a_store_of_the_right_type_vouches_for_a_signer() {
    let bench = Bench::new();
    let good = draft().jws(&bench.world.signer(), None);
    let mut other = Bench::new();
    refused("another authority", &other.raw(JWS, &good), "holds no certificate of its chain");
    // The signer's authority stands in the policy, but as one for timestamps or for another scheme.
    let mut bench_tsa = Bench::new().store("tsa:stamps", bench.world.ca.pem()).more("verifyTimestamp: afterCertExpiry");
    refused("tsa", &bench_tsa.raw(JWS, &good), "ca:acme holds no certificate of its chain");
    bench_tsa.stores.remove(0);
    other.stores[0] = ("signingAuthority:acme".to_owned(), bench.world.ca.pem());
    refused("signing authority", &other.raw(JWS, &good), "the scheme notary.x509, which stores of type ca are for");
    let by_authority = draft().by_authority().jws(&bench.world.signer(), None);
    refused("scheme", &bench.raw(JWS, &by_authority), "stores of type signingAuthority are for");
}

#[test]
fn an_identity_is_met_as_a_whole_or_not_at_all() {
    let signed_by = |subject: &str, identities: &str| {
        let mut bench = Bench::new();
        bench.identities = identities.to_owned();
        let leaf = bench.world.ca.issue(&Shape::signer(subject, T0), Pair::new(Kind::P256));
        bench.by(&Signer::new(&leaf, &[&bench.world.ca]), &draft())
    };
    let wanted = format!("[\"{IDENTITY}\"]");
    accepted("exact", &signed_by("C=US, ST=WA, O=acme", &wanted));
    accepted("with more", &signed_by("C=US, ST=WA, O=acme, OU=build, CN=x", &wanted));
    accepted("anybody", &signed_by("C=DE, O=whoever", "[\"*\"]"));
    accepted(
        "one of two",
        &signed_by("C=US, ST=WA, O=acme", &format!("[\"x509.subject: C=DE, ST=BE, O=other\", \"{IDENTITY}\"]")),
    );
    for subject in [
        "C=US, ST=WA, O=acme-evil",
        "C=US, ST=WA, O=acm",
        "C=US, ST=WA, O=ACME",
        "C=US, ST=NY, O=acme",
        "C=US, O=acme",
        "C=US, ST=WA, CN=acme",
        "C=US, ST=WA, O=x, CN=C=US ST=WA O=acme",
    ] {
        refused(subject, &signed_by(subject, &wanted), "and the rule wants C=US, O=acme, ST=WA");
    }
    refused("two organisations", &signed_by("C=US, ST=WA, O=acme, O=evil", &wanted), "has an attribute twice");
    let judgement = signed_by("C=US, ST=WA, O=acme-evil", &wanted);
    assert!(
        matches!(&judgement.evidence[0].signer, Some(Signed::X509 { subject, .. }) if subject.contains("acme-evil"))
    );
}

#[test]
fn revocation_is_unknown_where_somebody_would_know_and_never_passed() {
    for extension in [kit::revocation_list(), kit::responder()] {
        let mut shape = Shape::signer(SUBJECT, T0);
        shape.extensions.push(extension);
        let strict = Bench::new();
        let leaf = strict.world.ca.issue(&shape, Pair::new(Kind::P256));
        let envelope = draft().jws(&Signer::new(&leaf, &[&strict.world.ca]), None);
        let judgement = strict.raw(JWS, &envelope);
        refused("strict", &judgement, "was revoked is unknown: it names whom to ask");
        assert_eq!(judgement.evidence[0].verdict, Verdict::Unknown);
        assert!(judgement.hint.contains("override: {revocation: log}"), "{judgement:?}");
        for (more, said) in [
            ("override: {revocation: skip}", false),
            ("override: {revocation: log}", true),
            ("level: permissive", true),
        ] {
            let mut bench = Bench::new().more(more);
            bench.stores[0].1 = strict.world.ca.pem();
            let judgement = bench.raw(JWS, &envelope);
            accepted(more, &judgement);
            assert!(judgement.evidence[0].not_checked.contains(&"revocation".to_owned()));
            assert_eq!(judgement.reason.contains("revocation was not enforced"), said, "{}", judgement.reason);
        }
    }
    let tsa = Tsa::shaped(
        Kind::P256,
        T0,
        vec![kit::key_usage(true, kit::SIGNS), kit::purposes(true, &[kit::TIME_STAMPING]), kit::responder()],
    );
    let bench = Bench::new().store("tsa:stamps", tsa.root.pem());
    let stamping = |signature: &[u8]| tsa.stamp(signature, &Token::at(SIGNED));
    refused(
        "the clock's",
        &bench.raw(JWS, &draft().jws(&bench.world.signer(), Some(&stamping))),
        "CN=clock was revoked is unknown",
    );
}

#[test]
fn levels_and_overrides_say_what_refuses_and_the_rest_is_written_down() {
    let expired = || {
        let mut draft = draft();
        draft.times.insert(EXPIRY.into(), NOW - 1);
        draft
    };
    let with = |more: &str| Bench::new().more(more);
    refused("strict", &with("level: strict").jws(&expired()), "let it end");
    accepted("permissive", &with("level: permissive").jws(&expired()));
    refused(
        "permissive, stricter",
        &with("level: permissive, override: {expiry: enforce}").jws(&expired()),
        "let it end",
    );
    let judgement = with("override: {expiry: log}").jws(&expired());
    accepted("strict, laxer", &judgement);
    assert!(judgement.reason.contains("expiry was not enforced: its signer let it end"), "{}", judgement.reason);
    assert_eq!(judgement.evidence[0].not_checked, ["revocation", "expiry"]);

    let stranger = Bench::new().world;
    let audit = with("level: audit").by(&stranger.signer(), &draft());
    accepted("audit", &audit);
    assert!(audit.reason.contains("authenticity was not enforced"), "{}", audit.reason);
    assert!(
        audit.evidence[0].trust_root.is_none() && audit.evidence[0].not_checked.contains(&"authenticity".to_owned())
    );
    refused("permissive", &with("level: permissive").by(&stranger.signer(), &draft()), "holds no certificate");
    let mut foreign = draft();
    foreign.payload = foreign.payload.replace("sha256:", "sha256:0");
    refused("audit, another artifact", &with("level: audit").jws(&foreign), "it is about the artifact");
    let mut claimed = Bench::new().more("level: audit").only_store("signingAuthority:acme");
    claimed.now = NOW;
    let judgement = claimed.by(&stranger.signer(), &draft().by_authority());
    accepted("audit, claimed time", &judgement);
    assert!(judgement.evidence[0].times.is_empty(), "a stranger's time is no verified time");
}

#[test]
fn one_good_signature_is_enough_and_the_work_is_bounded() {
    let bench = Bench::new();
    let good = || kit::referrer(&subject(), JWS, &draft().jws(&bench.world.signer(), None));
    let bad = || kit::referrer(&subject(), COSE, b"no envelope");
    accepted("bad and good", &bench.judgement(&[bad(), good()]));
    let mut many: Vec<Candidate> = (0..64).map(|_| bad()).collect();
    many.push(good());
    let judgement = bench.judgement(&many);
    refused("behind the limit", &judgement, "does not parse");
    assert!(judgement.evidence[64].reason.contains("more than 64 signatures"), "{:?}", judgement.evidence[64]);
}

#[test]
fn the_layer_is_the_envelope_and_its_type_decides_how_it_is_read() {
    let bench = Bench::new();
    let envelope = draft().jws(&bench.world.signer(), None);
    let layer = |media_type: &'static str| Layer { bytes: envelope.clone(), media_type, annotations: BTreeMap::new() };
    let typed = json!({"artifactType": MediaType::NOTATION_SIGNATURE, "subject": subject().bare()});
    let made = |layers: &[Layer]| manifest(typed.clone(), MediaType::OCI_EMPTY, layers);
    refused("two layers", &bench.judgement(&[made(&[layer(JWS), layer(JWS)])]), "has one layer, and here are 2");
    refused("no layer", &bench.judgement(&[made(&[])]), "has one layer, and here are 0");
    refused(
        "another type",
        &bench.judgement(&[made(&[layer("application/json")])]),
        "an envelope of type application/json",
    );
    // Before there were artifact types, the configuration's type said it.
    let old = manifest(json!({"subject": subject().bare()}), MediaType::NOTATION_SIGNATURE, &[layer(JWS)]);
    accepted("older form", &bench.judgement(std::slice::from_ref(&old)));
    let document = |candidate: &Candidate| {
        airlift::model::ImageDocument::parse(&candidate.document.bytes, &candidate.document.descriptor.media_type)
            .unwrap()
    };
    assert!(wants_layers(&document(&old)), "the envelope must be read before it can be judged");
    assert!(!wants_layers(&document(&made(&[layer("application/json")]))));
    // The same layer in a document that is no signature is no evidence.
    let other = manifest(
        json!({"artifactType": "application/vnd.example", "subject": subject().bare()}),
        MediaType::OCI_EMPTY,
        &[layer(JWS)],
    );
    refused("another artifact type", &bench.judgement(&[other]), "nothing that is judged");
}

#[test]
fn rules_for_other_signers_and_notation_signatures_do_not_mix() {
    let bench = Bench::new();
    let signature = kit::referrer(&subject(), JWS, &draft().jws(&bench.world.signer(), None));
    let key = airlift::testkit::sigstore::Key::new();
    let policy = "apiVersion: airlift/v1alpha1\nkind: Policy\nkeys: {release: {file: release.pub}}\nrules:\n  - match: [\"**\"]\n    signatures: [{key: release}]\n";
    let policy = Policy::parse(policy, "policy.yaml").unwrap();
    let judge = Judge::new(&policy, &mut |_: &str| Ok(key.pem().into_bytes()), NOW).unwrap();
    let judgement = judge.judge(&name(), &subject(), std::slice::from_ref(&signature));
    refused("a key is wanted", &judgement, "made by notation, but the rule wants key release");
    let payload = airlift::trust::simple::payload("registry.example/team/app", &subject().digest);
    let layer = airlift::testkit::sigstore::simple_by_key(&key, &payload);
    let cosign = airlift::testkit::sigstore::tagged(&subject().digest, "sig", &[layer]);
    refused("notation is wanted", &bench.judgement(&[cosign]), "not made by notation");
}

#[test]
fn chains_timestamps_and_stores_end_at_their_limits() {
    // A chain: authorities upon authorities, as many as are allowed, and one more.
    let chain = |count: usize| {
        let shape = |at: usize| Shape::authority(&format!("C=US, ST=WA, O=acme, CN={at}"), T0);
        let mut all = vec![Holder::root(&shape(0), Pair::new(Kind::P256))];
        for at in 1..count - 1 {
            let next = all[at - 1].issue(&shape(at), Pair::new(Kind::P256));
            all.push(next);
        }
        let leaf = all.last().unwrap().issue(&Shape::signer(SUBJECT, T0), Pair::new(Kind::P256));
        all.push(leaf);
        all.reverse();
        let mut bench = Bench::new();
        bench.stores[0].1 = all.last().unwrap().pem();
        let above: Vec<&Holder> = all.iter().skip(1).collect();
        bench.by(&Signer::new(&all[0], &above), &draft())
    };
    // The library goes six authorities up; the limit is for what has to be read before it can say so.
    accepted("six", &chain(6));
    refused("at the limit", &chain(limits::CERTIFICATE_CHAIN), "the chain of its certificate");
    refused("one more", &chain(limits::CERTIFICATE_CHAIN + 1), "it has 17 certificates, the limit is 16");

    // A certificate: padded in an extension that nobody reads.
    let padded = |length: usize| {
        let bench = Bench::new();
        let mut shape = Shape::signer(SUBJECT, T0);
        shape.extensions.push(der::extension("1.3.6.1.4.1.99999.3", false, &vec![0; length]));
        let leaf = bench.world.ca.issue(&shape, Pair::new(Kind::P256));
        (leaf.der.len(), bench.by(&Signer::new(&leaf, &[&bench.world.ca]), &draft()))
    };
    let (length, judgement) = padded(limits::CERTIFICATE_BYTES - 700);
    assert!(length <= limits::CERTIFICATE_BYTES);
    accepted("a long certificate", &judgement);
    let (length, judgement) = padded(limits::CERTIFICATE_BYTES - 300);
    assert!(length > limits::CERTIFICATE_BYTES && length < limits::CERTIFICATE_BYTES + 512);
    refused("too long a certificate", &judgement, "the limit is 65536");

    // A token: at the limit it is read and found to be none, behind it nobody reads.
    let tsa = Tsa::new(Kind::P256, T0);
    let bench = Bench::new().store("tsa:stamps", tsa.root.pem());
    let token =
        |length: usize| bench.raw(JWS, &draft().jws(&bench.world.signer(), Some(&move |_: &[u8]| vec![0x30; length])));
    refused("a long token", &token(limits::TIMESTAMP_BYTES), "its timestamp does not parse");
    refused("too long a token", &token(limits::TIMESTAMP_BYTES + 1), "the limit is 262144");

    let full = |count: usize| {
        let text = bench.world.ca.pem().repeat(count);
        let policy =
            "apiVersion: airlift/v1alpha1\nkind: Policy\ntrustStores: {acme: {type: ca, files: [ca.pem]}}\nrules: []\n";
        let policy = Policy::parse(policy, "policy.yaml").unwrap();
        Judge::new(&policy, &mut |_: &str| Ok(text.clone().into_bytes()), NOW).map(|_| ()).map_err(|e| e.to_string())
    };
    assert_eq!(full(limits::STORE_CERTIFICATES), Ok(()));
    assert!(full(limits::STORE_CERTIFICATES + 1).unwrap_err().contains("more than 1000 certificates"));
}

/// Files in memory, with folders.
struct Shelf(BTreeMap<&'static str, Vec<u8>>);

impl PolicyFiles for Shelf {
    fn read(&mut self, path: &str) -> io::Result<Vec<u8>> {
        self.0.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn list(&mut self, folder: &str) -> io::Result<Vec<String>> {
        if folder == "links" {
            return Err(io::Error::other("links/a.pem is a symbolic link"));
        }
        Ok(self.0.keys().filter(|path| path.starts_with(folder)).map(|path| (*path).to_owned()).collect())
    }
}

#[test]
fn stores_hold_what_can_vouch_and_are_never_empty() {
    let world = World::new(Kind::P256, T0);
    let alone = Holder::root(&Shape::signer(SUBJECT, T0), Pair::new(Kind::P256));
    let load = |store: &str| {
        let policy = format!("apiVersion: airlift/v1alpha1\nkind: Policy\ntrustStores: {{acme: {store}}}\nrules: []\n");
        let mut shelf = Shelf(BTreeMap::from([
            ("ca.pem", world.ca.pem().into_bytes()),
            ("ca.der", world.ca.der.clone()),
            ("leaf.pem", world.leaf.pem().into_bytes()),
            ("alone.pem", alone.pem().into_bytes()),
            ("key.pem", b"-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n".to_vec()),
            ("empty.pem", b"\n".to_vec()),
            ("cut.pem", world.ca.pem()[..100].as_bytes().to_vec()),
            ("x509/ca/acme/a.pem", world.ca.pem().into_bytes()),
            ("x509/ca/acme/b.crt", alone.pem().into_bytes()),
        ]));
        let policy = Policy::parse(&policy, "policy.yaml").unwrap();
        Judge::new(&policy, &mut shelf, NOW).map(|_| ()).map_err(|e| e.to_string())
    };
    for good in [
        "{type: ca, files: [ca.pem]}",
        "{type: ca, files: [ca.der]}",
        "{type: ca, files: [alone.pem, ca.pem]}",
        "{type: tsa, files: [ca.pem]}",
        "{type: ca, folder: x509/ca/acme}",
    ] {
        assert_eq!(load(good), Ok(()), "{good}");
    }
    for (bad, words) in [
        ("{type: ca, files: [leaf.pem]}", "vouches for nobody"),
        ("{type: tsa, files: [alone.pem]}", "only roots vouch for timestamps"),
        ("{type: ca, files: [key.pem]}", "a PEM block is a \"PUBLIC KEY\", expected CERTIFICATE"),
        ("{type: ca, files: [empty.pem]}", "the trust store \"acme\" of the policy cannot be used: it is empty"),
        ("{type: ca, files: [cut.pem]}", "cut.pem: the PEM block does not end"),
        ("{type: ca, files: [missing.pem]}", "cannot read missing.pem"),
        ("{type: ca, folder: x509/ca/none}", "it is empty"),
        ("{type: ca, folder: links}", "links/a.pem is a symbolic link"),
    ] {
        let error = load(bad).unwrap_err();
        assert!(error.contains(words), "{bad} gives {error:?}, expected {words:?}");
    }
}

/// Publishes an image with a notation signature made a minute ago, and writes a policy for it.
fn stage_with_signature(stage: &Stage) -> (Sample, String) {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
    let (image, world) = (small(1), World::new(Kind::P256, now - 86_400));
    let reference = stage.publish("team/app", "1.0", &image);
    let envelope = Draft::new(image.descriptor(), now - 60).cose(&world.signer(), None);
    let signature = SampleImage::new(0).artifact(MediaType::NOTATION_SIGNATURE).blob(COSE, envelope);
    let signature = signature.about(image.descriptor()).build();
    signature.push(&stage.remote, &stage.at("team/app"), None).unwrap();
    std::fs::create_dir_all(stage.path("x509/ca/acme")).unwrap();
    std::fs::write(stage.path("x509/ca/acme/acme.pem"), world.ca.pem()).unwrap();
    let policy = |identity: &str| {
        format!(
            "apiVersion: airlift/v1alpha1\nkind: Policy\ntrustStores: {{acme: {{type: ca, folder: x509/ca/acme}}}}\nrules:\n  - match: [\"{}/**\"]\n    \
             signatures:\n      - notation: {{trustStores: [ca:acme], identities: [\"{identity}\"]}}\n",
            stage.upstream.host()
        )
    };
    std::fs::write(stage.path("policy.yaml"), policy(IDENTITY)).unwrap();
    std::fs::write(stage.path("other.yaml"), policy("x509.subject: C=US, ST=WA, O=other")).unwrap();
    (image, reference)
}

#[test]
fn a_notation_signature_reaches_harbor_as_one_and_before_its_image_has_a_tag() {
    let (stage, harbor) = (Stage::new(), HarborDouble::start(HarborOptions::default()));
    harbor.create_project("apps");
    harbor.set_metadata("apps", "enable_content_trust", "true");
    let (user, password) = harbor.add_robot("apps", "importer", &IMPORT_RIGHTS);
    stage.write_auth("auth.json", &harbor.host(), &user, &password);
    let (image, reference) = stage_with_signature(&stage);

    let pack = ["pack", &reference, "-o", "b", "--sign-key", "author.key", "--plain-http", "--policy"];
    stage.airlift(&[&pack[..], &["other.yaml"]].concat()).expect(30).says(&["and the rule wants C=US, O=other, ST=WA"]);
    stage.airlift(&[&pack[..], &["policy.yaml"]].concat()).expect(0);
    let verify = ["verify", "b.airlift", "--bundle-key", "author.pub", "--policy"];
    stage.airlift(&[&verify[..], &["other.yaml"]].concat()).expect(30);
    let verified = stage.airlift(&[&verify[..], &["policy.yaml", "-o", "json"]].concat()).expect(0);
    let verified: serde_json::Value = serde_json::from_str(&verified.stdout).unwrap();
    let judged = &verified["evidence"]["artifacts"][0]["judged"][0];
    assert_eq!((&judged["kind"], &judged["verdict"]), (&json!("notation"), &json!("good")));
    assert_eq!((&judged["signer"]["kind"], &judged["signer"]["subject"]), (&json!("x509"), &json!(SUBJECT)));

    harbor.record();
    let to = format!("{}/apps", harbor.host());
    let import =
        ["import", "b.airlift", "--to", &to, "--bundle-key", "author.pub", "--plain-http", "--authfile", "auth.json"];
    stage.airlift(&import).expect(0).says(&["complete: 1 of 1 artifacts"]);
    let [accessory] = &harbor.accessories("apps")[..] else { panic!("{:?}", harbor.accessories("apps")) };
    assert_eq!((accessory.kind.as_str(), &accessory.subject), ("signature.notation", image.digest()));
    let exchanges = harbor.exchanges();
    let puts: Vec<&str> = exchanges
        .iter()
        .filter(|e| e.method == "PUT" && e.path.contains("/manifests/"))
        .map(|e| e.path.as_str())
        .collect();
    let tagged = puts.iter().position(|path| path.ends_with("/manifests/1.0")).unwrap();
    assert_eq!(tagged, puts.len() - 1, "the tag comes last: {puts:?}");
    // Under content trust an image without its signature could not be read.
    let credentials = std::fs::read(stage.path("auth.json")).unwrap();
    let settings = Settings {
        plain_http: PlainHttp::All,
        credentials: Credentials::default().with_file(&credentials).unwrap(),
        ..Settings::default()
    };
    let at = Repository::new(&harbor.host(), "apps/team/app").unwrap();
    let read = Remote::new(settings).unwrap().manifest(&at, &Reference::Tag("1.0".parse().unwrap())).unwrap();
    assert_eq!(&read.descriptor.digest, image.digest());
}

#[test]
fn judging_one_signature_costs_little_and_the_figure_can_be_read() {
    for kind in [Kind::P256, Kind::Rsa2048, Kind::Rsa4096] {
        let tsa = Tsa::new(Kind::Rsa2048, T0);
        let bench = Bench::of(kind).store("tsa:stamps", tsa.root.pem());
        let stamping = |signature: &[u8]| tsa.stamp(signature, &Token::at(SIGNED));
        let candidates = [kit::referrer(&subject(), JWS, &draft().jws(&bench.world.signer(), Some(&stamping)))];
        let judge = bench.judge();
        let start = std::time::Instant::now();
        for _ in 0..20 {
            accepted("measured", &judge.judge(&name(), &subject(), &candidates));
        }
        eprintln!("{kind:?} with a timestamp: {:?} each", start.elapsed() / 20);
    }
}

#[test]
fn zz_write_seeds() {
    let world = World::new(Kind::P256, T0);
    let tsa = Tsa::new(Kind::P256, T0);
    let stamping = |signature: &[u8]| tsa.stamp(signature, &Token { accuracy: Some(1), ..Token::at(SIGNED) });
    let seeds = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    let signer = world.signer();
    std::fs::write(seeds.join("notation_jws/good"), draft().jws(&signer, None)).unwrap();
    std::fs::write(seeds.join("notation_jws/stamped"), draft().jws(&signer, Some(&stamping))).unwrap();
    std::fs::write(seeds.join("notation_jws/authority"), draft().by_authority().jws(&signer, None)).unwrap();
    std::fs::write(seeds.join("notation_cose/good"), draft().cose(&signer, None)).unwrap();
    std::fs::write(seeds.join("notation_cose/stamped"), draft().cose(&signer, Some(&stamping))).unwrap();
    std::fs::write(
        seeds.join("notation_timestamp/elliptic"),
        tsa.stamp(b"a signature", &Token { accuracy: Some(1), ..Token::at(SIGNED) }),
    )
    .unwrap();
    let rsa = Tsa::new(Kind::Rsa2048, T0);
    std::fs::write(seeds.join("notation_timestamp/rsa"), rsa.stamp(b"a signature", &Token::at(SIGNED))).unwrap();
}
