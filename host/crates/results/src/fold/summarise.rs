//! From totals to the summary: who did how much, how well, and what the verdict is.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
    time::Duration,
};

use kperf_metrics::{
    Arrivals, Builtin, Comparison, Delta, Evaluation, Evidence, Gauge, Judged, LoadTime, Memory, Outcome, Saturation,
    SeriesInfo, Severity, Tags, Threshold, Totals, Unit, Verdict, judge, per_second,
};

use super::{Fold, Searched};
use crate::spread::ByTag;
use crate::summary::VERSION;
use crate::{
    CapacityState, CapacitySummary, CheckSummary, Exit, FailureKind, GeneratorSummary, Iterations, MachineUse,
    MetricSummary, OperationSummary, Phases, ReasonSummary, ScenarioInfo, ScenarioState, ScenarioSummary, Spread,
    Status, StatusCount, Summary, TagSpread, ThresholdOutcome, ThresholdSummary, VerdictSummary, instant,
};

/// The summary of what is known of a run.
pub(super) fn summary(fold: &Fold) -> Summary {
    fold.summarise()
}

impl Fold {
    fn summarise(&self) -> Summary {
        let interrupted = self.end.is_none_or(|end| end.interrupted);
        let mut judged = Vec::new();
        for scenario in &self.header.scenarios {
            let elapsed = self.times.of(&scenario.name).elapsed;
            judged.extend(scenario.thresholds.iter().map(|text| self.judged(&scenario.name, text, elapsed)));
        }
        judged.extend(self.header.thresholds.iter().map(|text| self.judged("", text, self.times.whole())));
        let scenarios: Vec<_> = self.header.scenarios.iter().map(|scenario| self.scenario(scenario)).collect();
        let verdict = judge(&self.evidence(&judged, &scenarios, interrupted));
        let mut run = self.header.run.clone();
        run.end = Some(instant(self.end.map_or(self.times.last(), |end| end.unix_ns)));
        run.status = if interrupted { Status::Interrupted } else { Status::Complete };
        Summary {
            version: VERSION,
            run,
            interrupted,
            verdict: self.verdict(&verdict, interrupted),
            thresholds: judged.iter().map(|judged| self.threshold(judged)).collect(),
            scenarios,
            metrics: self.metrics(None, None, Duration::ZERO),
            generator: machine_use(
                &Selection { totals: &self.totals, tags: Tags::default() },
                self.header.run.machine.cores,
            ),
            incidents: self.incidents.list().to_vec(),
            records: self.records.clone(),
            previous: None,
            cells: None,
        }
    }

    fn judged(&self, scenario: &str, text: &str, elapsed: Duration) -> Judged {
        let parsed = Threshold::parse(text).ok();
        let parsed = if scenario.is_empty() { parsed } else { parsed.map(|t| t.within("scenario", scenario)) };
        let def = parsed.as_ref().and_then(|threshold| self.totals.registry().named(threshold.metric()));
        let unit = parsed.as_ref().zip(def).map_or(Unit::None, |(threshold, def)| threshold.unit(&def));
        // The suite was checked before the run: what can't be read here has no samples either.
        let evaluation = parsed.map_or(Evaluation::NoSamples, |threshold| threshold.evaluate(&self.totals, elapsed));
        Judged { scenario: scenario.to_owned(), text: text.to_owned(), evaluation, unit }
    }

    fn threshold(&self, judged: &Judged) -> ThresholdSummary {
        ThresholdSummary {
            scenario: Some(judged.scenario.clone()).filter(|name| !name.is_empty()),
            text: judged.text.clone(),
            outcome: match judged.evaluation {
                Evaluation::Pass(_) => ThresholdOutcome::Pass,
                Evaluation::Breach(_) => ThresholdOutcome::Breach,
                Evaluation::NoSamples => ThresholdOutcome::NoSamples,
            },
            value: judged.evaluation.value(),
            limit: Threshold::parse(&judged.text).map_or(0.0, |threshold| threshold.bound()),
            severity: self.severity(judged).to_owned(),
            unit: judged.unit.to_string(),
            aborted: self.aborted.contains(&(judged.scenario.clone(), judged.text.clone())),
        }
    }

    fn severity(&self, judged: &Judged) -> &str {
        let said = self.header.severities.iter();
        let of = said.filter(|it| it.scenario == judged.scenario).find(|it| it.threshold == judged.text);
        of.map_or(Severity::default().word(), |it| &it.severity)
    }

