//! A scenario of the JSON file: its fields, read and checked.

use jsonc_parser::ast::{Object, Value};
use kperf_suite::{Diagnostic, suggestion};

use crate::{
    FileNotFound,
    fields::{self, Fields},
    json, parameters, quantity,
};

/// The kinds of scenarios.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    PipelineRun,
    Experiment,
    RandomGets,
    ScheduledRuns,
    LargeDataset,
}

impl Mode {
    pub const ALL: [Self; 5] =
        [Self::PipelineRun, Self::Experiment, Self::RandomGets, Self::ScheduledRuns, Self::LargeDataset];

    /// Its name, in the JSON and in the plugin alike.
    pub fn name(self) -> &'static str {
        match self {
            Self::PipelineRun => "PIPELINE_RUN",
            Self::Experiment => "EXPERIMENT",
            Self::RandomGets => "RANDOM_GETS",
            Self::ScheduledRuns => "SCHEDULED_RUNS",
            Self::LargeDataset => "LARGE_DATASET",
        }
    }

    /// How many runs it starts at once without being asked to in so many words. In an experiment `kfp-runner` knows no more.
    fn most_at_once(self) -> Option<u32> {
        match self {
            Self::PipelineRun => Some(10_000),
            Self::Experiment => Some(1000),
            Self::RandomGets | Self::ScheduledRuns | Self::LargeDataset => None,
        }
    }

    /// Whether it runs a pipeline that the scenario names.
    pub fn runs_a_pipeline(self) -> bool {
        matches!(self, Self::PipelineRun | Self::Experiment | Self::ScheduledRuns)
    }
}

/// A scenario as it is meant.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub mode: Mode,
    /// Minutes until it starts.
    pub start: u32,
    /// Minutes that it lasts.
    pub run: u32,
    /// How many runs or reads, if that is said.
    pub times: Option<u32>,
    /// How many at once, if that is said.
    pub concurrency: Option<u32>,
    /// The pipeline's file, as the suite has to write it.
    pub pipeline: Option<String>,
    /// Limits of CPU and memory of each step.
    pub cpu: Option<String>,
    pub memory: Option<String>,
    /// The pipeline's parameters.
    pub parameters: Option<toml_edit::InlineTable>,
    /// When a recurring run triggers.
    pub cron: Option<String>,
    /// What was said and does nothing in this mode, with its place in bytes.
    pub idle: Vec<(&'static str, usize)>,
}

const MODE: &str = "mode";
const START: &str = "startTime";
const RUN: &str = "runTime";
pub(crate) const TIMES: &str = "numTimes";
const PIPELINE: &str = "pipelineFileName";
pub(crate) const CONCURRENCY: &str = "concurrency";
const LIMITS: &str = "resourceLimits";
const PARAMS: &str = "params";
const CRON: &str = "cron";
const FIELDS: [&str; 9] = [MODE, START, RUN, TIMES, PIPELINE, CONCURRENCY, LIMITS, PARAMS, CRON];

/// A hundred years less a bit, which is as far as a suite can count.
const MOST_MINUTES: u32 = 36_500 * 24 * 60;
/// How many triggers of a recurring run `kfp-runner` follows at the most.
const MOST_TRIGGERS: u32 = 200;

