//! Going on with a matrix that was cut off: the same suite on the same targets, and nothing of the cell that was cut off left
//! on them.

use kperf_results::{
    CellInfo, MatrixHeader, MatrixJournal, MatrixState, RemovalProgress, RunEvent, RunFolder, RunInfo, ScenarioInfo,
};

use super::report::Identity;
use super::{MatrixPlan, MatrixRunError, PlannedCell};
use crate::cleanup::{CleanupError, Past, clean_up};

/// Opens the folder of a matrix to go on in it.
///
/// # Errors
/// When it is none, somebody works on it, or something is not as it was.
pub(super) fn open(
    folder: &RunFolder,
    plan: &MatrixPlan,
    now: &Identity,
) -> Result<(MatrixJournal, MatrixState), MatrixRunError> {
    if !folder.is_matrix() {
        let message =
            format!("{} is not the folder of a matrix; give the one with cells.jsonl in it", folder.path().display());
        return Err(MatrixRunError::Resume(message));
    }
    let (journal, state) = MatrixJournal::open(folder)?;
    let differences = differences(&state.header, plan, now);
    if differences.is_empty() {
        return Ok((journal, state));
    }
    let list = differences.join("\n  ");
    Err(MatrixRunError::Resume(format!(
        "{} can't go on, its cells would not be comparable:\n  {list}\nrun the matrix anew, or make it as it was",
        folder.path().display()
    )))
}

/// What is not as it was.
fn differences(then: &MatrixHeader, plan: &MatrixPlan, now: &Identity) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |what: &str, then: &str, now: &str| {
        if then != now {
            let text = |value: &str| if value.is_empty() { "none".to_owned() } else { value.to_owned() };
            found.push(format!("{what} was {} and is {} now", text(then), text(now)));
        }
    };
    compare("the suite's text", &then.run.suite_digest, &now.run.suite_digest);
    let environment = |run: &RunInfo| run.environment.clone().unwrap_or_default();
    compare("the environment", &environment(&then.run), &environment(&now.run));
    compare("--set", &then.run.overrides.join(" "), &now.run.overrides.join(" "));
    let cells = |cells: &mut dyn Iterator<Item = &CellInfo>| {
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
        let target = |of: Option<&ScenarioInfo>| of.and_then(|it| it.target.clone()).unwrap_or_default();
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
    plan: &MatrixPlan,
    cell: &PlannedCell,
    matrix: &RunFolder,
    tell: &mut dyn FnMut(RunEvent),
) -> Result<(), MatrixRunError> {
    let folder = matrix.cell(&cell.info.folder);
    // Without a ledger nothing was created.
    if folder.ledger().is_file() {
        tell(RunEvent::CellAgain { label: cell.label.clone() });
        remove_left(plan, cell, &folder, &mut |progress| tell(RunEvent::Removal(progress))).await?;
    }
    let mut number = 1;
    let aside = loop {
        let aside = matrix.cell(&format!("{}.attempt-{number}", cell.info.folder));
        if !aside.path().exists() {
            break aside;
        }
        number += 1;
    };
    match std::fs::rename(folder.path(), aside.path()) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(MatrixRunError::Rename { folder: folder.path().display().to_string(), source })
        }
        _ => Ok(()),
    }
}

async fn remove_left(
    plan: &MatrixPlan,
    cell: &PlannedCell,
    folder: &RunFolder,
    tell: &mut dyn FnMut(RemovalProgress),
) -> Result<(), MatrixRunError> {
    let failed = |source: CleanupError| MatrixRunError::Cleanup { cell: cell.label.clone(), source };
    let past = Past::open(folder).map_err(failed)?;
    past.forget_simulated().map_err(failed)?;
    if past.scenarios().is_empty() {
        return Ok(());
    }
    let of_cell = plan.input.plan(&cell.sets).await.map_err(|refused| MatrixRunError::Resume(refused.to_string()))?;
    clean_up(&past, &of_cell, folder, false, tell).await.map_err(failed)?;
    if past.scenarios().is_empty() {
        return Ok(());
    }
    Err(MatrixRunError::Left { cell: cell.label.clone(), folder: folder.path().display().to_string() })
}
