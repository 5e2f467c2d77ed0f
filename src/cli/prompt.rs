//! Asks on the terminal: for a line, or for a password, which is not shown. Door of rustix's terminals.

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};

/// Longest password, in bytes.
const LONGEST: u64 = 4096;

/// Asks for a password; `None` where no terminal is there to ask on.
pub fn password(question: &str) -> io::Result<Option<String>> {
    let Ok(mut terminal) = File::options().read(true).write(true).open("/dev/tty") else { return Ok(None) };
    let before = tcgetattr(&terminal)?;
    let mut quiet = before.clone();
    quiet.local_modes.remove(LocalModes::ECHO);
    quiet.local_modes.insert(LocalModes::ECHONL);
    tcsetattr(&terminal, OptionalActions::Flush, &quiet)?;
    let answer = ask(&mut terminal, question);
    tcsetattr(&terminal, OptionalActions::Flush, &before)?;
    answer.map(Some)
}

/// Returns whether there is a terminal to ask on.
pub fn is_possible() -> bool {
    File::options().read(true).write(true).open("/dev/tty").is_ok()
}

/// Asks for a line of text; `None` where no terminal is there to ask on.
pub fn line(question: &str) -> io::Result<Option<String>> {
    let Ok(mut terminal) = File::options().read(true).write(true).open("/dev/tty") else { return Ok(None) };
    ask(&mut terminal, question).map(Some)
}

fn ask(terminal: &mut File, question: &str) -> io::Result<String> {
    write!(terminal, "{question}: ")?;
    let mut line = String::new();
    BufReader::new(io::Read::take(terminal, LONGEST)).read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
