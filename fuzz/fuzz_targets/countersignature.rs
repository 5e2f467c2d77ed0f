//! Countersignatures before a bundle: the readers agree on them, and a good one proves its own bundle and statement only.
#![no_main]

use airlift::bundle::{BundleReader, Countersigning, Input, check};
use airlift::document::policy::{BundleDemand, KeySource, PersonKey, ReportDemand, Unsigned, Until};
use airlift::model::{Digest, Verdict};
use airlift::trust::{Authors, BundleSeals, Countersigned};
use libfuzzer_sys::fuzz_target;
use std::io::Cursor;
use std::sync::LazyLock;

/// A bundle that is whole; the input stands before it.
const BUNDLE: &[u8] = include_bytes!("../seeds/bundle_check/one");

static AUTHORS: LazyLock<Authors> = LazyLock::new(|| {
    let person = PersonKey {
        name: "seed".to_owned(),
        key: KeySource::Pem(include_str!("../material/countersignature.pub").to_owned()),
        not_after: Until::Never,
        report: ReportDemand::Optional,
    };
    let demand =
        BundleDemand { keys: vec![person], threshold: 1, countersigners: Vec::new(), unsigned: Unsigned::Allow };
    Authors::new(&demand, "seed", &mut |_: &str| Err(std::io::Error::other("no file")), 0).expect("a public key")
});

fuzz_target!(|bytes: &[u8]| {
    let piled = [bytes, BUNDLE].concat();
    let checked = check(Input::Stream(Box::new(Cursor::new(piled.clone()))), 1, &|_| {});
    let Ok(reader) = BundleReader::open(Input::Stream(Box::new(Cursor::new(piled)))) else {
        assert!(!checked.findings.is_empty());
        return;
    };
    let found = reader.countersignatures();
    assert_eq!(found, checked.countersignatures);
    let mut again = Vec::new();
    for one in found.iter().filter(|one| one.report.is_none()) {
        let parts =
            Countersigning { bundle: &one.bundle, statement: &one.statement, envelope: &one.envelope, report: b"" };
        again.extend(parts.to_bytes().expect("what was read can be written"));
    }
    assert!(found.iter().any(|one| one.report.is_some()) || again == bytes, "two spellings of one countersignature");
    let parts: Vec<Countersigned<'_>> = found
        .iter()
        .map(|one| Countersigned {
            place: &one.place,
            statement: &one.statement,
            envelope: &one.envelope,
            report: one.report.as_ref(),
        })
        .collect();
    let seals = BundleSeals { statement: reader.statement(), envelope: reader.envelope(), countersignatures: &parts };
    let bundle = Digest::of(reader.statement());
    for mark in AUTHORS.judge(&seals).marks.iter().filter(|mark| mark.verdict == Verdict::Good) {
        let says = mark.says.as_ref().expect("a good countersignature says something");
        assert_eq!(says.bundle, bundle);
        let other = BundleSeals { statement: b"another head", ..seals };
        assert!(AUTHORS.judge(&other).marks.iter().all(|mark| mark.verdict != Verdict::Good));
    }
});
