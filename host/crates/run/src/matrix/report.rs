//! What a matrix as a whole needs of a run: an identity, and reporters that hear of all cells together.

use std::sync::Arc;

use kperf_plan::{Plan, Secrets};
use kperf_plugin::Outbox;
use kperf_results::{Exit, RunEvent, RunFolder, RunInfo, ScenarioInfo, Summary};

use crate::error::RunError;
use crate::header::header;
use crate::interrupts::Interrupts;
use crate::listeners::Until;
use crate::observers::ObserverFailed;
use crate::run::report;
use crate::servers::{LocalServers, RunningServers};
use crate::session::Session;
use crate::sinks::reporter;
use crate::stream::EventStream;

/// What a run is known by.
pub(super) struct Identity {
    /// Which run it is, of what, on what.
    pub(super) run: RunInfo,
    /// The scenarios in the order of the suite.
    pub(super) scenarios: Vec<ScenarioInfo>,
    /// The suite's text without secrets.
    pub(super) suite: String,
}

impl Identity {
    /// The identity of a run that begins now.
    ///
    /// # Errors
    /// When the suite's credentials can't be had.
    pub(super) fn new(plan: &Plan) -> Result<Self, RunError> {
        let secrets = Secrets::read(plan).map_err(RunError::Suite)?;
        let header = header(plan, &secrets, None);
        let suite = secrets.redactor.redact(plan.suite.sources.text()).into_owned();
        Ok(Self { run: header.run, scenarios: header.scenarios, suite })
    }
}

/// The results of a matrix as a whole, for its reporters.
pub(super) struct MatrixResult<'a> {
    pub(super) plan: &'a Plan,
    pub(super) folder: &'a RunFolder,
    pub(super) run: &'a str,
    pub(super) summary: Arc<Summary>,
    pub(super) exit: Exit,
}

impl MatrixResult<'_> {
    /// Hands the summary to the suite's reporters. Gives how the process should end, and how many of their messages have not been
    /// delivered.
    ///
    /// # Errors
    /// When the suite's credentials or certificates can't be had.
    pub(super) async fn report(
        self,
        servers: &dyn LocalServers,
        stream: &EventStream,
        interrupts: &Interrupts,
    ) -> Result<(Exit, usize), RunError> {
        let Self { plan, folder, run, summary, exit } = self;
        let write = |source| RunError::Folder { dir: folder.path().to_owned(), source };
        let secrets = Secrets::read(plan).map_err(RunError::Suite)?;
        let servers = RunningServers::start(plan, servers, false)?;
        let outbox = Arc::new(Outbox::create(&folder.outbox()));
        let session = Session::new(plan, &secrets, folder, run, stream.incidents().clone())?.with_servers(&servers);
        let json = std::fs::read_to_string(folder.summary()).map_err(write)?;
        let told = async {
            if let Err(ObserverFailed { name, message }) = reporter::attach(plan, &session, stream, &outbox).await {
                stream.emit(RunEvent::SinkFailed { sink: format!("reporter {name}"), required: true, message });
                return if exit == Exit::Pass { Exit::ReporterFailed } else { exit };
            }
            stream.emit(RunEvent::Verdict { summary, json: json.into() });
            report(stream, interrupts, exit).await
        };
        let exit = tokio::select! {
            exit = told => exit,
            never = secrets.keep_fresh() => match never {},
        };
        stream.emit_reported();
        stream.close(Until::Last).finish(None).await;
        servers.write(folder, &secrets.redactor).map_err(write)?;
        Ok((exit, outbox.waiting()))
    }
}
