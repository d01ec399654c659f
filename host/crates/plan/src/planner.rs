//! The plan, and how it is made.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kperf_metrics::{Builtin, MetricDef, Severity, Threshold, Unit};
use kperf_plugin::{Engine, Plugin, World};
use kperf_schedule::{CapacitySearch, Executor, Pacer, Rate, Schedule, Search};
use kperf_suite::{Address, Diagnostic, Diagnostics, Located, PluginRef, PluginUse, Sources, Span, Suite, TargetRef};

use crate::kubeconfig::Cluster;
use crate::params::{self, Checked, KnownMetrics, Surroundings};

use crate::native::PlannedNative;

/// What will run, with nothing left to find out but what the target and the machine say.
pub struct Plan {
    /// What was asked for.
    pub suite: Suite,
    /// The folder that paths in the suite are relative to.
    pub folder: PathBuf,
    /// One for each of the suite's scenarios, in order.
    pub scenarios: Vec<PlannedScenario>,
    /// The thresholds of the whole suite.
    pub thresholds: Vec<PlannedThreshold>,
    /// By target, what its kubeconfig says; such targets have its URL.
    pub clusters: BTreeMap<String, Located<Cluster>>,
    /// One for each of the suite's collectors, in order.
    pub collectors: Vec<Part>,
    /// One for each of the suite's native collectors, in order.
    pub natives: Vec<PlannedNative>,
    /// One for each of the suite's reporters, in order.
    pub reporters: Vec<Part>,
}

/// A plugin and what it is asked to do.
pub struct Part {
    /// The scenario's, collector's or reporter's name.
    pub name: String,
    /// The plugin.
    pub plugin: Plugin,
    /// Where it came from: `built-in` or its path.
    pub source: String,
    /// One of its modes.
    pub mode: String,
    /// Its parameters.
    pub params: Checked,
}

impl Part {
    /// Every metric that it may record: those of the plugin's description, and those that its parameters declare.
    pub fn metrics(&self) -> impl Iterator<Item = &MetricDef> {
        self.plugin.description().metrics.iter().chain(&self.params.metrics)
    }
}

/// A scenario that is ready to run.
pub struct PlannedScenario {
    /// Its plugin.
    pub part: Part,
    /// When its iterations start.
    pub schedule: Schedule,
    /// How many threads drive it.
    pub workers: u32,
    /// What must hold.
    pub thresholds: Vec<PlannedThreshold>,
    /// What must hold for a step of a capacity search to hold; none for other loads.
    pub criteria: Vec<PlannedThreshold>,
}

