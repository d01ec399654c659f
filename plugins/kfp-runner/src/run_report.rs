//! What is reported of a run: samples of its times, a row of it, and a row of each of its tasks.

use std::time::Duration;

use kperf_plugin_sdk::{
    ColumnType, Iteration, Table, Unit, clock,
    instant::Instant,
    metrics::{self, Sample},
    records::{self, Value},
};

use crate::{clock_offset::ClockOffset, run::Run, spec::Graph, tenant::Tenant, timings::Timings};

/// When our side saw what. Instants are those of `clock::now`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ObservedTimes {
    /// The iteration began to submit the run; none if the server started it by itself.
    pub submitted: Option<Duration>,
    /// The server's answer to that was here.
    pub accepted: Duration,
    /// The answer that showed the end was here; for a run that was given up, when that was.
    pub seen: Duration,
}

/// A run with everything that is known about it.
pub struct RunReport<'a> {
    pub run: &'a Run,
    pub tenant: &'a Tenant,
    pub iteration: &'a Iteration,
    pub observed: ObservedTimes,
    /// `succeeded`, `failed`, `timeout`, ...
    pub reason: &'a str,
    pub offset: ClockOffset,
}

/// The table with a row a run.
pub fn runs_table() -> Table {
    use ColumnType::{Instant, Integer, Number, Text};
    let (none, seconds) = (Unit::None, Unit::Seconds);
    Table::new("runs", "One row a run that was followed")
        .column("run_id", Text, none, "The server's id")
        .column("name", Text, none, "Its name")
        .column("experiment_id", Text, none, "Its experiment")
        .column("recurring_run_id", Text, none, "The recurring run that made it")
        .column("namespace", Text, none, "Its namespace")
        .column("state", Text, none, "Its last known state")
        .column("reason", Text, none, "How it ended: succeeded, skipped, failed, canceled, timeout, interrupted")
        .column("failed_component", Text, none, "The component that failed first")
        .column("user", Integer, none, "The virtual user")
        .column("iteration", Integer, none, "The user's iteration")
        .column("submitted", Instant, none, "When its submission began; our clock")
        .column("created_at", Instant, none, "When the server created it; its clock, to the second")
        .column("scheduled_at", Instant, none, "When it was to start; the server's clock, to the second")
        .column("started_at", Instant, none, "When the controller picked it up; the cluster's clock, to the second")
        .column("finished_at", Instant, none, "When it ended; the cluster's clock, to the second")
        .column("seen", Instant, none, "When its end was seen; our clock")
        .column("submit", Number, seconds, "How long its submission took; our clock")
        .column("completion", Number, seconds, "From submission to the end as seen; our clock")
        .column("end_to_end", Number, seconds, "From creation to end; server's clocks, to the second")
        .column("queue_wait", Number, seconds, "From creation to its pick-up; server's clocks, to the second")
        .column("critical_path", Number, seconds, "The components on the critical path; to the second")
        .column("overhead", Number, seconds, "What is left of end_to_end without the critical path; to the second")
        .column("drivers", Number, seconds, "All drivers, added up; to the second")
        .column("detection_lag", Number, seconds, "From end to being seen; both clocks, corrected by clock_offset")
        .column("clock_offset", Number, seconds, "The server's clock minus ours, as estimated")
        .column("clock_offset_uncertainty", Number, seconds, "How far that may be wrong")
        .span("run_id", "name", "created_at", "finished_at")
}

/// The table with a row a task.
pub fn tasks_table() -> Table {
    use ColumnType::{Instant, Number, Text};
    let (none, seconds) = (Unit::None, Unit::Seconds);
    Table::new("tasks", "One row a task of a run that was followed; the cluster's clock, to the second")
        .column("run_id", Text, none, "Its run")
        .column("name", Text, none, "Its name in the workflow")
        .column("kind", Text, none, "workflow, root, driver, component, executor, other")
        .column("state", Text, none, "Its last state")
        .column("start", Instant, none, "When its pod was created, before scheduling and image pull")
        .column("end", Instant, none, "When it ended")
        .column("duration", Number, seconds, "From start to end")
        .column("pending", Number, seconds, "How long its pod waited, where reports caught that")
        .span("run_id", "name", "start", "end")
}