    fn evidence(&self, judged: &[Judged], scenarios: &[ScenarioSummary], interrupted: bool) -> Evidence {
        // A search goes where a target, and perhaps the generator, can't follow; it has judged each of its steps itself.
        let steady = scenarios.iter().filter(|scenario| scenario.capacity.is_none());
        let memory = if steady.clone().next().is_some() { Memory::of(&self.totals) } else { Memory::default() };
        let names = steady.clone().map(|scenario| scenario.name.clone());
        let open = steady.filter(|scenario| scenario.open_model);
        let searches: Vec<_> = scenarios.iter().filter_map(|scenario| searched(scenario, judged)).collect();
        let open_ends = |it: &&kperf_metrics::Searched| it.unanswered.is_some();
        let unproven = |it: &Judged| {
            matches!(it.evaluation, Evaluation::Breach(_))
                && searches.iter().filter(open_ends).any(|search| search.scenario == it.scenario)
        };
        let thresholds = judged.iter().map(|it| {
            // More may have been carried: below the bound is not breached.
            if unproven(it) { Judged { evaluation: Evaluation::NoSamples, ..it.clone() } } else { it.clone() }
        });
        Evidence {
            thresholds: thresholds.collect(),
            searches: searches.clone(),
            generators: names.map(|name| (name.clone(), Saturation::of(&self.totals, &name))).collect(),
            memory,
            arrivals: open
                .map(|scenario| {
                    let Iterations { count, interrupted, dropped, .. } = scenario.iterations;
                    Arrivals { scenario: scenario.name.clone(), due: count + interrupted + dropped, dropped }
                })
                .collect(),
            rejected: self.totals.rejected,
            dropped: self.totals.dropped,
            unrecorded: self.unrecorded,
            interrupted,
        }
    }

    fn verdict(&self, verdict: &Verdict, interrupted: bool) -> VerdictSummary {
        let exit = match verdict.outcome {
            _ if interrupted => Exit::Interrupted,
            Outcome::Pass => Exit::Pass,
            Outcome::Fail => Exit::ThresholdBreached,
            Outcome::Inconclusive => Exit::Inconclusive,
        };
        let reasons = verdict.reasons.iter().map(|reason| ReasonSummary {
            kind: reason.kind().to_owned(),
            scenario: reason.scenario().map(str::to_owned),
            text: reason.to_string(),
        });
        VerdictSummary {
            outcome: verdict.outcome.to_string(),
            exit_code: self.end.and_then(|end| end.exit_code).unwrap_or(exit as u8),
            reasons: reasons.collect(),
        }
    }

    fn scenario(&self, info: &ScenarioInfo) -> ScenarioSummary {
        let of = Selection { totals: &self.totals, tags: Tags::new([("scenario", info.name.as_str())]) };
        let load = self.times.of(&info.name);
        let tag = info.spread.as_deref();
        ScenarioSummary {
            name: info.name.clone(),
            cell: None,
            plugin: info.plugin.clone(),
            mode: info.mode.clone(),
            executor: info.executor.clone(),
            open_model: info.open_model,
            state: match (load.started, load.finished) {
                (None, None) => ScenarioState::NotStarted,
                (Some(_), None) => ScenarioState::Running,
                (_, Some(_)) => ScenarioState::Finished,
            },
            start: load.started.map(instant),
            end: load.started.map(|_| instant(load.finished.unwrap_or(self.times.last()))),
            elapsed: load.elapsed.as_secs_f64(),
            capacity: info.criteria.as_ref().map(|_| {
                let unknown = Searched::default();
                let search = self.searches.get(&info.name).unwrap_or(&unknown);
                CapacitySummary::new(&search.standing, &search.trials)
            }),
            iterations: iterations(&of, load),
            iteration_duration: of.spread(Builtin::IterationDuration),
            iteration_response_time: of.spread(Builtin::IterationResponseTime),
            operations: operations(&of, load.elapsed, tag),
            spread: of.spread_over(tag, load.elapsed),
            checks: of.by_tag(Builtin::Checks, "check").into_iter().map(check).collect(),
            metrics: self.metrics(Some(&info.name), tag, load.elapsed),
            data_sent: of.sum(Builtin::DataSent),
            data_received: of.sum(Builtin::DataReceived),
            generator: generator(&of, info),
        }
    }