/// A threshold that was checked against the metric it is about.
pub struct PlannedThreshold {
    /// As it stands in the suite.
    pub text: String,
    /// Its meaning, with the scenario in the selector.
    pub threshold: Threshold,
    /// From when on a breach ends the run, if it does.
    pub abort: Option<Duration>,
    /// How much a breach matters.
    pub severity: Severity,
    /// The unit of its figure.
    pub unit: Unit,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
#[error("{}", .diagnostics.render(false).trim_end())]
pub struct Refused {
    /// Every mistake, with its place.
    pub diagnostics: Diagnostics,
    /// Whether it is only plugins that are at fault, not the suite.
    pub plugins_only: bool,
}

/// Makes the plan. `cores` and `workers` decide on the number of threads where the suite does not; `allow_native` says whether
/// native plugins may be loaded, which runs their code.
///
/// # Errors
/// Every mistake in the suite that only plugins, files or parameters reveal.
pub async fn make(
    mut suite: Suite,
    folder: &Path,
    engine: &Engine,
    cores: u32,
    workers: Option<u32>,
    allow_native: bool,
) -> Result<Plan, Refused> {
    let mut planner = Planner::new(folder, engine);
    planner.credentials = Some(suite.credentials.keys().cloned().collect());
    let mut scenarios = Vec::new();
    for scenario in &suite.scenarios {
        let part = planner.part(&scenario.plugin, Some(World::Runner)).await;
        let schedule = Schedule {
            executor: scenario.load.executor.clone(),
            start: scenario.start,
            graceful_stop: scenario.load.graceful_stop,
        };
        let users = schedule.executor.max_users();
        let threads = workers.or(scenario.workers.map(u32::from)).unwrap_or(cores).clamp(1, users.max(1));
        let metrics: Vec<MetricDef> = part.iter().flat_map(Part::metrics).cloned().collect();
        let thresholds = planner.thresholds(&scenario.thresholds, &metrics, part.is_some(), &suite.sources);
        // A search judges its steps; only what it found is judged at the end.
        let of_steps = |it: &PlannedThreshold| {
            schedule.executor.search().is_some() && it.threshold.metric() != Builtin::Capacity.name()
        };
        let (criteria, thresholds) = thresholds.into_iter().partition(of_steps);
        if let Some(part) = part {
            scenarios.push(PlannedScenario { part, schedule, workers: threads, thresholds, criteria });
        }
    }
    let mut collectors = Vec::new();
    for collector in &suite.collectors {
        collectors.extend(planner.part(&collector.plugin, Some(World::Collector)).await);
    }
    let natives: Vec<_> = suite.natives.iter().filter_map(|native| planner.native(native, allow_native)).collect();
    let mut reporters = Vec::new();
    for reporter in &suite.reporters {
        reporters.extend(planner.part(&reporter.plugin, Some(World::Reporter)).await);
    }
    let of_natives = natives.iter().flat_map(|native| &native.plugin.description().metrics);
    let parts = scenarios.iter().map(|scenario| &scenario.part).chain(&collectors);
    let metrics: Vec<MetricDef> = parts.flat_map(Part::metrics).chain(of_natives).cloned().collect();
    let complete = planner.plugin_findings.is_empty();
    let thresholds = planner.thresholds(&suite.thresholds, &metrics, complete, &suite.sources);
    planner.findings.extend(crate::secrets::wrong_urls(&suite, folder));
    let clusters = planner.targets(&mut suite);
    let plugins_only = planner.findings.is_empty();
    planner.findings.append(&mut planner.plugin_findings);
    if planner.findings.is_empty() {
        let folder = folder.to_owned();
        Ok(Plan { suite, folder, scenarios, thresholds, clusters, collectors, natives, reporters })
    } else {
        Err(Refused { diagnostics: Diagnostics::new(suite.sources.clone(), planner.findings), plugins_only })
    }
}

/// What only plugins, their parameters and files reveal of a suite that is wrong already, so that all of its mistakes can be
/// shown at once.
pub async fn examine(uses: &[PluginUse], folder: &Path, engine: &Engine) -> Vec<Diagnostic> {
    let mut planner = Planner::new(folder, engine);
    for used in uses {
        planner.part(used, None).await;
    }
    planner.findings.append(&mut planner.plugin_findings);
    planner.findings
}

pub(crate) struct Planner<'a> {
    pub(crate) folder: &'a Path,
    engine: &'a Engine,
    /// The names of the suite's credentials, if they are known.
    credentials: Option<Vec<String>>,
    /// Plugins by their name or path; none for one that could not be loaded and has been reported.
    loaded: HashMap<PluginRef, Option<(Plugin, String)>>,
    /// Native plugins that were loaded, by path and digest.
    pub(crate) libraries: HashMap<(String, String), kperf_native::Plugin>,
    /// The metrics of the parts so far.
    pub(crate) metrics: KnownMetrics,
    pub(crate) findings: Vec<Diagnostic>,
    pub(crate) plugin_findings: Vec<Diagnostic>,
}

impl<'a> Planner<'a> {
    fn new(folder: &'a Path, engine: &'a Engine) -> Self {
        let metrics =
            Builtin::ALL.iter().map(|builtin| builtin.def()).map(|def| (Arc::clone(&def.name), def)).collect();
        let (loaded, libraries, findings, plugin_findings) = Default::default();
        Self { folder, engine, credentials: None, loaded, libraries, metrics, findings, plugin_findings }
    }

