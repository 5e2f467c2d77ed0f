//! `airlift pack`

use super::connect::Connecting;
use super::environment::Environment;
use super::error::{CliError, DONE};
use super::human;
use super::judging::Judging;
use super::media::WritingMedia;
use super::media_sizes;
use super::output::Output;
use super::rendering::Rendering;
use super::signing::Signing;
use super::wanting::Wanting;
use crate::bundle::{Options, VolumeSizes};
use crate::flow::{
    Context, PackRequest, Packed, Pins, Remembering, check_publishable, look_up, pack, pack_in_turn, pack_stream,
    publish, volume_list,
};
use std::io;
use std::path::PathBuf;

/// Pull what is wanted, verify it under a policy, and write a signed bundle
///
/// Nothing is packed that has neither an acceptable signature nor an explicit --allow-unsigned. Killed and run again with the
/// same arguments, it goes on where it was.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    wanting: Wanting,
    /// Path prefix of the volumes: OUT.001.airlift, …; one file OUT.airlift without --volume-size; `-` for standard output
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
    #[command(flatten)]
    signing: Signing,
    #[command(flatten)]
    judging: Judging,
    #[command(flatten)]
    rendering: Rendering,
    #[command(flatten)]
    connecting: Connecting,
}

/// Packs.
pub fn run(arguments: Arguments, environment: &Environment, output: &Output) -> Result<u8, CliError> {
    arguments.volume_list.as_deref().map_or(Ok(()), check_publishable)?;
    let target = arguments.media.target(&arguments.output)?;
    let wanted = arguments.wanting.meant()?;
    let (policy, judge) = arguments.judging.judge()?;
    let keys = arguments.signing.keys(environment)?;
    let remote = arguments.connecting.remote(environment)?;
    let source = Remembering::new(&remote);
    let progress = output.progress();
    let context = Context { events: &progress, threads: arguments.connecting.concurrency(), stop: &environment.stop };
    let pins = Pins { charts: arguments.rendering.reading(environment)?, ..Pins::default() };
    let lookup = look_up(&wanted, pins, &source, &context)?;
    output.findings(&lookup.findings);
    let options = Options { volume_size: arguments.volume_size, ..Options::default() };
    let request = PackRequest { lock: lookup.resolved.lock, policy, judge: &judge, keys: &keys, options };
    let packed = match target {
        Some(target) => pack_in_turn(request, &source, target, &context)?,
        None if arguments.output.as_os_str() == "-" => {
            pack_stream(request, &source, &mut io::stdout().lock(), &context)?
        }
        None => pack(request, &source, &arguments.output, &context)?,
    };
    output.findings(&packed.warnings);
    if let Some(path) = &arguments.volume_list {
        publish(path, volume_list(&packed.written.set()).as_bytes())?;
    }
    show(&packed, !keys.is_empty(), arguments.output.as_os_str() == "-", output);
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
    if packed.resumed > 0 {
        say(format!("{} of it were there from an earlier run", human::bytes(packed.resumed)));
    }
    for volume in &written.volumes {
        say(format!("  {}", volume.display()));
    }
    say(format!("bundle {}", written.bundle_id));
    if !signed {
        output.note("warning: the bundle is not signed; whoever imports it must pass --allow-unsigned-bundle. Sign with --sign-key");
    }
}
