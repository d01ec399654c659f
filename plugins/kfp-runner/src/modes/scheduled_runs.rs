//! SCHEDULED_RUNS: an iteration is the life of a recurring run: created, followed for a number of triggers, deleted. It
//! tells how late each trigger was, which were missed, and which overlapped.

mod schedule;

use std::{collections::BTreeSet, time::Duration};

use kperf_plugin_sdk::{
    ColumnType, Failure, Finding, Iteration, RunnerMode, Scenario, Table, Unit, clock, duration,
    instant::Instant,
    metrics::{self, Sample},
    records::{self, Value},
};
use serde::Deserialize;

use self::schedule::{Produced, Schedule, triggers, while_off};
use crate::{
    api::{
        recurring::{self, NewRecurringRun, Trigger},
        runs::{self, Config, Reference},
    },
    created::{self, Kind},
    follow::Pace,
    params::{Common, PipelineParams},
    prepared::{Prepared, RunsIn},
    run::Run,
    run_report::ObservedTimes,
    runs::Runs,
    schema,
    tenant::Tenant,
};

/// How often the runs of a recurring run are polled within an interval of its schedule.
const POLLS: f64 = 10.0;

#[derive(Debug, Deserialize)]
pub struct Params {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    pipeline: PipelineParams,
    experiment: Option<String>,
    interval: Option<String>,
    cron: Option<String>,
    #[serde(default = "two")]
    triggers: usize,
    #[serde(default = "one")]
    max_concurrency: u32,
    #[serde(default)]
    catchup: bool,
    #[serde(default)]
    toggle: bool,
    #[serde(default = "a_minute", deserialize_with = "duration::deserialize")]
    grace: Duration,
}

fn one() -> u32 {
    1
}

fn two() -> usize {
    2
}

fn a_minute() -> Duration {
    Duration::from_secs(60)
}

impl Params {
    /// When runs are due.
    ///
    /// # Errors
    /// A failure of the kind `params` unless exactly one good schedule is given.
    fn schedule(&self) -> Result<Schedule, Failure> {
        match (&self.interval, &self.cron) {
            (Some(text), None) => {
                let interval = duration::parse(text)?;
                if interval < Duration::from_secs(1) || interval.subsec_nanos() > 0 {
                    return Err(Failure::params(format!("`interval = \"{text}\"`: give whole seconds, at least one")));
                }
                Ok(Schedule::Interval(interval.as_secs()))
            }
            (None, Some(pattern)) => Schedule::cron(pattern),
            (None, None) => Ok(Schedule::Interval(60)),
            (Some(_), Some(_)) => Err(Failure::params("give `interval` or `cron`, not both")),
        }
    }
}

/// The table with a row a trigger.
pub fn table() -> Table {
    use ColumnType::{Boolean, Instant, Integer, Number, Text};
    let (none, seconds) = (Unit::None, Unit::Seconds);
    Table::new("triggers", "One row an instant at which a recurring run was due; the server's clock, to the second")
        .column("recurring_run_id", Text, none, "The recurring run")
        .column("number", Integer, none, "Its number, from 1")
        .column("nominal", Instant, none, "When a run was due")
        .column("missed", Boolean, none, "Whether none came, within `grace`")
        .column("overlaps", Boolean, none, "Whether an earlier run had not ended")
        .column("run_id", Text, none, "The run")
        .column("created_at", Instant, none, "When it was created")
        .column("started_at", Instant, none, "When the controller picked it up")
        .column("delay", Number, seconds, "From the nominal instant to its creation")
        .column("start_delay", Number, seconds, "From the nominal instant to its pick-up")
}

pub struct ScheduledRuns {
    params: Params,
    schedule: Schedule,
    marker: String,
    prepared: Prepared,
    runs: Runs,
    /// The shortest time between two polls.
    gap: Duration,
}

/// What an iteration knows of its recurring run.
#[derive(Default)]
struct RecurringLife {
    id: String,
    /// When the recurring run was created, on the server's clock.
    created: f64,
    produced: Vec<Produced>,
    known: BTreeSet<String>,
    reported: BTreeSet<String>,
    /// When it was switched off and on again, on the server's clock.
    off: Option<(f64, f64)>,
}

impl RunnerMode for ScheduledRuns {
    const NAME: &str = "SCHEDULED_RUNS";
    const DESCRIPTION: &str = "Creates a recurring run, follows its triggers and deletes it";
    type State = Prepared;

