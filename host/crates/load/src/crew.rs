//! The users that one worker runs: their seats, how they are asked to leave, and what is counted when they do.
//!
//! A user is a task of the worker's runtime. Task and loop share its [`Seat`]; all is on one thread, so plain cells do. A user
//! between iterations loses nothing and is dropped at once when it has to leave; one within an iteration is asked, and
//! dropped only when its time is up. What was cut off is counted where the seat is given up ([`Occupant`]), so that no way
//! out of a task, a panic included, can miss it.

use crate::Progress;
use crate::signal::{Phase, Signals};
use kperf_schedule::Executor;
use std::cell::Cell;
use std::collections::VecDeque;
use std::future::Future;
use std::ops::Deref;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::{Instant, sleep_until};

/// What all seats of a worker have in common.
pub(crate) struct Crew {
    pub(crate) progress: Arc<Progress>,
    /// Open model: a user counts as active only within an iteration.
    open: bool,
    tasks: Cell<usize>,
    started: Cell<u64>,
    last_left: Notify,
}

impl Crew {
    pub(crate) fn new(executor: &Executor, progress: Arc<Progress>) -> Rc<Self> {
        let (tasks, started) = (Cell::new(0), Cell::new(0));
        Rc::new(Self { progress, open: executor.is_open(), tasks, started, last_left: Notify::new() })
    }

    /// Iterations started by this crew.
    pub(crate) fn started(&self) -> u64 {
        self.started.get()
    }

    /// Waits until no user's task is left.
    pub(crate) async fn empty(&self) {
        while self.tasks.get() > 0 {
            self.last_left.notified().await;
        }
    }
}

/// One user's state, seen by its task and by the loop.
pub(crate) struct Seat {
    crew: Rc<Crew>,
    /// Iterations this user has started, those before a ramp-down included.
    started: Cell<u64>,
    busy: Cell<bool>,
    leave_by: Cell<Option<Instant>>,
    over: Cell<bool>,
}

impl Seat {
    pub(crate) fn new(crew: &Rc<Crew>, started: u64) -> Rc<Self> {
        let (busy, over) = (Cell::new(false), Cell::new(false));
        Rc::new(Self { crew: Rc::clone(crew), started: Cell::new(started), busy, leave_by: Cell::new(None), over })
    }

    /// Counts an iteration as started and gives its number.
    pub(crate) fn begin(&self) -> u64 {
        let number = self.started.get();
        self.started.set(number + 1);
        self.busy.set(true);
        self.crew.started.set(self.crew.started.get() + 1);
        self.crew.progress.iteration_started();
        if self.crew.open {
            self.crew.progress.user_joined();
        }
        number
    }

    /// Counts the running iteration as finished.
    pub(crate) fn end(&self) {
        self.busy.set(false);
        self.crew.progress.iteration_finished();
        if self.crew.open {
            self.crew.progress.user_left();
        }
    }

    /// Iterations started.
    pub(crate) fn started(&self) -> u64 {
        self.started.get()
    }

    /// Whether the user may start another iteration.
    pub(crate) fn stays(&self) -> bool {
        self.leave_by.get().is_none()
    }
}

/// A task's hold on its seat, from its start to its end.
pub(crate) struct Occupant(Rc<Seat>);

impl Deref for Occupant {
    type Target = Seat;

    fn deref(&self) -> &Seat {
        &self.0
    }
}

impl Drop for Occupant {
    fn drop(&mut self) {
        let Seat { crew, busy, over, .. } = &*self.0;
        over.set(true);
        if busy.replace(false) {
            crew.progress.iteration_interrupted();
            if crew.open {
                crew.progress.user_left();
            }
        }
        if !crew.open {
            crew.progress.user_left();
        }
        crew.tasks.set(crew.tasks.get().saturating_sub(1));
        if crew.tasks.get() == 0 {
            crew.last_left.notify_one();
        }
    }
}

