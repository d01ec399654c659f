//! Preflight: plugins look whether their targets are usable. Nothing is changed there.

use kperf_plugin::Outcome;
use kperf_results::{CheckOutcome, Phase, PreflightCheck, RunEvent};

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
                let outcome = match check.outcome {
                    Outcome::Pass => CheckOutcome::Pass,
                    Outcome::Warn => CheckOutcome::Warn,
                    Outcome::Fail => CheckOutcome::Fail,
                };
                usable &= outcome != CheckOutcome::Fail;
                self.stream.emit(RunEvent::Preflight(PreflightCheck {
                    scenario: name.to_owned(),
                    name: check.name,
                    outcome,
                    message: check.message,
                }));
            }
        }
        if usable {
            return Ok(());
        }
        let message = "nothing was sent to the target but the checks above".to_owned();
        Err(fail(self.stream, Phase::Preflight, "preflight", "not-ready", message))
    }
}
