//! The commands that take a suite or a run's folder: run, validate, plan, report.

use std::path::Path;
use std::sync::Arc;

use kperf_plan::{Plan, PlanError, SuiteInput, plural};
use kperf_plugin::OutboxError;
use kperf_results::{Exit, MatrixError, ReportError, RunFolder};
use kperf_run::{
    Interrupts, MakeSink, MatrixOptions, MatrixPlan, MatrixRunError, ResendError, Results, RunError, RunOptions,
};

use super::refusal::{refuse, usage, variable};
use super::{DisplayArgs, ReportArgs, RunArgs, SuiteArgs, block_on, convert, engine, logging};
use crate::servers::BuiltIn;
use crate::terminal::{self, Display, Terminal};

/// `kperf-host run`.
pub(super) fn run(args: &RunArgs) -> Exit {
    let display = Display::new(args.display.quiet);
    let _log = match logging::start(&args.display, &display) {
        Ok(guard) => guard,
        Err(error) => return usage(&error),
    };
    block_on(async {
        let planned = planned(&args.suite, args.workers).await;
        let interrupts = match Interrupts::listen() {
            Ok(interrupts) => interrupts,
            Err(error) => return run_failed(&RunError::Signals(error)),
        };
        match planned {
            Ok(Planned::Run(_)) if args.resume.is_some() => {
                usage("only a suite with `[cells]` can be resumed; run this one anew")
            }
            Ok(Planned::Run(plan)) => run_once(&plan, args, &display, &interrupts).await,
            Ok(Planned::Matrix(plan)) => run_matrix(&plan, args, display, &interrupts).await,
            Err(exit) => exit,
        }
    })
}

/// Whoever listens to a run beside those that its suite asks for.
fn sinks(display: &Display) -> Vec<(String, MakeSink)> {
    let display = display.clone();
    vec![("terminal".to_owned(), Box::new(move || Ok(Box::new(Terminal::new(&display)))))]
}

async fn run_once(plan: &Plan, args: &RunArgs, display: &Display, interrupts: &Interrupts) -> Exit {
    let options = RunOptions {
        out: args.out.clone(),
        keep: args.keep,
        metrics_listen: args.metrics_listen,
        cell: None,
        sinks: sinks(display),
        servers: &BuiltIn,
    };
    let end = match kperf_run::run(plan, options, interrupts).await {
        Ok(end) => end,
        Err(error) => return run_failed(&error),
    };
    let folder = end.folder.path();
    match &end.results {
        Results::Written(summary) => {
            terminal::print_summary(summary, args.display.quiet);
            if !args.display.quiet {
                terminal::out(&format!("results in {}", folder.display()));
                if summary.records.iter().any(|it| it.spans && it.rows > 0) {
                    terminal::out(&format!("waterfalls: kperf-host trace {}", folder.display()));
                }
            }
        }
        Results::LeftAtOnce => {
            terminal::note(&format!("left at once; `kperf-host report {}` writes the results", folder.display()));
        }
    }
    tell_undelivered(folder, end.undelivered);
    tell_left(folder, end.left);
    end.exit
}

async fn run_matrix(plan: &MatrixPlan, args: &RunArgs, display: Display, interrupts: &Interrupts) -> Exit {
    let options = MatrixOptions {
        out: args.out.clone(),
        resume: args.resume.clone(),
        keep: args.keep,
        metrics_listen: args.metrics_listen,
        sinks: Arc::new(move || sinks(&display)),
        servers: Arc::new(BuiltIn),
    };
    match kperf_run::run_matrix(plan, &options, interrupts).await {
        Ok(end) => {
            terminal::print_summary(&end.summary, args.display.quiet);
            for cell in &end.leftovers {
                tell_undelivered(cell.folder.path(), cell.undelivered);
                tell_left(cell.folder.path(), cell.left);
            }
            tell_undelivered(end.folder.path(), end.undelivered);
            let folder = end.folder.path().display();
            if !args.display.quiet {
                terminal::out(&format!("results in {folder}, each cell's in {folder}/cells"));
            }
            if end.summary.interrupted {
                let suite = args.suite.suite.display();
                terminal::note(&format!("`kperf-host run {suite} --resume {folder}`{} goes on", again(&args.suite)));
            }
            end.exit
        }
        Err(MatrixRunError::Run(error)) => run_failed(&error),
        Err(error) => {
            terminal::error(&error.to_string());
            match error {
                MatrixRunError::Resume(_) | MatrixRunError::Journal(MatrixError::Busy | MatrixError::NoMatrix) => {
                    Exit::Usage
                }
                MatrixRunError::Cleanup { .. } | MatrixRunError::Left { .. } => Exit::NotReady,
                _ => Exit::Internal,
            }
        }
    }
}

/// Says how to remove what a run has left on its targets.
fn tell_left(folder: &Path, left: usize) {
    if left > 0 {
        let (things, folder) = (if left == 1 { "thing is" } else { "things are" }, folder.display());
        terminal::note(&format!(
            "{left} {things} still on the target; `kperf-host cleanup {folder}` removes what it can"
        ));
    }
}

/// Says how to send what a run's reporters could not deliver.
fn tell_undelivered(folder: &Path, undelivered: usize) {
    if undelivered > 0 {
        let messages = plural(u32::try_from(undelivered).unwrap_or(u32::MAX), "message");
        let folder = folder.display();
        terminal::note(&format!(
            "{messages} of reporters not delivered; `kperf-host report {folder} --resend` sends what has not arrived"
        ));
    }
}

