//! A server that has been in use: rows made up as if of the past.
//!
//! A few runs are carried out on a cluster of their own; all prefilled runs share what happened there, each so many
//! seconds later. So a hundred thousand of them take little time and memory.

use std::sync::Arc;

use serde_json::Map;
use uuid::Uuid;

use crate::cluster::workflow::{Node, Nodes, StateChange, Workflow};
use crate::cluster::{Cluster, WorkflowOrigin};
use crate::config::SimConfig;
use crate::kfp::rows::experiment::{Experiment, StorageState};
use crate::kfp::rows::pipeline::Metadata;
use crate::kfp::rows::run::{Run, Source, name_suffix};
use crate::kfp::spec::Spec;
use crate::kfp::store::Store;
use crate::random::RandomStream;
use crate::timestamp::{Nanos, seconds};

const SECOND: Nanos = 1_000_000_000;
/// The last prefilled run ended before this time ago, in seconds.
const AGO: u32 = 3_600;
/// So many seconds lie between two prefilled runs.
const APART: u32 = 7;
/// How many different pasts the prefilled runs share.
const PAST_WORKFLOWS: u64 = 32;
/// Of so many prefilled runs one has failed.
const FAILED: u64 = 16;

const PIPELINE: &str = "
pipelineInfo: {name: prefilled}
schemaVersion: 2.1.0
root:
  dag:
    tasks:
      prepare: {taskInfo: {name: prepare}, componentRef: {name: comp-prepare}}
      train: {taskInfo: {name: train}, componentRef: {name: comp-train}, dependentTasks: [prepare]}
      report: {taskInfo: {name: report}, componentRef: {name: comp-report}, dependentTasks: [train]}
components:
  comp-prepare: {executorLabel: exec-prepare}
  comp-train: {executorLabel: exec-train}
  comp-report: {executorLabel: exec-report}
deploymentSpec:
  executors:
    exec-prepare: {container: {image: busybox, command: [sleep], args: ['20']}}
    exec-train: {container: {image: busybox, command: [sleep], args: ['90']}}
    exec-report: {container: {image: busybox, command: [sleep], args: ['5']}}
";

/// A workflow that was created at 0 and has ended.
struct PastWorkflow {
    nodes: Arc<Vec<Node>>,
    workflow: Workflow,
}

/// Carries out runs of the pipeline on a cluster of its own; every `FAILED`th of them fails.
fn past_workflows(config: &SimConfig, spec: &Spec) -> Vec<PastWorkflow> {
    let (seed, jitter) = (RandomStream::new(config.seed).fork_named("prefill").bits(), config.jitter);
    let usual = SimConfig { seed, jitter, slots: usize::MAX, speed: 1.0, ..SimConfig::default() };
    let past = |number: u64| {
        let failure_rate = if number % FAILED == FAILED - 1 { 1.0 } else { 0.0 };
        let mut cluster = Cluster::new(SimConfig { failure_rate, seed: seed ^ number, ..usual.clone() });
        let template = spec.template(&Map::new()).ok()?;
        let key = cluster.create(template, WorkflowOrigin { is_known: true, ..WorkflowOrigin::default() });
        while let Some(at) = cluster.next() {
            cluster.advance(at);
        }
        let mut workflow = *cluster.remove(key)?;
        let nodes = Arc::new(std::mem::take(workflow.nodes.own()));
        Some(PastWorkflow { nodes, workflow })
    };
    (0..PAST_WORKFLOWS).filter_map(past).collect()
}

impl PastWorkflow {
    /// The same workflow, begun at `created` seconds.
    fn begun_at(&self, created: u32) -> Workflow {
        let by = u64::from(created) * SECOND;
        let w = &self.workflow;
        Workflow {
            template: Arc::clone(&w.template),
            nodes: Nodes::past(Arc::clone(&self.nodes), created),
            random: w.random.fork(u64::from(created)),
            cache_scope: 0,
            created: w.created + by,
            owner: None,
            attempt: w.attempt,
            report_due: false,
            deleted_at: None,
            edition: 0,
            state: w.state,
            history: w
                .history
                .iter()
                .map(|c| StateChange { at: c.at.saturating_add(created), state: c.state })
                .collect(),
            finished: w.finished.map(|at| at + by),
        }
    }
}

