//! The closed loop: keeps as many users at work as the pacer asks for; each user starts its own iterations.

use crate::context::{DriveContext, Ending};
use crate::pool::{UserGuard, UserHandle, UserPool, UserState};
use crate::shared::Shared;
use crate::signal::Signal;
use crate::user::{Iteration, User, Users};
use kperf_schedule::Executor;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{consume_budget, yield_now};
use tokio::time::{Instant, sleep, sleep_until};

/// Users made in one go, before those already there get their turn.
const SPAWNED_AT_ONCE: usize = 64;

/// How users of the closed model iterate.
pub(crate) struct ClosedSettings {
    think_time: Duration,
    graceful_ramp_down: Duration,
    quota: Quota,
}

/// How many iterations there are to do.
enum Quota {
    Endless,
    Each(u64),
    Shared(u64, Arc<Shared>),
}

impl ClosedSettings {
    pub(crate) fn new(executor: &Executor, shared: &Arc<Shared>) -> Self {
        let mut settings =
            Self { think_time: Duration::ZERO, graceful_ramp_down: Duration::ZERO, quota: Quota::Endless };
        match executor {
            Executor::ConstantVus { think_time, .. } => settings.think_time = *think_time,
            Executor::RampingVus { think_time, graceful_ramp_down, .. } => {
                settings.think_time = *think_time;
                settings.graceful_ramp_down = *graceful_ramp_down;
            }
            Executor::PerVuIterations { think_time, iterations, .. } => {
                settings.think_time = *think_time;
                settings.quota = Quota::Each(*iterations);
            }
            Executor::SharedIterations { think_time, iterations, .. } => {
                settings.think_time = *think_time;
                settings.quota = Quota::Shared(*iterations, Arc::clone(shared));
            }
            Executor::ConstantArrivalRate { .. }
            | Executor::RampingArrivalRate { .. }
            | Executor::CapacitySearch { .. } => {}
        }
        settings
    }
}

impl Quota {
    /// Takes one iteration for a user that has started `started`; whether there was one.
    fn take(&self, started: u64) -> bool {
        match self {
            Self::Endless => true,
            Self::Each(iterations) => started < *iterations,
            Self::Shared(iterations, shared) => shared.take(*iterations),
        }
    }

    /// Whether a user that has started `started` need not think before it leaves.
    fn used_up(&self, started: u64) -> bool {
        match self {
            Self::Endless => false,
            Self::Each(iterations) => started >= *iterations,
            Self::Shared(iterations, shared) => shared.taken() >= *iterations,
        }
    }

    /// The iterations that will never be started when time is up, in which this worker's `users` started `started`.
    fn left_over(&self, users: u32, started: u64) -> u64 {
        match self {
            Self::Endless => 0,
            Self::Each(iterations) => iterations.saturating_mul(users.into()).saturating_sub(started),
            Self::Shared(iterations, shared) => shared.close(*iterations),
        }
    }
}

/// Drives this worker's users until the schedule ends or is stopped, and all of them have left.
pub(crate) async fn closed<U: Users>(context: &DriveContext<'_, U>, settings: &Rc<ClosedSettings>) -> Ending {
    let mut users = UserPool::default();
    let limited = !matches!(settings.quota, Quota::Endless);
    let all = context.slice.share_of_users(context.schedule.executor.max_users());
    context.pool.progress.allocate(all);
    let end = context.start + context.pacer.total_duration();
    let mut stop = pin!(context.signals.clone().reached(Signal::GracefulStop));
    let (ending, stopped_at) = loop {
        let now = Instant::now();
        users.expire(now);
        if context.signals.current() > Signal::Continue {
            break (Ending::Stopped, now);
        }
        if now >= end {
            context.pool.progress.iterations_dropped(settings.quota.left_over(all, context.pool.started()));
            break (Ending::Completed, end);
        }
        let Some(elapsed) = now.checked_duration_since(context.start) else {
            tokio::select! {
                _ = &mut stop => {}
                () = sleep_until(context.start) => {}
            }
            continue;
        };
        let target = context.slice.share_of_users(context.pacer.users(elapsed)) as usize;
        users.shrink(target, now + settings.graceful_ramp_down);
        let next = target.min(users.wanted() + SPAWNED_AT_ONCE);
        while users.wanted() < next {
            let local = u32::try_from(users.wanted()).unwrap_or(u32::MAX);
            users.grow(|started| spawn(context, settings, local, started));
        }
        if next < target {
            yield_now().await;
            continue;
        }
        let change = context.pacer.next_change(elapsed).map_or(end, |at| context.start + at);
        let wake = users.next_expiry().map_or(change, |expiry| expiry.min(change));
        tokio::select! {
            biased;
            _ = &mut stop => {}
            () = context.pool.all_left(), if limited => break (Ending::Completed, now),
            () = sleep_until(wake) => {}
        }
    };
    context.drain(users, stopped_at, ending).await
}

fn spawn<U: Users>(
    context: &DriveContext<'_, U>,
    settings: &Rc<ClosedSettings>,
    local: u32,
    started: u64,
) -> UserHandle {
    let state = UserState::new(&context.pool, started);
    let user = context.users.user(context.slice.user(local));
    UserHandle::spawn(state, |guard| work(user, guard, Rc::clone(settings)))
}

async fn work<U: User>(mut user: U, guard: UserGuard, settings: Rc<ClosedSettings>) {
    let ClosedSettings { quota, think_time, .. } = &*settings;
    while guard.stays() && quota.take(guard.started()) {
        let number = guard.begin();
        user.iterate(Iteration { number, due: None }).await;
        guard.end();
        if quota.used_up(guard.started()) || !guard.stays() {
            break;
        }
        if think_time.is_zero() {
            // An iteration that never waits must not keep the thread from the other users.
            consume_budget().await;
        } else {
            sleep(*think_time).await;
        }
    }
}
