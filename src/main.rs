//! The program: collects its surroundings, hands over to the library, exits with its number.

use airlift::cli::{self, Environment};
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Time that work gets to end in order. Whatever still waits then, for a server or a disk, may be killed at any moment.
const GRACE: Duration = Duration::from_secs(5);
/// Exit number of a run that was asked to stop (README, "Exit numbers"), and of one that was asked twice.
const STOPPED: i32 = 10;
const STOPPED_AT_ONCE: i32 = 130;

fn main() -> ExitCode {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    // The first signal ends the work in order, the second at once. Without a handler the default stays: ending at once.
    let handler = ctrlc::set_handler(move || {
        if asked.swap(true, Ordering::Relaxed) {
            std::process::exit(STOPPED_AT_ONCE);
        }
        std::thread::spawn(stop_late);
    });
    drop(handler);
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let environment = Environment {
        variables: std::env::vars_os().filter_map(text).collect(),
        terminal: std::io::stderr().is_terminal(),
        stop,
    };
    cli::run(std::env::args_os(), environment)
}

/// Ends a run that could not end in order.
fn stop_late() {
    std::thread::sleep(GRACE);
    let words =
        "error: stopped on request, while something was still waited for; the same command goes on where it was";
    drop(writeln!(std::io::stderr(), "{words}"));
    std::process::exit(STOPPED);
}
