//! The closed loop: keeps as many users at work as the pacer asks for; each user starts its own iterations.

use crate::crew::{Member, Occupant, Roster, Seat};
use crate::drive::{Ending, Run, Shared};
use crate::signal::Phase;
use crate::user::{Iteration, User, Users};
use kperf_schedule::Executor;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{consume_budget, yield_now};
use tokio::time::{Instant, sleep, sleep_until};

/// Users made in one go, before those already there get their turn.
const HIRED_AT_ONCE: usize = 64;

/// What a user of the closed model needs to know.
pub(crate) struct Rules {
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

impl Rules {
    pub(crate) fn new(executor: &Executor, shared: &Arc<Shared>) -> Self {
        let mut rules = Self { think_time: Duration::ZERO, graceful_ramp_down: Duration::ZERO, quota: Quota::Endless };
        match executor {
            Executor::ConstantVus { think_time, .. } => rules.think_time = *think_time,
            Executor::RampingVus { think_time, graceful_ramp_down, .. } => {
                rules.think_time = *think_time;
                rules.graceful_ramp_down = *graceful_ramp_down;
            }
            Executor::PerVuIterations { think_time, iterations, .. } => {
                rules.think_time = *think_time;
                rules.quota = Quota::Each(*iterations);
            }
            Executor::SharedIterations { think_time, iterations, .. } => {
                rules.think_time = *think_time;
                rules.quota = Quota::Shared(*iterations, Arc::clone(shared));
            }
            Executor::ConstantArrivalRate { .. }
            | Executor::RampingArrivalRate { .. }
            | Executor::CapacitySearch { .. } => {}
        }
        rules
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
pub(crate) async fn closed<U: Users>(run: &Run<'_, U>, rules: &Rc<Rules>) -> Ending {
    let mut roster = Roster::default();
    let limited = !matches!(rules.quota, Quota::Endless);
    let all = run.slice.share_of_users(run.schedule.executor.max_users());
    run.crew.progress.allocate(all);
    let end = run.start + run.pacer.total_duration();
    let mut stop = pin!(run.signals.clone().reached(Phase::StopStarting));
    let (ending, stopped_at) = loop {
        let now = Instant::now();
        roster.expire(now);
        if run.signals.phase() > Phase::Run {
            break (Ending::Stopped, now);
        }
        if now >= end {
            run.crew.progress.iterations_dropped(rules.quota.left_over(all, run.crew.started()));
            break (Ending::Completed, end);
        }
        let Some(elapsed) = now.checked_duration_since(run.start) else {
            tokio::select! {
                _ = &mut stop => {}
                () = sleep_until(run.start) => {}
            }
            continue;
        };
        let target = run.slice.share_of_users(run.pacer.users(elapsed)) as usize;
        roster.shrink(target, now + rules.graceful_ramp_down);
        let step = target.min(roster.wanted() + HIRED_AT_ONCE);
        while roster.wanted() < step {
            let local = u32::try_from(roster.wanted()).unwrap_or(u32::MAX);
            roster.grow(|started| hire(run, rules, local, started));
        }
        if step < target {
            yield_now().await;
            continue;
        }
        let change = run.pacer.next_change(elapsed).map_or(end, |at| run.start + at);
        let wake = roster.next_expiry().map_or(change, |expiry| expiry.min(change));
        tokio::select! {
            biased;
            _ = &mut stop => {}
            () = run.crew.empty(), if limited => break (Ending::Completed, now),
            () = sleep_until(wake) => {}
        }
    };
    run.disband(roster, stopped_at, ending).await
}

fn hire<U: Users>(run: &Run<'_, U>, rules: &Rc<Rules>, local: u32, started: u64) -> Member {
    let seat = Seat::new(&run.crew, started);
    let user = run.users.user(run.slice.user(local));
    Member::hire(seat, |seat| work(user, seat, Rc::clone(rules)))
}

async fn work<U: User>(mut user: U, seat: Occupant, rules: Rc<Rules>) {
    let Rules { quota, think_time, .. } = &*rules;
    while seat.stays() && quota.take(seat.started()) {
        let number = seat.begin();
        user.iterate(Iteration { number, due: None }).await;
        seat.end();
        if quota.used_up(seat.started()) || !seat.stays() {
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
