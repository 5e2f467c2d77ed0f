//! Shares the stripes of a segment among threads.

use super::Watch;
use super::error::ParityError;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Stripes that are taken one by one, by whoever is free.
pub(super) struct Stripes {
    next: AtomicU64,
    end: u64,
}

impl Stripes {
    /// Starts before the first of them.
    pub(super) fn new(stripes: Range<u64>) -> Self {
        Self { next: AtomicU64::new(stripes.start), end: stripes.end }
    }

    /// Takes stripes until there is none left. After an error of one, the others stop at their next stripe.
    pub(super) fn each(
        &self,
        watch: Watch<'_>,
        mut work: impl FnMut(u64) -> Result<(), ParityError>,
    ) -> Result<(), ParityError> {
        loop {
            let stripe = self.next.fetch_add(1, Ordering::Relaxed);
            if stripe >= self.end {
                return Ok(());
            }
            watch.go_on()?;
            if let Err(error) = work(stripe) {
                self.next.store(self.end, Ordering::Relaxed);
                return Err(error);
            }
        }
    }
}

/// Does `work` in `threads` threads, this one among them; a panic in one goes on here.
pub(super) fn in_threads(threads: usize, work: impl Fn() -> Result<(), ParityError> + Sync) -> Result<(), ParityError> {
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(&work)).collect();
        let own = work();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause))
        };
        others.into_iter().map(join).fold(own, Result::and)
    })
}
