//! Runs a program: what it says is bounded, what it says wrong is kept for the person who reads the error.

use crate::model::fault::printable;
use crate::model::limits;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Where wrappers of the program find theirs. Nothing else of the person's surroundings reaches it.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How long until the end of a program is looked for again.
const GLANCE: Duration = Duration::from_millis(5);

/// Why the runtime of this machine did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The program cannot be started.
    #[error("{} cannot be run", program.display())]
    Program {
        /// Which.
        program: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// The program says that it failed.
    #[error("{what} failed with {how}: {words}")]
    Failed {
        /// What it was asked for.
        what: String,
        /// Its exit number, or the signal that ended it.
        how: String,
        /// Its own words, printable and cut.
        words: String,
    },
    /// The program took too long and was ended.
    #[error("{what} did not end within {seconds} s")]
    Late {
        /// What it was asked for.
        what: String,
        /// Time that it had, in seconds.
        seconds: u64,
    },
    /// The program says more than is read.
    #[error("{what} gives more than {limit} bytes")]
    TooMuch {
        /// What it was asked for.
        what: String,
        /// Bytes that are read.
        limit: usize,
    },
}

/// What came of giving a program its input.
pub struct Fed<E> {
    /// What came of the writing; where the program ended early, that cannot go on.
    pub written: Result<(), E>,
    /// How the program ended.
    pub ended: Result<(), NodeError>,
}

/// One call of a program.
pub(super) struct Call<'a> {
    /// Program.
    pub program: &'a Path,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// What it is asked for, for messages: the words of its command.
    pub what: String,
    /// Longest time that it has, from the moment when it has all its input.
    pub patience: Duration,
}

impl Call<'_> {
    /// Runs the program without input and returns what it says.
    pub(super) fn output(&self) -> Result<Vec<u8>, NodeError> {
        let mut child = self.start(Stdio::null())?;
        let output = drain(child.stdout.take(), limits::NODE_LIST_BYTES + 1);
        self.end(child)?;
        let output = join(output);
        if output.len() > limits::NODE_LIST_BYTES {
            return Err(NodeError::TooMuch { what: self.what.clone(), limit: limits::NODE_LIST_BYTES });
        }
        Ok(output)
    }

    /// Runs the program and lets `write` give it its input.
    pub(super) fn feed<E>(&self, write: impl FnOnce(&mut dyn Write) -> Result<(), E>) -> Result<Fed<E>, NodeError> {
        let mut child = self.start(Stdio::piped())?;
        let Some(mut input) = child.stdin.take() else {
            return Ok(Fed { written: Ok(()), ended: self.end(child) });
        };
        let said = drain(child.stdout.take(), 0);
        let written = write(&mut input);
        drop(input);
        let ended = self.end(child);
        join(said);
        Ok(Fed { written, ended })
    }

    fn start(&self, input: Stdio) -> Result<Child, NodeError> {
        let mut command = Command::new(self.program);
        command.args(&self.arguments).env_clear().env("PATH", PATH);
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().map_err(|source| NodeError::Program { program: self.program.to_owned(), source })
    }

    /// Waits until the program ends by itself, or ends it.
    fn end(&self, mut child: Child) -> Result<(), NodeError> {
        let words = drain(child.stderr.take(), limits::ERROR_BODY_BYTES);
        let cannot = |source| NodeError::Program { program: self.program.to_owned(), source };
        let deadline = Instant::now() + self.patience;
        let status = loop {
            match child.try_wait().map_err(cannot)? {
                Some(status) => break status,
                None if Instant::now() < deadline => std::thread::sleep(GLANCE),
                None => {
                    // It may have ended by itself just now.
                    drop(child.kill());
                    drop(child.wait());
                    return Err(NodeError::Late { what: self.what.clone(), seconds: self.patience.as_secs() });
                }
            }
        };
        if status.success() {
            return Ok(());
        }
        let words = printable(String::from_utf8_lossy(&join(words)).trim());
        let words = if words.is_empty() { "it says nothing".to_owned() } else { words };
        Err(NodeError::Failed { what: self.what.clone(), how: how(status), words })
    }
}

fn how(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit number {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no exit number".to_owned(),
    }
}

/// What is read of a pipe: all of it is taken, so that the program never waits; so many bytes are kept.
struct Drained {
    reader: JoinHandle<()>,
    kept: mpsc::Receiver<Vec<u8>>,
}

fn drain(pipe: Option<impl Read + Send + 'static>, keep: usize) -> Option<Drained> {
    let mut pipe = pipe?;
    let (sender, kept) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut start = Vec::new();
        // A pipe that breaks ends what the program says; its exit tells whether that was all.
        drop(Read::by_ref(&mut pipe).take(keep as u64).read_to_end(&mut start));
        drop(sender.send(start));
        drop(io::copy(&mut pipe, &mut io::sink()));
    });
    Some(Drained { reader, kept })
}

/// How long a pipe may stay open behind its program: one of its children may hold it.
const LINGER: Duration = Duration::from_secs(1);

fn join(drained: Option<Drained>) -> Vec<u8> {
    let Some(Drained { reader, kept }) = drained else { return Vec::new() };
    let start = kept.recv_timeout(LINGER).unwrap_or_default();
    if reader.is_finished() {
        drop(reader.join());
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(script: &str, patience: Duration) -> Call<'static> {
        let arguments = vec!["-c".into(), script.into()];
        Call { program: Path::new("/bin/sh"), arguments, what: "the script".to_owned(), patience }
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_program_that_fails_is_quoted_in_one_line() {
        let error = call("echo good; echo 'a\nb\u{1b}[31m' >&2; exit 7", LONG).output().unwrap_err();
        assert_eq!(error.to_string(), "the script failed with exit number 7: a b[31m");
        let error = call("kill -9 $$", LONG).output().unwrap_err().to_string();
        assert_eq!(error, "the script failed with signal 9: it says nothing");
    }

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let error = call("exec sleep 1000", Duration::from_millis(20)).output().unwrap_err();
        assert!(matches!(error, NodeError::Late { .. }), "{error:?}");
    }

    #[test]
    fn a_list_is_read_up_to_the_limit_and_not_a_byte_further() {
        let script = |bytes: usize| format!("head -c {bytes} /dev/zero");
        let found = call(&script(limits::NODE_LIST_BYTES), LONG).output().unwrap();
        assert_eq!(found.len(), limits::NODE_LIST_BYTES);
        let error = call(&script(limits::NODE_LIST_BYTES + 1), LONG).output().unwrap_err();
        assert!(matches!(error, NodeError::TooMuch { .. }), "{error:?}");
    }

    #[test]
    fn input_reaches_the_program_and_its_talk_blocks_nothing() {
        let write = |input: &mut dyn Write| (0..64).try_for_each(|_| input.write_all(&[7; 64 << 10]));
        let script = "head -c 1000000 /dev/zero; [ $(wc -c) = 4194304 ]";
        let Fed { written, ended } = call(script, LONG).feed(write).unwrap();
        written.unwrap();
        ended.unwrap();
        let Fed { written, ended } = call("echo broken >&2; exit 3", LONG).feed(write).unwrap();
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert!(ended.unwrap_err().to_string().ends_with("exit number 3: broken"));
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let missing = Call { program: Path::new("/nowhere/ctr"), ..call("", LONG) };
        assert_eq!(missing.output().unwrap_err().to_string(), "/nowhere/ctr cannot be run");
    }
}
