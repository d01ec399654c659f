//! The results of a matrix as a whole, from `cells.jsonl` and the summaries of its cells: `summary.json`, `cells.csv`.

use std::io::{self, Write as _};

use kperf_metrics::Incident;

use super::cell::{CellInfo, CellState};
use super::journal::{CellHistory, MatrixError, MatrixState, matrix_state};
use super::summary::{CellSummary, CellsSummary, ComponentUse, Usage};
use super::table;
use crate::earlier;
use crate::replace::replace;
use crate::summary::VERSION;
use crate::{Exit, MetricSummary, ReasonSummary, RunFolder, Status, Summary, VerdictSummary, instant};

/// What the parts of a system used, by the metrics of a summary.
pub fn components(metrics: &[MetricSummary]) -> Vec<ComponentUse> {
    let mut found: Vec<ComponentUse> = Vec::new();
    for metric in metrics {
        let (Some(component), Some(mean), Some(max)) = (metric.tags.get("component"), metric.mean, metric.max) else {
            continue;
        };
        let at = found.iter().position(|it| it.component == *component).unwrap_or_else(|| {
            found.push(ComponentUse { component: component.clone(), cpu: None, memory: None });
            found.len() - 1
        });
        let Some(of) = found.get_mut(at) else { continue };
        match metric.name.as_str() {
            "component_cpu" => of.cpu = Some(Usage { mean, max }),
            "component_memory" => of.memory = Some(Usage { mean, max }),
            _ => {}
        }
    }
    found.retain(|it| it.cpu.is_some() || it.memory.is_some());
    found.sort_by(|a, b| a.component.cmp(&b.component));
    found
}

/// Makes `summary.json` and `cells.csv` of a matrix and completes its `run.json`.
///
/// # Errors
/// When the folder is none of a matrix, or the results can't be written.
pub fn finish_matrix(folder: &RunFolder) -> Result<Summary, MatrixError> {
    let state = matrix_state(folder)?;
    let mut summary = gather(folder, &state);
    summary.previous = earlier::of(folder, &summary.run);
    let text = serde_json::to_string_pretty(&summary).map_err(io::Error::from)?;
    replace(&folder.summary(), |mut file| writeln!(file, "{text}"))?;
    replace(&folder.cells_table(), |file| table::write(file, &summary))?;
    summary.run.write(folder)?;
    Ok(summary)
}

/// A cell's own summary, if it has one.
fn summary_of(folder: &RunFolder, cell: &CellInfo) -> Option<Summary> {
    let text = std::fs::read(folder.cell(&cell.folder).summary()).ok()?;
    serde_json::from_slice(&text).ok()
}

/// What is gathered of the cells.
struct Gathered {
    summary: Summary,
    reasons: Vec<ReasonSummary>,
    worst: Exit,
}

fn gather(folder: &RunFolder, state: &MatrixState) -> Summary {
    let header = &state.header;
    let mut run = header.run.clone();
    let last = state.histories.values().filter_map(|history| Some(history.last.as_ref()?.unix_ns)).max();
    run.end = Some(instant(last.unwrap_or(run.start_unix_ns)));
    let empty = Summary {
        version: VERSION,
        run,
        interrupted: false,
        verdict: VerdictSummary { outcome: String::new(), exit_code: 0, reasons: Vec::new() },
        thresholds: Vec::new(),
        scenarios: Vec::new(),
        metrics: Vec::new(),
        generator: None,
        incidents: Vec::new(),
        records: Vec::new(),
        previous: None,
        cells: None,
    };
    let mut gathered = Gathered { summary: empty, reasons: Vec::new(), worst: Exit::Pass };
    let unknown = CellHistory::default();
    let mut cells = Vec::new();
    for cell in &header.cells {
        let history = state.histories.get(&cell.number).unwrap_or(&unknown);
        // Only a cell that came to its end stands for its combination.
        let over = matches!(history.state(), CellState::Finished | CellState::Failed);
        let own = summary_of(folder, cell).filter(|_| over);
        let label = cell.label(header.repeat);
        let outcome =
            own.as_ref().filter(|_| history.state() == CellState::Finished).map(|it| it.verdict.outcome.clone());
        cells.push(CellSummary {
            cell: cell.clone(),
            state: history.state(),
            outcome,
            exit_code: history.last.as_ref().and_then(|last| last.exit_code),
            message: history.last.as_ref().and_then(|last| last.message.clone()),
            start: history.started.map(instant),
            took: history.took_ns().filter(|_| over).map(|ns| ns as f64 / 1e9),
            components: own.as_ref().map(|own| components(&own.metrics)).unwrap_or_default(),
        });
        gathered.take(cell, &label, history, own);
    }
    let open = cells.iter().filter(|it| !matches!(it.state, CellState::Finished | CellState::Failed)).count();
    gathered.conclude(open, cells.len());
    let mut summary = gathered.summary;
    summary.cells = Some(CellsSummary { axes: header.axes.clone(), repeat: header.repeat, cells });
    summary
}

