//! Policies of other tools, imported: what they said is said with the same meaning or denied, and never weaker.

use airlift::document::policy::import::{ImportKind, Imported};
use airlift::document::policy::{Demand, Policy};
use airlift::model::{Descriptor, ImageRef, MediaType};
use airlift::testkit::sigstore::{self as kit, Key, Layer};
use airlift::trust::{Candidate, Judge, Judgement, simple};

const NOW: i64 = 1_700_086_400;

fn import(text: &str) -> Imported {
    let imported = Imported::read(text, "source", None).unwrap_or_else(|e| panic!("{e}\n{text}"));
    // What is written down is a policy, and the same one.
    let read =
        Policy::parse(&imported.to_text(), "policy.yaml").unwrap_or_else(|e| panic!("{e}\n{}", imported.to_text()));
    let demands = |policy: &Policy| -> Vec<_> {
        policy.rules.iter().map(|rule| (rule.patterns.clone(), rule.demand.clone(), rule.signed_reference)).collect()
    };
    assert_eq!(demands(&read), demands(&imported.policy), "{}", imported.to_text());
    imported
}

fn fails(text: &str) -> String {
    Imported::read(text, "source", None).map(|imported| imported.to_text()).unwrap_err().to_string()
}

fn notes(imported: &Imported) -> String {
    imported.notes.iter().map(|note| format!("{}: {}\n", note.line, note.what)).collect()
}

fn subject() -> Descriptor {
    Descriptor::of(MediaType::OCI_MANIFEST, b"the image")
}

/// Judges what `keys` signed as `name` under the policy that was made of `text`.
fn judged(imported: &Imported, name: &str, layers: &[Layer]) -> Judgement {
    let mut load = |_: &str| Err(std::io::ErrorKind::NotFound.into());
    let judge = Judge::new(&imported.policy, &mut load, NOW).unwrap_or_else(|e| panic!("{e}"));
    let found: Vec<Candidate> =
        if layers.is_empty() { Vec::new() } else { vec![kit::tagged(&subject().digest, "sig", layers)] };
    let name: ImageRef = name.parse().unwrap();
    judge.judge(&name, &subject(), &found)
}

fn signed(name: &str, key: &Key) -> Layer {
    kit::simple_by_key(key, &simple::payload(name, &subject().digest))
}

fn indented(key: &Key, blanks: usize) -> String {
    key.pem().lines().map(|line| format!("{}{line}\n", " ".repeat(blanks))).collect()
}

