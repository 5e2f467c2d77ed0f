//! What judging costs: processor time for one artifact, and memory over a thousand of them.
//!
//! Measured in a process of its own, because other tests share this one's memory.

use airlift::document::policy::Policy;
use airlift::model::{Descriptor, MediaType};
use airlift::testkit::sigstore::{self as kit, Leaf, World};
use airlift::trust::{Candidate, Judge, simple};
use std::process::Command;

const T0: i64 = 1_700_000_000;
const WHO: &str = "https://code.example/team/app/.github/workflows/release.yaml@refs/heads/main";
const ISSUER: &str = "https://token.example";
const ARTIFACTS: u32 = 1_000;
/// What the memory may grow by from the hundredth artifact to the last, in KiB.
const GROWTH_KIB: u64 = 4 << 10;
const ASKED: &str = "AIRLIFT_TRUST_FIGURES";

/// Processor time of this thread so far, in microseconds.
fn spent() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split(' ').next().unwrap().parse::<u64>().unwrap() / 1000
}

/// Memory of this process that is in use now, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

fn judge(world: &World) -> Judge {
    let policy = format!(
        "apiVersion: airlift/v1alpha1\nkind: Policy\ntrustRoots: {{corporate: {{file: root.json}}}}\nrules:\n  - match: [\"**\"]\n    signatures:\n      - keyless: {{trustRoot: corporate, issuer: \"{ISSUER}\", identity: \"{WHO}\"}}\n"
    );
    let root = world.root().to_string().into_bytes();
    Judge::new(&Policy::parse(&policy, "policy.yaml").unwrap(), &mut |_: &str| Ok(root.clone()), T0 + 86_400).unwrap()
}

/// One signed artifact: a bundle with an entry of either kind of log, or cosign's older form.
fn signed(world: &World, number: u32) -> (Descriptor, Candidate) {
    let subject = Descriptor::of(MediaType::OCI_MANIFEST, &number.to_be_bytes());
    let leaf = Leaf::new(WHO, ISSUER, T0 + 1000);
    let statement = kit::statement(&subject.digest, "https://sigstore.dev/cosign/sign/v1");
    let candidate = match number % 3 {
        0 => kit::referrer(&subject, &world.bundle(&leaf, &statement).to_string()),
        1 => kit::referrer(&subject, &world.bundle_v2(&leaf, &statement).to_string()),
        _ => kit::tagged(&subject.digest, "sig", &[world.simple(&leaf, &simple::payload("x", &subject.digest))]),
    };
    (subject, candidate)
}

#[test]
fn measured_in_a_process_of_its_own() {
    if std::env::var_os(ASKED).is_none() {
        return;
    }
    let world = World::new(T0);
    let judge = judge(&world);
    let name = "registry.example/team/app:1".parse().unwrap();
    let artifacts: Vec<(Descriptor, Candidate)> = (0..ARTIFACTS).map(|number| signed(&world, number)).collect();
    let (mut took, mut after_hundred) = (Vec::new(), 0);
    for (at, (subject, candidate)) in artifacts.iter().enumerate() {
        let before = spent();
        assert!(judge.judge(&name, subject, std::slice::from_ref(candidate)).accepted);
        took.push(spent() - before);
        if at == 100 {
            after_hundred = resident();
        }
    }
    let grown = resident().saturating_sub(after_hundred);
    took.sort_unstable();
    let mean = took.iter().sum::<u64>() / u64::from(ARTIFACTS);
    eprintln!(
        "trust: {ARTIFACTS} artifacts, {mean} us each (median {}, longest {}), memory grew by {grown} KiB",
        took[500], took[999]
    );
    assert!(grown <= GROWTH_KIB, "the memory grew by {grown} KiB");
}

#[test]
fn a_thousand_artifacts_are_judged_in_constant_memory() {
    let inner = ["trust_figures::measured_in_a_process_of_its_own", "--exact", "--nocapture", "--test-threads=1"];
    let ran = Command::new(std::env::current_exe().unwrap()).args(inner).env(ASKED, "1").output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stdout));
    // The line of the test runner may stand before it.
    let (_, figures) = said.split_once("trust: ").unwrap_or_else(|| panic!("{said}"));
    eprintln!("trust: {}", figures.lines().next().unwrap_or_default());
}
