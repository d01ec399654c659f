//! Starting a run, waiting for its end and reporting it: what several modes do.

use std::{cell::RefCell, time::Duration};

use kperf_plugin_sdk::{Failure, Iteration, Scenario, clock, metrics::Sample};
use serde_json::{Map, Value};

use crate::{
    api::{
        self,
        runs::{Config, NewRun, Reference},
    },
    clock_offset::ClockOffset,
    created::{self, Kind},
    follow::{FollowError, Following, Pace},
    params::Common,
    prepared::TenantPipeline,
    run::Run,
    run_report::{ObservedTimes, RunReport},
    spec::Graph,
    tenant::{Tenant, Tenants},
};

/// Starts and follows the runs of an instance.
pub struct Runs {
    pub tenants: Tenants,
    pub following: Following,
    pub offset: RefCell<ClockOffset>,
}

/// A run to start.
pub struct RunRequest<'a> {
    /// The tenant's place.
    pub tenant: usize,
    pub name: &'a str,
    /// What it is a run of, and the experiment that it belongs to.
    pub of: &'a TenantPipeline,
    pub parameters: &'a Map<String, Value>,
}

/// A run that the server has accepted.
pub struct Accepted {
    pub run: Run,
    pub submitted: Duration,
    pub accepted: Duration,
}

impl Runs {
    /// Follows nothing yet.
    pub fn open(scenario: &Scenario, common: &Common) -> Result<Self, Failure> {
        let tenants = common.tenants.tenants()?;
        let pace = Pace::new(common.poll_interval, scenario.users);
        let following = Following::new(pace, tenants.clone(), common.timeout);
        Ok(Self { tenants, following, offset: RefCell::new(ClockOffset::default()) })
    }

    /// Starts a run.
    pub async fn submit(&self, wanted: &RunRequest<'_>) -> Result<Accepted, Failure> {
        let tenant = self.tenants.get(wanted.tenant);
        let run = NewRun {
            display_name: wanted.name,
            experiment_id: &wanted.of.experiment,
            pipeline_version_reference: Reference::from(wanted.of),
            runtime_config: Config { parameters: wanted.parameters },
        };
        let submitted = clock::now();
        let create = api::runs::create(tenant, &run);
        let (run, exchange) = created::create(Kind::Run, tenant, wanted.name, create, |(run, _)| &run.run_id).await?;
        let accepted = clock::now();
        if let Some(exchange) = exchange {
            self.offset.borrow_mut().observe(&exchange);
        }
        Sample::new("kfp_submit_duration", (accepted - submitted).as_secs_f64()).emit();
        Ok(Accepted { run, submitted, accepted })
    }

    /// Waits for a run's end and reports it. A run that did not end well is a failure.
    pub async fn follow(
        &self,
        tenant: usize,
        accepted: Accepted,
        iteration: &Iteration,
        graph: &Graph,
        components: bool,
    ) -> Result<Run, Failure> {
        let seen = self.following.until_end(tenant, &accepted.run.run_id, accepted.submitted).await;
        let (at, run, reason, result) = match seen {
            Ok((at, run)) => {
                let failure = || Failure::new("run-failed", format!("run {} ended as {}", run.run_id, run.state));
                let result = if run.has_succeeded() { Ok(()) } else { Err(failure()) };
                let reason = run.reason();
                (at, run, reason, result)
            }
            Err(FollowError::Timeout(failure)) => (clock::now(), accepted.run, "timeout", Err(failure)),
            // Nothing is known about how it would have gone.
            Err(FollowError::Interrupted(failure)) => return Err(failure),
        };
        let observed = ObservedTimes { submitted: Some(accepted.submitted), accepted: accepted.accepted, seen: at };
        self.report(&run, self.tenants.get(tenant), iteration, observed, reason, graph, components);
        result.map(|()| run)
    }

    /// Reports a run.
    #[expect(clippy::too_many_arguments, reason = "each is a fact of the row that is written")]
    pub fn report(
        &self,
        run: &Run,
        tenant: &Tenant,
        iteration: &Iteration,
        observed: ObservedTimes,
        reason: &str,
        graph: &Graph,
        components: bool,
    ) {
        let offset = *self.offset.borrow();
        RunReport { run, tenant, iteration, observed, reason, offset }.report(graph, components);
    }
}