#[test]
fn containers_policies_keep_their_scopes_and_the_name_in_the_signature() {
    let (ours, other) = (Key::new(), Key::new());
    let data = kit::b64(ours.pem().as_bytes());
    let text = format!(
        r#"{{"default": [{{"type": "reject"}}],
 "transports": {{
  "docker": {{
   "h.example/team": [{{"type": "sigstoreSigned", "keyData": "{data}", "signedIdentity": {{"type": "matchRepository"}}}}],
   "h.example/team/open": [{{"type": "insecureAcceptAnything"}}],
   "h.example/gpg": [{{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/k.gpg"}}],
   "h.example/fulcio": [{{"type": "sigstoreSigned", "fulcio": {{"caPath": "/ca.pem"}}, "rekorPublicKeyPath": "/r.pub"}}],
   "h.example/remap": [{{"type": "sigstoreSigned", "keyData": "{data}", "signedIdentity": {{"type": "remapIdentity"}}}}]
  }},
  "docker-daemon": {{"": [{{"type": "insecureAcceptAnything"}}]}}
 }}}}"#
    );
    let imported = import(&text);
    assert_eq!(imported.kind, ImportKind::Containers);
    let decide = |name: &str, layers: &[Layer]| judged(&imported, name, layers).accepted;
    assert!(decide("h.example/team/app:1", &[signed("h.example/team/app", &ours)]));
    assert!(!decide("h.example/team/app:1", &[signed("h.example/team/app", &other)]));
    // The same digest, signed in another repository, does not count there either.
    assert!(!decide("h.example/team/app:1", &[signed("h.example/team/other", &ours)]));
    assert!(decide("h.example/team/open/x:1", &[]) && decide("h.example/team/open", &[]));
    for denied in
        ["h.example/gpg/x", "h.example/fulcio", "h.example/remap/y", "h.example/teams/x", "elsewhere.example/x"]
    {
        assert!(!decide(denied, &[signed(denied, &ours)]), "{denied}");
    }
    let notes = notes(&imported);
    for words in [
        "5: insecureAcceptAnything is an exemption without an end",
        "6: signedBy wants GPG signatures",
        "7: \"fulcio\" has no equivalent",
        "7: sigstoreSigned with more than keys; what it is about is denied",
        "8: signedIdentity \"remapIdentity\"",
        "transport \"docker-daemon\" is about no registry",
    ] {
        assert!(notes.contains(words), "{words:?} is not in:\n{notes}");
    }
    assert!(
        fails(r#"{"default": [{"type": "reject"}], "transports": {"docker": {"h.example/x@sha256:00": []}}}"#)
            .contains("about one digest")
    );
    assert!(
        fails(r#"{"default": [{"type": "reject"}], "transports": {"docker": {"team/app": []}}}"#)
            .contains("names no host")
    );
    assert!(fails(r#"{"transports": {}}"#).contains("no policy that is known"));
    let open = import(
        r#"{"default": [{"type": "insecureAcceptAnything"}], "transports": {"docker": {"": [{"type": "reject"}]}}}"#,
    );
    assert!(!judged(&open, "h.example/x", &[]).accepted, "the transport's own default decides");
}

#[test]
fn several_requirements_of_one_scope_are_all_asked() {
    let (one, two) = (Key::new(), Key::new());
    let data = |key: &Key| kit::b64(key.pem().as_bytes());
    let text = format!(
        r#"{{"default": [{{"type": "reject"}}], "transports": {{"docker": {{"h.example/team": [
        {{"type": "sigstoreSigned", "keyData": "{}", "signedIdentity": {{"type": "matchRepository"}}}},
        {{"type": "sigstoreSigned", "keyData": "{}"}}]}}}}}}"#,
        data(&one),
        data(&two)
    );
    let imported = import(&text);
    let name = "h.example/team/app:1";
    assert!(judged(&imported, name, &[signed(name, &one), signed(name, &two)]).accepted);
    assert!(!judged(&imported, name, &[signed(name, &one)]).accepted);
    // The stricter of the two identities holds for both: matchRepoDigestOrExact wants the tag.
    assert!(
        !judged(&imported, name, &[signed("h.example/team/app", &one), signed("h.example/team/app", &two)]).accepted
    );
}

fn cluster(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {{name: {name}}}\nspec:\n{spec}"
    )
}

#[test]
fn image_policies_that_match_one_name_are_all_asked() {
    let (wide, narrow, other) = (Key::new(), Key::new(), Key::new());
    let keyed = |glob: &str, key: &Key| {
        format!(
            "  images: [{{glob: \"{glob}\"}}]\n  authorities:\n    - name: one\n      key:\n        data: |\n{}",
            indented(key, 10)
        )
    };
    let text =
        cluster("wide", &keyed("h.example/**", &wide)) + &cluster("narrow", &keyed("h.example/team/**", &narrow));
    let imported = import(&text);
    let decide = |name: &str, keys: &[&Key]| {
        let layers: Vec<Layer> = keys.iter().map(|key| signed(name, key)).collect();
        judged(&imported, name, &layers).accepted
    };
    assert!(decide("h.example/team/app:1", &[&wide, &narrow]));
    assert!(!decide("h.example/team/app:1", &[&narrow]), "the wider policy holds as well");
    assert!(!decide("h.example/team/app:1", &[&wide]));
    assert!(decide("h.example/other:1", &[&wide]) && !decide("h.example/other:1", &[&other]));
    // Patterns of which neither is the wider one cannot be put together.
    let across =
        import(&(cluster("a", &keyed("h.example/*/app", &wide)) + &cluster("b", &keyed("h.example/team/**", &narrow))));
    assert!(!judged(&across, "h.example/team/app", &[signed("x", &wide), signed("x", &narrow)]).accepted);
    assert!(notes(&across).contains("neither is the wider one"));
}

