//! ISOLATION: an iteration tries in every way to see, as one tenant, what another one has.

use std::collections::HashMap;

use kperf_plugin_sdk::{
    ColumnType, Failure, Finding, Iteration, RunnerMode, Scenario, Table, Unit, clock, instant::Instant, log,
    metrics::Sample, random, records,
};

use super::Context;
use crate::params::Params;
use crate::{
    api::runs,
    fixture::Fixture,
    prepared::Prepared,
    probe::{self, Attempt, Probe, ProbeOutcome},
    schema::{self, FILLED, ISOLATION, SHAPE, TENANTS},
    tally::Tally,
};

/// Whether a probe saw what is another tenant's.
pub const LEAK: &str = "mlflow_isolation_leak";

const LEAKS: &str = "leaks";

/// A row for every leak.
pub fn table() -> Table {
    use ColumnType::{Instant, Text};
    Table::new(LEAKS, "What a tenant saw of another one's, ISOLATION")
        .column("at", Instant, Unit::None, "When the answer came; our clock")
        .column("tenant", Text, Unit::None, "Who saw it; empty for a request without a workspace")
        .column("owner", Text, Unit::None, "Whose it is")
        .column("probe", Text, Unit::None, "What was tried; the request's operation")
        .column("request_id", Text, Unit::None, "The request's x-request-id")
        .column("detail", Text, Unit::None, "What was seen")
}

pub struct Isolation {
    context: Context,
    fixtures: Vec<Fixture>,
    /// Whose experiments they are: places by id.
    owners: HashMap<String, usize>,
}

impl RunnerMode for Isolation {
    const NAME: &str = "ISOLATION";
    const DESCRIPTION: &str = "Tries in every way to see, as one tenant, what another one has";
    type State = Prepared;

    fn parameters() -> String {
        schema::of(&[TENANTS, FILLED, SHAPE, ISOLATION], &[])
    }

    fn check(scenario: &Scenario) -> Vec<Finding> {
        let help = "it takes two tenants to see what is another one's: set `tenants` to 2 or more";
        match scenario.params::<Params>() {
            Ok(params) if params.tenants.tenants < 2 => vec![Finding::fail("tenants", help)],
            _ => Vec::new(),
        }
    }

    async fn setup(scenario: &Scenario) -> Result<Prepared, Failure> {
        Prepared::with_fixtures(scenario).await
    }

    fn open(scenario: &Scenario, prepared: Prepared) -> Result<Self, Failure> {
        let context = Context::open(scenario, &prepared)?;
        let fixtures = prepared.fixtures;
        let owners = fixtures.iter().enumerate().map(|(place, fixture)| (fixture.experiment.clone(), place)).collect();
        Ok(Self { context, fixtures, owners })
    }

    async fn iterate(&self, iteration: &Iteration) -> Result<(), Failure> {
        let number = self.fixtures.len();
        if number < 2 {
            return Err(Failure::params("it takes two tenants to see what is another one's: set `tenants`"));
        }
        let viewer = self.context.place(iteration);
        let owner = (viewer + 1 + random::below(number as u64 - 1) as usize) % number;
        let fixture = self.fixtures.get(owner).ok_or_else(|| Failure::new("state", "a tenant has no fixture"))?;
        let (viewer, owner) = (self.context.tenants.get(viewer), self.context.tenants.get(owner));
        let mut tally = Tally::default();
        // Nothing is proven by not seeing what is not there.
        let seen = tally.take(runs::get(owner, &fixture.run).await);
        if let Some(run) = &seen {
            tally.check("a tenant sees its own run", run.run_id == fixture.run);
        }
        if seen.is_none() {
            return tally.end();
        }
        let name = |experiment: &str| {
            let place = self.owners.get(experiment)?;
            Some(self.context.tenants.get(*place).name().to_owned())
        };
        let attempt = Attempt { viewer, owner, fixture, marker: &self.context.marker, owner_of: &name };
        let mut leaks = Vec::new();
        for probe in Probe::ALL.into_iter().filter(|probe| self.context.params.write_probes || !probe.writes()) {
            match probe::probe(probe, &attempt).await {
                ProbeOutcome::Isolated => sample(probe, 0.0),
                ProbeOutcome::Leak { request_id, detail } => {
                    sample(probe, 1.0);
                    leaks.push(record_leak(probe, &attempt, &request_id, &detail));
                }
                ProbeOutcome::Undecided(error) => {
                    tally.take::<()>(Err(error));
                }
            }
            if tally.is_stopped() {
                break;
            }
        }
        match leaks.into_iter().next() {
            Some(leak) => Err(leak),
            None => tally.end(),
        }
    }
}

fn sample(probe: Probe, leaked: f64) {
    Sample::new(LEAK, leaked).tag("probe", probe.operation()).emit();
}

/// Records and logs a leak. Returns it as the iteration's failure.
fn record_leak(probe: Probe, attempt: &Attempt<'_>, request_id: &str, detail: &str) -> Failure {
    let viewer = if probe.has_viewer() { attempt.viewer.name() } else { "" };
    let row = vec![
        Instant::from_unix(clock::wall()).into(),
        viewer.into(),
        attempt.owner.name().into(),
        probe.operation().into(),
        request_id.into(),
        detail.into(),
    ];
    records::append(LEAKS, &row);
    let who = if viewer.is_empty() { "somebody without a workspace" } else { viewer };
    let message = format!("{who} {detail} ({}, request {request_id})", probe.operation());
    log::error(&format!("leak: {message}"));
    Failure::new("leak", message)
}
