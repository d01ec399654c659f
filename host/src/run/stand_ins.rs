//! Stand-ins for Slack and PagerDuty, for suites that only try things out: they run beside the load, and what they were told is
//! in the run's folder.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use kperf_plugin::Redactor;
use kperf_suite::StandIn;

use crate::plan::Plan;

/// The folder below the run's.
const FOLDER: &str = "stand-ins";

/// See the module.
pub(super) struct StandIns(BTreeMap<StandIn, kperf_sim::StandIn>);

impl StandIns {
    /// Starts those that the suite uses.
    pub(super) fn start(plan: &Plan) -> Result<Self, String> {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let started = plan.suite.stand_ins().into_iter().map(|which| {
            let server = match which {
                StandIn::Slack => kperf_sim::StandIn::start(kperf_sim::Slack::default(), loopback),
                StandIn::PagerDuty => kperf_sim::StandIn::start(kperf_sim::PagerDuty::default(), loopback),
            };
            let server = server.map_err(|error| format!("can't start {}: {error}", which.word()))?;
            Ok((which, server))
        });
        started.collect::<Result<_, String>>().map(Self)
    }

    /// Where they listen.
    pub(super) fn urls(&self) -> BTreeMap<StandIn, String> {
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
