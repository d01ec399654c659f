//! The requests of a training job: an experiment with prompts and runs. Where something could not be created, everything below
//! it is left out.

use crate::{
    api::{artifacts, prompts, runs},
    created,
    shape::{self, Shape},
    tally::Tally,
    tenant::Tenant,
};

/// What is written, and how.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    pub tenant: &'a Tenant,
    pub shape: &'a Shape,
    /// Logs a run's metrics and parameters in one request.
    pub log_batch: bool,
}

impl Job<'_> {
    /// Writes an experiment with everything in it. Returns its id, if it could be created.
    pub async fn experiment(&self, name: &str, tally: &mut Tally) -> Option<String> {
        let id = tally.take(created::experiment(self.tenant, name).await)?;
        for number in 0..self.shape.prompts {
            if tally.is_stopped() {
                break;
            }
            self.prompt(&format!("{name}-prompt-{number}"), tally).await;
        }
        for _ in 0..self.shape.runs {
            if tally.is_stopped() {
                break;
            }
            self.run(&id, tally).await;
        }
        Some(id)
    }

    async fn prompt(&self, name: &str, tally: &mut Tally) {
        if tally.take(created::prompt(self.tenant, name).await).is_none() {
            return;
        }
        for number in 1..=self.shape.prompt_versions {
            let text = format!("Summarize in {number} sentences: {{{{text}}}}");
            if let Some((_, ready)) = tally.take(prompts::create_version(self.tenant, name, &text).await) {
                tally.check("a prompt's version is ready", ready);
            }
        }
    }

    async fn run(&self, experiment: &str, tally: &mut Tally) {
        let tenant = self.tenant;
        let Some(run) = tally.take(runs::create(tenant, experiment).await) else { return };
        let metrics = (1..=self.shape.metrics).map(|n| (format!("metric{n}"), 1.0 / f64::from(n)));
        let parameters = (1..=self.shape.parameters).map(|n| (format!("param{n}"), format!("{}", 1.0 / f64::from(n))));
        if self.log_batch {
            let (metrics, parameters): (Vec<_>, Vec<_>) = (metrics.collect(), parameters.collect());
            if !metrics.is_empty() || !parameters.is_empty() {
                tally.take(runs::log_batch(tenant, &run.run_id, &metrics, &parameters).await);
            }
        } else {
            for (key, value) in metrics {
                tally.take(runs::log_metric(tenant, &run.run_id, &key, value).await);
            }
            for (key, value) in parameters {
                tally.take(runs::log_parameter(tenant, &run.run_id, &key, &value).await);
            }
        }
        for number in 0..self.shape.artifacts {
            let name = shape::artifact_name(number);
            tally.take(artifacts::put(tenant, &run.artifact_uri, &name, self.shape.artifact_bytes).await);
        }
        if let Some(status) = tally.take(runs::finish(tenant, &run.run_id).await) {
            tally.check("a finished run is FINISHED", status == "FINISHED");
        }
    }
}
