//! What the open and the closed loop have in common: their inputs, and how they end.

use crate::pool::{PoolState, UserPool};
use crate::signal::SignalReceiver;
use kperf_schedule::{Pacer, Schedule, Slice};
use std::rc::Rc;
use tokio::time::Instant;

/// How the load of a schedule ended on one worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The schedule was carried out.
    Completed,
    /// A signal stopped it before its time; running iterations had their graceful stop.
    Stopped,
    /// A signal dropped everything that ran.
    Aborted,
}

/// What the open and the closed loop are given.
pub(crate) struct DriveContext<'a, U> {
    pub(crate) schedule: &'a Schedule,
    pub(crate) pacer: Pacer,
    pub(crate) slice: Slice,
    pub(crate) users: U,
    pub(crate) signals: SignalReceiver,
    pub(crate) start: Instant,
    pub(crate) pool: Rc<PoolState>,
}

impl<U> DriveContext<'_, U> {
    /// Ends a loop: its users have the graceful stop from `stopped_at` on.
    pub(crate) async fn drain(&self, users: UserPool, stopped_at: Instant, ending: Ending) -> Ending {
        let by = stopped_at + self.schedule.graceful_stop;
        if users.drain(&self.pool, by, self.signals.clone()).await { Ending::Aborted } else { ending }
    }
}