#[test]
fn what_an_image_policy_cannot_say_here_is_denied_and_listed() {
    let key = Key::new();
    let keyless = "  images: [{glob: \"ghcr.io/team/**\"}]\n  authorities:\n    - keyless:\n        identities:\n          - {issuer: https://token.example, subjectRegExp: github.com/team/}\n          - {issuerRegExp: .*, subject: a@b.example}\n";
    let imported = import(&cluster("keyless", keyless));
    let text = imported.to_text();
    assert!(text.contains("^.*(?:github.com/team/).*$") && text.contains("embedded: public-good"), "{text}");
    let with = |more: &str| keyless.replace("        identities:", &format!("        {more}\n        identities:"));
    let own = import(&cluster("own", &with("url: https://fulcio.corp.example")));
    assert!(
        own.to_text().contains("file: own.trusted_root.json") && notes(&own).contains("without it nothing is judged")
    );
    let denied = |spec: &str, words: &str| {
        let imported = import(&cluster("p", spec));
        assert!(
            imported.policy.rules.iter().all(|rule| matches!(rule.demand, Demand::Deny(_))),
            "{}",
            imported.to_text()
        );
        assert!(notes(&imported).contains(words), "{words:?} is not in:\n{}", notes(&imported));
    };
    let images = "  images: [{glob: \"ghcr.io/team/**\"}]\n";
    denied(&format!("{images}  authorities:\n    - key: {{kms: gcpkms://x}}\n"), "\"kms\" has no equivalent");
    denied(
        &format!("{images}  authorities:\n    - key: {{secretRef: {{name: x}}}}\n"),
        "no authority of it can be taken over",
    );
    denied(&format!("{images}  authorities:\n    - static: {{action: fail}}\n"), "no authority");
    denied(
        &format!(
            "{keyless}      attestations:\n        - {{name: x, predicateType: vuln, policy: {{type: cue, data: x}}}}\n"
        ),
        "by CUE or Rego",
    );
    denied(
        &format!("{keyless}      rfc3161timestamp: {{trustRootRef: x}}\n"),
        "\"rfc3161timestamp\" has no equivalent",
    );
    denied(&format!("{keyless}  policy: {{type: cue, data: x}}\n"), "CUE or Rego over all authorities");
    denied(&format!("{keyless}  unheardOf: 1\n"), "\"unheardOf\" has no equivalent");
    let open = import(&cluster("open", &format!("{images}  authorities:\n    - static: {{action: pass}}\n")));
    assert!(judged(&open, "ghcr.io/team/x", &[]).accepted && notes(&open).contains("exemption without an end"));
    let warn = import(&cluster("warn", &format!("{keyless}  mode: warn\n")));
    assert!(warn.to_text().contains("mode: audit"));
    let attested = import(&cluster(
        "att",
        &format!("{keyless}      attestations:\n        - {{name: x, predicateType: spdxjson}}\n"),
    ));
    let Demand::Evidence { signatures: None, attestations, .. } = &attested.policy.rules[0].demand else {
        panic!("{}", attested.to_text())
    };
    assert!(attestations[0].types.contains("https://spdx.dev/Document"));
    let ctlog = format!(
        "  images: [{{glob: nginx}}]\n  authorities:\n    - key:\n        data: |\n{}      ctlog: {{url: https://rekor.sigstore.dev}}\n",
        indented(&key, 10)
    );
    let logged = import(&cluster("ctlog", &ctlog));
    assert!(
        logged.to_text().contains("log: promise")
            && logged.policy.rules[0].patterns[0].as_str() == "docker.io/library/nginx"
    );
    assert!(
        fails(&cluster("p", "  images: [{glob: \"h.example/{a,b}\"}]\n"))
            .contains("another rule would decide in its stead")
    );
}

