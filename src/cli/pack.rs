//! `airlift pack`

use super::basing::Basing;
use super::connect::Connecting;
use super::environment::Environment;
use super::error::{CliError, DONE};
use super::human;
use super::judging::Judging;
use super::measured::measured;
use super::narrowing::Narrowed;
use super::output::{Form, Output};
use super::rendering::Rendering;
use super::signing::Signing;
use super::sourcing::Sourcing;
use super::storing::Storing;
use super::wanting::Wanting;
use crate::bundle::{Options, ParityAmount};
use crate::flow::{
    Aims, Context, PackRequest, Packed, Pins, Remembering, Wanted, estimate, look_up, pack, pack_stream,
};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Pull what is wanted, verify it under a policy, and write a signed bundle
///
/// Nothing is packed that has neither an acceptable signature nor an explicit --allow-unsigned. Killed and run again with the
/// same arguments, it goes on where it was.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    wanting: Wanting,
    #[command(flatten)]
    sourcing: Sourcing,
    /// Path prefix of the volumes: OUT.001.airlift, …; one file OUT.airlift without --volume-size; `-` for standard output.
    /// A bundle that leaves something out has .delta behind OUT
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// Largest size of a volume: 64MiB, 4GB, …
    #[arg(long, value_name = "SIZE", value_parser = human::parse_bytes)]
    volume_size: Option<u64>,
    /// Parity that makes lost and damaged volumes again: a number of parity volumes, or a share of the bundle such as 5%
    #[arg(long, value_name = "N|SHARE")]
    parity: Option<ParityAmount>,
    /// Say how large the bundle will be and whether there is room for it; fetch no payload and write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    basing: Basing,
    #[command(flatten)]
    signing: Signing,
    #[command(flatten)]
    judging: Judging,
    #[command(flatten)]
    narrowed: Narrowed,
    #[command(flatten)]
    rendering: Rendering,
    #[command(flatten)]
    storing: Storing,
    #[command(flatten)]
    connecting: Connecting,
}

/// Packs.
pub fn run(arguments: Arguments, environment: &Environment, output: &Output) -> Result<u8, CliError> {
    if arguments.parity.is_some() && arguments.output.as_os_str() == "-" {
        return Err(CliError::usage("parity over a stream needs its bytes a second time").with_hint(
            "write the volumes to a folder and send the files; parity volumes behind them are read from a stream too",
        ));
    }
    let beside = Some(&*arguments.output).filter(|out| out.as_os_str() != "-");
    let (policy, judge) = arguments.judging.judge()?;
    let keys = arguments.signing.keys(environment)?;
    let basis = arguments.basing.basis()?;
    let progress = Arc::new(output.progress());
    let context = Context { events: &*progress, threads: arguments.connecting.concurrency(), stop: &environment.stop };
    let piped = arguments.output.as_os_str() == "-";
    let opening = || arguments.connecting.remote(environment);
    let supply = arguments.sourcing.supply(opening, (beside, environment), &context, output)?;
    let wanted = supply.wanted(&arguments.wanting)?;
    let stocked = arguments.storing.over(supply.source(), environment, progress.clone(), piped)?;
    let source = Remembering::new(&stocked);
    let (charts, narrowing) =
        (arguments.rendering.reading(environment)?, arguments.narrowed.meant(matches!(wanted, Wanted::Mirror(_)))?);
    let pins = Pins { charts, narrowing, ..Pins::default() };
    let lookup = look_up(&wanted, pins, &source, &context)?;
    output.findings(&lookup.findings);
    supply.check(&lookup.resolved.lock)?;
    let options = Options { volume_size: arguments.volume_size, ..Options::default() };
    let asked = arguments.connecting.remote(environment)?;
    let leaving = basis.leaving(&asked);
    let request = PackRequest {
        lock: lookup.resolved.lock,
        policy,
        judge: &judge,
        keys: &keys,
        leaving,
        options,
        parity: arguments.parity,
    };
    if arguments.dry_run {
        let out = (!piped).then_some(arguments.output.as_path());
        let estimate = estimate(request, &source, &Aims { out, to: None }, &context)?;
        return measured(&estimate, None, Form::Table, output);
    }
    let packed = if piped {
        pack_stream(request, &source, &mut io::stdout().lock(), &context)?
    } else {
        pack(request, &source, &arguments.output, &context)?
    };
    output.findings(&packed.warnings);
    arguments.storing.keep(&stocked, &arguments.wanting.job("pack"), output);
    show(&packed, !keys.is_empty(), piped, output);
    Ok(DONE)
}

fn show(packed: &Packed, signed: bool, piped: bool, output: &Output) {
    let say = |text: String| if piped { output.note(text) } else { output.result(text) };
    let written = &packed.written;
    let volumes = human::count(written.volumes.len().max(1) as u64, "volume");
    let artifacts = human::count(packed.artifacts as u64, "artifact");
    say(format!(
        "packed {artifacts}, {} of payload, into {volumes}, {}",
        human::bytes(packed.payload),
        human::bytes(written.bytes)
    ));
    if let Some((blobs, bytes)) = packed.omitted {
        let (blobs, bytes) = (human::count(blobs, "blob"), human::bytes(bytes));
        say(format!("left out {blobs}, {bytes}, which the far side has by its bases; import asks for each"));
    }
    if packed.resumed > 0 {
        say(format!("{} of it were there from an earlier run", human::bytes(packed.resumed)));
    }
    for volume in &written.volumes {
        say(format!("  {}", volume.display()));
    }
    packed.parity.iter().for_each(|volume| say(format!("  {}", volume.display())));
    say(format!("bundle {}", written.bundle_id));
    if !signed {
        output.note("warning: the bundle is not signed; whoever imports it must pass --allow-unsigned-bundle. Sign with --sign-key");
    }
}