impl Gathered {
    /// Takes a cell in: its scenarios are told apart by its label.
    fn take(&mut self, cell: &CellInfo, label: &str, history: &CellHistory, own: Option<Summary>) {
        let named = |name: &str| format!("{name} [{label}]");
        let of = |name: Option<&String>| Some(name.map_or_else(|| label.to_owned(), |name| named(name)));
        let last = history.last.as_ref();
        let code = last.and_then(|last| last.exit_code).filter(|_| history.state() != CellState::Interrupted);
        let exit = code.map_or(Exit::Pass, Exit::of_verdict);
        if severity(exit) > severity(self.worst) {
            self.worst = exit;
        }
        if let Some(message) = last.and_then(|last| last.message.clone()) {
            match history.state() {
                CellState::Failed => self.reasons.push(ReasonSummary {
                    kind: "cell-failed".to_owned(),
                    scenario: Some(label.to_owned()),
                    text: message,
                }),
                _ => self.summary.incidents.push(Incident {
                    source: label.to_owned(),
                    kind: "cell".to_owned(),
                    message,
                    count: 1,
                }),
            }
        }
        let Some(own) = own else { return };
        if history.state() == CellState::Finished {
            let reasons = own.verdict.reasons.into_iter();
            self.reasons.extend(reasons.map(|it| ReasonSummary { scenario: of(it.scenario.as_ref()), ..it }));
        }
        self.summary.thresholds.extend(own.thresholds.into_iter().map(|mut it| {
            it.scenario = of(it.scenario.as_ref());
            it
        }));
        self.summary.scenarios.extend(own.scenarios.into_iter().map(|mut it| {
            it.name = named(&it.name);
            it.cell = Some(cell.number);
            it
        }));
        self.summary.incidents.extend(own.incidents.into_iter().map(|mut it| {
            it.source = named(&it.source);
            it
        }));
    }

    /// The answer, once all cells are in; so many of them have none.
    fn conclude(&mut self, open: usize, all: usize) {
        self.summary.interrupted = open > 0;
        self.summary.run.status = if open > 0 { Status::Interrupted } else { Status::Complete };
        if open > 0 {
            self.reasons.push(ReasonSummary {
                kind: "interrupted".to_owned(),
                scenario: None,
                text: format!("{open} of {all} cells have not been measured; `run SUITE --resume DIR` goes on"),
            });
        }
        let outcome = match self.worst {
            Exit::ThresholdBreached => "fail",
            Exit::Pass | Exit::ReporterFailed if open == 0 => "pass",
            _ => "inconclusive",
        };
        let exit = if open > 0 { Exit::Interrupted } else { self.worst };
        self.reasons.sort_by_key(|it| !matches!(it.kind.as_str(), "threshold-breached" | "cell-failed"));
        self.summary.verdict = VerdictSummary {
            outcome: outcome.to_owned(),
            exit_code: exit as u8,
            reasons: std::mem::take(&mut self.reasons),
        };
    }
}

/// Which of two cells' ends says more about the gathered. A breach is an answer, whatever else was not measured.
fn severity(exit: Exit) -> u8 {
    match exit {
        Exit::Pass | Exit::Interrupted => 0,
        Exit::ReporterFailed => 1,
        Exit::Inconclusive => 2,
        Exit::NotReady | Exit::Usage => 3,
        Exit::Regression => 4,
        Exit::ThresholdBreached => 5,
        Exit::Internal => 6,
    }
}
