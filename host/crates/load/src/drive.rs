//! Drives one worker's slice of a schedule from its start to its last iteration's end.

use crate::closed::{ClosedSettings, closed};
use crate::context::{DriveContext, Ending};
use crate::open::open;
use crate::pool::PoolState;
use crate::progress::Progress;
use crate::shared::Shared;
use crate::signal::SignalReceiver;
use crate::timer::Timer;
use crate::user::Users;
use kperf_schedule::{CapacitySearch, Executor, Pacer, Schedule, Slice};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The result of [`drive`]; the counts are in its [`Progress`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finished {
    /// Whether the schedule was carried out.
    pub ending: Ending,
    /// From the schedule's start to the end of its last iteration on this worker.
    pub elapsed: Duration,
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
    signals: SignalReceiver,
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
    signals: SignalReceiver,
    progress: Arc<Progress>,
) -> Finished {
    let start = Instant::from_std(shared.epoch) + schedule.start;
    let pacer = Pacer::new(&schedule.executor);
    let pool = PoolState::new(&schedule.executor, progress);
    let context = DriveContext { schedule, pacer, slice, users, signals, start, pool };
    let ending = match &schedule.executor {
        Executor::ConstantArrivalRate { pre_allocated_vus, .. }
        | Executor::RampingArrivalRate { pre_allocated_vus, .. } => {
            open(&context, *pre_allocated_vus, None, timer).await
        }
        Executor::CapacitySearch(CapacitySearch { pre_allocated_vus, .. }) => {
            open(&context, *pre_allocated_vus, Some(shared.orders()), timer).await
        }
        executor => closed(&context, &Rc::new(ClosedSettings::new(executor, &shared))).await,
    };
    Finished { ending, elapsed: Instant::now().saturating_duration_since(start) }
}

#[cfg(test)]
mod tests;
