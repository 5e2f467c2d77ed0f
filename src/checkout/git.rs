//! Fetches one commit of a Git repository with the program `git`, and takes the catalogue out of it.
//!
//! The repository is bare and shallow, and nothing is checked out: objects are read by their names, so no hook, filter,
//! attribute or submodule of the repository has a say. The program may not ask questions; logins are its own affair (its
//! credential helpers, ssh's agent), and no login comes near an address or a message.

use super::{Checkout, Room, is_wanted};
use crate::document::mirror::GitSource;
use crate::model::fault::printable;
use crate::model::{Fault, FaultKind, limits};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// Settings that hold whatever the machine's own say.
const SETTINGS: [&str; 10] = [
    "core.hooksPath=/dev/null",
    "core.askPass=",
    "credential.interactive=false",
    "protocol.allow=never",
    "protocol.https.allow=always",
    "protocol.http.allow=always",
    "protocol.ssh.allow=always",
    "protocol.file.allow=always",
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=60",
];

/// Fetches what `source` names and takes the catalogue out of it.
pub fn fetch(source: &GitSource) -> Result<Checkout, Fault> {
    let place = source.url.as_str();
    let folder = tempfile::Builder::new().prefix("airlift-git").tempdir();
    let folder = folder.map_err(|error| Fault::local(place, "no folder can be made for it", error))?;
    let git = Git { folder: folder.path(), place };
    git.run(&["init", "--quiet", "--bare", "."])?;
    let reference = source.reference.as_deref().unwrap_or("HEAD");
    let depth = ["fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--", place, reference];
    git.run(&depth)?;
    let commit =
        String::from_utf8_lossy(&git.run(&["rev-parse", "--verify", "FETCH_HEAD^{commit}"])?).trim().to_owned();
    let checkout = Checkout::new(format!("{place}@{commit}"))?;
    let wanted = git.files(&commit, source.path.as_deref())?;
    git.take_out(&wanted, &checkout)?;
    Ok(checkout)
}

struct Git<'a> {
    folder: &'a Path,
    place: &'a str,
}

/// A file of a commit: the name of its content, and its path.
struct Listed {
    object: String,
    path: String,
}

impl Git<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        command.args(arguments).current_dir(self.folder).stdin(Stdio::null());
        command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_ASKPASS", "").env("SSH_ASKPASS", "").env("LC_ALL", "C");
        command.env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes -oConnectTimeout=20");
        for inherited in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE"] {
            command.env_remove(inherited);
        }
        command
    }

    fn fault(&self, kind: FaultKind, what: impl Into<String>) -> Fault {
        Fault::new(kind, self.place, what)
    }

    fn absent(&self, error: std::io::Error) -> Fault {
        let what = "the program git cannot be run";
        let hint = "install git, or name a folder or an archive of a checkout as the catalogue";
        self.fault(FaultKind::Local, what).with_hint(hint).because(error)
    }

    fn run(&self, arguments: &[&str]) -> Result<Vec<u8>, Fault> {
        let output = self.command(arguments).output().map_err(|error| self.absent(error))?;
        if output.status.success() { Ok(output.stdout) } else { Err(self.failed(&output)) }
    }

    fn failed(&self, output: &Output) -> Fault {
        let words = String::from_utf8_lossy(&output.stderr);
        let has = |text: &str| words.contains(text);
        let (kind, hint) = if has("couldn't find remote ref") || has("not our ref") {
            (FaultKind::Missing, "ref is the name of a branch or a tag, or a whole commit of 40 digits")
        } else if has("Authentication failed") || has("could not read Username") || has("Permission denied") {
            (
                FaultKind::Unauthorized,
                "git's own credential helpers or ssh's agent must know the login; nothing is asked for here",
            )
        } else {
            (FaultKind::Unavailable, "does `git ls-remote` with this address work here?")
        };
        self.fault(kind, "git cannot fetch from it").with_words(&words).with_hint(hint)
    }

    /// Lists the files of a catalogue in a commit.
    fn files(&self, commit: &str, below: Option<&str>) -> Result<Vec<Listed>, Fault> {
        let mut arguments = vec!["ls-tree", "-r", "-z", "--full-tree", commit];
        if let Some(path) = below {
            arguments.extend(["--", path]);
        }
        let listed = self.run(&arguments)?;
        let file = |line: &[u8]| {
            let line = String::from_utf8_lossy(line);
            let (about, path) = line.split_once('\t')?;
            let mut words = about.split(' ');
            // A link has another mode, and says only where it leads.
            let plain = words.next()?.starts_with("100") && words.next()? == "blob";
            let object = words.next()?.to_owned();
            (plain && is_wanted(path)).then(|| Listed { object, path: path.to_owned() })
        };
        Ok(listed.split(|b| *b == 0).filter_map(file).collect())
    }

    /// Writes the files into the checkout.
    fn take_out(&self, wanted: &[Listed], checkout: &Checkout) -> Result<(), Fault> {
        let mut command = self.command(&["cat-file", "--batch"]);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = child.map_err(|error| self.absent(error))?;
        let taken = self.exchange(&mut child, wanted, checkout);
        // It ends by itself when nothing more is asked; after an error nobody listens to it any more.
        if taken.is_err() {
            drop(child.kill());
        }
        drop(child.stdin.take());
        drop(child.wait());
        taken
    }

    fn exchange(&self, child: &mut Child, wanted: &[Listed], checkout: &Checkout) -> Result<(), Fault> {
        let broken = |error: std::io::Error| self.fault(FaultKind::Local, "git ended early").because(error);
        let (Some(mut ask), Some(answers)) = (child.stdin.take(), child.stdout.take()) else { return Ok(()) };
        let mut answers = BufReader::new(answers);
        let mut room = Room::default();
        for file in wanted {
            // One question at a time: neither side waits for the other with a full pipe.
            writeln!(ask, "{}", file.object).and_then(|()| ask.flush()).map_err(broken)?;
            let mut head = String::new();
            answers.by_ref().take(200).read_line(&mut head).map_err(broken)?;
            let size = head.trim_end().rsplit(' ').next().and_then(|size| size.parse::<u64>().ok());
            let size = size.ok_or_else(|| {
                self.fault(FaultKind::Malformed, format!("git says {:?} of a file", printable(&head)))
            })?;
            room.take(self.place, size)?;
            let mut content = vec![0; usize::try_from(size).unwrap_or(usize::MAX).min(limits::PAPER_BYTES as usize)];
            answers.read_exact(&mut content).map_err(broken)?;
            let mut end = [0];
            answers.read_exact(&mut end).map_err(broken)?;
            checkout.put(&file.path, &content)?;
        }
        Ok(())
    }
}
