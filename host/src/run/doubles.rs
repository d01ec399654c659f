//! Doubles of Slack and PagerDuty, for suites that only try things out: they run beside the load, and what they were told is
//! in the run's folder.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use kperf_doubles::DoubleServer;
use kperf_plugin::Redactor;
use kperf_suite::Double;

use crate::plan::Plan;

/// The folder below the run's.
const FOLDER: &str = "doubles";

/// See the module.
pub(super) struct Doubles(BTreeMap<Double, DoubleServer>);

impl Doubles {
    /// Starts those that the suite uses.
    pub(super) fn start(plan: &Plan) -> Result<Self, String> {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let started = plan.suite.doubles().into_iter().map(|which| {
            let server = match which {
                Double::Slack => DoubleServer::start(kperf_doubles::Slack::default(), loopback),
                Double::PagerDuty => DoubleServer::start(kperf_doubles::PagerDuty::default(), loopback),
            };
            let server = server.map_err(|error| format!("can't start {}: {error}", which.word()))?;
            Ok((which, server))
        });
        started.collect::<Result<_, String>>().map(Self)
    }

    /// Where they listen.
    pub(super) fn urls(&self) -> BTreeMap<Double, String> {
        self.0.iter().map(|(which, server)| (*which, server.url())).collect()
    }

    /// Writes what they were told, one request a line, without secrets.
    pub(super) fn write(&self, out: &Path, redactor: &Redactor) -> std::io::Result<()> {
        for (which, server) in &self.0 {
            let folder = out.join(FOLDER);
            std::fs::create_dir_all(&folder)?;
            let mut file = std::fs::File::create(folder.join(format!("{}.jsonl", which.word())))?;
            for received in server.received() {
                writeln!(file, "{}", redactor.redact(&serde_json::to_string(&received)?))?;
            }
        }
        Ok(())
    }
}
