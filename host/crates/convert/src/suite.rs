//! Writes the suite: one scenario after the other, with a comment wherever a value does not explain itself.

use std::{collections::BTreeMap, time::Duration};

use kperf_suite::DurationText;
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, Value, value};

use crate::{
    environment::{CACHE, DEFAULT_EXPERIMENT, Server},
    parameters::literal,
    scenario::{CONCURRENCY, Mode, Scenario, TIMES},
};

/// The name of the only target.
const TARGET: &str = "kfp";
/// The longest that a run may take once it has started, as `kfp-runner` has it: what is under way when the time is up is
/// followed to its end.
const RUN_TIMEOUT: &str = "30m";
/// The sizes that one pass of LARGE_DATASET goes through.
const SIZES: [i64; 3] = [1, 10, 100];

/// The origin of the suite, for its name and the comment at its head.
pub(crate) struct Origin<'a> {
    /// `name` of the suite, made from the file's.
    pub name: &'a str,
    /// The JSON file without its folder.
    pub file: &'a str,
    /// The folder that paths are relative to, in words.
    pub paths: &'a str,
}

/// Writes the suite.
pub(crate) fn write(origin: &Origin<'_>, server: &Server, scenarios: Vec<Scenario>) -> String {
    let mut document = DocumentMut::new();
    let mut head = format!("# Converted from {} by `kperf-host convert`.\n", one_line(origin.file));
    head += &format!("# Paths are relative to {}.\n", one_line(origin.paths));
    document.insert("name", value(origin.name));
    if let Some(mut key) = document.key_mut("name") {
        key.leaf_decor_mut().set_prefix(head);
    }
    document.insert("targets", Item::Table(targets(server)));
    let mut numbers: BTreeMap<&str, u32> = BTreeMap::new();
    let mut tables = ArrayOfTables::new();
    for scenario in scenarios {
        let number = numbers.entry(scenario.mode.name()).or_default();
        *number += 1;
        let name = format!("{}-{number}", scenario.mode.name().to_ascii_lowercase().replace('_', "-"));
        tables.push(table(&name, server, scenario));
    }
    document.insert("scenario", Item::ArrayOfTables(tables));
    document.to_string()
}

/// Text for a comment, which ends with its line.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn targets(server: &Server) -> Table {
    let mut target = Table::new();
    target.insert("url", value(literal(&server.url)));
    if server.insecure {
        target.insert("insecure", remark(true, "`local` is true"));
    }
    let mut targets = Table::new();
    targets.set_implicit(true);
    targets.insert(TARGET, Item::Table(target));
    targets
}

/// A value with a comment behind it.
fn remark(it: impl Into<Value>, comment: &str) -> Item {
    let mut it = it.into();
    it.decor_mut().set_suffix(format!(" # {comment}"));
    Item::Value(it)
}

fn minutes(count: u32) -> String {
    DurationText(Duration::from_secs(60 * u64::from(count))).to_string()
}

fn table(name: &str, server: &Server, scenario: Scenario) -> Table {
    let mut table = Table::new();
    if !scenario.idle.is_empty() {
        let fields: Vec<String> = scenario.idle.iter().map(|(name, _)| format!("`{name}`")).collect();
        table.decor_mut().set_prefix(format!(
            "\n# Left out, as it does nothing in {}: {}.\n",
            scenario.mode.name(),
            fields.join(", ")
        ));
    }
    table.insert("name", value(name));
    table.insert("plugin", value("kfp-runner"));
    table.insert("mode", value(scenario.mode.name()));
    table.insert("target", value(TARGET));
    if scenario.start > 0 {
        table.insert("start", value(minutes(scenario.start)));
    }
    table.insert("thresholds", thresholds(scenario.mode));
    let load = load(&scenario);
    let params = params(server, scenario);
    if !params.is_empty() {
        table.insert("params", Item::Table(params));
    }
    table.insert("load", Item::Table(load));
    table
}

/// What has to hold: every run ends well, and all are accepted. Of reads a few may fail, when what is read goes away.
fn thresholds(mode: Mode) -> Item {
    let expressions: &[&str] = match mode {
        Mode::PipelineRun | Mode::Experiment => {
            &["kfp_run_success rate == 100%", "http_req_failed{operation=create_run} rate == 0%"]
        }
        Mode::ScheduledRuns | Mode::LargeDataset => &["kfp_run_success rate == 100%", "http_req_failed rate < 1%"],
        Mode::RandomGets => &["http_req_failed rate < 1%"],
    };
    let mut array: Array = expressions.iter().copied().collect();
    if expressions.len() > 1 {
        array.iter_mut().for_each(|item| item.decor_mut().set_prefix("\n    "));
        array.set_trailing("\n");
        array.set_trailing_comma(true);
    }
    value(array)
}