/// Reads a scenario. `locate` finds a pipeline's file by its name.
pub(crate) fn read(
    object: &Object<'_>,
    locate: &dyn Fn(&str) -> Result<String, FileNotFound>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Scenario> {
    let before = diagnostics.len();
    let fields = Fields::new(object, &FIELDS, "a scenario", diagnostics);
    let mode = fields.required(MODE, diagnostics).and_then(|value| mode(value, diagnostics));
    let start = fields.required(START, diagnostics);
    let start = start.and_then(|value| fields::number(value, "minutes", 0..=MOST_MINUTES, diagnostics));
    let run = fields.required(RUN, diagnostics);
    let run = run.and_then(|value| fields::number(value, "minutes", 1..=MOST_MINUTES, diagnostics));
    let count = |name, what, diagnostics: &mut _| {
        fields.get(name).and_then(|value| fields::number(value, what, 1..=u32::MAX, diagnostics))
    };
    let times = count(TIMES, "times", diagnostics);
    let concurrency = count(CONCURRENCY, "users", diagnostics);
    let pipeline = fields.get(PIPELINE).and_then(|value| pipeline(value, locate, diagnostics));
    let (cpu, memory) = fields.get(LIMITS).map(|value| limits(value, diagnostics)).unwrap_or_default();
    let parameters = fields.get(PARAMS).and_then(|value| parameters::read(value, diagnostics));
    let cron = fields.get(CRON).and_then(|value| fields::text(value, "a cron expression", diagnostics));
    let (mode, start, run) = (mode?, start?, run?);
    if mode.runs_a_pipeline() && !fields.has_or_meant(PIPELINE) {
        let message = format!("{} needs `{PIPELINE}`", mode.name());
        diagnostics.push(Diagnostic::new(fields.place_of(MODE), message).help("name the file of a compiled pipeline"));
    }
    let diagnostic = misfit(mode, run, times, concurrency, cron.is_some());
    diagnostics.extend(diagnostic.map(|(message, help)| Diagnostic::new(fields.place_of(TIMES), message).help(help)));
    let does_nothing: &[&str] = match mode {
        Mode::PipelineRun | Mode::Experiment => &[CRON],
        Mode::ScheduledRuns => &[],
        Mode::RandomGets => &[LIMITS, PARAMS, CRON],
        Mode::LargeDataset => &[PIPELINE, LIMITS, PARAMS, CRON],
    };
    let place = |name: &&'static str| fields.name_of(name).map(|span| (*name, span.range().start));
    let idle = FIELDS.iter().filter(|name| does_nothing.contains(name)).filter_map(place).collect();
    let cron = cron.map(str::to_owned);
    let scenario = Scenario { mode, start, run, times, concurrency, pipeline, cpu, memory, parameters, cron, idle };
    (diagnostics.len() == before).then_some(scenario)
}

/// Why so many times are too many, and what to do.
fn misfit(
    mode: Mode,
    run: u32,
    times: Option<u32>,
    concurrency: Option<u32>,
    cron: bool,
) -> Option<(String, &'static str)> {
    let times = times?;
    if let Some(most) = mode.most_at_once().filter(|most| times > *most)
        && concurrency.is_none_or(|concurrency| concurrency >= times)
        && (concurrency.is_none() || mode == Mode::Experiment)
    {
        let message = format!("these would all start at once, and they are more than {most}");
        return Some((message, "say with `concurrency` how many may run at once"));
    }
    if mode == Mode::ScheduledRuns && times > MOST_TRIGGERS {
        let message = format!("a recurring run is followed for {MOST_TRIGGERS} triggers at the most");
        return Some((message, "have several side by side with `concurrency`"));
    }
    if mode == Mode::ScheduledRuns && !cron && times > run.saturating_mul(60) {
        let message = format!("a recurring run triggers once a second at the most: these do not fit into `{RUN}`");
        return Some((message, "raise `runTime` or lower `numTimes`"));
    }
    None
}

fn mode(value: &Value<'_>, diagnostics: &mut Vec<Diagnostic>) -> Option<Mode> {
    let text = fields::text(value, "a mode", diagnostics)?;
    let mode = Mode::ALL.into_iter().find(|mode| mode.name() == text);
    if mode.is_none() {
        let help = suggestion(text, Mode::ALL.map(Mode::name));
        diagnostics.push(Diagnostic::new(json::place(value), format!("there is no mode `{text}`")).help(help));
    }
    mode
}

fn pipeline(
    value: &Value<'_>,
    locate: &dyn Fn(&str) -> Result<String, FileNotFound>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<String> {
    let name = fields::text(value, "a file's name", diagnostics)?;
    match locate(name) {
        Ok(path) => Some(path),
        Err(error) => {
            let diagnostic = Diagnostic::new(json::place(value), format!("there is no file `{name}`"));
            diagnostics.push(diagnostic.help(error.to_string()));
            None
        }
    }
}

/// The limits of CPU and memory.
fn limits(value: &Value<'_>, diagnostics: &mut Vec<Diagnostic>) -> (Option<String>, Option<String>) {
    let Some(object) = fields::object(value, "an object with `cpu` and `memory`", diagnostics) else {
        return (None, None);
    };
    let fields = Fields::new(object, &["cpu", "memory"], &format!("`{LIMITS}`"), diagnostics);
    let mut limit = |name, example| {
        let value = fields.get(name)?;
        if let Value::NumberLit(number) = value {
            let message = format!("expected an amount as a text, found `{}`", number.value);
            diagnostics.push(Diagnostic::new(json::place(value), message).help(format!("write \"{}\"", number.value)));
            return None;
        }
        let text = fields::text(value, &format!("an amount like \"{example}\""), diagnostics)?;
        if !quantity::is_quantity(text) {
            let message = format!("`{text}` is no amount of {name}");
            let help = format!("write a number with a unit of Kubernetes, like \"{example}\"");
            diagnostics.push(Diagnostic::new(json::place(value), message).help(help));
        }
        Some(text.to_owned())
    };
    (limit("cpu", "500m"), limit("memory", "4Gi"))
}
