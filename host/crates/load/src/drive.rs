//! Drives one worker's slice of a schedule from its start to its last iteration's end.

use crate::closed::{Rules, closed};
use crate::crew::{Crew, Roster};
use crate::open::open;
use crate::signal::Signals;
use crate::timer::Timer;
use crate::{Progress, Users};
use kperf_schedule::{CapacitySearch, Executor, Pacer, Rate, Schedule, Slice};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// What the workers of a capacity search are to do next. A later order ends the one before, carried out or not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Order {
    /// Start nothing.
    Wait,
    /// Start arrivals at a constant rate.
    Trial {
        /// When, from the schedule's start on. Ahead by enough that every worker sees it in time.
        start: Duration,
        /// How often.
        rate: Rate,
        /// For how long.
        duration: Duration,
    },
    /// Let running iterations end within the graceful stop, and be done.
    End,
}

/// What all workers of one schedule share.
#[derive(Debug)]
pub struct Shared {
    epoch: std::time::Instant,
    taken: AtomicU64,
    orders: watch::Sender<Order>,
}

impl Shared {
    /// For a run whose schedules' starts count from `epoch`. It may lie ahead: the workers then get ready and wait.
    #[must_use]
    pub fn new(epoch: std::time::Instant) -> Self {
        Self { epoch, taken: AtomicU64::new(0), orders: watch::Sender::new(Order::Wait) }
    }

    /// Gives the workers of a capacity search an order; other executors take none.
    pub fn order(&self, order: Order) {
        self.orders.send_replace(order);
    }

    /// Where orders are heard.
    pub(crate) fn orders(&self) -> watch::Receiver<Order> {
        self.orders.subscribe()
    }

    /// Takes one of `total` shared iterations; whether there was one left.
    pub(crate) fn take(&self, total: u64) -> bool {
        self.taken.fetch_add(1, Relaxed) < total
    }

    /// How many were asked for; may exceed the total.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Relaxed)
    }

    /// Lets no one take any more; how many were left, told only to the first who asks.
    pub(crate) fn close(&self, total: u64) -> u64 {
        total.saturating_sub(self.taken.fetch_max(total, Relaxed))
    }
}

/// How a drive came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The schedule was carried out.
    Completed,
    /// A signal stopped it before its time; running iterations had their graceful stop.
    Stopped,
    /// A signal dropped everything that ran.
    Abandoned,
}

/// What is left to say after a drive; the counts are in its [`Progress`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finished {
    /// How it ended.
    pub ending: Ending,
    /// From the schedule's start to the end of its last iteration on this worker.
    pub elapsed: Duration,
}

/// What both loops work with.
pub(crate) struct Run<'a, U> {
    pub(crate) schedule: &'a Schedule,
    pub(crate) pacer: Pacer,
    pub(crate) slice: Slice,
    pub(crate) users: U,
    pub(crate) signals: Signals,
    pub(crate) start: Instant,
    pub(crate) crew: Rc<Crew>,
}

impl<U> Run<'_, U> {
    /// Ends a loop: its users have the graceful stop from `stopped_at` on.
    pub(crate) async fn disband(&self, roster: Roster, stopped_at: Instant, ending: Ending) -> Ending {
        let by = stopped_at + self.schedule.graceful_stop;
        if roster.disband(&self.crew, by, self.signals.clone()).await { Ending::Abandoned } else { ending }
    }
}

/// Drives `slice` of `schedule` on this thread and returns when its last iteration has ended or was dropped.
///
/// The users become tasks that need not be `Send`. They share the thread with whatever else its runtime does, so the
/// runtime's `event_interval` bounds how many of them run between two looks at the arrival timer.
///
/// # Panics
/// Outside a [`tokio::runtime::LocalRuntime`] (preferred: it has no scheduler within the scheduler) or a
/// [`tokio::task::LocalSet`], and on a runtime without its time driver.
pub async fn drive<U: Users>(
    schedule: &Schedule,
    slice: Slice,
    shared: Arc<Shared>,
    users: U,
    signals: Signals,
    progress: Arc<Progress>,
) -> Finished {
    let timer = if schedule.executor.is_open() { Timer::new() } else { Timer::Coarse };
    drive_with(timer, schedule, slice, shared, users, signals, progress).await
}

async fn drive_with<U: Users>(
    timer: Timer,
    schedule: &Schedule,
    slice: Slice,
    shared: Arc<Shared>,
    users: U,
    signals: Signals,
    progress: Arc<Progress>,
) -> Finished {
    let start = Instant::from_std(shared.epoch) + schedule.start;
    let pacer = Pacer::new(&schedule.executor);
    let crew = Crew::new(&schedule.executor, progress);
    let run = Run { schedule, pacer, slice, users, signals, start, crew };
    let ending = match &schedule.executor {
        Executor::ConstantArrivalRate { pre_allocated_vus, .. }
        | Executor::RampingArrivalRate { pre_allocated_vus, .. } => open(&run, *pre_allocated_vus, None, timer).await,
        Executor::CapacitySearch(CapacitySearch { pre_allocated_vus, .. }) => {
            open(&run, *pre_allocated_vus, Some(shared.orders()), timer).await
        }
        executor => closed(&run, &Rc::new(Rules::new(executor, &shared))).await,
    };
    Finished { ending, elapsed: Instant::now().saturating_duration_since(start) }
}

#[cfg(test)]
mod tests;
