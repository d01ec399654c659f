//! The controller of recurring runs, which makes runs of them, and the clock that moves it and the cluster.
//!
//! The controller reconciles a recurring run when it was made or changed, at each resync once a run is due, some time after it has
//! made a run, and whenever one of its workflows changes. Each time it makes at most one run.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Map;
use uuid::Uuid;

use crate::cluster::Notification;
use crate::kfp::handlers::runs::NewRun;
use crate::kfp::rows::recurring_run::Trigger;
use crate::kfp::rows::run::Source;
use crate::kfp::store::Store;
use crate::timestamp::{Nanos, seconds};

/// Of the instants that a recurring run skips at once, no more are remembered.
const MAX_SKIPPED: usize = 1_000;

impl Store {
    /// Brings the cluster, and the controller of recurring runs, up to the present.
    pub(crate) fn catch_up(&mut self) -> Nanos {
        let now = self.now();
        loop {
            let due = self.reconcile_queue.first_due(now);
            // A notification of the cluster comes before a reconciliation that is due later.
            if let Some(notification) = self.cluster.advance(due.map_or(now, |(at, _)| at)) {
                self.handle_notification(notification);
                continue;
            }
            let Some((at, id)) = due else { return now };
            self.reconcile_queue.remove(at, id);
            self.reconcile(id, at);
        }
    }

    fn handle_notification(&mut self, notification: Notification) {
        match notification {
            Notification::Changed(id) => self.reconcile(id, self.cluster.now()),
            Notification::Appeared(key) => {
                if let Some(run) = self.unreported.remove(&key) {
                    let gap = self.cluster.now() as f64 / 1e9 - f64::from(run.scheduled);
                    self.telemetry.report_gap(gap);
                    self.runs.insert(run);
                }
            }
        }
    }

    /// Makes a run if one is due at `at`, the instant that the cluster has been advanced to, and plans the next reconciliation.
    fn reconcile(&mut self, id: Uuid, at: Nanos) {
        let cluster = &self.cluster;
        let Some(recurring) = self.recurring.get_mut(id) else { return };
        recurring.active.retain(|key| cluster.get(*key).is_some_and(|w| !w.is_over()));
        let now = i64::from(seconds(at));
        let next = recurring.schedule.next(recurring.last, recurring.created.into(), now, !recurring.no_catchup);
        let Some(next) = next.filter(|_| recurring.enabled) else { return };
        if next > now {
            let due = u64::try_from(next).unwrap_or_default().saturating_mul(1_000_000_000);
            let resync = self.resync_after(due);
            self.reconcile_queue.insert(resync, id);
            return;
        }
        // The end of a workflow brings the next reconciliation.
        if recurring.active.len() >= usize::from(recurring.max_concurrency) {
            return;
        }
        let (from, created) = (recurring.last, i64::from(recurring.created));
        let begin = from.or(recurring.schedule.start).unwrap_or(created);
        let skipped = recurring.schedule.between(begin, next, MAX_SKIPPED);
        let again = at.saturating_add(self.scaled(self.config.resync_after_run));
        let Some(run) = self.make_run(id, next) else {
            // The pipeline has no version any more: tried again at the next resync.
            let resync = self.resync_after(at.saturating_add(1));
            self.reconcile_queue.insert(resync, id);
            return;
        };
        for nominal in skipped {
            self.record_trigger(Trigger { recurring: id, nominal, made: None });
        }
        self.record_trigger(Trigger { recurring: id, nominal: next, made: Some((at, run)) });
        self.reconcile_queue.insert(again, id);
    }

    /// Makes the run that stands for the instant `nominal`.
    fn make_run(&mut self, id: Uuid, nominal: i64) -> Option<Uuid> {
        let recurring = self.recurring.get(id)?;
        let (spec, latest) = match (&recurring.spec, &recurring.source) {
            (Some(spec), _) => (Arc::clone(spec), None),
            (None, Source::Latest { pipeline }) => {
                let version = self.latest_version(*pipeline)?;
                let source = Source::Version { pipeline: *pipeline, version: version.pipeline_version_id };
                (Arc::clone(&version.pipeline_spec), Some(source))
            }
            _ => return None,
        };
        let none = Map::new();
        let parameters = recurring.runtime_config.as_deref().map_or(&none, |c| &c.parameters);
        let template = spec.template(parameters).ok()?;
        let name = recurring.next_name();
        // Without a fixed version the controller asks the API server for the run; else it makes the workflow itself,
        // and the server learns of it by the agent's report.
        let by_server = latest.is_some();
        let new = NewRun {
            experiment: recurring.experiment,
            display_name: name.clone(),
            description: recurring.description.clone(),
            service_account: Arc::clone(&recurring.service_account),
            source: latest.unwrap_or_else(|| recurring.source.clone()),
            runtime_config: recurring.runtime_config.clone(),
            workflow_name: Cow::Owned(name),
            template,
            recurring: Some((id, nominal)),
            by_server,
        };
        let (run, key) = self.start_run(new);
        let recurring = self.recurring.get_mut(id)?;
        recurring.last = Some(nominal);
        recurring.made += 1;
        recurring.active.push(key);
        Some(run)
    }

    /// The first resync at or after `at`.
    fn resync_after(&self, at: Nanos) -> Nanos {
        let step = self.scaled(self.config.resync).max(1);
        let since = at.saturating_sub(self.began());
        at.max(self.began() + since.div_ceil(step) * step)
    }
}
