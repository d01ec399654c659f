//! Going on with a matrix that was cut off: the same suite on the same targets, and nothing of the cell that was cut off left
//! on them.

use std::path::Path;

use super::{CellsPlan, CellsRunError, PlannedCell};
use crate::report::{self, CELLS_FOLDER, CellsLog, CellsOpening, CellsStory};
use crate::run::{self, CleanupError, Identity, Past};
use crate::terminal::Display;

/// Opens the folder of a matrix to go on in it.
///
/// # Errors
/// When it is none, somebody works on it, or something is not as it was.
pub(super) fn open(dir: &Path, plan: &CellsPlan, now: &Identity) -> Result<(CellsLog, CellsStory), CellsRunError> {
    if !report::is_matrix(dir) {
        let message = format!("{} is not the folder of a matrix; give the one with cells.jsonl in it", dir.display());
        return Err(CellsRunError::Resume(message));
    }
    let (log, story) = CellsLog::open(dir)?;
    let differences = differences(&story.opening, plan, now);
    if differences.is_empty() {
        return Ok((log, story));
    }
    let list = differences.join("\n  ");
    Err(CellsRunError::Resume(format!(
        "{} can't go on, its cells would not be comparable:\n  {list}\nrun the matrix anew, or make it as it was",
        dir.display()
    )))
}

/// What is not as it was.
fn differences(then: &CellsOpening, plan: &CellsPlan, now: &Identity) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |what: &str, then: &str, now: &str| {
        if then != now {
            let text = |value: &str| if value.is_empty() { "none".to_owned() } else { value.to_owned() };
            found.push(format!("{what} was {} and is {} now", text(then), text(now)));
        }
    };
    compare("the suite's text", &then.run.suite_digest, &now.run.suite_digest);
    let environment = |run: &report::RunInfo| run.environment.clone().unwrap_or_default();
    compare("the environment", &environment(&then.run), &environment(&now.run));
    compare("--set", &then.run.overrides.join(" "), &now.run.overrides.join(" "));
    let cells = |cells: &mut dyn Iterator<Item = &report::CellInfo>| {
        cells.map(|cell| cell.folder.as_str()).collect::<Vec<_>>().join(" ")
    };
    let (old, new) = (cells(&mut then.cells.iter()), cells(&mut plan.cells.iter().map(|it| &it.info)));
    compare("the list of cells", &old, &new);
    compare("kperf", &then.run.host_version, &now.run.host_version);
    for plugin in &now.run.plugins {
        let old = then.run.plugins.iter().find(|it| it.name == plugin.name);
        compare(&format!("the plugin {}", plugin.name), old.map_or("", |it| &it.digest), &plugin.digest);
    }
    for scenario in &now.scenarios {
        let target = |of: Option<&report::ScenarioInfo>| of.and_then(|it| it.target.clone()).unwrap_or_default();
        let old = then.scenarios.iter().find(|it| it.name == scenario.name);
        compare(&format!("the target of {}", scenario.name), &target(old), &target(Some(scenario)));
    }
    found
}

/// Removes what a cell that has begun and not finished has left on its targets, and gives its folder another name.
///
/// # Errors
/// When something may be left: the next cells would not run on what they expect.
pub(super) async fn set_aside(
    plan: &CellsPlan,
    cell: &PlannedCell,
    out: &Path,
    display: &Display,
) -> Result<(), CellsRunError> {
    let folder = out.join(CELLS_FOLDER).join(&cell.info.folder);
    // Without a ledger nothing was created.
    if folder.join("ledger.jsonl").is_file() {
        display.line(&format!("cell {} is run again; removing what it has left on its targets", cell.label));
        clean_up(plan, cell, &folder, display).await?;
    }
    let mut number = 1;
    let aside = loop {
        let aside = out.join(CELLS_FOLDER).join(format!("{}.attempt-{number}", cell.info.folder));
        if !aside.exists() {
            break aside;
        }
        number += 1;
    };
    match std::fs::rename(&folder, &aside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(CellsRunError::Machine(format!("can't rename {}: {error}", folder.display())))
        }
        _ => Ok(()),
    }
}

async fn clean_up(plan: &CellsPlan, cell: &PlannedCell, folder: &Path, display: &Display) -> Result<(), CellsRunError> {
    let failed = |error: CleanupError| CellsRunError::Cleanup { cell: cell.label.clone(), error };
    let past = Past::open(folder).map_err(failed)?;
    past.forget_simulated().map_err(failed)?;
    if past.scenarios().is_empty() {
        return Ok(());
    }
    let of_cell = plan.reading.plan(&cell.sets).await.map_err(|refused| CellsRunError::Resume(refused.to_string()))?;
    let outcomes = run::clean_up(&past, &of_cell, folder, false, display).await.map_err(failed)?;
    for (scenario, removed) in outcomes.iter().filter(|(_, removed)| !removed.gone.is_empty()) {
        display.line(&format!("{scenario}: removed {}", run::list(&removed.gone)));
    }
    if past.scenarios().is_empty() {
        return Ok(());
    }
    Err(CellsRunError::Left { cell: cell.label.clone(), folder: folder.display().to_string() })
}