/// What has to be said once more to read the suite in the same way.
fn again(args: &SuiteArgs) -> &'static str {
    if args.env.is_some() || !args.set.is_empty() { " with the same --env and --set" } else { "" }
}

fn run_failed(error: &RunError) -> Exit {
    if let RunError::Suite(diagnostics) = error {
        return refuse(diagnostics);
    }
    terminal::error(&error.to_string());
    Exit::Internal
}

/// `kperf-host validate`.
pub(super) fn validate(args: &SuiteArgs) -> Exit {
    let counted = |count: usize, noun: &str| plural(u32::try_from(count).unwrap_or(u32::MAX), noun);
    block_on(async {
        let what = match planned(args, None).await {
            Ok(Planned::Run(plan)) => counted(plan.scenarios.len(), "scenario"),
            Ok(Planned::Matrix(plan)) => {
                let (cells, each) = (plan.cells.len(), plan.first.scenarios.len());
                format!("{} of {}", counted(cells, "cell"), counted(each, "scenario"))
            }
            Err(exit) => return exit,
        };
        terminal::out(&format!("{} is valid: {what}", args.suite.display()));
        Exit::Pass
    })
}

/// `kperf-host plan`.
pub(super) fn plan(args: &SuiteArgs) -> Exit {
    block_on(async {
        let text = match planned(args, None).await {
            Ok(Planned::Run(plan)) => plan.show(),
            Ok(Planned::Matrix(plan)) => plan.show(),
            Err(exit) => return exit,
        };
        terminal::out(&text);
        Exit::Pass
    })
}

/// `kperf-host report`.
pub(super) fn report(args: &ReportArgs) -> Exit {
    let DisplayArgs { quiet, .. } = args.display;
    if args.resend {
        return resend(args);
    }
    let folder = RunFolder::new(&args.dir);
    let made = if folder.is_matrix() {
        kperf_results::finish_matrix(&folder)
            .map_err(|error| (error.to_string(), matches!(error, MatrixError::NoMatrix)))
    } else {
        kperf_results::finish(&[folder]).map_err(|error| {
            let usage = matches!(error, ReportError::Journal(_) | ReportError::NoRun);
            (error.to_string(), usage)
        })
    };
    match made {
        Ok(summary) => {
            terminal::print_summary(&summary, quiet);
            Exit::of_verdict(summary.verdict.exit_code)
        }
        Err((error, true)) => usage(&error),
        Err((error, false)) => {
            terminal::error(&error);
            Exit::Internal
        }
    }
}

/// `kperf-host report --resend`.
fn resend(args: &ReportArgs) -> Exit {
    let display = Display::new(args.display.quiet);
    let _log = match logging::start(&args.display, &display) {
        Ok(guard) => guard,
        Err(error) => return usage(&error),
    };
    block_on(async {
        let engine = match engine::make() {
            Ok(engine) => engine,
            Err(error) => {
                terminal::error(&error);
                return Exit::Internal;
            }
        };
        match kperf_run::resend(&RunFolder::new(&args.dir), &engine, variable).await {
            Ok(resent) => {
                for failed in &resent.failed {
                    terminal::error(failed);
                }
                let messages = |count: usize| plural(u32::try_from(count).unwrap_or(u32::MAX), "message");
                if !args.display.quiet {
                    let text = match (resent.arrived, resent.failed.len()) {
                        (0, 0) => "every message has arrived".to_owned(),
                        (arrived, 0) => format!("sent {}", messages(arrived)),
                        (arrived, failed) => format!("sent {}, {} did not arrive", messages(arrived), messages(failed)),
                    };
                    terminal::out(&text);
                }
                if resent.failed.is_empty() { Exit::Pass } else { Exit::ReporterFailed }
            }
            Err(ResendError::Suite(diagnostics)) => refuse(&diagnostics),
            Err(error) => {
                terminal::error(&error.to_string());
                match error {
                    ResendError::Environment(_) | ResendError::Outbox(OutboxError::File(_)) => Exit::Internal,
                    _ => Exit::Usage,
                }
            }
        }
    })
}

/// What a suite comes to.
enum Planned {
    /// A run.
    Run(Box<Plan>),
    /// The cells of a matrix, a run each.
    Matrix(Box<MatrixPlan>),
}

async fn planned(args: &SuiteArgs, workers: Option<u32>) -> Result<Planned, Exit> {
    let convert::SuiteText { name, text, file } = convert::read_suite(&args.suite)?;
    let engine = engine::make().map_err(|error| {
        terminal::error(&error);
        Exit::Internal
    })?;
    let cores = std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX));
    let input = SuiteInput {
        name,
        text,
        folder: convert::folder(&file).to_owned(),
        environment: args.env.clone(),
        sets: args.set.clone(),
        lookup: variable,
        engine,
        cores,
        workers,
        allow_native: args.allow_native,
    };
    let suite = match input.suite(&[]) {
        Ok(suite) => suite,
        Err(diagnostics) => return Err(refuse(&input.all_mistakes(&diagnostics).await)),
    };
    let of_cells = suite.cells.clone();
    let refused = |error: &PlanError| {
        let exit = refuse(&error.diagnostics);
        if error.plugins_only { Exit::NotReady } else { exit }
    };
    let plan = input.plan_of(suite).await.map_err(|error| refused(&error))?;
    let Some(of_cells) = of_cells else { return Ok(Planned::Run(Box::new(plan))) };
    let matrix = MatrixPlan::make(input, plan, of_cells).await.map_err(|(error, cell)| {
        let exit = refused(&error);
        terminal::note(&format!("\nin the cell {cell}"));
        exit
    })?;
    Ok(Planned::Matrix(Box::new(matrix)))
}
