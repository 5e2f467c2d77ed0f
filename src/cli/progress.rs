//! Events → bars on a terminal, plain lines elsewhere, JSON lines where asked. The door of the bar crate.

use super::human;
use crate::model::event::Stage;
use crate::model::{Event, EventSink};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Shows what happens.
pub struct Progress {
    form: Form,
    quiet: bool,
    verbose: bool,
    stage: Mutex<Option<Running>>,
}

enum Form {
    Bars,
    Lines,
    Json,
}

struct Running {
    bar: ProgressBar,
    begun: Instant,
    bytes: u64,
    items: u64,
}

impl Progress {
    pub(super) fn new(bars: bool, json: bool, quiet: bool, verbose: bool) -> Self {
        let form = match (json, bars) {
            (true, _) => Form::Json,
            (false, true) => Form::Bars,
            (false, false) => Form::Lines,
        };
        Self { form, quiet, verbose, stage: Mutex::new(None) }
    }

    fn start(&self, stage: Stage, items: u64, bytes: u64) {
        let bar = match (&self.form, bytes) {
            (Form::Bars, 0) => ProgressBar::new(items).with_style(style("{msg:9} {pos}/{len}")),
            (Form::Bars, _) => ProgressBar::new(bytes).with_style(style(
                "{msg:9} {bar:30} {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}  {eta} left",
            )),
            _ => ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()),
        };
        bar.set_message(word(stage));
        let running = Running { bar, begun: Instant::now(), bytes: 0, items: 0 };
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
    }

    fn moved(&self, bytes: u64) {
        if let Some(running) = &mut *self.stage.lock().unwrap_or_else(PoisonError::into_inner) {
            running.bytes += bytes;
            running.bar.inc(bytes);
        }
    }

    fn done(&self, stage: Stage, item: &str, outcome: &str) {
        if let Some(running) = &mut *self.stage.lock().unwrap_or_else(PoisonError::into_inner) {
            running.items += 1;
            if matches!(stage, Stage::Resolve | Stage::Judge) {
                running.bar.inc(1);
            }
        }
        if self.verbose {
            self.line(&format!("{:9} {item}: {outcome}", word(stage)));
        }
    }

    fn finish(&self, stage: Stage) {
        let Some(running) = self.stage.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        running.bar.finish_and_clear();
        let seconds = running.begun.elapsed().as_secs_f64();
        if running.bytes > 0 && !self.quiet {
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a rate for people"
            )]
            let rate = (running.bytes as f64 / seconds.max(0.001)) as u64;
            let (bytes, rate) = (human::bytes(running.bytes), human::bytes(rate));
            self.line(&format!("{:9} {bytes} in {seconds:.1} s ({rate}/s)", word(stage)));
        }
    }

    fn line(&self, text: &str) {
        // Nothing can be done about a listener that went away.
        drop(writeln!(std::io::stderr().lock(), "{text}"));
    }
}

impl EventSink for Progress {
    fn take(&self, event: Event) {
        if matches!(self.form, Form::Json) {
            if !matches!(event, Event::Moved { .. }) {
                self.line(&serde_json::to_string(&event).unwrap_or_default());
            }
            return;
        }
        match event {
            Event::Started { stage, items, bytes } => self.start(stage, items, bytes),
            Event::Moved { bytes, .. } => self.moved(bytes),
            Event::Done { stage, item, outcome } => self.done(stage, &item, &outcome),
            Event::Warned { item, message } => {
                if !self.quiet {
                    self.line(&format!("warning: {item}: {message}"));
                }
            }
            Event::Finished { stage } => self.finish(stage),
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn word(stage: Stage) -> &'static str {
    match stage {
        Stage::Resolve => "resolving",
        Stage::Judge => "judging",
        Stage::Pack => "packing",
        Stage::Verify => "verifying",
        Stage::Parity => "adding parity",
        Stage::Repair => "repairing",
        Stage::Compare => "comparing",
        Stage::Import => "importing",
    }
}
