//! Why a run could not be made.

use std::path::PathBuf;

use kperf_plugin::LedgerError;
use kperf_results::ReportError;
use kperf_suite::Diagnostics;

use crate::servers::ServerError;
use crate::session::EnvironmentError;
use crate::sinks::export::ExportError;

/// Why a run could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The suite asks for something that this machine does not have.
    #[error("{}", .0.render(false))]
    Suite(Diagnostics),
    /// The results' folder can't be used.
    #[error("can't write the results' folder {}: {source}", dir.display())]
    Folder {
        /// The path that was given.
        dir: PathBuf,
        /// What was said about it below.
        source: std::io::Error,
    },
    /// The ledger can't be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Signals can't be listened for.
    #[error(transparent)]
    Signals(std::io::Error),
    /// The operating system has no thread for a sink.
    #[error("can't start a thread: {0}")]
    Thread(#[source] std::io::Error),
    /// Series can't be exported as the suite says.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// A server inside this process can't be started.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// A plugin can't be given what its suite says.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// A required reporter can't start.
    #[error("reporter {name}: {message}")]
    Reporter {
        /// Its name in the suite.
        name: String,
        /// What went wrong, for people.
        message: String,
    },
    /// The results could not be written.
    #[error(transparent)]
    Report(#[from] ReportError),
}