/// How a scenario's runs are spread over experiments.
enum Experiments {
    /// All runs in one.
    One,
    /// One for each run.
    Each,
}

/// All runs belong to one experiment, which a single iteration creates; only if not all may run at once, each gets its own.
fn experiments(scenario: &Scenario) -> Experiments {
    match scenario.concurrency {
        Some(most) if most < scenario.times.unwrap_or(1) => Experiments::Each,
        _ => Experiments::One,
    }
}

fn params(server: &Server, scenario: Scenario) -> Table {
    let mut params = Table::new();
    let mode = scenario.mode;
    let times = scenario.times.unwrap_or(1);
    if let Some(namespace) = &server.namespace {
        params.insert("namespace", value(literal(namespace)));
        if matches!(mode, Mode::PipelineRun | Mode::ScheduledRuns) {
            params.insert("experiment", value(DEFAULT_EXPERIMENT));
        }
    }
    if mode != Mode::LargeDataset
        && let Some(path) = &scenario.pipeline
    {
        params.insert("pipeline", value(literal(path)));
    }
    match mode {
        Mode::Experiment if matches!(experiments(&scenario), Experiments::One) && times > 1 => {
            params.insert("runs", remark(i64::from(times), "in one experiment, all at once"));
        }
        Mode::ScheduledRuns => {
            match &scenario.cron {
                Some(cron) => params.insert("cron", value(literal(cron))),
                None => {
                    let every = Duration::from_secs(60 * u64::from(scenario.run) / u64::from(times));
                    let comment = format!("`{TIMES}` triggers spread over the run's time");
                    params.insert("interval", remark(DurationText(every).to_string(), &comment))
                }
            };
            params.insert("triggers", value(i64::from(times)));
        }
        Mode::LargeDataset => {
            params.insert("grow", value("tasks"));
            params.insert("sizes", value(SIZES.iter().copied().collect::<Array>()));
        }
        _ => {}
    }
    if mode.runs_a_pipeline() {
        let mut resources = InlineTable::new();
        let amounts = [("cpu", &scenario.cpu), ("memory", &scenario.memory)];
        for (name, amount) in amounts.into_iter().filter_map(|(name, amount)| Some((name, amount.as_ref()?))) {
            resources.insert(name, amount.as_str().into());
        }
        if !resources.is_empty() {
            params.insert("resources", value(resources));
        }
        if let Some(cache) = server.cache {
            params.insert("cache", remark(cache, &format!("`{CACHE}`")));
        }
        if let Some(parameters) = scenario.parameters {
            params.insert("parameters", value(parameters));
        }
    }
    params
}

fn load(scenario: &Scenario) -> Table {
    let mut load = Table::new();
    let times = scenario.times.unwrap_or(1);
    let users = scenario.concurrency.unwrap_or(1);
    let mut shared = |users: Item, iterations: Item| {
        load.insert("executor", value("shared-iterations"));
        load.insert("vus", users);
        load.insert("iterations", iterations);
        load.insert("max_duration", value(minutes(scenario.run)));
    };
    match scenario.mode {
        Mode::PipelineRun => {
            let users = match scenario.concurrency {
                None if times > 1 => remark(i64::from(times), &format!("without `{CONCURRENCY}` all run at once")),
                None => value(1),
                Some(most) if most > times => {
                    remark(i64::from(times), &format!("`{CONCURRENCY}` is more than `{TIMES}`"))
                }
                Some(most) => value(i64::from(most)),
            };
            shared(users, value(i64::from(times)));
        }
        Mode::Experiment => match experiments(scenario) {
            Experiments::One => shared(value(1), remark(1, "one experiment")),
            Experiments::Each => {
                shared(value(i64::from(users)), remark(i64::from(times), "each creates its own experiment"));
            }
        },
        Mode::RandomGets if scenario.times.is_some() => {
            shared(value(i64::from(users.min(times))), remark(i64::from(times), "reads"));
        }
        Mode::RandomGets => {
            load.insert("executor", value("constant-vus"));
            load.insert("vus", value(i64::from(users)));
            load.insert("duration", value(minutes(scenario.run)));
        }
        Mode::ScheduledRuns => {
            load.insert("executor", value("per-vu-iterations"));
            load.insert("vus", remark(i64::from(users), "recurring runs side by side"));
            load.insert("iterations", value(1));
            load.insert("max_duration", value(minutes(scenario.run)));
        }
        Mode::LargeDataset => {
            let iterations = i64::from(times).saturating_mul(SIZES.len() as i64).min(i64::from(u32::MAX));
            let users = i64::from(users).min(iterations);
            shared(value(users), remark(iterations, &format!("`{TIMES}` times through the sizes")));
        }
    }
    if scenario.mode != Mode::RandomGets {
        load.insert("graceful_stop", remark(RUN_TIMEOUT, "what runs then is followed to its end"));
    }
    load
}
