//! Servers inside this process that a suite may use as targets: a simulated Kubeflow Pipelines, doubles of Slack and PagerDuty.
//!
//! A plan only marks such targets; this says when they run. What they are is known to whoever implements [`LocalServers`].

use std::collections::BTreeMap;
use std::io::{self, Write as _};

use kperf_plan::{Endpoints, Plan};
use kperf_plugin::Redactor;
use kperf_results::RunFolder;
use kperf_suite::{Double, Simulated};

/// A server inside this process, on loopback. It ends when it is dropped.
pub trait LocalServer {
    /// Its base URL.
    fn url(&self) -> String;

    /// What it was told, a JSON object each, in order; empty for a server that does not keep it.
    fn received(&self) -> Vec<String>;
}

/// Starts servers inside this process.
pub trait LocalServers {
    /// Starts a simulated Kubeflow Pipelines server.
    ///
    /// # Errors
    /// When it can't listen.
    fn simulated(&self, wanted: &Simulated) -> io::Result<Box<dyn LocalServer>>;

    /// Starts a double of a service.
    ///
    /// # Errors
    /// When it can't listen.
    fn double(&self, which: Double) -> io::Result<Box<dyn LocalServer>>;
}

/// A server could not be started.
#[derive(Debug, thiserror::Error)]
#[error("can't start {what}: {source}")]
pub struct ServerError {
    what: String,
    source: io::Error,
}

/// The servers that a plan uses, while they run.
#[derive(Default)]
pub(crate) struct RunningServers {
    simulated: Option<Box<dyn LocalServer>>,
    doubles: BTreeMap<Double, Box<dyn LocalServer>>,
}

impl RunningServers {
    /// Starts those that the suite uses; `load` says whether scenarios will run.
    pub(crate) fn start(plan: &Plan, from: &dyn LocalServers, load: bool) -> Result<Self, ServerError> {
        let failed = |what: &str| {
            let what = what.to_owned();
            |source| ServerError { what, source }
        };
        let simulated = (load && plan.suite.uses_simulated()).then(|| from.simulated(&plan.suite.simulated));
        let simulated = simulated.transpose().map_err(failed("the simulated server"))?;
        let mut doubles = BTreeMap::new();
        for which in plan.suite.doubles() {
            doubles.insert(which, from.double(which).map_err(failed(which.word()))?);
        }
        Ok(Self { simulated, doubles })
    }

    /// Where they listen.
    pub(crate) fn endpoints(&self) -> Endpoints {
        Endpoints {
            simulated: self.simulated.as_ref().map(|server| server.url()),
            doubles: self.doubles.iter().map(|(which, server)| (*which, server.url())).collect(),
        }
    }

    /// Writes what the doubles were told, one request a line, without secrets.
    pub(crate) fn write(&self, folder: &RunFolder, redactor: &Redactor) -> io::Result<()> {
        for (which, server) in &self.doubles {
            let path = folder.double(which.word());
            std::fs::create_dir_all(path.parent().unwrap_or(folder.path()))?;
            let mut file = std::fs::File::create(path)?;
            for received in server.received() {
                writeln!(file, "{}", redactor.redact(&received))?;
            }
        }
        Ok(())
    }
}
