//! Waiting for runs to end: `follower` decides when to poll which, here the requests are sent.

mod follower;

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use kperf_plugin_sdk::{Failure, clock, log, metrics::Sample};

use crate::{
    api::{ApiError, runs},
    run::Run,
    tenant::Tenants,
};
pub use follower::Pace;
use follower::{Action, Follower};

/// Why a run's end was not seen.
#[derive(Debug)]
pub enum FollowError {
    /// It took longer than it may.
    Timeout(Failure),
    /// The run of the suite was stopped.
    Interrupted(Failure),
}

impl From<FollowError> for Failure {
    fn from(unseen: FollowError) -> Self {
        match unseen {
            FollowError::Timeout(failure) | FollowError::Interrupted(failure) => failure,
        }
    }
}

/// The runs that the iterations of an instance wait for.
pub struct Following {
    follower: RefCell<Follower<Run>>,
    tenants: Tenants,
    timeout: Duration,
    /// Whether the server can be query for those runs only that have ended.
    by_state: Cell<bool>,
}

impl Following {
    /// Follows nothing yet. A run may take `timeout`.
    pub fn new(pace: Pace, tenants: Tenants, timeout: Duration) -> Self {
        Self { follower: RefCell::new(Follower::new(pace)), tenants, timeout, by_state: Cell::new(true) }
    }

    /// Waits for the end of a tenant's run, which was submitted at a time. Returns when the end was seen (on the clock of
    /// `clock::now`), and the run.
    pub async fn until_end(
        &self,
        tenant: usize,
        id: &str,
        submitted: Duration,
    ) -> Result<(Duration, Run), FollowError> {
        let deadline = submitted + self.timeout;
        self.follower.borrow_mut().follow(tenant, id, submitted, clock::now());
        let result = self.until(id, deadline).await;
        self.follower.borrow_mut().forget(id);
        result
    }

    async fn until(&self, id: &str, deadline: Duration) -> Result<(Duration, Run), FollowError> {
        loop {
            let now = clock::now();
            let action = self.follower.borrow_mut().next_action(id, now);
            match action {
                Action::Ended { seen, run } => return Ok((seen, run)),
                Action::Poll { scope, ids } => self.poll(scope, &ids).await?,
                Action::Sleep(_) if now >= deadline => {
                    let message =
                        format!("the run has not ended within {:?}: raise `timeout`, or poll run {id}", self.timeout);
                    return Err(FollowError::Timeout(Failure::new("run-timeout", message)));
                }
                Action::Sleep(duration) => {
                    if !clock::sleep(duration.min(deadline - now)).await {
                        let message = "the run of the suite was stopped before the run's end";
                        return Err(FollowError::Interrupted(Failure::new("interrupted", message)));
                    }
                }
            }
        }
    }

    /// Polls some runs. No answer is no reason to give up on them: the requests are counted as failed, and
    /// the next poll comes in time. Only the end of the whole suite ends the waiting.
    async fn poll(&self, scope: usize, batch: &[String]) -> Result<(), FollowError> {
        Sample::new("kfp_follow_requests", 1.0).emit();
        let tenant = self.tenants.get(scope);
        let answer = match batch {
            [id] => runs::get(tenant, id).await.map(|run| vec![run]),
            ids => runs::list(tenant, ids, self.by_state.get()).await,
        };
        let (runs, interrupted) = match answer {
            Ok(runs) => (runs, None),
            Err(ApiError::Refused { status: 400, message }) if self.by_state.get() => {
                self.by_state.set(false);
                log::info(&format!("runs can't be filtered by state, all of them are read instead: {message}"));
                (Vec::new(), None)
            }
            Err(error) if error.is_interrupted() => (Vec::new(), Some(FollowError::Interrupted(error.into()))),
            Err(_) => (Vec::new(), None),
        };
        let ended = runs.into_iter().filter(Run::has_ended).map(|run| (run.run_id.clone(), run));
        self.follower.borrow_mut().answered(batch, ended, clock::now());
        interrupted.map_or(Ok(()), Err)
    }
}
