//! The program: collects its surroundings, hands over to the library, exits with its number.

use airlift::cli::{self, Environment};
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn main() -> ExitCode {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    // The first signal ends the work in order, the second at once. Without a handler the default stays: ending at once.
    let handler = ctrlc::set_handler(move || {
        if asked.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
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
