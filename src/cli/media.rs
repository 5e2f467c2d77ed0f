//! Arguments about media that take volumes in turn or give them in turn, and who changes them: a person or a command.

use super::error::CliError;
use super::judging::medium;
use super::output::Output;
use super::prompt;
use crate::bundle::{MediaFolders, MediaStream, Target, strangers};
use crate::flow::Medium;
use crate::model::evidence::{FindingClass, Severity};
use crate::model::fault::printable;
use crate::model::medium::{ChangeMedium, MediumUse, WantedVolume};
use crate::model::{Fault, FaultKind, Finding};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Times that the command is run for one volume before it is given up.
const COMMAND_RUNS: u32 = 3;

/// Media that are written one after the other.
#[derive(clap::Args)]
pub struct WritingMedia {
    /// Folder of a medium that takes volumes; repeatable. A volume goes to the next one when the first has no room for it.
    /// Volumes are written one at a time and each gets its name when it is complete, so media may be taken away; OUT gives
    /// the name, and beside it stands the journal by which an ended run goes on
    #[arg(long = "media", value_name = "FOLDER", value_delimiter = ',')]
    media: Vec<PathBuf>,
    /// Who brings another medium when none has room: `ask` on the terminal, or a command for the shell, which learns from
    /// AIRLIFT_VOLUME, AIRLIFT_BUNDLE and others which volume is next. If it fails, the run ends and can go on later
    #[arg(long, value_name = "ask|COMMAND", requires = "media")]
    change_medium: Option<String>,
    /// Read each volume again from its medium, past the memory of the machine, before the next one is begun
    #[arg(long, requires = "media")]
    verify_after_write: bool,
}

/// Media that are read one after the other.
#[derive(clap::Args)]
pub struct ReadingMedia {
    /// Read one medium after the other: BUNDLE names the folders in which they appear. Who brings the next one: `ask` on
    /// the terminal, or a command for the shell, as for pack. A wrong medium is refused and asked for again
    #[arg(long, value_name = "ask|COMMAND")]
    change_medium: Option<String>,
}

impl WritingMedia {
    /// Returns where volumes named `out` go in turn; `None` where all of them stand beside each other.
    pub fn target<'a>(&self, out: &'a Path) -> Result<Option<Target<'a>>, CliError> {
        if self.media.is_empty() {
            return Ok(None);
        }
        if out.as_os_str() == "-" {
            return Err(CliError::usage("--media is for files, and -o - is standard output"));
        }
        let change = self.change_medium.as_deref().map(changer).transpose()?;
        let media = MediaFolders { folders: self.media.clone(), change };
        Ok(Some(Target { out, media, read_back: self.verify_after_write }))
    }
}

impl WritingMedia {
    /// Returns whether media are written one after the other.
    pub const fn is_in_turn(&self) -> bool {
        !self.media.is_empty()
    }
}

impl ReadingMedia {
    /// Opens what is named: all of it at once, or one medium after the other.
    pub fn medium(&self, bundle: &[PathBuf], output: &Output) -> Result<Medium, CliError> {
        output.findings(&ignored(bundle));
        let Some(said) = &self.change_medium else { return medium(bundle) };
        if bundle.iter().any(|argument| argument.as_os_str() == "-") {
            return Err(CliError::usage("--change-medium is for folders, and - is standard input"));
        }
        let media = MediaFolders { folders: bundle.to_vec(), change: Some(changer(said)?) };
        Ok(Medium::Stream(Box::new(MediaStream::new(media))))
    }

    /// Returns whether media are read one after the other.
    pub const fn is_in_turn(&self) -> bool {
        self.change_medium.is_some()
    }
}

/// Says what lies beside the volumes and is not read.
fn ignored(bundle: &[PathBuf]) -> Vec<Finding> {
    let note = |path: PathBuf| {
        let unfinished = path.extension().is_some_and(|extension| extension == "partial");
        let what = if unfinished {
            "is a volume that was never finished; it is not read"
        } else {
            "is no volume; it is not read"
        };
        let warning = Finding::warning(FindingClass::Media, printable(&path.display().to_string()), what);
        Finding { severity: Severity::Note, ..warning }
    };
    strangers(bundle).into_iter().map(note).collect()
}

fn changer(said: &str) -> Result<Box<dyn ChangeMedium>, CliError> {
    if said != "ask" {
        return Ok(Box::new(Hook { command: said.to_owned(), runs: (0, 0) }));
    }
    if !prompt::is_possible() {
        let hint = "give a command instead of `ask`, or leave --change-medium out to have all missing volumes listed";
        return Err(CliError::usage("there is no terminal on which to ask for media").with_hint(hint));
    }
    Ok(Box::new(Person))
}

/// Asks on the terminal.
struct Person;

impl ChangeMedium for Person {
    fn change(&mut self, wanted: &WantedVolume, why: &str) -> Result<(), Fault> {
        let places = places(wanted);
        let answer = prompt::line(&question(wanted, why))
            .map_err(|error| Fault::local(&places, "nobody can be asked", error))?;
        match answer {
            Some(answer) if !answer.trim().eq_ignore_ascii_case("q") => Ok(()),
            _ => Err(Fault::new(FaultKind::Interrupted, places, "the run was ended there")),
        }
    }
}

