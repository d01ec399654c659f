//! Teardown: plugins undo their setup, whatever happened before.

use kperf_results::Phase;

use super::{PreparedScenario, SetupState, fail};
use crate::stream::EventStream;

/// The teardown of all scenarios whose setup was called.
pub(crate) struct Teardown<'a> {
    pub(crate) stream: &'a EventStream,
}

impl Teardown<'_> {
    /// Tears every scenario down; a failure does not keep the others from it.
    pub(crate) async fn run(&self, scenarios: &[PreparedScenario<'_>]) {
        for scenario in scenarios {
            let state: &[u8] = match &scenario.setup {
                SetupState::NotCalled => continue,
                SetupState::Called => &[],
                SetupState::Done(state) => state,
            };
            if let Err(error) = scenario.runner.teardown(state).await {
                let _ = fail(self.stream, Phase::Teardown, scenario.name(), "teardown", error.to_string());
            }
        }
    }
}