fn kyverno(images: &str, head: &str) -> String {
    format!(
        "apiVersion: kyverno.io/v1\nkind: ClusterPolicy\nmetadata: {{name: check}}\nspec:\n{head}  rules:\n    - name: one\n      match: {{any: [{{resources: {{kinds: [Pod]}}}}]}}\n      verifyImages:\n{images}"
    )
}

#[test]
fn kyverno_counts_its_entries_and_asks_every_rule() {
    let keys: Vec<Key> = (0..3).map(|_| Key::new()).collect();
    let entry = |key: &Key| {
        format!(
            "                - keys:\n                    rekor: {{ignoreTlog: true}}\n                    publicKeys: |\n{}",
            indented(key, 22)
        )
    };
    let entries: String = keys.iter().map(entry).collect();
    let images = |count: &str| {
        format!(
            "        - imageReferences: [\"h.example/team/*\"]\n          mutateDigest: true\n          attestors:\n            - {count}entries:\n{entries}"
        )
    };
    let decide = |imported: &Imported, name: &str, by: &[usize]| {
        let layers: Vec<Layer> = by.iter().map(|at| signed(name, &keys[*at])).collect();
        judged(imported, name, &layers).accepted
    };
    let deep = "h.example/team/a/b/c:1";
    let all = import(&kyverno(&images(""), "  validationFailureAction: Enforce\n"));
    assert!(decide(&all, deep, &[0, 1, 2]) && !decide(&all, deep, &[0, 1]), "all entries where no count is given");
    let two = import(&kyverno(&images("count: 2\n              "), ""));
    assert!(decide(&two, deep, &[0, 2]) && !decide(&two, deep, &[1]));
    let any = import(&kyverno(&images("count: 1\n              "), ""));
    assert!(decide(&any, deep, &[1]) && !decide(&any, "h.example/other:1", &[0, 1, 2]));
    let said = notes(&any);
    assert!(
        said.contains("mutateDigest has no meaning here") && said.contains("\"match\" has no equivalent"),
        "{said}"
    );
    let audit = import(&kyverno(&images(""), "  validationFailureAction: Audit\n"));
    assert!(audit.to_text().contains("mode: audit"));
    assert_eq!(audit.kind, ImportKind::Kyverno);
}

#[test]
fn kyvernos_keyless_attestors_keep_their_wildcards_and_extensions() {
    let keyless = |more: &str| {
        format!(
            "        - imageReferences: [\"ghcr.io/team/app*\"]\n          attestors:\n            - entries:\n                - keyless:\n                    issuer: https://token.actions.githubusercontent.com\n                    subject: https://github.com/team/*@refs/tags/*\n{more}"
        )
    };
    let imported =
        import(&kyverno(&keyless("                    additionalExtensions: {githubWorkflowTrigger: push}\n"), ""));
    let text = imported.to_text();
    assert!(
        text.contains("^https://github\\.com/team/.*@refs/tags/.*$") && text.contains("workflowTrigger: push"),
        "{text}"
    );
    let patterns: Vec<&str> = imported.policy.rules[0].patterns.iter().map(|pattern| pattern.as_str()).collect();
    assert_eq!(patterns, ["ghcr.io/team/app*", "ghcr.io/team/app*/**"]);
    let denied = |images: &str, words: &str| {
        let imported = import(&kyverno(images, ""));
        assert!(
            imported.policy.rules.iter().all(|rule| matches!(rule.demand, Demand::Deny(_))),
            "{}",
            imported.to_text()
        );
        assert!(notes(&imported).contains(words), "{words:?} is not in:\n{}", notes(&imported));
    };
    denied(&keyless("                    additionalExtensions: {other: x}\n"), "the extension \"other\"");
    denied(&keyless("                    rekor: {ignoreTlog: true}\n"), "without a log");
    denied(&keyless("                  annotations: {team: x}\n"), "annotations");
    denied(
        &keyless("          attestations:\n            - {type: vuln, conditions: [{all: []}]}\n"),
        "attestations with conditions",
    );
    denied(&keyless("          type: Unknown\n"), "of the type \"Unknown\"");
    let attested = import(&kyverno(
        &keyless("          attestations:\n            - {type: https://slsa.dev/provenance/v1}\n"),
        "",
    ));
    let Demand::Evidence { attestations, .. } = &attested.policy.rules[0].demand else { panic!() };
    assert!(attestations[0].types.contains("https://slsa.dev/provenance/v1"));
    assert!(
        fails(&kyverno("        - imageReferences: [\"*/team/app?\"]\n", ""))
            .contains("has wildcards that no pattern here has")
    );
}