impl RunReport<'_> {
    /// Reports everything; component by component only if `components` says so, because each one's name becomes a tag.
    pub fn report(&self, graph: &Graph, components: bool) {
        let timings = Timings::of(self.run, graph);
        metrics::emit(&self.samples(&timings, components));
        records::append("runs", &self.row(&timings));
        for (task, kind) in self.run.tasks().iter().zip(self.run.kinds()) {
            let row = vec![
                self.run.run_id.as_str().into(),
                task.display_name.as_str().into(),
                kind.name().into(),
                task.state.as_str().into(),
                task.start_time.into(),
                task.end_time.into(),
                task.seconds().into(),
                task.pending().into(),
            ];
            records::append("tasks", &row);
        }
    }

    fn samples(&self, timings: &Timings, components: bool) -> Vec<Sample> {
        let yes = |yes: bool| f64::from(u8::from(yes));
        let succeeded = matches!(self.reason, "succeeded" | "skipped");
        let mut samples = vec![
            Sample::new("kfp_run_success", yes(succeeded)),
            Sample::new("kfp_run_failure", yes(!succeeded && self.run.has_ended())),
            Sample::new("kfp_run_timeout", yes(self.reason == "timeout")),
            match &timings.failed {
                Some(component) if components => self.ended().tag("component", component),
                _ => self.ended(),
            },
        ];
        let mut add = |metric: &str, seconds: Option<f64>| {
            samples.extend(seconds.map(|seconds| Sample::new(metric, seconds)));
        };
        add("kfp_clock_offset", self.offset.seconds());
        add("kfp_clock_offset_uncertainty", self.offset.uncertainty());
        if !self.run.has_ended() {
            return samples;
        }
        add("kfp_run_completion", self.completion());
        add("kfp_run_duration", timings.end_to_end);
        add("kfp_run_queue_wait", timings.queue_wait);
        add("kfp_run_critical_path", timings.critical_path);
        add("kfp_run_overhead", timings.overhead);
        add("kfp_run_drivers", timings.drivers);
        add("kfp_detection_lag", self.detection_lag());
        samples.extend(
            timings
                .states
                .iter()
                .map(|(state, seconds)| Sample::new("kfp_run_state_duration", *seconds).tag("state", state)),
        );
        let pending = timings.pending.iter();
        samples.extend(pending.map(|(kind, seconds)| Sample::new("kfp_pod_pending", *seconds).tag("pod", kind.name())));
        for component in timings.components.iter().filter(|_| components) {
            let times = [
                ("kfp_component_duration", component.duration),
                ("kfp_driver_duration", component.driver),
                ("kfp_driver_handover", component.handover),
            ];
            let known = times.into_iter().filter_map(|(metric, seconds)| Some(Sample::new(metric, seconds?)));
            samples.extend(known.map(|sample| sample.tag("component", &component.name)));
        }
        samples
    }

    fn ended(&self) -> Sample {
        Sample::new("kfp_runs_ended", 1.0).tag("reason", self.reason)
    }

    fn completion(&self) -> Option<f64> {
        Some(self.observed.seen.saturating_sub(self.observed.submitted?).as_secs_f64())
    }

    /// From the run's end to its being seen. The only figure out of both clocks: the estimated offset corrects for their
    /// difference. The server rounds the end down, so up to a second of it is no lag.
    fn detection_lag(&self) -> Option<f64> {
        let seen = wall(self.observed.seen).as_secs_f64() + self.offset.seconds()?;
        Some((seen - self.run.finished_at.seconds()?).max(0.0))
    }

    fn row(&self, timings: &Timings) -> Vec<Value> {
        let observed = &self.observed;
        let ours = |at: Duration| Value::from(Instant::from_unix(wall(at)));
        let text = |text: &str| if text.is_empty() { Value::Missing } else { text.into() };
        let ended = self.run.has_ended();
        vec![
            self.run.run_id.as_str().into(),
            text(&self.run.display_name),
            text(&self.run.experiment_id),
            text(&self.run.recurring_run_id),
            text(&self.tenant.namespace),
            text(&self.run.state),
            self.reason.into(),
            timings.failed.as_deref().into(),
            i64::from(self.iteration.user).into(),
            i64::try_from(self.iteration.number).unwrap_or(i64::MAX).into(),
            observed.submitted.map_or(Value::Missing, ours),
            self.run.created_at.into(),
            self.run.scheduled_at.into(),
            self.run.started_at().into(),
            self.run.finished_at.into(),
            if ended { ours(observed.seen) } else { Value::Missing },
            observed.submitted.map(|at| observed.accepted.saturating_sub(at).as_secs_f64()).into(),
            self.completion().filter(|_| ended).into(),
            timings.end_to_end.into(),
            timings.queue_wait.into(),
            timings.critical_path.into(),
            timings.overhead.into(),
            timings.drivers.into(),
            self.detection_lag().filter(|_| ended).into(),
            self.offset.seconds().into(),
            self.offset.uncertainty().into(),
        ]
    }
}

/// An instant of `clock::now` on our wall clock.
fn wall(at: Duration) -> Duration {
    let ago = clock::now().saturating_sub(at);
    clock::wall().saturating_sub(ago)
}
