//! What a bundle of very many blobs costs: every step grows as the number of blobs does, and opening one is a matter of an instant.
//!
//! `scripts/bench.sh scale` runs the same with 10,000 and 100,000 blobs in an optimised build and prints the table.

use crate::bundle_golden::World;
use airlift::bundle::{BundleReader, Class, Input, OpenBundle, Options, check, write_stream};
use airlift::model::MediaType;
use std::fmt;
use std::io::Cursor;
use std::path::Path;
use std::time::{Duration, Instant};

/// Ten times the blobs may cost this much more; a step that compares all with all costs a hundred times as much.
const GROWTH: u32 = 30;
/// Times that the cheap steps are measured; the fastest counts.
const ROUNDS: usize = 3;

/// Of ten blobs: four configurations, five layers that come compressed, one that is packed here.
fn world(blobs: usize) -> World {
    let mut world = World::new();
    let entry = |n: usize| {
        let digest = format!("{n:064x}");
        format!(
            r#"{{"mediaType":"{}","digest":"sha256:{digest}","size":700,"annotations":{{"org.opencontainers.image.ref.name":"registry.example/team/app{n}:1.0"}}}}"#,
            MediaType::OCI_MANIFEST
        )
    };
    let entries: Vec<String> = (0..blobs / 5).map(entry).collect();
    world.papers.index = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entries.join(",")).into_bytes();
    for n in 0..blobs {
        let bytes = format!("{{\"blob\":{n:0width$}}}", width = 40 + n % 7).into_bytes();
        match n % 10 {
            0..4 => world.add(MediaType::OCI_CONFIG, Class::Config, bytes, true),
            4..9 => world.add(MediaType::OCI_LAYER_GZIP, Class::Payload, bytes, false),
            _ => world.add(MediaType::OCI_LAYER_TAR, Class::Payload, bytes, false),
        };
    }
    world
}

/// What each step took: on the clock, and of the processor.
struct Figures {
    blobs: usize,
    steps: Vec<(&'static str, Took)>,
}

#[derive(Clone, Copy)]
struct Took {
    clock: Duration,
    /// Of the thread that asked; what other work on the machine costs is not in it.
    processor: Duration,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "scale {:>6} blobs:", self.blobs)?;
        self.steps.iter().try_for_each(|(step, took)| write!(f, "  {step} {:.1} ms", took.clock.as_secs_f64() * 1000.0))
    }
}

/// Returns the time that this thread has had of a processor; nothing where the kernel does not tell.
fn processor() -> Option<Duration> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(told.split(' ').next()?.parse().ok()?))
}

fn timed<T>(rounds: usize, mut work: impl FnMut() -> T) -> Took {
    let once = |_| {
        let (begun, had) = (Instant::now(), processor());
        std::hint::black_box(work());
        let clock = begun.elapsed();
        let processor = processor().zip(had).map_or(clock, |(now, then)| now - then);
        Took { clock, processor }
    };
    (0..rounds).map(once).min_by_key(|took| took.processor).unwrap()
}

fn measure(blobs: usize, folder: &Path) -> Figures {
    let world = world(blobs);
    let out = folder.join(format!("b{blobs}"));
    let path = folder.join(format!("b{blobs}.airlift"));
    let files = || Input::Files(vec![path.clone()]);
    let mut steps = Vec::new();
    steps.push(("plan", timed(1, || world.plan(Options::default()))));
    steps.push(("pack", timed(1, || world.write(&out, Options::default()))));
    let bytes = std::fs::metadata(&path).unwrap().len();
    steps.push((
        "stream",
        timed(1, || {
            let mut open = |want: &airlift::model::Descriptor| {
                Ok(Box::new(Cursor::new(world.blobs[&want.digest].clone())) as Box<dyn std::io::Read + Send>)
            };
            let mut written = Vec::new();
            write_stream(world.plan(Options::default()), None, &mut written, &mut open, &|_| {}).unwrap();
            assert_eq!(written.len() as u64, bytes);
        }),
    ));
    steps.push(("head", timed(ROUNDS, || BundleReader::open(files()).unwrap().papers().unwrap())));
    steps.push(("open", timed(ROUNDS, || OpenBundle::open(std::slice::from_ref(&path)).unwrap())));
    steps.push((
        "read",
        timed(1, || assert_eq!(BundleReader::open(files()).unwrap().finish().unwrap().blobs, blobs as u64)),
    ));
    steps.push(("check", timed(1, || assert!(check(files(), 2, &|_| {}).findings.is_empty()))));
    Figures { blobs, steps }
}

#[test]
fn every_step_grows_as_the_number_of_blobs_does() {
    let bench = std::env::var_os("AIRLIFT_SCALE").is_some();
    let folder = tempfile::tempdir().unwrap();
    let (few, many) = if bench { (10_000, 100_000) } else { (400, 4_000) };
    let (small, large) = (measure(few, folder.path()), measure(many, folder.path()));
    eprintln!("{small}\n{large}");
    for ((step, before), (_, after)) in small.steps.iter().zip(&large.steps) {
        let (before, after) = (before.processor, after.processor);
        let most = before * GROWTH + Duration::from_millis(20);
        assert!(after <= most, "{step}: {before:?} for {few} blobs, {after:?} for {many}");
    }
    let open = large.steps.iter().find(|(step, _)| *step == "open").unwrap().1.clock;
    if bench && !cfg!(debug_assertions) {
        assert!(open <= Duration::from_millis(50), "a bundle of {many} blobs opens in {open:?}");
    }
}
