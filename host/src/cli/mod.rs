//! The command line: arguments in, an [`Exit`] out. Printing happens here and in `terminal`; the rest of the host
//! returns values.

mod cleanup;
mod convert;
mod engine;
mod logging;
mod masked;
mod plugins;
mod refusal;
mod simulate;
mod suite;
mod trace;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::terminal;
use kperf_results::Exit;

/// Runs performance suites against ML platforms and answers with evidence: is it fast enough?
#[derive(Debug, Parser)]
#[command(
    name = "kperf-host",
    version,
    override_usage = "kperf-host [run] <SUITE> [OPTIONS]\n       kperf-host <COMMAND> ...",
    arg_required_else_help = true,
    max_term_width = 110,
    after_help = "Exit codes: 0 pass, 1 internal error, 2 usage or invalid suite, 3 threshold breached, 4 regression,\n\
                  5 inconclusive, 6 target or plugin failed before load, 7 required reporter failed, 130 interrupted."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a suite (the same as giving the suite alone)
    Run(RunArgs),
    /// Check a suite, its plugins and their parameters; run nothing
    Validate(SuiteArgs),
    /// Show what a suite would run: when, with how many users, to which hosts; send no traffic
    Plan(SuiteArgs),
    /// Print a JSON scenario file as a suite (run, validate and plan take such a file as it is)
    Convert(convert::ConvertArgs),
    /// Write the results of a run again from its journal, also of one that was killed
    Report(ReportArgs),
    /// Draw the waterfalls of a run's slowest things (runs and their tasks, say) into a file that Perfetto opens
    Trace(trace::TraceArgs),
    /// Remove what a run has left on its targets, after it was killed or run with --keep
    Cleanup(cleanup::CleanupArgs),
    /// Print a JSON Schema, for editors and for readers of the results
    Schema {
        /// Of what
        #[arg(value_enum)]
        of: SchemaOf,
    },
    /// List the built-in plugins, or describe one (a name or a .wasm file)
    Plugins {
        /// The plugin to describe
        plugin: Option<String>,
    },
    /// Run a simulated server
    #[command(subcommand)]
    Simulate(simulate::Simulate),
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SchemaOf {
    /// The suite file
    Suite,
    /// summary.json
    Summary,
}

/// Which suite, and how it is to be read.
#[derive(Debug, Args)]
struct SuiteArgs {
    /// The suite (TOML), or a scenario file (JSON)
    #[arg(env = convert::FILE_VARIABLE)]
    suite: PathBuf,
    /// Use the suite's environment of this name
    #[arg(long, short, value_name = "NAME", env = "KPERF_ENV")]
    env: Option<String>,
    /// Override a value: `--set scenario.runs.load.vus=5`
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// Load the suite's native plugins: code outside the sandbox that may do whatever you may, and that takes the run down with
    /// it when it crashes
    #[arg(long)]
    allow_native: bool,
}

#[derive(Debug, Args)]
struct RunArgs {
    #[command(flatten)]
    suite: SuiteArgs,
    /// Where the results go [default: results/<suite>/<run id>]
    #[arg(long, short, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with the matrix in this folder, at the first cell that is not finished
    #[arg(long, value_name = "DIR", conflicts_with = "out")]
    resume: Option<PathBuf>,
    /// Worker threads per scenario [default: by cores and users]
    #[arg(long, value_name = "N")]
    workers: Option<u32>,
    /// Leave on the target what the run creates there; `kperf-host cleanup` removes it
    #[arg(long)]
    keep: bool,
    /// Let Prometheus fetch the run's series from this address while it goes on, as in 127.0.0.1:9464
    #[arg(long, value_name = "ADDRESS")]
    metrics_listen: Option<std::net::SocketAddr>,
    #[command(flatten)]
    display: DisplayArgs,
}

#[derive(Debug, Args)]
struct ReportArgs {
    /// The run's folder
    dir: PathBuf,
    /// Send the messages of reporters that have not arrived, instead
    #[arg(long)]
    resend: bool,
    #[command(flatten)]
    display: DisplayArgs,
}

/// What is shown and logged.
#[derive(Debug, Args)]
struct DisplayArgs {
    /// Print the verdict only
    #[arg(long, short)]
    quiet: bool,
    /// Log more; twice for everything
    #[arg(long, short, action = clap::ArgAction::Count)]
    verbose: u8,
    /// The form of log lines
    #[arg(long, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    log_format: LogFormat,
    /// Log into this file instead of standard error; a new file each day, the last seven are kept
    #[arg(long, value_name = "FILE")]
    log_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// Parses the arguments of the process and runs what they ask for.
pub fn main() -> Exit {
    let cli = match Cli::try_parse_from(with_command(std::env::args_os().collect())) {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Pass };
            // A closed pipe is the only way this can fail, and there is nobody left to tell.
            let _ = error.print();
            return exit;
        }
    };
    match cli.command {
        Command::Run(args) => suite::run(&args),
        Command::Validate(args) => suite::validate(&args),
        Command::Plan(args) => suite::plan(&args),
        Command::Convert(args) => convert::run(&args),
        Command::Report(args) => suite::report(&args),
        Command::Trace(args) => trace::run(&args),
        Command::Cleanup(args) => cleanup::run(&args),
        Command::Schema { of } => schema(of),
        Command::Plugins { plugin } => plugins::show(plugin.as_deref()),
        Command::Simulate(what) => simulate::run(&what),
    }
}

/// `run` may be left out: what is neither a command nor about the program itself is a suite to run.
fn with_command(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let first = arguments.get(1).and_then(|first| first.to_str()).unwrap_or("--help");
    let own = ["help", "-h", "--help", "-V", "--version"];
    if !own.contains(&first) && Cli::command().find_subcommand(first).is_none() {
        arguments.insert(1, "run".into());
    }
    arguments
}

fn schema(of: SchemaOf) -> Exit {
    let schema = match of {
        SchemaOf::Suite => kperf_suite::schema(),
        SchemaOf::Summary => kperf_results::summary_schema(),
    };
    terminal::out(&format!("{schema:#}"));
    Exit::Pass
}

/// Runs a command's asynchronous part on this thread.
fn block_on(work: impl Future<Output = Exit>) -> Exit {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build_local(tokio::runtime::LocalOptions::default());
    match runtime {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => {
            terminal::error(&format!("can't make a runtime: {error}"));
            Exit::Internal
        }
    }
}