    /// Every series of the plugins' own metrics in a scenario, or of those in none; those that differ only in the tag `spread`
    /// as one.
    fn metrics(&self, scenario: Option<&str>, spread: Option<&str>, elapsed: Duration) -> Vec<MetricSummary> {
        let own = self
            .totals
            .iter()
            .filter(|(info, _)| info.tags.get("scenario") == scenario && Builtin::named(&info.metric.name).is_none());
        let mut rows = Rows::new();
        for (info, delta) in own {
            let tags = info.tags.iter().filter(|(key, _)| *key != "scenario" && Some(*key) != spread);
            let tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            let value = spread.and_then(|key| info.tags.get(key)).map(str::to_owned);
            let row = match rows.entry((info.metric.name.to_string(), tags)) {
                Entry::Occupied(row) => {
                    let row = row.into_mut();
                    row.delta.merge(delta);
                    row
                }
                Entry::Vacant(row) => row.insert(Row { info, delta: delta.clone(), by_value: BTreeMap::new() }),
            };
            if let (Some(value), Delta::Distribution(_)) = (value, delta) {
                row.by_value.insert(value, delta.clone());
            }
        }
        let summary = |((name, tags), row): ((String, BTreeMap<String, String>), Row)| MetricSummary {
            tag_spread: spread.and_then(|tag| ByTag::of_metric(row.by_value).spread(tag, elapsed)),
            ..metric(name, tags, &row.info, &row.delta)
        };
        rows.into_iter().map(summary).collect()
    }
}

/// What series gathered, by metric and tags.
type Rows = BTreeMap<(String, BTreeMap<String, String>), Row>;

/// Series that are put together.
struct Row {
    info: Arc<SeriesInfo>,
    delta: Delta,
    /// Distributions, by the value of the tag that they are put together over.
    by_value: BTreeMap<String, Delta>,
}

fn metric(name: String, tags: BTreeMap<String, String>, info: &SeriesInfo, delta: &Delta) -> MetricSummary {
    let (value, count, spread) = match delta {
        Delta::Counter(sum) => (*sum, None, None),
        Delta::Gauge(gauge) => (gauge.last, Some(gauge.count), None),
        Delta::Rate(rate) => (rate.share(), Some(rate.total), None),
        Delta::Distribution(histogram) => (histogram.mean(), Some(histogram.count()), Some(histogram.figures().into())),
    };
    let gauge = if let Delta::Gauge(gauge) = delta { Some(gauge) } else { None };
    MetricSummary {
        name,
        kind: info.metric.kind.to_string(),
        unit: info.metric.unit.to_string(),
        tags,
        value,
        mean: gauge.map(Gauge::mean),
        min: gauge.map(|gauge| gauge.min),
        max: gauge.map(|gauge| gauge.max),
        count,
        spread,
        tag_spread: None,
    }
}

/// The series of one scenario, or of one operation in it.
struct Selection<'a> {
    totals: &'a Totals,
    tags: Tags,
}

impl Selection<'_> {
    fn get(&self, metric: Builtin) -> Option<Delta> {
        self.totals.select(metric.name(), &self.tags)
    }

    fn spread(&self, metric: Builtin) -> Option<Spread> {
        match self.get(metric)? {
            Delta::Distribution(histogram) if histogram.count() > 0 => Some(histogram.figures().into()),
            _ => None,
        }
    }

    fn sum(&self, metric: Builtin) -> f64 {
        if let Some(Delta::Counter(sum)) = self.get(metric) { sum } else { 0.0 }
    }

    /// A counter of whole things.
    fn count(&self, metric: Builtin) -> u64 {
        self.sum(metric).round() as u64
    }

    /// What the metric gathered per value of a tag, by that value; series without the tag are left out.
    fn by_tag(&self, metric: Builtin, key: &str) -> BTreeMap<String, Delta> {
        let mut values: BTreeMap<String, Delta> = BTreeMap::new();
        for id in self.totals.registry().select(metric.name(), &self.tags) {
            let (Some(info), Some(delta)) = (self.totals.registry().info(id), self.totals.get(id)) else { continue };
            let Some(value) = info.tags.get(key) else { continue };
            match values.get_mut(value) {
                Some(known) => known.merge(delta),
                None => {
                    values.insert(value.to_owned(), delta.clone());
                }
            }
        }
        values
    }

    /// How the values of a tag differ in the requests; none without the tag.
    fn spread_over(&self, tag: Option<&str>, elapsed: Duration) -> Option<TagSpread> {
        let tag = tag?;
        let durations = self.by_tag(Builtin::HttpReqDuration, tag);
        if durations.is_empty() {
            return None;
        }
        let failures = Some(self.by_tag(Builtin::HttpReqFailed, tag));
        ByTag { durations, failures, counts: self.counts(Builtin::HttpReqs, tag).collect() }.spread(tag, elapsed)
    }

    /// A counter of whole things per value of a tag; values that were never counted are left out.
    fn counts(&self, metric: Builtin, key: &str) -> impl Iterator<Item = (String, u64)> {
        self.by_tag(metric, key).into_iter().filter_map(|(value, delta)| match delta {
            Delta::Counter(sum) if sum > 0.0 => Some((value, sum.round() as u64)),
            _ => None,
        })
    }
}

