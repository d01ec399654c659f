//! Setup: plugins make what the load needs, once per scenario.

use std::time::Instant;

use kperf_results::{Phase, RunEvent};

use super::{PhaseFailed, PreparedScenario, SetupState, call_failed};
use crate::stream::EventStream;

/// The setup of all scenarios.
pub(crate) struct Setup<'a> {
    pub(crate) stream: &'a EventStream,
}

impl Setup<'_> {
    /// Sets one scenario up after the other.
    ///
    /// # Errors
    /// When one of them fails; those before it stay set up until teardown.
    pub(crate) async fn run(&self, scenarios: &mut [PreparedScenario<'_>]) -> Result<(), PhaseFailed> {
        for scenario in scenarios {
            scenario.setup = SetupState::Called;
            let started = Instant::now();
            let state = scenario.runner.setup().await;
            let state = state.map_err(|error| call_failed(self.stream, Phase::Setup, scenario.name(), error))?;
            scenario.setup = SetupState::Done(state.into());
            self.stream.emit(RunEvent::SetUp { scenario: scenario.name().to_owned(), took: started.elapsed() });
        }
        Ok(())
    }
}