    pub(crate) fn know<'m>(&mut self, metrics: impl IntoIterator<Item = &'m MetricDef>) {
        for def in metrics {
            self.metrics.entry(Arc::clone(&def.name)).or_insert_with(|| def.clone());
        }
    }

    pub(crate) fn report(&mut self, span: Span, message: String, help: &str) {
        self.findings.push(Diagnostic::new(span, message).help(help));
    }

    /// `world` is what the plugin has to be, if that is known.
    async fn part(&mut self, wanted: &PluginUse, world: Option<World>) -> Option<Part> {
        let (plugin, source) = self.plugin(wanted).await?;
        if let Some(world) = world
            && plugin.world() != world
        {
            let table = |world: World| match world {
                World::Runner => "scenario",
                World::Collector => "collector",
                World::Reporter => "reporter",
            };
            let message = format!("`{}` is a {}, not a {world}", plugin.description().name, plugin.world());
            self.report(wanted.plugin.span, message, &format!("use it under `[[{}]]`", table(plugin.world())));
            return None;
        }
        let description = plugin.description();
        let names: Vec<&str> = description.modes.iter().map(|mode| mode.name.as_str()).collect();
        let at = self.mode(wanted, &description.name, &names)?;
        let mode = description.modes.get(at)?;
        if mode.needs_target && wanted.target.is_none() {
            let message = format!("`{}` has nothing to send to", wanted.name.value);
            self.report(wanted.span, message, "add `target = \"..\"`, a name of `[targets]`");
            return None;
        }
        self.know(&plugin.description().metrics);
        let surroundings =
            Surroundings { folder: self.folder, credentials: self.credentials.as_deref(), metrics: &self.metrics };
        match params::check(&wanted.params, &mode.schema, &surroundings, wanted.span) {
            Ok(params) => {
                self.know(&params.metrics);
                let (name, mode) = (wanted.name.value.clone(), mode.name.clone());
                Some(Part { name, mode, params, source, plugin })
            }
            Err(findings) => {
                self.findings.extend(findings);
                None
            }
        }
    }

    /// The place of the mode that is asked for among a plugin's.
    pub(crate) fn mode(&mut self, wanted: &PluginUse, plugin: &str, names: &[&str]) -> Option<usize> {
        match (&wanted.mode, names) {
            (Some(mode), _) => {
                let at = names.iter().position(|name| *name == mode.value);
                if at.is_none() {
                    let message = format!("`{plugin}` has no mode `{}`", mode.value);
                    self.report(mode.span, message, &kperf_suite::suggestion(&mode.value, names.iter().copied()));
                }
                at
            }
            (None, [_]) => Some(0),
            (None, _) => {
                let message = format!("`{plugin}` has several modes");
                self.report(wanted.plugin.span, message, &format!("add `mode`, one of `{}`", names.join("`, `")));
                None
            }
        }
    }

    async fn plugin(&mut self, wanted: &PluginUse) -> Option<(Plugin, String)> {
        if let Some(known) = self.loaded.get(&wanted.plugin.value) {
            return known.clone();
        }
        let loaded = self.load(wanted).await;
        self.loaded.insert(wanted.plugin.value.clone(), loaded.clone());
        loaded
    }

    async fn load(&mut self, wanted: &PluginUse) -> Option<(Plugin, String)> {
        let span = wanted.plugin.span;
        let (bytes, source) = match &wanted.plugin.value {
            PluginRef::Builtin(name) => match kperf_guests::get(name) {
                Some(bytes) => (bytes.into(), "built-in".to_owned()),
                None => {
                    let help = kperf_suite::suggestion(name, kperf_guests::names());
                    self.report(span, format!("there is no built-in plugin `{name}`"), &help);
                    return None;
                }
            },
            PluginRef::File(path) => match std::fs::read(self.folder.join(path)) {
                Ok(bytes) => (std::borrow::Cow::from(bytes), path.clone()),
                Err(error) => {
                    let help = "paths are relative to the suite";
                    self.report(span, format!("can't read the plugin `{path}`: {error}"), help);
                    return None;
                }
            },
        };
        match Plugin::load(self.engine, &bytes).await {
            Ok(plugin) => Some((plugin, source)),
            Err(error) => {
                let message = format!("{}: {error}", error.fault());
                self.plugin_findings.push(Diagnostic::new(span, message));
                None
            }
        }
    }

    /// Checks thresholds against the metrics that there are; `complete` says whether these are all.
    fn thresholds(
        &mut self,
        wanted: &[kperf_suite::Threshold],
        metrics: &[MetricDef],
        complete: bool,
        sources: &Sources,
    ) -> Vec<PlannedThreshold> {
        let mut planned = Vec::new();
        for it in wanted {
            let builtin = Builtin::ALL.iter().map(|builtin| builtin.def());
            let known: Vec<MetricDef> = builtin.chain(metrics.iter().cloned()).collect();
            let threshold = &it.expression;
            match known.iter().find(|metric| *metric.name == *threshold.metric()) {
                Some(metric) => match threshold.check(metric) {
                    Ok(()) => planned.push(PlannedThreshold {
                        text: it.text.clone(),
                        threshold: threshold.clone(),
                        abort: it.abort,
                        severity: it.severity,
                        unit: threshold.unit(metric),
                    }),
                    Err(error) => {
                        let span = it.part(sources, error.span);
                        self.findings.push(Diagnostic::new(span, error.message));
                    }
                },
                None if complete => {
                    let names = known.iter().map(|metric| &*metric.name);
                    let help = kperf_suite::suggestion(threshold.metric(), names);
                    let span = it.part(sources, threshold.metric_span());
                    self.report(span, format!("there is no metric `{}`", threshold.metric()), &help);
                }
                None => {}
            }
        }
        planned
    }
}

