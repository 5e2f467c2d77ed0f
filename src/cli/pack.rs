//! `airlift pack`

use super::basing::Basing;
use super::connect::Connecting;
use super::environment::Environment;
use super::error::{CliError, DONE};
use super::human;
use super::judging::Judging;
use super::measured::measured;
use super::media::WritingMedia;
use super::media_sizes;
use super::narrowing::Narrowed;
use super::output::{Form, Output};
use super::rendering::Rendering;
use super::signing::Signing;
use super::sourcing::Sourcing;
use super::storing::Storing;
use super::wanting::Wanting;
use crate::bundle::{Options, ParityAmount, VolumeSizes};
use crate::flow::{
    Aims, Context, PackRequest, Packed, Pins, Remembering, Wanted, check_publishable, estimate, pack, pack_in_turn,
    pack_stream, publish, volume_list,
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
    /// Largest size of each volume: 64MiB, 4GB, the name of a medium (cd, dvd, dvd-dl, bd, bd-dl, fat32, lto-8, …), or a list
    /// for unequal ones, of which the last repeats: 4GB,32GB,bd
    #[arg(long, value_name = "SIZE[,SIZE]…", value_parser = media_sizes::parse)]
    volume_size: Option<VolumeSizes>,
    /// Write the list of volumes to this file: to be printed, to label media, and to read its checksums over the phone
    #[arg(long, value_name = "FILE")]
    volume_list: Option<PathBuf>,
    #[command(flatten)]
    media: WritingMedia,
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

impl Arguments {
    fn is_piped(&self) -> bool {
        self.output.as_os_str() == "-"
    }

    /// Refuses parity where the volumes pass only once: it needs their bytes a second time.
    fn refuse_parity_in_one_pass(&self) -> Result<(), CliError> {
        let (what, hint) = if self.is_piped() {
            (
                "parity over a stream",
                "write the volumes to a folder and send the files; parity volumes behind them are read from a stream too",
            )
        } else if self.media.is_in_turn() {
            (
                "parity over media that are written one after the other",
                "pack without it, gather the volumes in one place, and run airlift parity over them",
            )
        } else {
            return Ok(());
        };
        match self.parity {
            Some(_) => Err(CliError::usage(format!("{what} needs its bytes a second time")).with_hint(hint)),
            None => Ok(()),
        }
    }
}

/// Packs.
pub fn run(arguments: Arguments, environment: &Environment, output: &Output) -> Result<u8, CliError> {
    arguments.refuse_parity_in_one_pass()?;
    arguments.volume_list.as_deref().map_or(Ok(()), check_publishable)?;
    let target = arguments.media.target(&arguments.output)?;
    let piped = arguments.is_piped();
    let beside = (!piped).then_some(&*arguments.output);
    let (policy, judge) = arguments.judging.judge()?;
    let keys = arguments.signing.keys(environment)?;
    let basis = arguments.basing.basis()?;
    let progress = Arc::new(output.progress());
    let context = Context { events: &*progress, threads: arguments.connecting.concurrency(), stop: &environment.stop };
    let opening = || arguments.connecting.remote(environment);
    let supply = arguments.sourcing.supply(opening, (beside, environment), &context, output)?;
    let wanted = supply.wanted(&arguments.wanting)?;
    let stocked = arguments.storing.over(supply.source(), environment, progress.clone(), piped)?;
    let source = Remembering::new(&stocked);
    let (charts, narrowing) =
        (arguments.rendering.reading(environment)?, arguments.narrowed.meant(matches!(wanted, Wanted::Mirror(_)))?);
    let pins = Pins { charts, narrowing, ..Pins::default() };
    let lock = supply.pin((&wanted, pins), &source, &context, output)?;
    let options = Options { volume_size: arguments.volume_size, ..Options::default() };
    let asked = basis.asked(opening)?;
    let leaving = basis.leaving(asked.as_ref());
    let request = PackRequest { lock, policy, judge: &judge, keys: &keys, leaving, options, parity: arguments.parity };
    if arguments.dry_run {
        let estimate = estimate(request, &source, &Aims { out: beside, to: None }, &context)?;
        return measured(&estimate, None, Form::Table, output);
    }
    let packed = match target {
        Some(target) => pack_in_turn(request, &source, target, &context)?,
        None if piped => pack_stream(request, &source, &mut io::stdout().lock(), &context)?,
        None => pack(request, &source, &arguments.output, &context)?,
    };
    output.findings(&packed.warnings);
    arguments.storing.keep(&stocked, &arguments.wanting.job("pack"), output);
    if let Some(path) = &arguments.volume_list {
        publish(path, volume_list(&packed.written.set()).as_bytes())?;
    }
    show(&packed, !keys.is_empty(), piped, output);
    Ok(DONE)
}

fn show(packed: &Packed, signed: bool, piped: bool, output: &Output) {
    let say = |text: String| if piped { output.note(text) } else { output.result(text) };
    let written = &packed.written;
    let volumes = human::count(written.marks.len() as u64, "volume");
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
    let plain = |volume: &PathBuf| volume.strip_prefix(".").unwrap_or(volume).display().to_string();
    packed.parity.iter().for_each(|volume| say(format!("  {}", plain(volume))));
    say(format!("bundle {}", written.bundle_id));
    if !signed {
        output.note("warning: the bundle is not signed; whoever imports it must pass --allow-unsigned-bundle. Sign with --sign-key");
    }
}
