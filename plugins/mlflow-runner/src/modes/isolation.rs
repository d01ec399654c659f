//! ISOLATION: an iteration tries in every way to see, as one tenant, what another one has.

use std::collections::HashMap;

use kperf_plugin_sdk::{ColumnType, Table, Unit};
use kperf_plugin_sdk::{Failure, Iteration, clock, instant::Instant, log, metrics::Sample, random, records};

use super::Bench;
use crate::{
    api::runs,
    exhibit::Exhibit,
    probe::{self, Outcome, Probe, Scene},
    tally::Tally,
};

pub const NAME: &str = "ISOLATION";

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
    bench: Bench,
    exhibits: Vec<Exhibit>,
    /// Whose experiments they are: places by id.
    owners: HashMap<String, usize>,
}

impl Isolation {
    pub fn open(bench: Bench, exhibits: Vec<Exhibit>) -> Self {
        let owners = exhibits.iter().enumerate().map(|(place, exhibit)| (exhibit.experiment.clone(), place)).collect();
        Self { bench, exhibits, owners }
    }

    pub async fn iterate(&self, iteration: &Iteration) -> Result<(), Failure> {
        let number = self.exhibits.len();
        if number < 2 {
            return Err(Failure::new("params", "it takes two tenants to see what is another one's: set `tenants`"));
        }
        let viewer = self.bench.place(iteration);
        let owner = (viewer + 1 + random::below(number as u64 - 1) as usize) % number;
        let exhibit = self.exhibits.get(owner).ok_or_else(|| Failure::new("state", "a tenant has no exhibit"))?;
        let (viewer, owner) = (self.bench.tenant(viewer)?, self.bench.tenant(owner)?);
        let mut tally = Tally::default();
        // Nothing is proven by not seeing what is not there.
        let seen = tally.take(runs::get(owner, &exhibit.run).await);
        if let Some(run) = &seen {
            tally.check("a tenant sees its own run", run.run_id == exhibit.run);
        }
        if seen.is_none() {
            return tally.end();
        }
        let name = |experiment: &str| {
            let place = self.owners.get(experiment)?;
            self.bench.tenant(*place).ok().map(|tenant| tenant.name().to_owned())
        };
        let scene = Scene { viewer, owner, exhibit, marker: &self.bench.marker, owner_of: &name };
        let mut leaks = Vec::new();
        for probe in Probe::ALL.into_iter().filter(|probe| self.bench.params.write_probes || !probe.writes()) {
            match probe::probe(probe, &scene).await {
                Outcome::Kept => sample(probe, 0.0),
                Outcome::Leak { request_id, detail } => {
                    sample(probe, 1.0);
                    leaks.push(tell(probe, &scene, &request_id, &detail));
                }
                Outcome::Undecided(trouble) => {
                    tally.take::<()>(Err(trouble));
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

/// Writes a leak down and tells of it.
fn tell(probe: Probe, scene: &Scene<'_>, request_id: &str, detail: &str) -> Failure {
    let viewer = if probe.has_viewer() { scene.viewer.name() } else { "" };
    let row = vec![
        Instant::from_unix(clock::wall()).into(),
        viewer.into(),
        scene.owner.name().into(),
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
