//! Policies of Kyverno: what they make and add is wanted, what they compare with is not.

use crate::discover::{folder, names, told, try_mirror};
use airlift::discover::Discovery;

fn policy(rule: &str) -> Discovery {
    let rule = rule.replace('\n', "\n    ");
    let text = format!(
        "apiVersion: kyverno.io/v1\nkind: ClusterPolicy\nmetadata: {{name: p}}\nspec:\n  rules:\n  - name: r\n    {rule}\n"
    );
    let folder = folder(&[("k/p.yaml", &text)]);
    try_mirror(folder.path(), "kubernetes: [k]\n").unwrap_or_else(|e| panic!("{e}\n{text}"))
}

fn out(found: &Discovery) -> Vec<String> {
    found.ruled_out.iter().map(|seen| seen.sighting.text.clone()).collect()
}

#[test]
fn objects_that_a_policy_makes_run_their_images() {
    let found = policy(
        "generate:\n  apiVersion: apps/v1\n  kind: DaemonSet\n  name: n\n  data:\n    spec: {template: {spec: {containers: [{name: a, image: \
         'h.example/agent:1'}], initContainers: [{name: i, image: 'h.example/init:1'}]}}}",
    );
    assert_eq!(names(&found), ["h.example/agent:1", "h.example/init:1"]);
    assert!(found.found[0].why[1].contains("DaemonSet/p spec.rules[0].generate.data.spec"), "{:?}", found.found[0].why);
    let found = policy(
        "generate:\n  apiVersion: v1\n  kind: ConfigMap\n  name: n\n  data:\n    data:\n      image: h.example/tool:1\n      job.json: \
         '{\"image\": \"h.example/job:2\"}'",
    );
    assert_eq!(names(&found), ["h.example/tool:1", "h.example/job:2"]);
    let found = policy(
        "generate:\n  foreach:\n  - apiVersion: v1\n    kind: Pod\n    name: n\n    data: {spec: {containers: [{image: 'h.example/each:1'}]}}",
    );
    assert_eq!(names(&found), ["h.example/each:1"]);
}

#[test]
fn containers_that_a_policy_adds_are_wanted_and_conditions_are_not() {
    let found = policy(
        "match: {any: [{resources: {kinds: [Pod]}}]}\nmutate:\n  patchStrategicMerge:\n    spec:\n      initContainers: [{name: i, image: \
         'h.example/init:1'}]\n      containers:\n      - (image): 'h.example/only-if/*'\n        +(image): h.example/default:1\n        args: \
         ['--helper-image=h.example/helper:1']",
    );
    assert_eq!(names(&found), ["h.example/init:1", "h.example/default:1", "h.example/helper:1"]);
    let found = policy(
        "mutate:\n  patchesJson6902: |-\n    - op: add\n      path: /spec/containers/-\n      value: {name: s, image: 'h.example/side:1'}",
    );
    assert_eq!(names(&found), ["h.example/side:1"]);
    let found = policy(
        "mutate:\n  foreach:\n  - list: request.object.spec.containers\n    patchStrategicMerge: {spec: {containers: [{name: x, image: \
         'mirror.example/{{ element.name }}'}, {name: y, image: 'h.example/y:1'}]}}",
    );
    assert_eq!(names(&found), ["h.example/y:1"]);
    assert!(told(&found).contains("is filled in when the policy acts; nothing of it is included"), "{}", told(&found));
}

#[test]
fn images_that_a_policy_compares_with_are_told_and_nothing_waits_for_them() {
    for rule in [
        "verifyImages:\n- imageReferences: ['h.example/signed:1', 'h.example/app/*']\n  attestors: []",
        "validate:\n  pattern: {spec: {containers: [{image: 'h.example/signed:1'}]}}",
        "validate:\n  message: use h.example/signed:1 here\n  pattern: {spec: {containers: [{image: '!*:latest'}]}}",
        "context:\n- name: m\n  imageRegistry: {reference: 'h.example/signed:1'}\nvalidate: {deny: {}}",
    ] {
        let found = policy(rule);
        assert!(
            found.found.is_empty() && found.undecided.is_empty(),
            "{rule}: {:?} {:?}",
            names(&found),
            found.undecided
        );
        let told = told(&found);
        assert!(rule.contains("use h") || out(&found).contains(&"h.example/signed:1".to_owned()), "{rule}: {told}");
    }
    let clean = policy(
        "exclude: {any: [{resources: {names: ['{{ x }}']}}]}\nvalidate: {pattern: {spec: {image: '{{ y }}/x:1'}}}",
    );
    assert!(clean.found.is_empty(), "a variable in a condition is no mistake");
}
