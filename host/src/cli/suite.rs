//! The commands that take a suite or a run's folder: run, validate, plan, report.

use kperf_plugin::OutboxError;
use kperf_suite::{Diagnostics, Source};

use super::{DisplayArgs, ReportArgs, RunArgs, SuiteArgs, block_on, convert, engine, logging};
use crate::cells::{self, CellsPlan, CellsRunError, Reading};
use crate::exit::Exit;
use crate::plan::{self, Plan};
use crate::report::{self, CellsError};
use crate::run::{self, Options, ResendError, RunError};
use crate::terminal::{self, Display};

/// `kperf-host run`.
pub(super) fn run(args: &RunArgs) -> Exit {
    let display = Display::new(args.display.quiet);
    let _log = match logging::start(&args.display, &display) {
        Ok(guard) => guard,
        Err(error) => return usage(&error),
    };
    block_on(async {
        match planned(&args.suite, args.workers).await {
            Ok(Planned::Run(_)) if args.resume.is_some() => {
                usage("only a suite with `[cells]` can be resumed; run this one anew")
            }
            Ok(Planned::Run(plan)) => run_once(&plan, args, display).await,
            Ok(Planned::Cells(plan)) => run_cells(&plan, args, display).await,
            Err(exit) => exit,
        }
    })
}

async fn run_once(plan: &Plan, args: &RunArgs, display: Display) -> Exit {
    let options =
        Options { out: args.out.clone(), keep: args.keep, metrics_listen: args.metrics_listen, cell: None, display };
    match run::run(plan, &options).await {
        Ok(ended) => {
            if let Some(summary) = &ended.summary {
                terminal::print_summary(summary, args.display.quiet);
            }
            let folder = ended.out.display();
            if ended.summary.is_none() {
                terminal::note(&format!("left at once; `kperf-host report {folder}` writes the results"));
            } else if !args.display.quiet {
                terminal::out(&format!("results in {folder}"));
                let spans = ended.summary.iter().flat_map(|it| &it.records).any(|it| it.spans && it.rows > 0);
                if spans {
                    terminal::out(&format!("waterfalls: kperf-host trace {folder}"));
                }
            }
            run::tell_undelivered(&ended.out, ended.undelivered);
            run::tell_left(&ended.out, ended.left);
            ended.exit
        }
        Err(error) => run_failed(&error),
    }
}

async fn run_cells(plan: &CellsPlan, args: &RunArgs, display: Display) -> Exit {
    let options = cells::Options {
        out: args.out.clone(),
        resume: args.resume.clone(),
        keep: args.keep,
        metrics_listen: args.metrics_listen,
        display,
    };
    match cells::go_through(plan, &options).await {
        Ok(ended) => {
            terminal::print_summary(&ended.summary, args.display.quiet);
            run::tell_undelivered(&ended.out, ended.undelivered);
            let folder = ended.out.display();
            if !args.display.quiet {
                terminal::out(&format!("results in {folder}, each cell's in {folder}/cells"));
            }
            if ended.summary.interrupted {
                let suite = args.suite.suite.display();
                terminal::note(&format!("`kperf-host run {suite} --resume {folder}`{} goes on", again(&args.suite)));
            }
            ended.exit
        }
        Err(CellsRunError::Run(error)) => run_failed(&error),
        Err(error) => {
            terminal::error(&error.to_string());
            match error {
                CellsRunError::Resume(_) | CellsRunError::Log(CellsError::Busy | CellsError::NoMatrix) => Exit::Usage,
                CellsRunError::Cleanup { .. } | CellsRunError::Left { .. } => Exit::NotReady,
                _ => Exit::Internal,
            }
        }
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
    let counted = |count: usize, noun: &str| plan::plural(u32::try_from(count).unwrap_or(u32::MAX), noun);
    block_on(async {
        let what = match planned(args, None).await {
            Ok(Planned::Run(plan)) => counted(plan.scenarios.len(), "scenario"),
            Ok(Planned::Cells(plan)) => {
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
            Ok(Planned::Cells(plan)) => plan.show(),
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
    let made = if report::is_matrix(&args.dir) {
        report::finish_cells(&args.dir).map_err(|error| (error.to_string(), matches!(error, CellsError::NoMatrix)))
    } else {
        report::finish(&args.dir).map_err(|error| {
            let usage = matches!(error, report::ReportError::Journal(_) | report::ReportError::NoRun);
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
        match run::resend(&args.dir, &engine).await {
            Ok(resent) => {
                for failed in &resent.failed {
                    terminal::error(failed);
                }
                let messages = |count: usize| plan::plural(u32::try_from(count).unwrap_or(u32::MAX), "message");
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
                    ResendError::Machine(_) | ResendError::Outbox(OutboxError::File(_)) => Exit::Internal,
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
    Cells(Box<CellsPlan>),
}

async fn planned(args: &SuiteArgs, workers: Option<u32>) -> Result<Planned, Exit> {
    let convert::SuiteText { name, text, file } = convert::read_suite(&args.suite)?;
    let engine = engine::make().map_err(|error| {
        terminal::error(&error);
        Exit::Internal
    })?;
    let cores = std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX));
    let reading = Reading {
        name,
        text,
        folder: convert::folder(&file).to_owned(),
        environment: args.env.clone(),
        sets: args.set.clone(),
        lookup: |name| std::env::var(name).ok(),
        engine,
        cores,
        workers,
        allow_native: args.allow_native,
    };
    let source = Source { name: &reading.name, text: &reading.text };
    let options = kperf_suite::LoadOptions {
        environment: reading.environment.as_deref(),
        sets: &reading.sets,
        lookup: &reading.lookup,
    };
    let suite = match kperf_suite::load(source, &options) {
        Ok(suite) => suite,
        Err(diagnostics) => {
            let uses = kperf_suite::plugin_uses(source, &options);
            let mut findings = plan::examine(&uses, &reading.folder, &reading.engine).await;
            findings.extend(diagnostics.iter().cloned());
            return Err(refuse(&Diagnostics::new(diagnostics.sources().clone(), findings)));
        }
    };
    let of_cells = suite.cells.clone();
    let refused = |diagnostics: &Diagnostics, plugins_only: bool| {
        let exit = refuse(diagnostics);
        if plugins_only { Exit::NotReady } else { exit }
    };
    let plan = plan::make(suite, &reading.folder, &reading.engine, cores, workers, args.allow_native)
        .await
        .map_err(|it| refused(&it.diagnostics, it.plugins_only))?;
    let Some(of_cells) = of_cells else { return Ok(Planned::Run(Box::new(plan))) };
    let cells = CellsPlan::make(reading, plan, of_cells).await.map_err(|(it, cell)| {
        let exit = refused(&it.diagnostics, it.plugins_only);
        terminal::note(&format!("\nin the cell {cell}"));
        exit
    })?;
    Ok(Planned::Cells(Box::new(cells)))
}

pub(super) fn refuse(diagnostics: &Diagnostics) -> Exit {
    terminal::note(diagnostics.render(terminal::colour()).trim_end());
    if diagnostics.len() > 1 {
        terminal::note(&format!("\n{} mistakes", diagnostics.len()));
    }
    Exit::Usage
}

/// Shows that the command line or a file is wrong.
pub(super) fn usage(message: &str) -> Exit {
    terminal::error(message);
    Exit::Usage
}
