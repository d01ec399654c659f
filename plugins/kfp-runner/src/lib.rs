//! Runs pipelines on Kubeflow Pipelines (API v2beta1) and says how long they take.
//!
//! In comes a compiled pipeline; per iteration out go a run and, unless it is not waited for, what its times tell.

mod api;
mod follower;
mod params;
mod pipeline_file;
mod run;
mod stage;
mod timestamp;

use std::{cell::RefCell, time::Duration};

use kperf_plugin_sdk::{
    Description, Failure, Finding, Iteration, MetricKind, Runner, Scenario, Unit, artifacts, clock, export_runner,
    metrics::{self, Sample},
};

use api::{Config, NewRun, Reference, Scope};
use follower::{Follower, Step};
use params::Params;
use run::Run;
use stage::Stage;

const MODE: &str = "PIPELINE_RUN";

/// The plugin.
pub struct KfpRunner {
    params: Params,
    stage: Stage,
    /// What the names of this scenario's runs begin with.
    marker: String,
    follower: RefCell<Follower<Run>>,
}

impl KfpRunner {
    async fn submit(&self, iteration: &Iteration) -> Result<Run, Failure> {
        let name = format!("{}.{}.{}", self.marker, iteration.user, iteration.number);
        let run = NewRun {
            display_name: &name,
            experiment_id: &self.stage.experiment,
            pipeline_version_reference: Reference {
                pipeline_id: &self.stage.pipeline,
                pipeline_version_id: &self.stage.version,
            },
            runtime_config: Config { parameters: &self.params.parameters },
        };
        api::create_run(&run).await
    }

    /// Waits for a run's end; returns when it was seen, and the run.
    async fn follow(&self, id: &str, submitted: Duration) -> Result<(Duration, Run), Failure> {
        let deadline = submitted + self.params.timeout;
        self.follower.borrow_mut().follow(id, submitted, clock::now());
        let result = self.follow_until(id, deadline).await;
        self.follower.borrow_mut().forget(id);
        result
    }

    async fn follow_until(&self, id: &str, deadline: Duration) -> Result<(Duration, Run), Failure> {
        loop {
            let now = clock::now();
            let step = self.follower.borrow_mut().step(id, now);
            match step {
                Step::Ended { seen, run } => return Ok((seen, run)),
                Step::Ask(batch) => self.ask(&batch).await?,
                Step::Sleep(_) if now >= deadline => {
                    let message = format!(
                        "the run has not ended within {:?}: raise `timeout`, or look at run {id}",
                        self.params.timeout
                    );
                    return Err(Failure::new("run-timeout", message));
                }
                Step::Sleep(duration) => {
                    if !clock::sleep(duration.min(deadline - now)).await {
                        return Err(Failure::new(
                            "interrupted",
                            "the run of the suite was stopped before the run's end",
                        ));
                    }
                }
            }
        }
    }

    /// Asks the server about some runs. No answer is no reason to give up on them: the requests are counted as failed, and
    /// the next look comes in time. Only a run that is gone, or one whose end nobody will see, ends the waiting.
    async fn ask(&self, batch: &[String]) -> Result<(), Failure> {
        Sample::new("kfp_follow_requests", 1.0).emit();
        let scope = Scope {
            experiment: &self.stage.experiment,
            namespace: self.params.namespace.as_deref().unwrap_or_default(),
        };
        let answer = match batch {
            [id] => api::get_run(id).await.map(|run| vec![run]),
            ids => api::list_runs(ids, scope).await,
        };
        let (runs, interrupted) = match answer {
            Ok(runs) => (runs, None),
            Err(failure) => (Vec::new(), api::is_interrupted(&failure).then_some(failure)),
        };
        let ended = runs.into_iter().filter(Run::has_ended).map(|run| (run.run_id.clone(), run));
        self.follower.borrow_mut().answered(batch, ended, clock::now());
        interrupted.map_or(Ok(()), Err)
    }
}

/// The samples of a run that has ended, so long after it was submitted.
fn samples(run: &Run, completion: Duration) -> Vec<Sample> {
    let mut samples = vec![
        Sample::new("kfp_run_success", f64::from(u8::from(run.has_succeeded()))),
        Sample::new("kfp_run_completion", completion.as_secs_f64()),
    ];
    samples.extend(run.duration().map(|seconds| Sample::new("kfp_run_duration", seconds)));
    samples.extend(run.queue_wait().map(|seconds| Sample::new("kfp_run_queue_wait", seconds)));
    samples.extend(
        run.components().map(|(name, seconds)| Sample::new("kfp_component_duration", seconds).tag("component", name)),
    );
    samples
}

