//! The end of a run: every scenario that was set up is torn down, and what the ledger knows is removed from the targets,
//! whatever happened before.

use std::path::Path;
use std::time::Instant;

use super::opening::{SIMULATED, target_of};
use super::{Run, Stage, removal};
use crate::plan::plural;
use crate::report;
use crate::terminal::GOOD;

impl Run<'_> {
    /// Tears down and removes; none if the user has had enough of it.
    pub(super) async fn wind_up(&self, stages: &[Stage<'_>]) -> Option<Vec<report::Incident>> {
        let mut told = self.interrupts.any();
        let mut work = std::pin::pin!(async {
            let mut failures = self.tear_down(stages).await;
            if !self.keep {
                failures.extend(self.remove(stages).await);
            }
            failures
        });
        loop {
            tokio::select! {
                biased;
                () = self.interrupts.twice() => return None,
                () = self.interrupts.once(), if !told => {
                    told = true;
                    crate::terminal::note("\nremoving what the run has created; once more to leave at once");
                }
                failures = &mut work => return Some(failures),
            }
        }
    }

    /// Removes what the ledger knows to be on the targets.
    async fn remove(&self, stages: &[Stage<'_>]) -> Vec<report::Incident> {
        let mut failures = Vec::new();
        for stage in stages.iter().filter(|stage| stage.book.open() > 0) {
            let source = stage.plan.part.name.clone();
            let started = Instant::now();
            let incident = |kind: &str, message: String, count| {
                crate::terminal::error(&format!("{source}: {message}"));
                report::Incident { source: source.clone(), kind: kind.to_owned(), message, count }
            };
            let removed = match removal::remove(&stage.runner, &stage.book, &source, self.display).await {
                Ok(removed) => removed,
                Err(error) => {
                    failures.push(incident("left-behind", error.to_string(), stage.book.open() as u64));
                    continue;
                }
            };
            if !removed.gone.is_empty() {
                let (gone, took) =
                    (removal::list(&removed.gone), crate::terminal::seconds(started.elapsed().as_secs_f64()));
                self.display.line(&format!("{GOOD}✓{GOOD:#} {source}: removed {gone} in {took}"));
            }
            if !removed.left.is_empty() {
                let because = removed.error.map(|error| format!(" ({error})")).unwrap_or_default();
                let (left, folder) = (removal::list(&removed.left), self.out.display());
                let message = format!("{left} still on the target{because}; `kperf-host cleanup {folder}` tries again");
                failures.push(incident("left-behind", message, removed.left.values().sum()));
            }
        }
        failures
    }

    /// How many things are still on targets that outlive this process.
    pub(super) fn left(&self) -> usize {
        let scenarios = self.plan.suite.scenarios.iter();
        let lasting = scenarios.filter(|it| target_of(self.plan, it).is_some_and(|target| target != SIMULATED));
        lasting.map(|it| self.ledger.book(&it.plugin.name.value).open()).sum()
    }

    async fn tear_down(&self, stages: &[Stage<'_>]) -> Vec<report::Incident> {
        let mut failures = Vec::new();
        for stage in stages.iter().filter(|stage| stage.touched) {
            let state = stage.state.as_deref().unwrap_or_default();
            if let Err(error) = stage.runner.teardown(state).await {
                let source = stage.plan.part.name.clone();
                crate::terminal::error(&format!("teardown of {source}: {error}"));
                failures.push(report::Incident {
                    source,
                    kind: "teardown".to_owned(),
                    message: error.to_string(),
                    count: 1,
                });
            }
        }
        failures
    }
}

/// Says how to remove what a run has left on its targets.
pub fn tell_left(out: &Path, left: usize) {
    if left > 0 {
        let (things, folder) = (if left == 1 { "thing is" } else { "things are" }, out.display());
        crate::terminal::note(&format!(
            "{left} {things} still on the target; `kperf-host cleanup {folder}` removes what it can"
        ));
    }
}

/// Says how to send what a run's reporters could not deliver.
pub fn tell_undelivered(out: &Path, undelivered: usize) {
    if undelivered > 0 {
        let messages = plural(u32::try_from(undelivered).unwrap_or(u32::MAX), "message");
        let folder = out.display();
        crate::terminal::note(&format!(
            "{messages} of reporters not delivered; `kperf-host report {folder} --resend` sends what has not arrived"
        ));
    }
}
