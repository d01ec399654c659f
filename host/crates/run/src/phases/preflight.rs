//! Preflight: plugins look whether their targets are usable. Nothing is changed there.

use kperf_metrics::CheckOutcome;
use kperf_results::{Phase, RunEvent};

use super::{PhaseFailed, PreparedScenario, call_failed, fail};
use crate::stream::EventStream;

/// The preflight of all scenarios.
pub(crate) struct Preflight<'a> {
    pub(crate) stream: &'a EventStream,
}

impl Preflight<'_> {
    /// Asks every scenario's plugin, and emits each of its checks.
    ///
    /// # Errors
    /// When a target is not usable, or a plugin can't tell.
    pub(crate) async fn run(&self, scenarios: &[PreparedScenario<'_>]) -> Result<(), PhaseFailed> {
        let mut usable = true;
        for scenario in scenarios {
            let name = scenario.name();
            let checks = scenario.runner.preflight().await;
            for check in checks.map_err(|error| call_failed(self.stream, Phase::Preflight, name, error))? {
                usable &= check.outcome != CheckOutcome::Fail;
                self.stream.emit(RunEvent::Preflight { scenario: name.to_owned(), check });
            }
        }
        if usable {
            return Ok(());
        }
        let message = "nothing was sent to the target but the checks above".to_owned();
        Err(fail(self.stream, Phase::Preflight, "preflight", "not-ready", message))
    }
}