impl Plan {
    /// The plugin parts of scenarios, collectors and reporters.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        let scenarios = self.scenarios.iter().map(|scenario| &scenario.part);
        scenarios.chain(&self.collectors).chain(&self.reporters)
    }

    /// The plan for people.
    #[must_use]
    pub fn show(&self) -> String {
        let mut text = format!("suite {}", self.suite.name);
        if let Some(environment) = &self.suite.environment {
            let _ = write!(text, ", environment {environment}");
        }
        let _ = writeln!(text, "\n");
        let uses = self.suite.scenarios.iter().map(|scenario| &scenario.plugin);
        for (scenario, used) in self.scenarios.iter().zip(uses) {
            let schedule = &scenario.schedule;
            let _ = writeln!(text, "scenario {}", scenario.part.name);
            self.show_part(&mut text, &scenario.part, used);
            let end = schedule.start + Pacer::new(&schedule.executor).total_duration();
            let _ = writeln!(
                text,
                "  when       {} to {}{}, then up to {} for running iterations",
                kperf_suite::DurationText(schedule.start),
                kperf_suite::DurationText(end),
                if schedule.executor.is_open() && schedule.executor.search().is_none() { "" } else { " at the latest" },
                kperf_suite::DurationText(schedule.graceful_stop)
            );
            let _ = writeln!(text, "  load       {}", describe(&schedule.executor));
            if let Some(search) = schedule.executor.search() {
                let _ = writeln!(text, "  steps      {}", steps(search));
                let best = kperf_suite::DurationText(search.trial / 10);
                let _ = writeln!(text, "  suits      iterations of up to {best}, a tenth of a step");
            }
            let users = schedule.executor.max_users();
            let _ = writeln!(text, "  users      up to {users} on {}", plural(scenario.workers, "worker"));
            for criterion in &scenario.criteria {
                let _ = writeln!(text, "  each step  {}", criterion.text);
            }
            for threshold in &scenario.thresholds {
                let _ = writeln!(text, "  must hold  {}", threshold.text);
            }
            text.push('\n');
        }
        for (part, collector) in self.collectors.iter().zip(&self.suite.collectors) {
            let _ = writeln!(text, "collector {}", part.name);
            self.show_part(&mut text, part, &collector.plugin);
            text.push('\n');
        }
        for (part, reporter) in self.reporters.iter().zip(&self.suite.reporters) {
            let _ = writeln!(text, "reporter {}", part.name);
            self.show_part(&mut text, part, &reporter.plugin);
            let on: Vec<&str> = reporter.on.iter().map(|it| it.word()).collect();
            let hold = kperf_suite::DurationText(reporter.hold);
            let _ = writeln!(text, "  speaks     on {}; of breaches after {hold}\n", on.join(", "));
        }
        for native in &self.natives {
            let description = native.plugin.description();
            let _ = writeln!(
                text,
                "collector {}\n  plugin     {} {} ({}), mode {}\n  reaches    anything: native, outside the sandbox\n",
                native.name, description.name, description.version, native.source, native.mode
            );
        }
        self.show_export(&mut text);
        for threshold in &self.thresholds {
            let _ = writeln!(text, "must hold  {}", threshold.text);
        }
        text.trim_end().to_owned()
    }

    fn show_export(&self, text: &mut String) {
        let export = &self.suite.export;
        let pushes = [("remote write", &export.remote_write), ("otlp", &export.otlp)];
        let urls = pushes.iter().filter_map(|(what, push)| {
            let push = push.as_ref()?;
            let url = self.suite.targets.get(&push.target.value)?.address.base_url()?;
            Some(format!("  {what:13} to {url}{}\n", push.path))
        });
        let listen = export.prometheus.as_ref().map(|it| format!("  /metrics      on {}\n", it.address.value));
        let lines: String = listen.into_iter().chain(urls).collect();
        if !lines.is_empty() {
            let _ = writeln!(text, "export\n{lines}");
        }
    }

    fn show_part(&self, text: &mut String, part: &Part, used: &PluginUse) {
        let description = part.plugin.description();
        let _ = writeln!(
            text,
            "  plugin     {} {} ({}), mode {}",
            description.name, description.version, part.source, part.mode
        );
        let mut hosts = Vec::new();
        match used.target.as_ref().map(|target| &target.value) {
            Some(TargetRef::Simulated) => hosts.push("the simulated server, on loopback".to_owned()),
            Some(TargetRef::Named(name)) => {
                let place = |target: &kperf_suite::Target| match &target.address {
                    Address::Simulated => "the simulated server, on loopback".to_owned(),
                    Address::Double(double) => format!("{}, on loopback", double.word()),
                    Address::Secret(name) => format!("the URL in the credential {}", name.value),
                    Address::Url(_) | Address::Cluster(_) => target.address.base_url().unwrap_or_default().to_owned(),
                };
                hosts.extend(self.suite.targets.get(name).map(place));
            }
            None => {}
        }
        hosts.extend(used.allow_hosts.iter().map(ToString::to_string));
        let hosts = if hosts.is_empty() { "no host".to_owned() } else { hosts.join(", ") };
        let _ = writeln!(text, "  reaches    {hosts}");
    }
}

