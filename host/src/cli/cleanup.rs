//! `kperf-host cleanup`: removes what a run has left on its targets.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use kperf_suite::Source;

use super::suite::{refuse, usage};
use super::{DisplayArgs, block_on, engine, logging};
use crate::exit::Exit;
use crate::plan::{self, Plan};
use crate::report;
use crate::run::{self, CleanupError, Past};
use crate::terminal::{self, Display};

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
    let folders = match folders(&args.dir) {
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
                        CleanupError::Machine(_) => Exit::NotReady,
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
fn folders(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !report::is_matrix(dir) {
        return Ok(vec![dir.to_owned()]);
    }
    let entries = std::fs::read_dir(dir.join(report::CELLS_FOLDER))?;
    let mut folders = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    folders.retain(|folder| folder.join("ledger.jsonl").is_file());
    folders.sort();
    Ok(folders)
}

async fn clean_up(args: &CleanupArgs, dir: &Path, display: &Display) -> Result<Exit, CleanupError> {
    let past = Past::open(dir)?;
    let id = past.opening.run.id.clone();
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
    let plan = match planned(&past, args, dir).await {
        Ok(plan) => plan,
        Err(exit) => return Ok(exit),
    };
    let outcomes = run::clean_up(&past, &plan, dir, args.force, display).await?;
    for (scenario, removed) in &outcomes {
        if !removed.gone.is_empty() {
            say(&format!("{scenario}: removed {}", run::list(&removed.gone)));
        }
        if !removed.left.is_empty() {
            let because = removed.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
            terminal::error(&format!("{scenario}: {} still on the target{because}", run::list(&removed.left)));
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
async fn planned(past: &Past, args: &CleanupArgs, dir: &Path) -> Result<Plan, Exit> {
    let name = dir.join("suite.toml").display().to_string();
    let opening = &past.opening.run;
    let options = kperf_suite::LoadOptions {
        environment: opening.environment.as_deref(),
        sets: &opening.overrides,
        lookup: &|name| std::env::var(name).ok(),
    };
    let source = Source { name: &name, text: &past.suite };
    let mut suite = kperf_suite::load(source, &options).map_err(|diagnostics| refuse(&diagnostics))?;
    let engine = engine::make().map_err(|error| {
        terminal::error(&error);
        Exit::Internal
    })?;
    let left = past.scenarios();
    suite.scenarios.retain(|scenario| left.contains(&scenario.plugin.name.value));
    // Thresholds, collectors and reporters have nothing to do with it, and may need what is not here any more.
    suite.scenarios.iter_mut().for_each(|scenario| scenario.thresholds.clear());
    suite.thresholds.clear();
    suite.collectors.clear();
    suite.natives.clear();
    suite.reporters.clear();
    if suite.scenarios.len() < left.len() {
        let there: Vec<&str> = suite.scenarios.iter().map(|scenario| scenario.plugin.name.value.as_str()).collect();
        let gone = left.iter().filter(|name| !there.contains(&name.as_str())).cloned().collect::<Vec<_>>().join("`, `");
        return Err(usage(&format!(
            "the suite in {name} has no scenario `{gone}` any more; set the same variables as in the run"
        )));
    }
    let folder = args.suite_folder.as_deref().unwrap_or(Path::new(&opening.suite_folder));
    plan::make(suite, folder, &engine, 1, Some(1), false).await.map_err(|refused| {
        let exit = refuse(&refused.diagnostics);
        terminal::note(
            "the suite's files are looked for where they were in the run; --suite-folder names another place",
        );
        if refused.plugins_only { Exit::NotReady } else { exit }
    })
}