impl Runner for KfpRunner {
    fn describe() -> Description {
        use MetricKind::{Counter, Distribution, Rate};
        Description::new("kfp-runner", env!("CARGO_PKG_VERSION"), "Runs pipelines on Kubeflow Pipelines")
            .mode(MODE, "Starts a run of a pipeline and waits for its end", include_str!("pipeline_run.schema.json"))
            .metric("kfp_run_success", Rate, Unit::None, "Whether runs that were waited for ended well, in time")
            .metric(
                "kfp_run_completion",
                Distribution,
                Unit::Seconds,
                "From the submission to the end of the run as a client sees it",
            )
            .metric(
                "kfp_run_duration",
                Distribution,
                Unit::Seconds,
                "From the creation to the end of the run by the server's clocks, to the second",
            )
            .metric(
                "kfp_run_queue_wait",
                Distribution,
                Unit::Seconds,
                "From the creation of the run to its first task, to the second",
            )
            .metric(
                "kfp_component_duration",
                Distribution,
                Unit::Seconds,
                "A component's time, scheduling and image pull included, to the second; tag `component`",
            )
            .metric("kfp_follow_requests", Counter, Unit::None, "Requests sent to follow the runs")
    }

    async fn preflight(scenario: Scenario) -> Vec<Finding> {
        let params: Params = match scenario.params() {
            Ok(params) => params,
            Err(failure) => return vec![Finding::fail("parameters", failure.message)],
        };
        let mut findings = Vec::new();
        match api::health().await {
            Err(failure) => findings.push(Finding::fail("server reachable", failure.message)),
            Ok(health) => {
                let version = if health.tag_name.is_empty() { "unknown" } else { &health.tag_name };
                findings.push(Finding::pass("server reachable", format!("Kubeflow Pipelines, version {version}")));
                if health.multi_user && (params.namespace.is_none() || params.experiment.is_none()) {
                    let message = "the server is multi-user: set `namespace` and `experiment` in the params";
                    findings.push(Finding::fail("user mode", message));
                }
            }
        }
        findings.push(match artifacts::read(params.pipeline.clone()).await {
            Err(message) => Finding::fail("pipeline file", message),
            Ok(content) => match pipeline_file::problem(&content) {
                Some(problem) => Finding::fail("pipeline file", format!("{}: {problem}", params.pipeline)),
                None => Finding::pass("pipeline file", params.pipeline),
            },
        });
        findings
    }

    async fn setup(scenario: Scenario) -> Result<Vec<u8>, Failure> {
        let stage = Stage::set(&scenario).await?;
        serde_json::to_vec(&stage).map_err(|error| Failure::new("state", error.to_string()))
    }

    async fn open(scenario: Scenario, state: Vec<u8>) -> Result<Self, Failure> {
        let params: Params = scenario.params()?;
        let stage = serde_json::from_slice(&state).map_err(|error| Failure::new("state", error.to_string()))?;
        let marker = stage::marker(&scenario, &params);
        let follower = RefCell::new(Follower::new(params.poll_interval));
        Ok(Self { params, stage, marker, follower })
    }

    async fn iterate(&self, iteration: Iteration) -> Result<(), Failure> {
        let submitted = clock::now();
        let run = self.submit(&iteration).await?;
        if !self.params.wait {
            return Ok(());
        }
        match self.follow(&run.run_id, submitted).await {
            Ok((seen, run)) => {
                metrics::emit(&samples(&run, seen.saturating_sub(submitted)));
                if run.has_succeeded() {
                    return Ok(());
                }
                Err(Failure::new("run-failed", format!("run {} ended as {}", run.run_id, run.state)))
            }
            Err(failure) => {
                if failure.kind == "run-timeout" {
                    Sample::new("kfp_run_success", 0.0).emit();
                }
                Err(failure)
            }
        }
    }

    async fn teardown(scenario: Scenario, state: Vec<u8>) -> Result<(), Failure> {
        Stage::strike(&scenario, &state).await
    }
}

export_runner!(KfpRunner);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_is_declared() {
        let run: Run = serde_json::from_str(
            r#"{"run_id":"R","state":"FAILED","created_at":"2026-11-22T10:00:00Z","finished_at":"2026-11-22T10:00:09Z",
                "run_details":{"task_details":[{"display_name":"work-driver"},
                {"display_name":"work","start_time":"2026-11-22T10:00:02Z","end_time":"2026-11-22T10:00:05Z"}]}}"#,
        )
        .unwrap();
        let samples = samples(&run, Duration::from_secs(10));
        let seen: Vec<(&str, f64)> = samples.iter().map(|sample| (sample.metric.as_str(), sample.value)).collect();
        assert_eq!(
            seen,
            [
                ("kfp_run_success", 0.0),
                ("kfp_run_completion", 10.0),
                ("kfp_run_duration", 9.0),
                ("kfp_run_queue_wait", 2.0),
                ("kfp_component_duration", 3.0)
            ]
        );
        let declared = KfpRunner::describe().metrics;
        for (name, _) in seen {
            assert!(declared.iter().any(|metric| metric.name == name), "{name}");
        }
    }
}
