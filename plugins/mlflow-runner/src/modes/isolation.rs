//! ISOLATION: an iteration tries in every way to see, as one tenant, what another one has.

use std::collections::HashMap;

use kperf_plugin_sdk::{
    ColumnType, Failure, Finding, Iteration, RunnerMode, Scenario, Table, Unit, clock, instant::Instant, log,
    metrics::Sample, records,
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
        match scenario.params::<Params>().map(|params| u64::from(params.tenants.tenants)) {
            Ok(tenants) if tenants < 2 => vec![Finding::fail("tenants", help)],
            Ok(tenants) => {
                let pairs = tenants * (tenants - 1);
                vec![Finding::pass("pairs", format!("{pairs} ordered pairs of {tenants} tenants, one an iteration"))]
            }
            Err(_) => Vec::new(),
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
        // Users take turns, so that all pairs come before any comes again.
        let turn = iteration.number.wrapping_mul(u64::from(self.context.users.max(1))) + u64::from(iteration.user);
        let (viewer, owner) = pair(turn, number);
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
        let possible = |probe: &Probe| {
            (self.context.params.write_probes || !probe.writes()) && (fixture.has_artifact || !probe.needs_artifact())
        };
        for probe in Probe::ALL.into_iter().filter(possible) {
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

/// Who tries to see whose in a turn: every ordered pair of `tenants` (two at least) once in `tenants * (tenants - 1)` turns.
fn pair(turn: u64, tenants: usize) -> (usize, usize) {
    let number = tenants as u64;
    let viewer = turn % number;
    let distance = 1 + turn / number % (number - 1);
    (viewer as usize, ((viewer + distance) % number) as usize)
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::pair;

    #[test]
    fn every_ordered_pair_comes_before_any_comes_again() {
        for tenants in 2..9 {
            let pairs: HashSet<_> = (0..(tenants * (tenants - 1)) as u64).map(|turn| pair(turn, tenants)).collect();
            assert_eq!(pairs.len(), tenants * (tenants - 1));
            assert!(pairs.iter().all(|(viewer, owner)| viewer != owner && *viewer < tenants && *owner < tenants));
        }
    }
}