/// A loop's hold on a user.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) seat: Rc<Seat>,
    task: AbortHandle,
}

impl Member {
    /// Starts the task of the user on `seat`. The work itself has to keep the occupant: a future around it that did would
    /// hold the work twice over, once as it came in and once as it runs.
    pub(crate) fn hire<F: Future<Output = ()> + 'static>(seat: Rc<Seat>, work: impl FnOnce(Occupant) -> F) -> Self {
        seat.crew.tasks.set(seat.crew.tasks.get() + 1);
        if !seat.crew.open {
            seat.crew.progress.user_joined();
        }
        let task = spawn_local(work(Occupant(Rc::clone(&seat))));
        Self { seat, task: task.abort_handle() }
    }

    /// Asks the user to leave by an instant; whether it is still within an iteration. An earlier instant stands.
    fn ask_to_leave(&self, by: Instant) -> bool {
        if !self.seat.busy.get() {
            self.drop_task();
            return false;
        }
        self.seat.leave_by.set(Some(self.seat.leave_by.get().map_or(by, |earlier| earlier.min(by))));
        true
    }

    /// Lets a user that was asked to leave stay; whether there still is one.
    fn recall(&self) -> bool {
        self.seat.leave_by.set(None);
        !self.seat.over.get()
    }

    fn drop_task(&self) {
        if !self.seat.over.replace(true) {
            self.task.abort();
        }
    }
}

/// A worker's users in the order of their ids, and those among them that are on their way out.
#[derive(Default)]
pub(crate) struct Roster {
    members: Vec<Member>,
    wanted: usize,
    leaving: VecDeque<(Instant, Member)>,
}

impl Roster {
    /// How many users are wanted now.
    pub(crate) fn wanted(&self) -> usize {
        self.wanted
    }

    /// Wants one user more: the one who sat there before if it has not left yet, else one from `hire`, which is told how many
    /// iterations its forerunner had started.
    pub(crate) fn grow(&mut self, hire: impl FnOnce(u64) -> Member) {
        match self.members.get_mut(self.wanted) {
            Some(member) if member.recall() => {}
            Some(member) => *member = hire(member.seat.started()),
            None => self.members.push(hire(0)),
        }
        self.wanted += 1;
    }

    /// Wants no more than `target` users: the others have to leave, the last ones first, by an instant that is no earlier
    /// than that of any shrinking before.
    pub(crate) fn shrink(&mut self, target: usize, by: Instant) {
        for member in self.members.get(target..self.wanted).unwrap_or_default().iter().rev() {
            if member.ask_to_leave(by) {
                self.leaving.push_back((by, member.clone()));
            }
        }
        self.wanted = self.wanted.min(target);
    }

    /// Drops the users whose time to leave is up.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some((by, member)) = self.leaving.pop_front_if(|(by, _)| *by <= now) {
            // A user that was recalled, and perhaps asked again, has another instant by now.
            if member.seat.leave_by.get() == Some(by) {
                member.drop_task();
            }
        }
    }

    /// When [`Self::expire`] next has something to do.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.leaving.front().map(|(by, _)| *by)
    }

    /// Lets every user end its iteration until `by`, then drops those that are left; at once when the run is abandoned.
    /// Returns when no task is left: whether the run was abandoned.
    pub(crate) async fn disband(mut self, crew: &Crew, by: Instant, signals: Signals) -> bool {
        for member in &self.members {
            member.ask_to_leave(by);
        }
        let mut abandon = pin!(signals.reached(Phase::Abandon));
        let abandoned = loop {
            let wake = self.next_expiry().map_or(by, |at| at.min(by));
            tokio::select! {
                biased;
                _ = &mut abandon => break true,
                () = crew.empty() => break false,
                () = sleep_until(wake) => {}
            }
            let now = Instant::now();
            if now >= by {
                break false;
            }
            self.expire(now);
        };
        self.members.iter().for_each(Member::drop_task);
        crew.empty().await;
        abandoned
    }
}
