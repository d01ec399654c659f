//! The phases of a run: preflight, setup, load, teardown, removal.
//!
//! Each phase is a type in a file of its own. It is given the scenarios that are ready for it and the event stream, and says how far
//! it came; what goes wrong in it is emitted where it happens.

mod load;
mod preflight;
mod removal;
mod setup;
mod teardown;

pub(crate) use load::Load;
pub(crate) use preflight::Preflight;
pub(crate) use removal::{Removal, remove};
pub(crate) use setup::Setup;
pub(crate) use teardown::Teardown;

use std::sync::Arc;

use kperf_metrics::Incident;
use kperf_plan::PlannedScenario;
use kperf_plugin::{CallError, PluginContext, Records, Runner, ScenarioLedger};
use kperf_results::{Phase, RunEvent};

use crate::session::ThreadEnvironment;
use crate::stream::EventStream;

/// A scenario with everything that its phases need on the run's thread.
pub(crate) struct PreparedScenario<'a> {
    pub(crate) plan: &'a PlannedScenario,
    pub(crate) context: Arc<PluginContext>,
    pub(crate) threads: ThreadEnvironment,
    pub(crate) runner: Runner,
    pub(crate) ledger: Arc<ScenarioLedger>,
    /// Rows that the plugin appends outside load.
    pub(crate) records: Records,
    pub(crate) setup: SetupState,
}

impl PreparedScenario<'_> {
    pub(crate) fn name(&self) -> &str {
        &self.plan.plugin.name
    }
}

/// How far the setup of a scenario is.
pub(crate) enum SetupState {
    /// The plugin was not asked: there is nothing to tear down.
    NotCalled,
    /// The plugin was asked, and has not returned.
    Called,
    /// What the plugin returned.
    Done(Arc<[u8]>),
}

/// A phase could not be completed; the reason has been emitted.
pub(crate) struct PhaseFailed;

/// Emits why a phase failed.
pub(crate) fn fail(stream: &EventStream, phase: Phase, source: &str, kind: &str, message: String) -> PhaseFailed {
    stream.emit(RunEvent::PhaseFailed { phase, incident: Incident::once(source, kind, message) });
    PhaseFailed
}

/// Emits why a plugin's call in a phase failed.
fn call_failed(stream: &EventStream, phase: Phase, source: &str, error: CallError) -> PhaseFailed {
    let (kind, message) = match error {
        CallError::Failed { kind, message } => (kind.to_string(), message),
        CallError::Fault { fault, message } => (fault.name().to_owned(), message),
    };
    fail(stream, phase, source, &kind, message)
}
