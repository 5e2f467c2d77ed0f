//! The bill of lading: one page that says what stands in the bundle, loads nothing, and stays text whatever it is
//! made of.

use crate::seals::stage;
use airlift::document::Envelope;
use airlift::document::countersignature::{
    CheckedBefore, CountersignatureStatement, Mark, MarkRole, PolicyReference, ReportReference,
};
use airlift::document::evidence::{ArtifactEvidence, Attached, ExemptionUsed};
use airlift::document::lock::{LockedArtifact, Role, Subset, SubsetDigest, Target};
use airlift::emit::lading::{Consignment, Lading, VolumeLine, page};
use airlift::model::evidence::{CertificateFacts, EvidenceKind, LogEntry, RootUsed, Signer, TimeSource, VerifiedTime};
use airlift::model::spoken::Spoken;
use airlift::model::{Digest, Evidence, MediaType, Platform, Verdict};
use std::collections::BTreeMap;

/// What nobody but an attacker would write.
const HOSTILE: &str = "</style></code><script src='https://evil.example/x.js'>alert(1)</script><img src=x onerror=\"alert(2)\">&#x3c;b\u{202e}gpj\u{0}";

fn evidence(verdict: Verdict, words: &str) -> Evidence {
    Evidence {
        subject: Digest::of(b"artifact"),
        kind: EvidenceKind::SigstoreBundle,
        source: Digest::of(b"signature"),
        layer: None,
        tag: None,
        artifact_type: None,
        verdict,
        reason: words.to_owned(),
        signer: Some(Signer::Certificate {
            identity: format!("https://code.example/{words}"),
            issuer: "https://issuer.example".into(),
            claims: BTreeMap::from([("sourceRepository".into(), "https://code.example/team".into())]),
        }),
        certificate: Some(CertificateFacts {
            sha256: Some(Digest::of(b"certificate")),
            not_before: "2031-01-01T00:00:00Z".into(),
            not_after: "2031-01-01T00:10:00Z".into(),
            claims: BTreeMap::new(),
        }),
        log: Some("proof".into()),
        log_entry: Some(LogEntry { log: "ab".into(), index: 7 }),
        trust_root: Some(RootUsed { name: "public-good".into(), sha256: Digest::of(b"root") }),
        times: vec![VerifiedTime { at: "2031-01-01T00:01:00Z".into(), by: TimeSource::Log }],
        time_source: None,
        predicate_type: Some("https://slsa.dev/provenance/v1".into()),
        not_checked: vec!["revocation".into()],
    }
}

fn locked(words: &str) -> LockedArtifact {
    LockedArtifact {
        source: "registry.example/team/app:1.2".parse().unwrap(),
        role: Role::Chart,
        media_type: MediaType::OCI_INDEX.into(),
        digest: Digest::of(b"artifact"),
        size: 512,
        subset: Some(Subset {
            platforms: vec![Platform::parse("linux/arm64").unwrap()],
            digest: SubsetDigest::Single,
            original: Digest::of(b"index"),
            original_type: MediaType::OCI_INDEX.into(),
        }),
        destination: Target { repository: "team/app".into(), tag: Some("1.2".parse().unwrap()) },
        why: vec![vec!["mirror.yaml: blueprints[0]".into(), words.to_owned()]],
        notes: vec![words.to_owned()],
        made: None,
        beside: None,
        rendered: Vec::new(),
    }
}

fn found(words: &str, judged: Vec<Evidence>, exempt: bool) -> ArtifactEvidence {
    ArtifactEvidence {
        subject: Digest::of(b"artifact"),
        rule: format!("policy.yaml rule 2 ({words})"),
        exemption: exempt.then(|| ExemptionUsed { reason: words.to_owned(), until: "2031-06-30".into() }),
        would_refuse: None,
        attached: vec![Attached {
            subject: Digest::of(b"artifact"),
            media_type: MediaType::OCI_MANIFEST.into(),
            digest: Digest::of(b"signature"),
            size: 9,
            artifact_type: Some(MediaType::SIGSTORE_BUNDLE.into()),
            tag: None,
        }],
        judged,
    }
}

fn marks(words: &str) -> Vec<Mark> {
    let statement = CountersignatureStatement {
        envelope: Envelope::new("Countersignature"),
        bundle: Digest::of(b"head"),
        signature: None,
        accepted: Vec::new(),
        checked: CheckedBefore {
            authenticity: format!("signed by {words}"),
            artifacts: 2,
            volumes: 2,
            bytes: 5_000_000,
            policy: Some(PolicyReference { name: words.to_owned(), digest: Digest::of(b"policy") }),
        },
        report: Some(ReportReference {
            name: Some(words.to_owned()),
            media_type: "application/json".into(),
            digest: Digest::of(b"report"),
            size: Some(81_920),
            uri: Some(format!("javascript:{words}")),
            carried: true,
        }),
        statement: Some(words.to_owned()),
        claimed_time: "2031-01-02T03:04:05Z".into(),
        tool: "airlift".into(),
    };
    let mark = |role, place: &str, verdict, says| Mark {
        role,
        place: place.to_owned(),
        name: (verdict == Verdict::Good).then(|| words.to_owned()),
        key: Digest::of(place.as_bytes()).to_string(),
        verdict,
        reason: format!("because {words}"),
        says,
    };
    vec![
        mark(MarkRole::Author, "airlift/head.sig", Verdict::Good, None),
        mark(MarkRole::Countersigner, "a.airlift", Verdict::Good, Some(Box::new(statement))),
        mark(MarkRole::Countersigner, "b.airlift", Verdict::Unknown, None),
        mark(MarkRole::Countersigner, "c.airlift", Verdict::Bad, None),
    ]
}