/// Runs a command.
struct Hook {
    command: String,
    /// Volume for which it ran last, and how often.
    runs: (u32, u32),
}

impl ChangeMedium for Hook {
    fn change(&mut self, wanted: &WantedVolume, why: &str) -> Result<(), Fault> {
        let fail = |what: String| Fault::new(FaultKind::Interrupted, places(wanted), what);
        self.runs = if self.runs.0 == wanted.number { (wanted.number, self.runs.1 + 1) } else { (wanted.number, 1) };
        if self.runs.1 > COMMAND_RUNS {
            return Err(fail(format!("the command for the next medium ran {COMMAND_RUNS} times and did not help")));
        }
        // What it says is for people: standard output is that of results.
        let mut command = Command::new("sh");
        command.args(["-c", &self.command]).stdin(Stdio::null()).stdout(Stdio::from(std::io::stderr()));
        for (name, value) in told(wanted, why) {
            command.env(name, value);
        }
        match command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(fail(format!("the command for the next medium ended with {status}"))),
            Err(error) => Err(fail(format!("the command for the next medium cannot be run: {error}"))),
        }
    }
}

/// Returns what the command is told, as variables.
fn told(wanted: &WantedVolume, why: &str) -> Vec<(&'static str, String)> {
    let purpose = match wanted.purpose {
        MediumUse::Write => "write",
        MediumUse::Read => "read",
    };
    let number = |known: Option<u64>| known.map(|number| number.to_string()).unwrap_or_default();
    let folder = wanted.folders.first().cloned().unwrap_or_default();
    let file = wanted.file.clone().unwrap_or_default();
    vec![
        ("AIRLIFT_ACTION", purpose.to_owned()),
        ("AIRLIFT_VOLUME", wanted.number.to_string()),
        ("AIRLIFT_VOLUMES", number(wanted.total.map(u64::from))),
        ("AIRLIFT_BYTES", number(wanted.bytes)),
        ("AIRLIFT_BUNDLE", wanted.bundle.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("AIRLIFT_FOLDER", folder.display().to_string()),
        ("AIRLIFT_FILE", if file.is_empty() { file } else { folder.join(file).display().to_string() }),
        ("AIRLIFT_WHY", printable(why)),
    ]
}

fn question(wanted: &WantedVolume, why: &str) -> String {
    let verb = match wanted.purpose {
        MediumUse::Write => "needs another medium",
        MediumUse::Read => "is wanted",
    };
    let label = wanted.file.as_ref().map(|file| format!("; label it {}", printable(file))).unwrap_or_default();
    format!(
        "{} {verb}: {}\nPut it in at {}{label}, and press Enter; q ends the run, which can go on later",
        wanted.shown(),
        printable(why),
        places(wanted)
    )
}

fn places(wanted: &WantedVolume) -> String {
    wanted.folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> WantedVolume {
        WantedVolume {
            purpose: MediumUse::Write,
            number: 3,
            total: Some(7),
            bundle: Some(crate::model::Digest::of(b"x")),
            bytes: Some(99),
            file: Some("b.003.airlift".to_owned()),
            folders: vec!["/mnt/a".into(), "/mnt/b".into()],
        }
    }

    #[test]
    fn a_person_is_told_which_volume_where_and_why() {
        let text = question(&wanted(), "/mnt/a has room for 1 byte");
        for part in [
            "volume 3 of 7 of bundle 2d711642b726",
            "needs another medium: /mnt/a has room for 1 byte",
            "at /mnt/a or /mnt/b",
            "label it b.003.airlift",
            "q ends the run",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn a_command_is_told_the_same_and_stops_the_run_when_it_fails_or_does_not_help() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let command = format!("env | grep ^AIRLIFT_ | sort >> {}", out.display());
        let mut hook = Hook { command, runs: (0, 0) };
        for _ in 0..COMMAND_RUNS {
            hook.change(&wanted(), "full").unwrap();
        }
        let said = std::fs::read_to_string(&out).unwrap();
        for line in [
            "AIRLIFT_ACTION=write",
            "AIRLIFT_BYTES=99",
            "AIRLIFT_FILE=/mnt/a/b.003.airlift",
            "AIRLIFT_FOLDER=/mnt/a",
            "AIRLIFT_VOLUME=3",
            "AIRLIFT_VOLUMES=7",
            "AIRLIFT_WHY=full",
            "AIRLIFT_BUNDLE=sha256:2d71",
        ] {
            assert!(said.lines().any(|said| said.starts_with(line)), "{line}: {said}");
        }
        assert!(hook.change(&wanted(), "full").unwrap_err().what.contains("3 times"));
        let mut next = wanted();
        next.number = 4;
        hook.change(&next, "full").unwrap();
        let mut failing = Hook { command: "exit 7".to_owned(), runs: (0, 0) };
        let fault = failing.change(&wanted(), "full").unwrap_err();
        assert!(fault.kind == FaultKind::Interrupted && fault.what.contains('7'), "{}", fault.what);
    }
}
