//! How much one host gets at a time: a number of requests that shrinks when it says "too many", and pauses it asked for.
//!
//! Halved at most once a second, one more after each [`CALM`] calls that went well, never below one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Calls that must go well before one more is allowed at a time.
const CALM: u32 = 32;

#[derive(Debug)]
struct State {
    limit: usize,
    /// Permits that are out and do not come back, because the limit shrank meanwhile.
    debt: usize,
    calm: u32,
    cut: Option<Instant>,
    paused: Option<Instant>,
}

#[derive(Debug)]
struct Inner {
    semaphore: Arc<Semaphore>,
    most: usize,
    state: Mutex<State>,
}

/// The gate of one host.
#[derive(Debug, Clone)]
pub(super) struct Gate(Arc<Inner>);

/// Right to one request. Given back when dropped.
#[derive(Debug)]
pub(super) struct Permit {
    permit: Option<OwnedSemaphorePermit>,
    gate: Gate,
}

impl Gate {
    pub(super) fn new(most: usize) -> Self {
        let most = most.max(1);
        let state = State { limit: most, debt: 0, calm: 0, cut: None, paused: None };
        Self(Arc::new(Inner { semaphore: Arc::new(Semaphore::new(most)), most, state: Mutex::new(state) }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn and for the end of any pause.
    ///
    /// After `longest` it goes on without: somebody who holds many open bodies and asks for one more must not wait
    /// for himself.
    pub(super) async fn enter(&self, longest: Duration) -> Permit {
        let permit = tokio::time::timeout(longest, self.0.semaphore.clone().acquire_owned()).await;
        let permit = permit.ok().and_then(Result::ok);
        loop {
            match self.paused(Instant::now()) {
                Some(until) => tokio::time::sleep_until(until).await,
                None => return Permit { permit, gate: self.clone() },
            }
        }
    }

    /// Returns when the pause that holds at `now` ends.
    fn paused(&self, now: Instant) -> Option<Instant> {
        self.state().paused.filter(|until| *until > now)
    }

    /// Lets nobody in before `until`.
    pub(super) fn pause(&self, until: Instant) {
        let mut state = self.state();
        state.paused = Some(state.paused.map_or(until, |old| old.max(until)));
    }

    /// Halves what is allowed at a time.
    pub(super) fn shrink(&self, now: Instant) {
        let mut state = self.state();
        // Many answers of one burst are one sign.
        if state.cut.is_some_and(|cut| now < cut + Duration::from_secs(1)) || state.limit == 1 {
            return;
        }
        let fewer = state.limit / 2;
        state.limit -= fewer;
        state.debt += fewer - self.0.semaphore.forget_permits(fewer);
        (state.cut, state.calm) = (Some(now), 0);
    }

    /// Notes a call that went well.
    pub(super) fn went_well(&self) {
        let mut state = self.state();
        if state.limit == self.0.most {
            return;
        }
        state.calm += 1;
        if state.calm >= CALM {
            state.calm = 0;
            state.limit += 1;
            match state.debt {
                0 => self.0.semaphore.add_permits(1),
                _ => state.debt -= 1,
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(permit) = self.permit.take() else { return };
        let mut state = self.gate.state();
        if state.debt > 0 {
            state.debt -= 1;
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    /// Limit, debt, and permits at hand.
    fn numbers(gate: &Gate) -> (usize, usize, usize) {
        let state = gate.state();
        (state.limit, state.debt, gate.0.semaphore.available_permits())
    }

    #[test]
    fn too_many_requests_halve_the_number_once_a_burst_and_calm_restores_it() {
        run(async {
            let gate = Gate::new(8);
            let held = [gate.enter(Duration::MAX).await, gate.enter(Duration::MAX).await];
            let now = Instant::now();
            gate.shrink(now);
            gate.shrink(now + Duration::from_millis(500));
            assert_eq!(numbers(&gate), (4, 0, 2));
            for later in [2, 4, 6] {
                gate.shrink(now + Duration::from_secs(later));
            }
            assert_eq!(numbers(&gate), (1, 1, 0));
            drop(held);
            assert_eq!(numbers(&gate), (1, 0, 1));
            for _ in 0..CALM * 20 {
                gate.went_well();
            }
            assert_eq!(numbers(&gate), (8, 0, 8));
        });
    }

    #[test]
    fn the_longest_pause_counts_and_ends() {
        let (gate, now) = (Gate::new(2), Instant::now());
        gate.pause(now + Duration::from_secs(5));
        gate.pause(now + Duration::from_secs(1));
        assert_eq!(gate.paused(now + Duration::from_secs(4)), Some(now + Duration::from_secs(5)));
        assert_eq!(gate.paused(now + Duration::from_secs(5)), None);
    }

    #[test]
    fn nobody_waits_for_himself_for_ever() {
        run(async {
            let gate = Gate::new(1);
            let _held = gate.enter(Duration::MAX).await;
            assert!(gate.enter(Duration::ZERO).await.permit.is_none());
        });
    }
}
