//! The figures of a run by two axes: those of a matrix, or none for a run without one.

use std::collections::{BTreeMap, BTreeSet};

use kperf_plugin_sdk::summary::{Axis, CellResult, Metric, Scenario, Summary, Usage};

/// More sets of charts than this, one for each combination of the further axes, help nobody.
const MOST: usize = 8;

/// The figures of what one set of charts shows.
pub struct Model {
    /// The suite's name.
    pub suite: String,
    /// The verdict in a word.
    pub outcome: String,
    /// The values of the further axes, `kind=a,size=1`; empty without any.
    pub fixed: String,
    /// The first axis; none for a run without a matrix.
    pub first: Option<Side>,
    /// The second axis; none if the matrix has one only.
    pub second: Option<Side>,
    /// The operations in the order of the summary.
    pub operations: Vec<String>,
    /// The parts of the system under test, by name.
    pub components: Vec<String>,
    /// The figures by the numbers of the values on the axes.
    pub points: BTreeMap<(usize, usize), Figures>,
}

/// An axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Side {
    /// The axis' name in the matrix.
    pub name: String,
    /// Its values as text, in the order of the suite.
    pub values: Vec<String>,
}

/// What was measured in a cell; of several repeats the mean.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    repeats: f64,
    operations: BTreeMap<String, Requests>,
    cpu: BTreeMap<String, Usage>,
    memory: BTreeMap<String, Usage>,
}

/// Figures of an operation's requests.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Requests {
    /// Requests sent.
    pub count: f64,
    /// Requests without an expected response.
    pub failed: f64,
    /// Requests per second.
    pub rate: f64,
    /// The 95th percentile of their service time, in seconds; none if none was answered.
    pub p95: Option<f64>,
}

impl Figures {
    /// The requests of an operation.
    pub fn operation(&self, name: &str) -> Option<Requests> {
        self.operations.get(name).copied()
    }

    /// All requests together; the 95th percentile is the one of the slowest operation.
    pub fn all(&self) -> Requests {
        self.operations.values().fold(Requests::default(), |all, it| Requests {
            count: all.count + it.count,
            failed: all.failed + it.failed,
            rate: all.rate + it.rate,
            p95: all.p95.into_iter().chain(it.p95).max_by(f64::total_cmp),
        })
    }

    /// The cores that a component used.
    pub fn cpu(&self, component: &str) -> Option<Usage> {
        self.cpu.get(component).copied()
    }

    /// The bytes that a component used.
    pub fn memory(&self, component: &str) -> Option<Usage> {
        self.memory.get(component).copied()
    }

    /// Takes in a further repeat. Every mean is over all repeats so far.
    fn join(&mut self, other: &Self) {
        let before = self.repeats;
        self.repeats += 1.0;
        let repeats = self.repeats;
        let mean = |old: f64, new: f64| (old * before + new) / repeats;
        for (name, new) in &other.operations {
            let old = self.operations.get(name).copied().unwrap_or_default();
            let p95 = match (old.p95, new.p95) {
                (Some(old), Some(new)) => Some(mean(old, new)),
                (old, new) => old.or(new),
            };
            let joined = Requests {
                count: mean(old.count, new.count),
                failed: mean(old.failed, new.failed),
                rate: mean(old.rate, new.rate),
                p95,
            };
            self.operations.insert(name.clone(), joined);
        }
        for (into, from) in [(&mut self.cpu, &other.cpu), (&mut self.memory, &other.memory)] {
            for (name, new) in from {
                let old = into.get(name).copied().unwrap_or(*new);
                let joined = Usage { mean: mean(old.mean, new.mean), max: old.max.max(new.max) };
                into.insert(name.clone(), joined);
            }
        }
    }
}

/// The figures of a summary by these axes, or by the first two; one model for each combination of the other axes. The second
/// list says what is wrong with the axes.
pub fn models(summary: &Summary, wanted: &[String]) -> (Vec<Model>, Vec<String>) {
    let Some(cells) = &summary.cells else {
        return (vec![of_run(summary)], Vec::new());
    };
    let mut notes = Vec::new();
    for name in wanted.iter().filter(|name| !cells.axes.iter().any(|axis| axis.name == **name)) {
        notes.push(format!("the matrix has no axis `{name}`"));
    }
    let known = |name: &String| cells.axes.iter().find(|axis| axis.name == *name);
    let mut chosen: Vec<&Axis> = wanted.iter().filter_map(known).take(2).collect();
    for axis in &cells.axes {
        if chosen.len() < 2 && !chosen.iter().any(|it| it.name == axis.name) {
            chosen.push(axis);
        }
    }
    let fixed = |cell: &CellResult| {
        let others = cell.cell.values.iter().filter(|(name, _)| !chosen.iter().any(|axis| axis.name == **name));
        others.map(|(name, value)| format!("{name}={}", plain(value))).collect::<Vec<_>>().join(",")
    };
    let mut sets: Vec<String> = Vec::new();
    for cell in &cells.cells {
        let set = fixed(cell);
        if !sets.contains(&set) {
            sets.push(set);
        }
    }
    if let Some(more) = sets.len().checked_sub(MOST).filter(|more| *more > 0) {
        notes.push(format!("{more} further combinations of the other axes have no charts"));
        sets.truncate(MOST);
    }
    let models = sets.into_iter().map(|set| {
        let of_set = cells.cells.iter().filter(|cell| fixed(cell) == set);
        of_matrix(summary, &chosen, of_set.collect(), set.clone())
    });
    (models.collect(), notes)
}

fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn of_run(summary: &Summary) -> Model {
    let scenarios: Vec<&Scenario> = summary.scenarios.iter().collect();
    let metrics = summary.metrics.iter().chain(summary.scenarios.iter().flat_map(|it| &it.metrics));
    let usage =
        |metric: &Metric| Some((metric.tags.get("component")?.clone(), Usage { mean: metric.mean?, max: metric.max? }));
    let mut figures = Figures { repeats: 1.0, operations: requests(&scenarios), ..Figures::default() };
    for metric in metrics {
        let Some((component, used)) = usage(metric) else { continue };
        match metric.name.as_str() {
            "component_cpu" => drop(figures.cpu.insert(component, used)),
            "component_memory" => drop(figures.memory.insert(component, used)),
            _ => {}
        }
    }
    model(summary, None, None, String::new(), BTreeMap::from([((0, 0), figures)]))
}

fn of_matrix(summary: &Summary, chosen: &[&Axis], cells: Vec<&CellResult>, fixed: String) -> Model {
    let side = |axis: &&Axis| Side { name: axis.name.clone(), values: axis.values.iter().map(plain).collect() };
    let sides: Vec<Side> = chosen.iter().map(side).collect();
    let place = |cell: &CellResult, side: Option<&Side>| {
        let Some(side) = side else { return Some(0) };
        let value = plain(cell.cell.values.get(&side.name)?);
        side.values.iter().position(|it| *it == value)
    };
    let mut points: BTreeMap<(usize, usize), Figures> = BTreeMap::new();
    for cell in cells {
        let scenarios: Vec<&Scenario> =
            summary.scenarios.iter().filter(|it| it.cell == Some(cell.cell.number)).collect();
        let mut figures = Figures { repeats: 1.0, operations: requests(&scenarios), ..Figures::default() };
        for it in &cell.components {
            figures.cpu.extend(it.cpu.map(|cpu| (it.component.clone(), cpu)));
            figures.memory.extend(it.memory.map(|memory| (it.component.clone(), memory)));
        }
        let (Some(x), Some(y)) = (place(cell, sides.first()), place(cell, sides.get(1))) else { continue };
        if !figures.operations.is_empty() || !cell.components.is_empty() {
            points.entry((x, y)).or_default().join(&figures);
        }
    }
    model(summary, sides.first().cloned(), sides.get(1).cloned(), fixed, points)
}

fn model(
    summary: &Summary,
    first: Option<Side>,
    second: Option<Side>,
    fixed: String,
    points: BTreeMap<(usize, usize), Figures>,
) -> Model {
    let mut operations: Vec<String> = Vec::new();
    for name in points.values().flat_map(|it| it.operations.keys()) {
        if !operations.contains(name) {
            operations.push(name.clone());
        }
    }
    operations.sort();
    let used = points.values().flat_map(|it| it.cpu.keys().chain(it.memory.keys()));
    let components: BTreeSet<String> = used.cloned().collect();
    Model {
        suite: summary.run.suite.clone(),
        outcome: summary.verdict.outcome.clone(),
        fixed,
        first,
        second,
        operations,
        components: components.into_iter().collect(),
        points,
    }
}

/// The requests by operation; of several scenarios, by scenario and operation.
fn requests(scenarios: &[&Scenario]) -> BTreeMap<String, Requests> {
    let mut by_name = BTreeMap::new();
    for scenario in scenarios {
        let of = scenario.cell.map_or(scenario.name.as_str(), |_| {
            scenario.name.rsplit_once(" [").map_or(scenario.name.as_str(), |(name, _)| name)
        });
        for it in &scenario.operations {
            let name = if scenarios.len() > 1 { format!("{of} {}", it.operation) } else { it.operation.clone() };
            let requests = Requests {
                count: it.count as f64,
                failed: it.failures as f64,
                rate: it.rate,
                p95: it.duration.map(|duration| duration.p95),
            };
            by_name.insert(name, requests);
        }
    }
    by_name
}
