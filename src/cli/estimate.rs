//! `airlift estimate`

use super::basing::Basing;
use super::connect::Connecting;
use super::environment::Environment;
use super::error::CliError;
use super::human;
use super::judging::Judging;
use super::measured::measured;
use super::media_sizes;
use super::output::{Form, Output};
use super::receiving::open_place;
use super::rendering::Rendering;
use super::sourcing::Sourcing;
use super::wanting::Wanting;
use crate::bundle::{Options, ParityAmount, VolumeSizes};
use crate::flow::{Aims, Context, PackRequest, Pins, Remembering, estimate};
use std::path::PathBuf;

/// Say how large a bundle will be, whether there is room, and how long it takes, before payload is fetched
///
/// Makes the plan that `pack` makes with the same arguments, so the bytes are those of the bundle. Where payload is
/// compressed while it is packed, nobody knows how small it gets: then the least and the most are told.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    wanting: Wanting,
    #[command(flatten)]
    sourcing: Sourcing,
    #[command(flatten)]
    basing: Basing,
    /// Largest size of each volume, as for pack
    #[arg(long, value_name = "SIZE[,SIZE]…", value_parser = media_sizes::parse)]
    volume_size: Option<VolumeSizes>,
    /// Parity that will be added: a number of parity volumes, or a share of the bundle such as 5%
    #[arg(long, value_name = "N|SHARE")]
    parity: Option<ParityAmount>,
    /// Where `pack` will write: path prefix of the volumes. Its room is compared
    #[arg(long, value_name = "OUT")]
    out: Option<PathBuf>,
    /// Where the bundle will be imported: `HOST[:PORT][/PREFIX]` or `oci:FOLDER`. It is asked what it has and whether it has room
    #[arg(long, value_name = "DESTINATION")]
    to: Option<String>,
    /// Rate for the times: 100MB/s, 1MiB/s, …
    #[arg(long, value_name = "RATE", value_parser = human::parse_rate)]
    rate: Option<u64>,
    #[command(flatten)]
    judging: Judging,
    #[command(flatten)]
    rendering: Rendering,
    #[command(flatten)]
    connecting: Connecting,
    /// Form of the result
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: Form,
}

/// Estimates.
pub fn run(arguments: Arguments, environment: &Environment, output: &Output) -> Result<u8, CliError> {
    let basis = arguments.basing.basis()?;
    let (policy, judge, judged) = arguments.judging.judge_or_all()?;
    if !judged {
        output.note("note: no policy was given, so everything is counted and nothing is judged");
    }
    let to = arguments.to.as_deref().map(|to| open_place(to, true, &arguments.connecting, environment)).transpose()?;
    let progress = output.progress();
    let context = Context { events: &progress, threads: arguments.connecting.concurrency(), stop: &environment.stop };
    let opening = || arguments.connecting.remote(environment);
    let supply = arguments.sourcing.supply(opening, (None, environment), &context, output)?;
    let wanted = supply.wanted(&arguments.wanting)?;
    let source = Remembering::new(supply.source());
    let pins = Pins { charts: arguments.rendering.reading(environment)?, ..Pins::default() };
    let lock = supply.pin((&wanted, pins), &source, &context, output)?;
    let options = Options { volume_size: arguments.volume_size, ..Options::default() };
    let asked = basis.asked(opening)?;
    let leaving = basis.leaving(asked.as_ref());
    let request = PackRequest { lock, policy, judge: &judge, keys: &[], leaving, options, parity: arguments.parity };
    let aims =
        Aims { out: arguments.out.as_deref(), to: to.as_ref().map(|place| (place.prefix(), place.destination())) };
    let estimate = estimate(request, &source, &aims, &context)?;
    measured(&estimate, arguments.rate, arguments.output, output)
}