/// A scenario's search and whether it answers what is asked. That is the capacity itself, or, where a threshold asks for no
/// more than a least one, whether at least that was carried.
fn searched(scenario: &ScenarioSummary, judged: &[Judged]) -> Option<kperf_metrics::Searched> {
    let capacity = scenario.capacity.as_ref()?;
    let mut asked = judged.iter().filter(|it| it.scenario == scenario.name).peekable();
    let least = |it: &Judged| {
        let comparison = Threshold::parse(&it.text).map(|threshold| threshold.comparison());
        matches!(it.evaluation, Evaluation::Pass(_))
            && matches!(comparison, Ok(Comparison::Greater | Comparison::GreaterOrEqual))
    };
    let answered = capacity.state == CapacityState::Found || (asked.peek().is_some() && asked.all(least));
    let why = || format!("the capacity of `{}` is {}", scenario.name, capacity.answer);
    Some(kperf_metrics::Searched { scenario: scenario.name.clone(), unanswered: (!answered).then(why) })
}

fn iterations(of: &Selection<'_>, load: LoadTime) -> Iterations {
    let count = of.count(Builtin::Iterations);
    let failures = of.counts(Builtin::IterationsFailed, "kind");
    Iterations {
        count,
        rate: per_second(count, load.elapsed),
        failed: of.count(Builtin::IterationsFailed),
        failures: failures.map(|(kind, count)| FailureKind { kind, count }).collect(),
        dropped: of.count(Builtin::DroppedIterations),
        interrupted: load.interrupted,
    }
}

fn operations(of: &Selection<'_>, elapsed: Duration, tag: Option<&str>) -> Vec<OperationSummary> {
    let names: Vec<_> = of.counts(Builtin::HttpReqs, "operation").collect();
    let summary = |(operation, count): (String, u64)| {
        let of = Selection { totals: of.totals, tags: of.tags.with("operation", &operation) };
        let statuses = of.counts(Builtin::HttpReqs, "status");
        OperationSummary {
            operation,
            count,
            failures: if let Some(Delta::Rate(rate)) = of.get(Builtin::HttpReqFailed) { rate.trues } else { 0 },
            rate: per_second(count, elapsed),
            statuses: statuses.map(|(status, count)| StatusCount { status, count }).collect(),
            duration: of.spread(Builtin::HttpReqDuration),
            response_time: of.spread(Builtin::HttpReqResponseTime),
            phases: Phases {
                blocked: of.spread(Builtin::HttpReqBlocked),
                connecting: of.spread(Builtin::HttpReqConnecting),
                tls: of.spread(Builtin::HttpReqTlsHandshaking),
                sending: of.spread(Builtin::HttpReqSending),
                waiting: of.spread(Builtin::HttpReqWaiting),
                receiving: of.spread(Builtin::HttpReqReceiving),
            },
            spread: of.spread_over(tag, elapsed),
        }
    };
    names.into_iter().map(summary).collect()
}

fn check((name, delta): (String, Delta)) -> CheckSummary {
    let (passes, total) = if let Delta::Rate(rate) = delta { (rate.trues, rate.total) } else { (0, 0) };
    CheckSummary { name, passes, fails: total - passes }
}

fn generator(of: &Selection<'_>, info: &ScenarioInfo) -> GeneratorSummary {
    let saturation = Saturation::of(of.totals, &info.name);
    GeneratorSummary {
        workers: info.workers,
        worker_cpu: of.spread(Builtin::WorkerCpu),
        guest_cpu: of.sum(Builtin::GuestCpu),
        start_delay: of.spread(Builtin::IterationStartDelay),
        late_share: saturation.late_share,
        busy_share: saturation.busy_share,
        waited_share: saturation.waited_share,
    }
}

/// None if nobody looked.
fn machine_use(of: &Selection<'_>, cores: usize) -> Option<MachineUse> {
    let gauge = |metric| if let Some(Delta::Gauge(gauge)) = of.get(metric) { Some(gauge) } else { None };
    let (cpu, machine) = (gauge(Builtin::GeneratorCpu)?, gauge(Builtin::GeneratorMachineCpu)?);
    Some(MachineUse {
        cores,
        cpu_mean: cpu.mean(),
        cpu_max: cpu.max,
        machine_cpu_mean: machine.mean(),
        machine_cpu_max: machine.max,
        memory_max: gauge(Builtin::GeneratorMemory).map_or(0.0, |memory| memory.max),
        memory_short_share: Memory::of(of.totals).short_share,
        open_files_max: gauge(Builtin::GeneratorOpenFiles).map_or(0.0, |files| files.max),
        network_received: of.sum(Builtin::GeneratorNetworkReceived),
        network_sent: of.sum(Builtin::GeneratorNetworkSent),
    })
}