/// Makes a page in which everything that can be any text is `words`.
fn made_of(words: &str) -> String {
    let (bundle, marks) = (Digest::of(b"head"), marks(words));
    let policy = PolicyReference { name: words.to_owned(), digest: Digest::of(b"policy") };
    let locked = [locked(words), LockedArtifact { subset: None, why: Vec::new(), notes: Vec::new(), ..locked(words) }];
    let found = [
        found(words, vec![evidence(Verdict::Good, words), evidence(Verdict::Bad, words)], false),
        found(words, Vec::new(), true),
    ];
    let artifacts =
        locked.iter().zip(&found).map(|(locked, evidence)| Consignment { locked, evidence, bytes: 734_003_200 });
    let volume = |number| VolumeLine {
        number,
        file: format!("{words}.{number:03}.airlift"),
        bytes: 4 << 30,
        checksum: Spoken::of_digest(&Digest::of(&[number as u8])).to_string(),
    };
    page(&Lading {
        bundle: &bundle,
        authenticity: words,
        authentic: true,
        signatures: &marks,
        volumes: vec![volume(1), volume(2)],
        blobs: 7,
        bytes: 734_003_712,
        delta: None,
        policy: Some(&policy),
        artifacts: artifacts.collect(),
        tool: "airlift test",
    })
}

#[test]
fn the_page_is_as_it_was_looked_at() {
    insta::assert_snapshot!("lading", made_of("payments"));
}

#[test]
fn hostile_names_stay_text() {
    let page = made_of(HOSTILE);
    let body = page.split("<body>").nth(1).unwrap();
    for word in ["<script", "<img", "</style>", "\u{202e}", "\u{0}", "&#x3c;"] {
        assert!(!body.contains(word), "{word:?} stands in the page");
    }
    assert!(
        body.contains("&lt;script src=&#39;https://evil.example/x.js&#39;&gt;") && body.contains("\\u{202e}gpj\\u{0}")
    );
    // The same elements, whatever the words are: nothing opens, closes or gets an attribute.
    let shape = |page: &str| {
        let elements = page.split('<').skip(1).map(|piece| piece.split('>').next().unwrap().to_owned());
        elements.collect::<Vec<_>>()
    };
    assert_eq!(shape(&page), shape(&made_of("payments")));
}

#[test]
fn the_page_loads_nothing_and_runs_nothing() {
    let page = made_of("payments");
    let allowed = |element: &str| {
        let plain = !element.contains('=') || element.starts_with("meta ") || element.starts_with("html lang=");
        plain || element.split_once(" class=\"").is_some_and(|(_, rest)| rest.matches('"').count() == 1)
    };
    for element in page.split('<').skip(1).map(|piece| piece.split('>').next().unwrap()) {
        assert!(allowed(element), "{element}");
        if element.starts_with("meta http-equiv=\"Content-Security-Policy\"") {
            continue;
        }
        for word in ["script", "link", "iframe", "img", "object", "href", "src"] {
            assert!(!element.contains(&format!("{word} ")) && element != word, "{element}");
        }
    }
    let style = page.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    assert!(!style.contains("url(") && !style.contains("@import"));
    assert!(
        page.contains("default-src 'none'")
            && style.contains("prefers-color-scheme: dark")
            && style.contains("@media print")
    );
}

#[test]
fn a_bundle_without_anything_special_says_so() {
    let bundle = Digest::of(b"head");
    let page = page(&Lading {
        bundle: &bundle,
        authenticity: "not signed",
        authentic: false,
        signatures: &[],
        volumes: Vec::new(),
        blobs: 0,
        bytes: 1023,
        delta: None,
        policy: None,
        artifacts: Vec::new(),
        tool: "airlift test",
    });
    for words in ["The bundle is not signed.", "Read from a stream", "None: every artifact met", "1023 bytes"] {
        assert!(page.contains(words), "{words}");
    }
    assert!(!page.contains("Packed under"));
}

#[test]
fn inspect_writes_the_page_and_tells_the_same_in_json() {
    let stage = stage(&["alice"]);
    stage
        .airlift(&[
            "countersign",
            "b.airlift",
            "--bundle-key",
            "alice.pub",
            "--sign-key",
            "dmz.key",
            "--statement",
            "seen",
        ])
        .expect(0);
    let arguments = ["inspect", "b.airlift", "b.000.*", "--html", "lading.html"];
    let unchecked = stage.airlift(&arguments).expect(0);
    unchecked.says(&["signed, but not checked by whom", "unknown: the key is none that is known here"]);
    let keys = ["--bundle-key", "alice.pub", "--countersigner", "dmz.pub"];
    let ran = stage.airlift(&[&arguments[..], &keys, &["-o", "json"]].concat()).expect(0);
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let page = std::fs::read_to_string(stage.path("lading.html")).unwrap();
    let checksum = json["volumes"][0]["checksum"].as_str().unwrap();
    assert_eq!((checksum.len(), json["signatures"][1]["verdict"].as_str()), (24, Some("good")));
    for words in
        [json["bundle"].as_str().unwrap(), checksum, "team/app:1", "seen", "(claimed)", "countersigned by dmz.pub"]
    {
        assert!(page.contains(words), "{words}");
    }
    let wrong = stage.airlift(&["inspect", "b.airlift", "--bundle-key", "bob.pub"]).expect(0);
    wrong.says(&["not accepted: the bundle's signature is not accepted"]);
    stage.airlift(&["inspect", "b.airlift", "--html", "none/lading.html"]).expect(2);
}