    fn parameters() -> String {
        schema::of(&[schema::COMMON, schema::PIPELINE, schema::SCHEDULED_RUNS], &["pipeline"])
    }

    fn check(scenario: &Scenario) -> Vec<Finding> {
        let schedule = scenario.params::<Params>().and_then(|params| params.schedule());
        schedule.err().map(|failure| Finding::fail("schedule", failure.message)).into_iter().collect()
    }

    async fn setup(scenario: &Scenario) -> Result<Prepared, Failure> {
        let params: Params = scenario.params()?;
        params.schedule()?;
        let runs_in = RunsIn::Experiment(params.experiment.as_deref());
        Prepared::new(scenario, &params.common, &params.pipeline, runs_in).await
    }

    fn open(scenario: &Scenario, prepared: Prepared) -> Result<Self, Failure> {
        let params: Params = scenario.params()?;
        Ok(Self {
            schedule: params.schedule()?,
            marker: params.common.marker(scenario),
            runs: Runs::open(scenario, &params.common)?,
            gap: Pace::gap_of_a_user(scenario.users),
            params,
            prepared,
        })
    }

    async fn iterate(&self, iteration: &Iteration) -> Result<(), Failure> {
        let place = self.runs.tenants.place_of_user(iteration.user);
        let tenant = self.runs.tenants.get(place);
        let mut life = self.create(place, tenant, iteration).await?;
        let followed = self.follow(tenant, &mut life, iteration).await;
        // Its entry in the ledger stays: a run that it has just started may show only later, and the clean-up looks for it.
        let removed = recurring::remove(tenant, &life.id).await;
        followed?;
        self.report(&life);
        Ok(removed?)
    }
}

impl ScheduledRuns {
    async fn create(&self, place: usize, tenant: &Tenant, iteration: &Iteration) -> Result<RecurringLife, Failure> {
        let of = self.prepared.of_tenant(place);
        // The names of the runs begin with the first 25 letters of this one.
        let prefix = &self.params.common.run_name_prefix;
        let name = format!("{prefix}-s{}-{}-{}", iteration.user, iteration.number, self.marker);
        let wanted = NewRecurringRun {
            display_name: &name,
            experiment_id: &of.experiment,
            pipeline_version_reference: Reference::from(&of),
            runtime_config: Config { parameters: &self.params.pipeline.parameters },
            max_concurrency: self.params.max_concurrency,
            no_catchup: !self.params.catchup,
            mode: "ENABLE",
            trigger: match (&self.schedule, &self.params.cron) {
                (Schedule::Interval(seconds), _) => Trigger::PeriodicSchedule { interval_second: *seconds },
                (Schedule::Cron(_), cron) => Trigger::CronSchedule { cron: cron.as_deref().unwrap_or_default() },
            },
        };
        let create = recurring::create(tenant, &wanted);
        let (made, exchange) =
            created::create(Kind::RecurringRun, tenant, &name, create, |(made, _)| &made.recurring_run_id).await?;
        if let Some(exchange) = exchange {
            self.runs.offset.borrow_mut().observe(&exchange);
        }
        let created = made.created_at.seconds().unwrap_or_else(|| clock::wall().as_secs_f64());
        Ok(RecurringLife { id: made.recurring_run_id, created, ..RecurringLife::default() })
    }

    /// Polls the runs that come, until all instants have passed and their runs have ended.
    async fn follow(&self, tenant: &Tenant, life: &mut RecurringLife, iteration: &Iteration) -> Result<(), Failure> {
        let began = clock::now();
        let period = self.schedule.period(life.created);
        let pause = Duration::from_secs_f64((period / POLLS).max(1.0));
        let pause = pause.min(self.params.common.poll_interval).max(self.gap);
        // One more while it is switched off.
        let number = self.params.triggers + usize::from(self.params.toggle);
        let instants = self.schedule.instants(life.created, number);
        let last = instants.last().copied().unwrap_or(life.created);
        loop {
            if !clock::sleep(pause).await {
                return Err(Failure::new("interrupted", "the run of the suite was stopped before all triggers"));
            }
            self.poll(tenant, life, iteration).await?;
            let now = self.server_now();
            if self.params.toggle && life.off.is_none() && !life.produced.is_empty() {
                self.toggle(tenant, life, period).await?;
            }
            let all = triggers(&instants, &life.produced, life.off);
            let came = all.iter().all(|trigger| trigger.run.is_some()) || now > last + self.params.grace.as_secs_f64();
            let ended = life.produced.iter().all(|run| run.finished.is_some());
            if now > last && came && ended {
                return Ok(());
            }
            if clock::now() - began > self.params.common.timeout + Duration::from_secs_f64(last - life.created) {
                let message = format!("runs of recurring run {} have not ended in time: raise `timeout`", life.id);
                return Err(Failure::new("run-timeout", message));
            }
        }
    }