#[test]
fn notation_policies_keep_their_words() {
    let text = r#"{"version": "1.0", "trustPolicies": [
 {"name": "one", "registryScopes": ["h.example/team/app"], "signatureVerification": {"level": "strict", "override": {"revocation": "log"}},
  "trustStores": ["ca:acme", "tsa:acme"], "trustedIdentities": ["x509.subject: C=US, ST=WA, O=acme"]},
 {"name": "two", "registryScopes": ["h.example/open"], "signatureVerification": {"level": "skip"}},
 {"name": "three", "registryScopes": ["*"], "signatureVerification": {"level": "strict"}, "trustStores": ["ca:acme"], "trustedIdentities": ["nobody"]}
]}"#;
    let imported = import(text);
    assert_eq!(imported.kind, ImportKind::Notation);
    assert!(matches!(&imported.policy.rules[0].demand, Demand::Evidence { signatures: Some(_), .. }));
    assert!(matches!(&imported.policy.rules[1].demand, Demand::Exempt(_)));
    assert!(matches!(&imported.policy.rules[2].demand, Demand::Deny(_)));
    let stores: Vec<&String> = imported.policy.trust_stores.keys().collect();
    assert_eq!(stores, ["acme", "acme.tsa"]);
    let text = imported.to_text();
    for words in ["ca:acme", "tsa:acme.tsa", "x509/tsa/acme", "revocation: log", "# Made from source (notation)"] {
        assert!(text.contains(words), "{words:?} is not in:\n{text}");
    }
    let said = notes(&imported);
    assert!(
        said.contains("4: level skip is an exemption without an end")
            && said.contains("are about the source reference"),
        "{said}"
    );
    assert!(fails(r#"{"version": "2.0", "trustPolicies": []}"#).contains("expected \"1.0\""));
    assert!(
        fails(r#"{"version": "1.0", "trustPolicies": [{"registryScopes": ["h.example/*"]}]}"#)
            .contains("is no repository")
    );
}

#[test]
fn a_file_of_another_kind_is_refused() {
    assert!(fails("kind: Deployment\n").contains("no policy that is known here"));
    assert!(fails("").contains("it is empty"));
    let mixed = cluster("p", "  images: [{glob: x}]\n  authorities: []\n") + "---\nkind: ConfigMap\n";
    assert!(fails(&mixed).contains("expected a policy of the kind cluster-image-policy"));
    let wrong = Imported::read("kind: ClusterPolicy\nspec: {}\n", "source", Some(ImportKind::Notation));
    assert!(wrong.unwrap_err().to_string().contains("expected a policy of the kind notation"));
}

proptest::proptest! {
    #[test]
    fn any_text_is_imported_or_refused_without_a_panic(text in "\\PC{0,200}", kind in 0_usize..4) {
        let kind = ImportKind::ALL[kind].1;
        if let Ok(imported) = Imported::read(&text, "source", Some(kind)) {
            proptest::prop_assert!(Policy::parse(&imported.to_text(), "policy.yaml").is_ok());
        }
    }
}