impl Store {
    /// Stores what the configuration asks for.
    pub(crate) fn prefill(&mut self) {
        let prefill = self.config.prefill;
        if prefill.runs == 0 && prefill.pipelines == 0 && prefill.experiments == 0 {
            return;
        }
        // The pipeline is the server's own, so that it is taken.
        let Ok(spec) = Spec::from_file(PIPELINE.as_bytes()) else { return };
        let oldest = seconds(self.began())
            .saturating_sub(AGO)
            .saturating_sub(u32::try_from(prefill.runs).unwrap_or(u32::MAX).saturating_mul(APART));
        let sources = self.prefilled_pipelines(prefill.pipelines.max(usize::from(prefill.runs > 0)), oldest, &spec);
        let experiments = self.prefilled_experiments(prefill.experiments, oldest);
        let past_workflows = past_workflows(&self.config, &spec);
        let (Some(_), Some(_), Some(_)) = (past_workflows.first(), sources.first(), experiments.first()) else {
            return;
        };
        let account = self.service_account(None);
        let namespace: Arc<str> = self.config.namespace.as_str().into();
        for number in 0..prefill.runs {
            let created = oldest.saturating_add(u32::try_from(number).unwrap_or(u32::MAX).saturating_mul(APART));
            let id = self.id();
            let pick = |count: usize, what: u64| {
                usize::try_from(RandomStream::new(id.as_u64_pair().0).fork(what).bits()).unwrap_or_default() % count
            };
            let Some(past) = past_workflows.get(pick(past_workflows.len(), 1)) else { continue };
            let Some(source) = sources.get(pick(sources.len(), 2)) else { continue };
            let Some(experiment) = experiments.get(pick(experiments.len(), 3)).copied() else { continue };
            let workflow = self.cluster.adopt(past.begun_at(created));
            self.runs.insert(Run {
                id,
                experiment,
                namespace: Arc::clone(&namespace),
                display_name: format!("prefilled-run-{number}"),
                description: String::new(),
                service_account: Arc::clone(&account),
                source: source.clone(),
                runtime_config: None,
                storage: StorageState::Available,
                workflow_name: format!("prefilled-{}", name_suffix(id)),
                workflow,
                recurring: None,
                created,
                scheduled: created,
            });
        }
        // The gauges count from the start of the process.
        (self.telemetry.pipelines, self.telemetry.versions) = (0, 0);
    }

    fn prefilled_pipelines(&mut self, count: usize, oldest: u32, spec: &Arc<Spec>) -> Vec<Source> {
        let at = u64::from(oldest) * SECOND;
        let made = (0..count).filter_map(|number| {
            let metadata = || Metadata {
                name: format!("prefilled-pipeline-{number}"),
                namespace: self.config.namespace.clone(),
                ..Metadata::default()
            };
            let (pipeline_metadata, version_metadata) = (metadata(), metadata());
            let pipeline = self.add_pipeline(at, pipeline_metadata).ok()?.pipeline_id;
            let version = self.add_version(at, pipeline, version_metadata, Arc::clone(spec)).ok()?;
            Some(Source::Version { pipeline, version: version.pipeline_version_id })
        });
        made.collect()
    }

    /// The experiments that prefilled runs are in.
    fn prefilled_experiments(&mut self, count: usize, oldest: u32) -> Vec<Uuid> {
        let at = u64::from(oldest) * SECOND;
        let namespace = self.namespace_of(Some(&self.config.namespace.clone()));
        // A multi-user server has no default experiment that runs could be in.
        let count = if self.config.multi_user { count.max(1) } else { count };
        let mut ids: Vec<Uuid> = (0..count)
            .map(|number| {
                let id = self.id();
                let name = format!("prefilled-experiment-{number}");
                self.experiments.insert(Experiment::new(id, at, Arc::clone(&namespace), name, String::new()));
                id
            })
            .collect();
        if ids.is_empty() {
            ids.push(self.default_experiment);
        }
        ids
    }
}