    /// Reads the runs that there are, and reports those that have ended. An answer that is missing comes with the next poll.
    async fn poll(&self, tenant: &Tenant, life: &mut RecurringLife, iteration: &Iteration) -> Result<(), Failure> {
        Sample::new("kfp_follow_requests", 1.0).emit();
        let runs = match runs::of_recurring(tenant, &life.id, 200).await {
            Ok(runs) => runs,
            Err(error) if error.is_interrupted() => return Err(error.into()),
            Err(_) => return Ok(()),
        };
        life.produced = runs.iter().map(produced).collect();
        for run in runs {
            if life.known.insert(run.run_id.clone()) {
                created::found(Kind::Run, tenant, &run.display_name, &run.run_id);
            }
            if run.has_ended() && life.reported.insert(run.run_id.clone()) {
                let now = clock::now();
                let observed = ObservedTimes { submitted: None, accepted: now, seen: now };
                self.runs.report(&run, tenant, iteration, observed, run.reason(), &self.prepared.graph, true);
            }
        }
        Ok(())
    }

    /// Switches the recurring run off for one interval of its schedule, and on again.
    async fn toggle(&self, tenant: &Tenant, life: &mut RecurringLife, period: f64) -> Result<(), Failure> {
        recurring::switch(tenant, &life.id, false).await?;
        let from = self.server_now();
        clock::sleep(Duration::from_secs_f64(period)).await;
        recurring::switch(tenant, &life.id, true).await?;
        life.off = Some((from, self.server_now()));
        Ok(())
    }

    /// The server's clock, as far as it is known.
    fn server_now(&self) -> f64 {
        clock::wall().as_secs_f64() + self.runs.offset.borrow().seconds().unwrap_or(0.0)
    }

    fn report(&self, life: &RecurringLife) {
        let number = self.params.triggers + usize::from(self.params.toggle);
        let instants = self.schedule.instants(life.created, number);
        let mut samples = Vec::new();
        for (index, trigger) in triggers(&instants, &life.produced, life.off).iter().enumerate() {
            let yes = |yes: bool| f64::from(u8::from(yes));
            samples.push(Sample::new("kfp_trigger_missed", yes(trigger.run.is_none())));
            let run = trigger.run.as_ref();
            if run.is_some() {
                samples.push(Sample::new("kfp_trigger_overlap", yes(trigger.overlaps)));
            }
            let late = |at: Option<f64>| at.map(|at| (at - trigger.nominal).max(0.0));
            let (delay, start_delay) = (late(run.map(|run| run.created)), late(run.and_then(|run| run.started)));
            samples.extend(delay.map(|seconds| Sample::new("kfp_trigger_delay", seconds)));
            samples.extend(start_delay.map(|seconds| Sample::new("kfp_trigger_start_delay", seconds)));
            let at = |seconds: f64| Instant::from_unix_seconds(seconds);
            let row: Vec<Value> = vec![
                life.id.as_str().into(),
                i64::try_from(index + 1).unwrap_or(i64::MAX).into(),
                at(trigger.nominal).into(),
                run.is_none().into(),
                trigger.overlaps.into(),
                run.map(|run| run.id.as_str()).into(),
                run.map(|run| at(run.created)).into(),
                run.and_then(|run| run.started).map(at).into(),
                delay.into(),
                start_delay.into(),
            ];
            records::append("triggers", &row);
        }
        if life.off.is_some() {
            samples.push(Sample::new("kfp_triggers_while_disabled", while_off(&life.produced, life.off) as f64));
        }
        metrics::emit(&samples);
    }
}

fn produced(run: &Run) -> Produced {
    Produced {
        id: run.run_id.clone(),
        scheduled: run.scheduled_at.seconds(),
        created: run.created_at.seconds().unwrap_or_default(),
        started: run.started_at().seconds(),
        finished: run.has_ended().then_some(run.finished_at.seconds().unwrap_or_default()),
    }
}
