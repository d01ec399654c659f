//! `kperf-host trace`: waterfalls of a run's slowest things, for Perfetto and chrome://tracing.

use std::path::PathBuf;

use clap::Args;
use kperf_results::{Exit, ReportError, RunFolder, TraceError, TraceOptions};

use super::refusal::usage;
use crate::terminal;

#[derive(Debug, Args)]
pub(super) struct TraceArgs {
    /// The run's folder
    dir: PathBuf,
    /// Only this table's rows [default: every table whose rows take time]
    #[arg(long, value_name = "NAME")]
    table: Option<String>,
    /// Only the trace with this value, a run's id for example
    #[arg(long, value_name = "VALUE")]
    only: Option<String>,
    /// The slowest so many traces
    #[arg(long, value_name = "N", default_value_t = 10, conflicts_with = "only")]
    slowest: usize,
    /// The file to write [default: trace.json in the run's folder]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Writes the file and says what is in it.
pub(super) fn run(args: &TraceArgs) -> Exit {
    let options = TraceOptions { table: args.table.clone(), only: args.only.clone(), slowest: args.slowest };
    let folder = RunFolder::new(&args.dir);
    let out = args.out.clone().unwrap_or_else(|| folder.trace());
    match kperf_results::trace(&folder, &options, &out) {
        Ok(traced) => {
            let which = if args.only.is_some() || traced.traces == traced.of { "" } else { "the slowest " };
            let of = if traced.of == 1 { "trace" } else { "traces" };
            terminal::out(&format!(
                "{which}{} of {} {of}, {} bars, in {}; open it in https://ui.perfetto.dev or chrome://tracing",
                traced.traces,
                traced.of,
                traced.bars,
                out.display()
            ));
            if traced.unfinished > 0 {
                terminal::note(&format!(
                    "{} rows of these have no start or no end and are left out",
                    traced.unfinished
                ));
            }
            Exit::Pass
        }
        Err(TraceError::Report(error @ (ReportError::Write(_) | ReportError::Series(_)))) => {
            terminal::error(&error.to_string());
            Exit::Internal
        }
        Err(error) => usage(&error.to_string()),
    }
}
