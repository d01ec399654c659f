//! Where log lines go: standard error, through the progress display so that the two don't mix, or a file.

use std::path::Path;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::masked::Masked;
use super::{DisplayArgs, LogFormat};
use crate::terminal::Display;

/// Keeps the log file's writer thread alive; dropping it flushes what is left.
pub(super) struct Guard {
    _file: Option<tracing_appender::non_blocking::WorkerGuard>,
}

/// Sends log lines to where the arguments say.
///
/// # Errors
/// When the log file's folder can't be written.
pub(super) fn start(args: &DisplayArgs, display: &Display) -> Result<Guard, String> {
    let level = match (args.quiet, args.verbose) {
        (true, 0) => "error",
        (_, 0) => "warn,plugin=info,kperf_host=info",
        (_, 1) => "info,plugin=debug,kperf_host=debug,kperf_plugin=debug",
        (_, _) => "debug,kperf_host=trace,kperf_plugin=trace,kperf_http=trace,kperf_load=trace",
    };
    let filter = EnvFilter::try_from_env("KPERF_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    match &args.log_file {
        Some(path) => {
            let (writer, guard) = tracing_appender::non_blocking(rolling(path)?);
            install(filter, args.log_format, writer, false);
            Ok(Guard { _file: Some(guard) })
        }
        None => {
            install(filter, args.log_format, display.writer(), display.colour());
            Ok(Guard { _file: None })
        }
    }
}

fn rolling(path: &Path) -> Result<tracing_appender::rolling::RollingFileAppender, String> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().ok_or_else(|| format!("--log-file {} names no file", path.display()))?;
    tracing_appender::rolling::Builder::new()
        .rotation(tracing_appender::rolling::Rotation::DAILY)
        .max_log_files(7)
        .filename_prefix(name.to_string_lossy())
        .build(folder)
        .map_err(|error| format!("can't log into {}: {error}", path.display()))
}

fn install<W>(filter: EnvFilter, format: LogFormat, writer: W, colour: bool)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(Masked(writer)).with_ansi(colour);
    // A second subscriber can only come from a second call in one process (tests); the first one stays.
    let _ = match format {
        LogFormat::Json => builder.json().try_init(),
        LogFormat::Text => builder.with_target(false).without_time().try_init(),
    };
}
