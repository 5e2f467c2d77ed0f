//! Volumes one by one: when `airlift verify` means a single volume, and what it says of it.

use super::error::{CliError, findings_code};
use super::human;
use super::output::{Form, Output};
use crate::bundle::{find_volumes, volume_name};
use crate::flow::{Context, FlowError, Heard, VerifiedVolume, VerifiedVolumes, VerifyVolumesRequest, verify_volumes};
use crate::model::spoken::Spoken;
use crate::trust::Authors;
use std::path::PathBuf;

/// Returns the files that are to be checked one by one; `None` where they are meant as one set.
///
/// A single file that is one volume of several is checked alone. A folder, a pattern or several files are a set, of which
/// nothing may be missing, unless `alone` says otherwise.
pub fn checked_alone(arguments: &[PathBuf], alone: bool) -> Result<Option<Vec<PathBuf>>, CliError> {
    if alone {
        if arguments.iter().any(|argument| argument.as_os_str() == "-") {
            return Err(CliError::usage("--volume is for files; a stream is read from its first volume on"));
        }
        let files = find_volumes(arguments).map_err(|error| CliError::from(FlowError::from(error)))?;
        return Ok(Some(files));
    }
    let [only] = arguments else { return Ok(None) };
    let one_of_several = only.is_file() && volume_name(only).is_ok_and(|name| name.total != Some(1));
    Ok(one_of_several.then(|| vec![only.clone()]))
}

/// Checks volumes one by one and says what came of it.
pub fn verify_alone(
    files: Vec<PathBuf>,
    (authors, told): (&Authors, &[Spoken]),
    form: Form,
    context: &Context<'_>,
    output: &Output,
) -> u8 {
    let request = VerifyVolumesRequest { files, authors, told };
    let verified = verify_volumes(request, context);
    match form {
        Form::Json => output.json(&verified),
        Form::Table => show(&verified, output),
    }
    findings_code(&verified.all_findings())
}

fn show(verified: &VerifiedVolumes, output: &Output) {
    output.findings(&verified.all_findings());
    verified.volumes.iter().for_each(|volume| show_one(volume, output));
    heard(&verified.heard, output);
}

fn show_one(volume: &VerifiedVolume, output: &Output) {
    let file = volume.file.display();
    let bytes = human::bytes(volume.bytes);
    let Some(number) = volume.number else {
        return output.result(format!("NOT good: {file} is no volume that can be read"));
    };
    let of = volume.total.map(|total| format!(" of {total}")).unwrap_or_default();
    if volume.intact {
        output.result(format!("intact: volume {number}{of}, {bytes}: {file}"));
    } else {
        let wrong = human::count(volume.findings.len() as u64, "finding");
        output.result(format!("NOT good: volume {number}{of}, {wrong}: {file}"));
    }
    if let (Some(bundle), Some(set)) = (&volume.bundle, &volume.set) {
        output.result(format!("  of bundle {bundle}, cut {}", set.get(..12).unwrap_or(set)));
    }
    if let Some(checksum) = &volume.checksum {
        output.result(format!("  checksum {checksum}"));
    }
    if let Some(words) = &volume.authenticity {
        output.result(format!("  {words}"));
    }
    output.result("not told by this volume alone:");
    volume.not_told.iter().for_each(|what| output.result(format!("  {what}")));
}

/// Says what checksums that were told are those of; those of nothing are findings.
pub fn heard(heard: &[Heard], output: &Output) {
    for one in heard {
        if let Some(of) = &one.of {
            output.result(format!("{} is the checksum of {of}", one.checksum));
        }
    }
}
