//! The commands that take a suite or a run's folder: run, validate, plan, report.

use kperf_plugin::OutboxError;
use kperf_suite::{Diagnostics, Source};

use super::{DisplayArgs, ReportArgs, RunArgs, SuiteArgs, block_on, convert, engine, logging};
use crate::exit::Exit;
use crate::plan::{self, Plan};
use crate::report;
use crate::run::{self, Options, ResendError, RunError};
use crate::terminal::{self, Display};

/// `kperf-host run`.
pub(super) fn run(args: &RunArgs) -> Exit {
    let display = Display::new(args.display.quiet);
    let _log = match logging::start(&args.display, &display) {
        Ok(guard) => guard,
        Err(error) => return usage(&error),
    };
    let options = Options { out: args.out.clone(), keep: args.keep, metrics_listen: args.metrics_listen, display };
    block_on(async {
        let plan = match planned(&args.suite, args.workers).await {
            Ok(plan) => plan,
            Err(exit) => return exit,
        };
        match run::run(&plan, &options).await {
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
                if ended.undelivered > 0 {
                    let messages = plan::plural(u32::try_from(ended.undelivered).unwrap_or(u32::MAX), "message");
                    terminal::note(&format!(
                        "{messages} of reporters not delivered; `kperf-host report {folder} --resend` sends what has not arrived"
                    ));
                }
                run::tell_left(&ended.out, ended.left);
                ended.exit
            }
            Err(RunError::Suite(diagnostics)) => refuse(&diagnostics),
            Err(error @ RunError::Folder { .. }) => {
                terminal::error(&error.to_string());
                Exit::Internal
            }
            Err(error) => {
                terminal::error(&error.to_string());
                Exit::Internal
            }
        }
    })
}

/// `kperf-host validate`.
pub(super) fn validate(args: &SuiteArgs) -> Exit {
    block_on(async {
        match planned(args, None).await {
            Ok(plan) => {
                let scenarios = plan::plural(u32::try_from(plan.scenarios.len()).unwrap_or(u32::MAX), "scenario");
                terminal::out(&format!("{} is valid: {scenarios}", args.suite.display()));
                Exit::Pass
            }
            Err(exit) => exit,
        }
    })
}

/// `kperf-host plan`.
pub(super) fn plan(args: &SuiteArgs) -> Exit {
    block_on(async {
        match planned(args, None).await {
            Ok(plan) => {
                terminal::out(&plan.show());
                Exit::Pass
            }
            Err(exit) => exit,
        }
    })
}

/// `kperf-host report`.
pub(super) fn report(args: &ReportArgs) -> Exit {
    let DisplayArgs { quiet, .. } = args.display;
    if args.resend {
        return resend(args);
    }
    match report::finish(&args.dir) {
        Ok(summary) => {
            terminal::print_summary(&summary, quiet);
            Exit::of_verdict(summary.verdict.exit_code)
        }
        Err(error @ (report::ReportError::Journal(_) | report::ReportError::NoRun)) => usage(&error.to_string()),
        Err(error) => {
            terminal::error(&error.to_string());
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

async fn planned(args: &SuiteArgs, workers: Option<u32>) -> Result<Plan, Exit> {
    let convert::SuiteText { name, text, file } = convert::read_suite(&args.suite)?;
    let engine = engine::make().map_err(|error| {
        terminal::error(&error);
        Exit::Internal
    })?;
    let folder = convert::folder(&file);
    let source = Source { name: &name, text: &text };
    let options = kperf_suite::Options {
        environment: args.env.as_deref(),
        sets: &args.set,
        lookup: &|name| std::env::var(name).ok(),
    };
    let suite = match kperf_suite::load(source, &options) {
        Ok(suite) => suite,
        Err(diagnostics) => {
            let mut findings = plan::examine(&kperf_suite::plugin_uses(source, &options), folder, &engine).await;
            findings.extend(diagnostics.iter().cloned());
            return Err(refuse(&Diagnostics::new(diagnostics.sources().clone(), findings)));
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX));
    plan::make(suite, folder, &engine, cores, workers, args.allow_native).await.map_err(|refused| {
        let exit = refuse(&refused.diagnostics);
        if refused.plugins_only { Exit::NotReady } else { exit }
    })
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
