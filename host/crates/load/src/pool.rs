//! The pool of one worker's virtual users: how they join, how they are asked to leave, and what is counted when they do.
//!
//! A user is a task of the worker's runtime. The task and the loop share a [`UserState`]; all is on one thread, so plain cells
//! do. A user between iterations loses nothing and is dropped at once when it has to leave; one within an iteration is asked,
//! and dropped only when its time is up. An interrupted iteration is counted when the [`UserGuard`] is dropped, so that no
//! way out of a task, a panic included, can miss it.

use crate::progress::Progress;
use crate::signal::{Signal, SignalReceiver};
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

/// The state that all users of a pool share.
pub(crate) struct PoolState {
    pub(crate) progress: Arc<Progress>,
    /// Open model: a user counts as active only within an iteration.
    open: bool,
    tasks: Cell<usize>,
    started: Cell<u64>,
    last_left: Notify,
}

impl PoolState {
    pub(crate) fn new(executor: &Executor, progress: Arc<Progress>) -> Rc<Self> {
        let (tasks, started) = (Cell::new(0), Cell::new(0));
        Rc::new(Self { progress, open: executor.is_open(), tasks, started, last_left: Notify::new() })
    }

    /// Iterations started by the pool's users.
    pub(crate) fn started(&self) -> u64 {
        self.started.get()
    }

    /// Waits until no user's task is left.
    pub(crate) async fn all_left(&self) {
        while self.tasks.get() > 0 {
            self.last_left.notified().await;
        }
    }
}

/// One user's state, seen by its task and by the loop.
pub(crate) struct UserState {
    pool: Rc<PoolState>,
    /// Iterations this user has started, those before a ramp-down included.
    started: Cell<u64>,
    busy: Cell<bool>,
    leave_by: Cell<Option<Instant>>,
    over: Cell<bool>,
}

impl UserState {
    pub(crate) fn new(pool: &Rc<PoolState>, started: u64) -> Rc<Self> {
        let (busy, over) = (Cell::new(false), Cell::new(false));
        Rc::new(Self { pool: Rc::clone(pool), started: Cell::new(started), busy, leave_by: Cell::new(None), over })
    }

    /// Counts an iteration as started and gives its number.
    pub(crate) fn begin(&self) -> u64 {
        let number = self.started.get();
        self.started.set(number + 1);
        self.busy.set(true);
        self.pool.started.set(self.pool.started.get() + 1);
        self.pool.progress.iteration_started();
        if self.pool.open {
            self.pool.progress.user_joined();
        }
        number
    }

    /// Counts the running iteration as finished.
    pub(crate) fn end(&self) {
        self.busy.set(false);
        self.pool.progress.iteration_finished();
        if self.pool.open {
            self.pool.progress.user_left();
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

/// Counts a task's user as gone when it is dropped, at the end of the task.
pub(crate) struct UserGuard(Rc<UserState>);

impl Deref for UserGuard {
    type Target = UserState;

    fn deref(&self) -> &UserState {
        &self.0
    }
}

impl Drop for UserGuard {
    fn drop(&mut self) {
        let UserState { pool, busy, over, .. } = &*self.0;
        over.set(true);
        if busy.replace(false) {
            pool.progress.iteration_interrupted();
            if pool.open {
                pool.progress.user_left();
            }
        }
        if !pool.open {
            pool.progress.user_left();
        }
        pool.tasks.set(pool.tasks.get().saturating_sub(1));
        if pool.tasks.get() == 0 {
            pool.last_left.notify_one();
        }
    }
}

/// A user as the loop sees it: its state, and its task to abort.
#[derive(Clone)]
pub(crate) struct UserHandle {
    pub(crate) state: Rc<UserState>,
    task: AbortHandle,
}

impl UserHandle {
    /// Starts the task of a user. The work itself has to keep the guard: a future around it that did would hold the work
    /// twice over, once as it came in and once as it runs.
    pub(crate) fn spawn<F: Future<Output = ()> + 'static>(
        state: Rc<UserState>,
        work: impl FnOnce(UserGuard) -> F,
    ) -> Self {
        state.pool.tasks.set(state.pool.tasks.get() + 1);
        if !state.pool.open {
            state.pool.progress.user_joined();
        }
        let task = spawn_local(work(UserGuard(Rc::clone(&state))));
        Self { state, task: task.abort_handle() }
    }

    /// Asks the user to leave by an instant; whether it is still within an iteration. An earlier instant stands.
    fn ask_to_leave(&self, by: Instant) -> bool {
        if !self.state.busy.get() {
            self.drop_task();
            return false;
        }
        self.state.leave_by.set(Some(self.state.leave_by.get().map_or(by, |earlier| earlier.min(by))));
        true
    }

    /// Lets a user that was asked to leave stay; whether there still is one.
    fn recall(&self) -> bool {
        self.state.leave_by.set(None);
        !self.state.over.get()
    }

    fn drop_task(&self) {
        if !self.state.over.replace(true) {
            self.task.abort();
        }
    }
}

/// A worker's virtual users in the order of their ids, and those among them that have to leave.
#[derive(Default)]
pub(crate) struct UserPool {
    users: Vec<UserHandle>,
    wanted: usize,
    leaving: VecDeque<(Instant, UserHandle)>,
}

impl UserPool {
    /// The number of users that take part, without those that have to leave.
    pub(crate) fn wanted(&self) -> usize {
        self.wanted
    }

    /// Wants one user more: the one that had this id before if it has not left yet, else one from `spawn`, which gets the
    /// number of iterations that one had started.
    pub(crate) fn grow(&mut self, spawn: impl FnOnce(u64) -> UserHandle) {
        match self.users.get_mut(self.wanted) {
            Some(user) if user.recall() => {}
            Some(user) => *user = spawn(user.state.started()),
            None => self.users.push(spawn(0)),
        }
        self.wanted += 1;
    }

    /// Wants no more than `target` users: the others have to leave, the last ones first, by an instant that is no earlier
    /// than that of any shrinking before.
    pub(crate) fn shrink(&mut self, target: usize, by: Instant) {
        for user in self.users.get(target..self.wanted).unwrap_or_default().iter().rev() {
            if user.ask_to_leave(by) {
                self.leaving.push_back((by, user.clone()));
            }
        }
        self.wanted = self.wanted.min(target);
    }

    /// Drops the users whose time to leave is up.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some((by, user)) = self.leaving.pop_front_if(|(by, _)| *by <= now) {
            // A user that was recalled, and perhaps asked again, has another instant by now.
            if user.state.leave_by.get() == Some(by) {
                user.drop_task();
            }
        }
    }

    /// When [`Self::expire`] next has something to do.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.leaving.front().map(|(by, _)| *by)
    }

    /// Lets every user end its iteration until `by`, then drops those that are left; at once at [`Signal::Abort`].
    /// Returns when no task is left: whether it was aborted.
    pub(crate) async fn drain(mut self, pool: &PoolState, by: Instant, signals: SignalReceiver) -> bool {
        for user in &self.users {
            user.ask_to_leave(by);
        }
        let mut abort = pin!(signals.reached(Signal::Abort));
        let aborted = loop {
            let wake = self.next_expiry().map_or(by, |at| at.min(by));
            tokio::select! {
                biased;
                _ = &mut abort => break true,
                () = pool.all_left() => break false,
                () = sleep_until(wake) => {}
            }
            let now = Instant::now();
            if now >= by {
                break false;
            }
            self.expire(now);
        };
        self.users.iter().for_each(UserHandle::drop_task);
        pool.all_left().await;
        aborted
    }
}
