//! Log lines of plugins, redacted, cut and counted.

use kperf_metrics::printable;

use crate::bindings::log::Level;
use crate::environment::services::Services;
use crate::recording::table::cut;

/// The longest line in bytes; what is beyond is cut.
const LONGEST: usize = 4096;

/// Writes a line to the host's log, under the name of the scenario, collector or reporter.
pub(crate) fn write(services: &Services, level: Level, message: &str) {
    if !services.admit_line() {
        return;
    }
    // Redaction comes first: a cut secret is not found any more.
    // What is far too long is not looked through to its end.
    let message = services.worker.redactor.redact(cut(message, 4 * LONGEST));
    let message = printable(&message);
    let end = message.floor_char_boundary(LONGEST);
    let (line, more) = message.split_at_checked(end).unwrap_or((&message, ""));
    let more = if more.is_empty() { "" } else { " [cut]" };
    let plugin = &*services.plugin.name;
    match level {
        Level::Debug => tracing::debug!(target: "plugin", plugin, "{line}{more}"),
        Level::Info => tracing::info!(target: "plugin", plugin, "{line}{more}"),
        Level::Warn => tracing::warn!(target: "plugin", plugin, "{line}{more}"),
        Level::Error => tracing::error!(target: "plugin", plugin, "{line}{more}"),
    }
}
