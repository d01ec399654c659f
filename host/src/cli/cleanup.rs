//! `kperf-host cleanup`: removes what a run has left on its targets.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use kperf_plan::{Plan, ReplanError};
use kperf_results::{Exit, RemovalProgress, RunEvent, RunFolder, Sink as _, list_of_kinds};
use kperf_run::{CleanupError, Past};

use super::refusal::{refuse, usage, variable};
use super::{DisplayArgs, block_on, engine, logging};
use crate::terminal::{self, Display, Terminal};

#[derive(Debug, Args)]
pub(super) struct CleanupArgs {
    /// The run's folder, or the one of a matrix for all of its cells
    dir: PathBuf,
    /// Also with another version of the plugin, or on another target, than in the run
    #[arg(long)]
    force: bool,
    /// Where the files are that the suite names [default: where they were]
    #[arg(long, value_name = "DIR")]
    suite_folder: Option<PathBuf>,
    #[command(flatten)]
    display: DisplayArgs,
}

/// Removes what it can.
pub(super) fn run(args: &CleanupArgs) -> Exit {
    let display = Display::new(args.display.quiet);
    let _log = match logging::start(&args.display, &display) {
        Ok(guard) => guard,
        Err(error) => return usage(&error),
    };
    let folders = match folders(RunFolder::new(&args.dir)) {
        Ok(folders) => folders,
        Err(error) => return usage(&format!("can't read {}: {error}", args.dir.display())),
    };
    block_on(async {
        let mut worst = Exit::Pass;
        for folder in &folders {
            let exit = match clean_up(args, folder, &display).await {
                Ok(exit) => exit,
                Err(CleanupError::Suite(diagnostics)) => refuse(&diagnostics),
                Err(error) => {
                    terminal::error(&error.to_string());
                    match error {
                        CleanupError::Environment(_) | CleanupError::World(_) => Exit::NotReady,
                        CleanupError::Ledger(kperf_plugin::LedgerError::File(_)) => Exit::Internal,
                        _ => Exit::Usage,
                    }
                }
            };
            if worst == Exit::Pass {
                worst = exit;
            }
        }
        worst
    })
}

/// The runs in a folder: itself, or the cells of a matrix, those that were cut off included.
fn folders(folder: RunFolder) -> std::io::Result<Vec<RunFolder>> {
    if !folder.is_matrix() {
        return Ok(vec![folder]);
    }
    let entries = std::fs::read_dir(folder.cells())?;
    let mut folders = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    folders.sort();
    Ok(folders.into_iter().map(RunFolder::new).filter(|folder| folder.ledger().is_file()).collect())
}

async fn clean_up(args: &CleanupArgs, folder: &RunFolder, display: &Display) -> Result<Exit, CleanupError> {
    let past = Past::open(folder)?;
    let id = past.header.run.id.clone();
    let say = |line: &str| {
        if !args.display.quiet {
            terminal::out(line);
        }
    };
    let simulated = past.forget_simulated()?;
    if simulated > 0 {
        say(&format!("{simulated} were on the simulated server, which ended with the run"));
    }
    if past.scenarios().is_empty() {
        say(&format!("nothing is left of run {id}"));
        return Ok(Exit::Pass);
    }
    let plan = match planned(&past, args, folder).await {
        Ok(plan) => plan,
        Err(exit) => return Ok(exit),
    };
    let mut shown = Terminal::new(display);
    let mut tell = |progress| {
        // What is gone is said below.
        if !matches!(progress, RemovalProgress::Ended { .. }) {
            let _ = shown.event(&Arc::new(RunEvent::Removal(progress)));
        }
    };
    let outcomes = kperf_run::clean_up(&past, &plan, folder, args.force, &mut tell).await?;
    let _ = shown.finish();
    for (scenario, removed) in &outcomes {
        if !removed.gone.is_empty() {
            say(&format!("{scenario}: removed {}", list_of_kinds(&removed.gone)));
        }
        if !removed.left.is_empty() {
            let because = removed.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
            terminal::error(&format!("{scenario}: {} still on the target{because}", list_of_kinds(&removed.left)));
        }
    }
    let left: BTreeMap<_, _> = outcomes.iter().flat_map(|(_, removed)| &removed.left).collect();
    if left.is_empty() && past.scenarios().is_empty() {
        say(&format!("nothing is left of run {id}"));
        return Ok(Exit::Pass);
    }
    Ok(Exit::NotReady)
}

/// The plan of those scenarios that have left something, made again from what the run's folder keeps.
async fn planned(past: &Past, args: &CleanupArgs, folder: &RunFolder) -> Result<Plan, Exit> {
    let engine = engine::make().map_err(|error| {
        terminal::error(&error);
        Exit::Internal
    })?;
    let mut input = past.suite_input(folder, engine, variable);
    if let Some(folder) = &args.suite_folder {
        input.folder.clone_from(folder);
    }
    input.replan_scenarios(&past.scenarios()).await.map_err(|error| match error {
        ReplanError::Suite(diagnostics) => refuse(&diagnostics),
        ReplanError::Gone { .. } => usage(&error.to_string()),
        ReplanError::Plan(refused) => {
            let exit = refuse(&refused.diagnostics);
            terminal::note(
                "the suite's files are looked for where they were in the run; --suite-folder names another place",
            );
            if refused.plugins_only { Exit::NotReady } else { exit }
        }
    })
}
