//! What one worker has done so far, to be read from other threads while it runs.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// One worker's counts. Made fresh for each call of [`crate::drive`] and written by it alone, so a relaxed update is cheap;
/// the alignment keeps two workers' counts out of one cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Progress {
    active: AtomicU32,
    allocated: AtomicU32,
    started: AtomicU64,
    finished: AtomicU64,
    interrupted: AtomicU64,
    dropped: AtomicU64,
    late_sum: AtomicU64,
    late_max: AtomicU64,
}

/// A reading of [`Progress`]. Fields are read one by one, so a reading during a run can be an iteration apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Users at work: in the closed model those that take part, in the open model those within an iteration.
    pub active: u32,
    /// Users there is room for: the schedule's most in the closed model, those made so far in the open model.
    pub allocated: u32,
    /// Iterations started.
    pub started: u64,
    /// Iterations that came to their end.
    pub finished: u64,
    /// Iterations that were dropped while they ran.
    pub interrupted: u64,
    /// Iterations that never started: arrivals without a free user, or iterations left over at `max_duration`.
    pub dropped: u64,
    /// Open model: how late iterations started after their due instants, added up.
    pub late_sum: Duration,
    /// Open model: the latest start.
    pub late_max: Duration,
}

impl Progress {
    /// The counts now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            active: self.active.load(Relaxed),
            allocated: self.allocated.load(Relaxed),
            started: self.started.load(Relaxed),
            finished: self.finished.load(Relaxed),
            interrupted: self.interrupted.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            late_sum: Duration::from_nanos(self.late_sum.load(Relaxed)),
            late_max: Duration::from_nanos(self.late_max.load(Relaxed)),
        }
    }

    pub(crate) fn user_joined(&self) {
        self.active.fetch_add(1, Relaxed);
    }

    pub(crate) fn user_left(&self) {
        self.active.fetch_sub(1, Relaxed);
    }

    pub(crate) fn allocate(&self, users: u32) {
        self.allocated.fetch_add(users, Relaxed);
    }

    pub(crate) fn iteration_started(&self) {
        self.started.fetch_add(1, Relaxed);
    }

    pub(crate) fn iteration_finished(&self) {
        self.finished.fetch_add(1, Relaxed);
    }

    pub(crate) fn iteration_interrupted(&self) {
        self.interrupted.fetch_add(1, Relaxed);
    }

    pub(crate) fn iterations_dropped(&self, number: u64) {
        self.dropped.fetch_add(number, Relaxed);
    }

    pub(crate) fn late_by(&self, late: Duration) {
        let nanos = u64::try_from(late.as_nanos()).unwrap_or(u64::MAX);
        self.late_sum.fetch_add(nanos, Relaxed);
        self.late_max.fetch_max(nanos, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_keeps_its_sum_and_its_most() {
        let progress = Progress::default();
        for micros in [3, 9, 5] {
            progress.late_by(Duration::from_micros(micros));
        }
        let counts = progress.counts();
        assert_eq!((counts.late_sum, counts.late_max), (Duration::from_micros(17), Duration::from_micros(9)));
    }
}
