//! Bounded workers over a list: results in the order of the list; the first hard error stops new work.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Does `work` on each of `items` with at most `threads` at once, and returns the results in order.
///
/// After a failure no new item is begun; running ones end; the failure of the earliest item is returned.
pub fn each<T: Sync, R: Send, E: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let stop = AtomicBool::new(false);
    let results = spread(items, threads, |item| {
        if stop.load(Ordering::Relaxed) {
            return None;
        }
        let result = work(item);
        if result.is_err() {
            stop.store(true, Ordering::Relaxed);
        }
        Some(result)
    });
    results.into_iter().flatten().collect()
}

/// Does `work` on each of `items` with at most `threads` at once, whatever fails, and returns all results in order.
pub fn all<T: Sync, R: Send>(items: &[T], threads: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    spread(items, threads, work)
}

fn spread<T: Sync, R: Send>(items: &[T], threads: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, items.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { break };
                    let result = work(item);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((at, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<u32> = (0..100).collect();
        let doubled: Result<Vec<u32>, ()> = each(&items, 8, |n| Ok(n * 2));
        assert_eq!(doubled.unwrap(), items.iter().map(|n| n * 2).collect::<Vec<_>>());
    }

    #[test]
    fn the_first_failure_stops_new_work() {
        let items: Vec<u32> = (0..1000).collect();
        let begun = AtomicUsize::new(0);
        let result = each(&items, 2, |n| {
            begun.fetch_add(1, Ordering::Relaxed);
            if *n == 3 { Err(*n) } else { Ok(()) }
        });
        assert_eq!(result.unwrap_err(), 3);
        assert!(begun.load(Ordering::Relaxed) < 1000);
    }
}