/// `3 workers`.
pub fn plural(count: u32, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// The steps of a search for people, and about how long they take together.
fn steps(search: &CapacitySearch) -> String {
    let time = kperf_suite::DurationText;
    let count = Search::new(search.plan).trials_left();
    // Judging a step and starting the next one on a full second take one.
    let each = search.trial + Duration::from_secs(1);
    let all = each.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX)).min(search.max_duration);
    format!(
        "about {count} of {} ({} not judged), together {}, and up to {} to recover after one that breaks",
        time(search.trial),
        time(search.settle),
        time(all),
        time(search.recover),
    )
}

/// An executor for people: `constant-arrival-rate 200/s for 1m`.
#[must_use]
pub fn describe(executor: &Executor) -> String {
    let time = kperf_suite::DurationText;
    let a_second = |value: f64| {
        if value >= 1.0 || value == 0.0 { format!("{}/s", round(value)) } else { format!("{}/m", round(value * 60.0)) }
    };
    let per_second = |rate: Rate| a_second(rate.as_per_second());
    match executor {
        Executor::ConstantVus { vus, duration, .. } => {
            format!("constant-vus: {} for {}", plural(*vus, "user"), time(*duration))
        }
        Executor::RampingVus { start_vus, stages, .. } => {
            let ramp = stages.iter().map(|it| format!(" to {} in {}", it.target, time(it.duration)));
            format!("ramping-vus: from {start_vus}{} users", ramp.collect::<Vec<_>>().join(","))
        }
        Executor::PerVuIterations { vus, iterations, max_duration, .. } => format!(
            "per-vu-iterations: {iterations} by each of {}, within {}",
            plural(*vus, "user"),
            time(*max_duration)
        ),
        Executor::SharedIterations { vus, iterations, max_duration, .. } => {
            format!("shared-iterations: {iterations} by {}, within {}", plural(*vus, "user"), time(*max_duration))
        }
        Executor::ConstantArrivalRate { rate, duration, .. } => {
            format!("constant-arrival-rate: {} for {}", per_second(*rate), time(*duration))
        }
        Executor::RampingArrivalRate { start_rate, stages, .. } => {
            let ramp = stages.iter().map(|it| format!(" to {} in {}", per_second(it.target), time(it.duration)));
            format!("ramping-arrival-rate: from {}{}", per_second(*start_rate), ramp.collect::<Vec<_>>().join(","))
        }
        Executor::CapacitySearch(CapacitySearch { plan, .. }) => format!(
            "capacity-search: from {} to at most {}, to within {} %, confirmed {} times",
            per_second(plan.start),
            per_second(plan.max),
            round(plan.precision * 100.0),
            plan.confirm
        ),
    }
}

fn round(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
