//! Waiting for runs to end: `follower` decides when to ask about which, here the requests are sent.

mod follower;

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use kperf_plugin_sdk::{Failure, clock, log, metrics::Sample};

use crate::{
    api::{Trouble, runs},
    run::Run,
    tenant::Tenants,
};
pub use follower::Pace;
use follower::{Follower, Step};

/// Why a run's end was not seen.
#[derive(Debug)]
pub enum Unseen {
    /// It took longer than it may.
    Timeout(Failure),
    /// The run of the suite was stopped.
    Interrupted(Failure),
}

impl From<Unseen> for Failure {
    fn from(unseen: Unseen) -> Self {
        match unseen {
            Unseen::Timeout(failure) | Unseen::Interrupted(failure) => failure,
        }
    }
}

/// The runs that the iterations of an instance wait for.
pub struct Following {
    follower: RefCell<Follower<Run>>,
    tenants: Tenants,
    timeout: Duration,
    /// Whether the server can be asked for those runs only that have ended.
    by_state: Cell<bool>,
}

impl Following {
    /// Follows nothing yet. A run may take `timeout`.
    pub fn new(pace: Pace, tenants: Tenants, timeout: Duration) -> Self {
        Self { follower: RefCell::new(Follower::new(pace)), tenants, timeout, by_state: Cell::new(true) }
    }

    /// Waits for the end of a tenant's run, which was submitted at a time. Returns when the end was seen (on the clock of
    /// `clock::now`), and the run.
    pub async fn until_end(&self, tenant: usize, id: &str, submitted: Duration) -> Result<(Duration, Run), Unseen> {
        let deadline = submitted + self.timeout;
        self.follower.borrow_mut().follow(tenant, id, submitted, clock::now());
        let result = self.until(id, deadline).await;
        self.follower.borrow_mut().forget(id);
        result
    }

    async fn until(&self, id: &str, deadline: Duration) -> Result<(Duration, Run), Unseen> {
        loop {
            let now = clock::now();
            let step = self.follower.borrow_mut().step(id, now);
            match step {
                Step::Ended { seen, run } => return Ok((seen, run)),
                Step::Ask { scope, ids } => self.ask(scope, &ids).await?,
                Step::Sleep(_) if now >= deadline => {
                    let message = format!(
                        "the run has not ended within {:?}: raise `timeout`, or look at run {id}",
                        self.timeout
                    );
                    return Err(Unseen::Timeout(Failure::new("run-timeout", message)));
                }
                Step::Sleep(duration) => {
                    if !clock::sleep(duration.min(deadline - now)).await {
                        let message = "the run of the suite was stopped before the run's end";
                        return Err(Unseen::Interrupted(Failure::new("interrupted", message)));
                    }
                }
            }
        }
    }

    /// Asks the server about some runs. No answer is no reason to give up on them: the requests are counted as failed, and
    /// the next look comes in time. Only the end of the whole suite ends the waiting.
    async fn ask(&self, scope: usize, batch: &[String]) -> Result<(), Unseen> {
        Sample::new("kfp_follow_requests", 1.0).emit();
        let tenant = self.tenants.get(scope);
        let answer = match batch {
            [id] => runs::get(&tenant, id).await.map(|run| vec![run]),
            ids => runs::list(&tenant, ids, self.by_state.get()).await,
        };
        let (runs, interrupted) = match answer {
            Ok(runs) => (runs, None),
            Err(Trouble::Refused { status: 400, message }) if self.by_state.get() => {
                self.by_state.set(false);
                log::info(&format!("runs can't be filtered by state, all of them are read instead: {message}"));
                (Vec::new(), None)
            }
            Err(trouble) if trouble.is_interrupted() => (Vec::new(), Some(Unseen::Interrupted(trouble.into()))),
            Err(_) => (Vec::new(), None),
        };
        let ended = runs.into_iter().filter(Run::has_ended).map(|run| (run.run_id.clone(), run));
        self.follower.borrow_mut().answered(batch, ended, clock::now());
        interrupted.map_or(Ok(()), Err)
    }
}
