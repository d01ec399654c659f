//! Takes the points of PromQL queries from a Prometheus server: what the system under test did while load ran.
//!
//! In come ready sets by name and queries of the suite's own; each becomes a metric. Every poll asks for the points since the
//! last one, so that thresholds see them while load runs, and each point counts once. What is missing is named, never made up.

mod api;
mod description;
mod query;
mod range_query;
mod sets;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use kperf_plugin_sdk::{
    Collection, Collector, Description, Failure, Window, clock, duration, export_collector, metrics,
    metrics::Sample,
    notes,
    records::{self, Value},
};
use serde::Deserialize;

use api::{Answer, Server};
use query::{Aggregate, Kind, Query, Type, Variables};
use range_query::RangeQuery;

/// The most points of a series in one answer; the server refuses more than 11,000.
const MOST_POINTS: i64 = 10_000;
/// How often the end of the window is asked for when the server can't be reached, and after what time.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// Queries and the points that they have brought so far.
pub struct PrometheusCollector {
    server: Server,
    variables: Variables,
    delay: Duration,
    range_queries: RefCell<Vec<RangeQuery>>,
    instant_queries: Vec<Query>,
    /// When it polled for the first time, which is when load began.
    began: RefCell<Option<i64>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Sets {
    One(String),
    Several(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    queries: Option<Sets>,
    #[serde(default)]
    metrics: BTreeMap<String, Query>,
    namespace: String,
    #[serde(deserialize_with = "duration::deserialize")]
    step: Duration,
    rate: String,
    #[serde(deserialize_with = "duration::deserialize")]
    delay: Duration,
    #[serde(deserialize_with = "duration::deserialize")]
    timeout: Duration,
}

impl PrometheusCollector {
    fn new(params: Params) -> Result<Self, Failure> {
        let sets = match params.queries {
            None => Vec::new(),
            Some(Sets::One(name)) => vec![name],
            Some(Sets::Several(names)) => names,
        };
        let own = params.metrics.into_iter().map(|(name, query)| Query { name, ..query });
        let queries: Vec<Query> = sets::queries(&sets).chain(own).collect();
        if queries.is_empty() {
            let help = "name a ready set in `queries`, or write your own in `metrics`";
            return Err(Failure::params(format!("there is no query: {help}")));
        }
        if params.step < Duration::from_millis(100) {
            return Err(Failure::params("`step` is shorter than 100ms"));
        }
        if let Some(query) = queries.iter().find(|it| it.when == Type::Range && it.expr.contains("$window")) {
            let help = "`$window` is only known at the end: add `type = \"instant\"`";
            return Err(Failure::params(help).at(&query.name));
        }
        let step_ms = milliseconds(params.step);
        let (instant_queries, ranges): (Vec<_>, Vec<_>) = queries.into_iter().partition(|it| it.when == Type::Instant);
        Ok(Self {
            server: Server { timeout: params.timeout },
            variables: Variables { namespace: params.namespace, rate: params.rate, step_ms },
            delay: params.delay,
            range_queries: RefCell::new(ranges.into_iter().map(|query| RangeQuery::new(query, step_ms)).collect()),
            instant_queries,
            began: RefCell::default(),
        })
    }

    /// Asks each query once: a mistake in one should not wait for the end of the load.
    async fn check(&self) -> Result<(), Failure> {
        let queries: Vec<Query> = self.range_queries.borrow().iter().map(|range| range.query.clone()).collect();
        let now = milliseconds(clock::wall());
        for query in queries.iter().chain(&self.instant_queries) {
            let expr = self.variables.fill(&query.expr, self.variables.step_ms);
            let answer = self.server.instant(&expr, now).await.map_err(|failure| failure.at(&query.name))?;
            instant_samples(query, answer, 0).map_err(|failure| failure.at(&query.name))?;
        }
        Ok(())
    }

    /// Asks every range query for its points up to an instant. One that fails is asked again the next time, for the same
    /// points; an unreachable server is left alone after the first.
    async fn poll(&self, until: i64) -> Result<(), Failure> {
        let count = self.range_queries.borrow().len();
        let mut failed = Ok(());
        for number in 0..count {
            if let Err(failure) = self.follow(number, until).await {
                let is_away = matches!(failure.kind.as_str(), "connect" | "tls" | "timeout" | "denied" | "interrupted");
                if failed.is_ok() {
                    failed = Err(failure);
                }
                if is_away {
                    break;
                }
            }
        }
        failed
    }

    async fn follow(&self, number: usize, until: i64) -> Result<(), Failure> {
        let began = *self.began.borrow_mut().get_or_insert_with(|| milliseconds(clock::wall()));
        loop {
            let due = self.range_queries.borrow().get(number).map(|range| {
                let from = range.last().map_or_else(|| range.place_after(began), |last| last + 1);
                (from, range.place_before(until).min(from + MOST_POINTS - 1))
            });
            let Some((from, to)) = due.filter(|(from, to)| from <= to) else { return Ok(()) };
            self.fetch(number, from, to).await?;
        }
    }

    /// Asks a query for the points of places.
    async fn fetch(&self, number: usize, from: i64, to: i64) -> Result<(), Failure> {
        let wanted = self
            .range_queries
            .borrow()
            .get(number)
            .map(|range| (range.query.clone(), range.instant(from), range.instant(to)));
        let Some((query, start, end)) = wanted else { return Ok(()) };
        let expr = self.variables.fill(&query.expr, self.variables.step_ms);
        let answer = self.server.range(&expr, start, end, self.variables.step_ms).await;
        let answer = answer.map_err(|failure| failure.at(&query.name))?;
        warn(&query, &answer);
        let samples = match self.range_queries.borrow_mut().get_mut(number) {
            Some(range) => range.take(from, to, answer.series).map_err(|failure| failure.at(&query.name))?,
            None => return Ok(()),
        };
        // A long gap that is caught up with is many samples.
        for part in samples.chunks(1000) {
            metrics::emit(part);
        }
        Ok(())
    }

    /// Asks for what the polls have not: the first points, if the first poll was late, and the last ones.
    async fn complete(&self, start: i64, end: i64) -> Result<(), Failure> {
        self.began.borrow_mut().get_or_insert(start);
        self.poll(end).await?;
        let count = self.range_queries.borrow().len();
        for number in 0..count {
            let head = self.range_queries.borrow().get(number).and_then(|range| {
                let (from, first) = (range.place_after(start), range.first()?);
                (from < first).then(|| (from.max(first - MOST_POINTS), first - 1))
            });
            if let Some((from, to)) = head {
                self.fetch(number, from, to).await?;
            }
        }
        Ok(())
    }

    /// Asks the instant queries for a window, and gives back their rows.
    async fn query_instants(&self, window: &LoadWindow, record: bool) -> Result<Vec<Vec<Value>>, Failure> {
        let mut rows = Vec::new();
        for query in &self.instant_queries {
            let expr = self.variables.fill(&query.expr, window.end - window.start);
            let answer = self.server.instant(&expr, window.end).await.map_err(|failure| failure.at(&query.name))?;
            warn(query, &answer);
            let samples = instant_samples(query, answer, window.end).map_err(|failure| failure.at(&query.name))?;
            rows.extend(samples.iter().map(|sample| window.instant_row(sample)));
            if samples.is_empty() && record {
                notes::incident("no-data", &format!("{}: the query has no value at the end", query.name), 1);
            }
            if record {
                metrics::emit(&samples);
            }
        }
        Ok(rows)
    }

    /// Names what is missing or odd in the whole window.
    fn name_gaps(&self, start: i64, end: i64) {
        let (mut gaps, mut silent, mut not_numbers, mut resets) =
            (IncidentTexts::default(), IncidentTexts::default(), IncidentTexts::default(), IncidentTexts::default());
        for range in self.range_queries.borrow().iter() {
            let name = &range.query.name;
            let (from, to) = (range.place_after(start), range.place_before(end));
            let found = range.gaps(from, to);
            if found.expected > 0 && found.empty == found.expected {
                silent.add(1, name.clone());
            } else if found.empty + found.holes > 0 {
                let mut text = format!("{name}: nothing at {} of {} points", found.empty, found.expected);
                if found.holes > 0 {
                    text.push_str(&format!(", {} more missing within single series", found.holes));
                }
                gaps.add(u64::try_from(found.empty + found.holes).unwrap_or(0), text);
            }
            not_numbers.add(range.not_numbers, format!("{name}: {}", range.not_numbers));
            resets.add(range.resets, format!("{name}: {}", range.resets));
            if range.is_cut {
                let text = format!("{name}: too many points to keep: the rows of `windows` begin late");
                notes::incident("windows-incomplete", &text, 1);
            }
        }
        gaps.note("gap", "points are missing; they count as nothing, not as 0");
        silent.note("no-data", "no point at all: does the server have these series?");
        not_numbers.note("not-a-number", "values that are no finite numbers were left out");
        resets.note("reset", "counters began anew; their increase was taken from 0");
    }
}

/// The texts of an incident that several queries share.
#[derive(Default)]
struct IncidentTexts {
    count: u64,
    texts: Vec<String>,
}

impl IncidentTexts {
    fn add(&mut self, count: u64, text: String) {
        if count > 0 {
            self.count += count;
            self.texts.push(text);
        }
    }

    fn note(&self, kind: &str, what: &str) {
        if self.count > 0 {
            notes::incident(kind, &format!("{what}: {}", self.texts.join("; ")), self.count);
        }
    }
}

/// A time in which load ran, in milliseconds since the Unix epoch.
struct LoadWindow {
    name: String,
    start: i64,
    end: i64,
}

impl LoadWindow {
    fn new(name: &str, start: u64, end: u64) -> Self {
        let milliseconds = |nanoseconds: u64| i64::try_from(nanoseconds / 1_000_000).unwrap_or(i64::MAX);
        Self { name: name.to_owned(), start: milliseconds(start.saturating_add(999_999)), end: milliseconds(end) }
    }

    fn row(&self, metric: &str, labels: &str, figures: [Option<f64>; 4], counts: [Option<i64>; 2]) -> Vec<Value> {
        let instant = |at: i64| Value::Instant(at.saturating_mul(1_000_000));
        let mut row: Vec<Value> = vec![
            Some(self.name.as_str()).filter(|name| !name.is_empty()).into(),
            metric.into(),
            labels.into(),
            instant(self.start),
            instant(self.end),
        ];
        row.extend(figures.map(Value::from));
        row.extend(counts.map(Value::from));
        row
    }

    fn instant_row(&self, sample: &Sample) -> Vec<Value> {
        let labels: Vec<String> = sample.tags.iter().map(|(label, value)| format!("{label}={value}")).collect();
        let figures = [Some(sample.value), None, None, None];
        self.row(&sample.metric, &labels.join(", "), figures, [Some(1), Some(0)])
    }

    fn rows(&self, range: &RangeQuery) -> Vec<Vec<Value>> {
        let figures = range.figures(range.place_after(self.start), range.place_before(self.end));
        let rows = figures.into_iter().map(|it| {
            let counts = [Some(it.points), Some(it.missing)];
            self.row(&range.query.name, &it.labels, [it.avg, it.min, it.max, it.increase], counts)
        });
        rows.collect()
    }
}

/// The samples of an instant query's answer, dated at an instant.
fn instant_samples(query: &Query, answer: Answer, at: i64) -> Result<Vec<Sample>, Failure> {
    // One place is enough of a grid; at one place a counter does not rise.
    let aggregate = if query.kind == Kind::Counter { Some(Aggregate::Sum) } else { query.aggregate };
    let query = Query { kind: Kind::Gauge, aggregate, ..query.clone() };
    let mut range = RangeQuery::new(query, 1);
    let here = |mut series: api::Series| {
        series.points = series.points.into_iter().map(|(_, value)| (at, value)).collect();
        series
    };
    range.take(at, at, answer.series.into_iter().map(here).collect())
}

fn warn(query: &Query, answer: &Answer) {
    if let Some(first) = answer.warnings.first() {
        notes::incident("warning", &format!("{}: the server warns: {first}", query.name), 1);
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Collector for PrometheusCollector {
    fn describe() -> Description {
        description::description()
    }

    async fn start(collection: Collection) -> Result<Self, Failure> {
        let collector = Self::new(collection.params()?)?;
        collector.check().await?;
        Ok(collector)
    }

    async fn collect(&self) -> Result<(), Failure> {
        self.began.borrow_mut().get_or_insert_with(|| milliseconds(clock::wall()));
        self.poll(milliseconds(clock::wall().saturating_sub(self.delay))).await
    }

    async fn finish(&self, window: Window) -> Result<(), Failure> {
        let whole = LoadWindow::new("", window.start, window.end);
        let ready = Duration::from_nanos(window.end) + self.delay;
        clock::sleep(ready.saturating_sub(clock::wall())).await;
        let mut completed = self.complete(whole.start, whole.end).await;
        for _ in 1..ATTEMPTS {
            if completed.is_ok() || !clock::sleep(PAUSE).await {
                break;
            }
            completed = self.complete(whole.start, whole.end).await;
        }
        self.name_gaps(whole.start, whole.end);
        let mut rows = Vec::new();
        let scenarios = window.scenarios.iter().map(|it| LoadWindow::new(&it.scenario, it.start, it.end));
        let windows: Vec<LoadWindow> = std::iter::once(whole).chain(scenarios).collect();
        for (number, window) in windows.iter().enumerate() {
            rows.extend(self.range_queries.borrow().iter().flat_map(|range| window.rows(range)));
            if completed.is_ok() {
                match self.query_instants(window, number == 0).await {
                    Ok(more) => rows.extend(more),
                    Err(failure) => completed = Err(failure),
                }
            }
        }
        for row in &rows {
            records::append("windows", row);
        }
        completed
    }
}

export_collector!(PrometheusCollector);

#[cfg(test)]
mod tests {
    use super::*;

    fn collector(params: &str) -> Result<PrometheusCollector, Failure> {
        let mut all: serde_json::Value = serde_json::from_str(
            r#"{"namespace": "kubeflow", "step": "5s", "rate": "1m", "delay": "2s", "timeout": "10s"}"#,
        )
        .unwrap();
        let own: serde_json::Value = serde_json::from_str(params).unwrap();
        all.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        PrometheusCollector::new(serde_json::from_value(all).unwrap())
    }

    #[test]
    fn sets_and_own_queries_go_together() {
        let both = collector(
            r#"{"queries": "kfp", "metrics": {"load": {"expr": "node_load1"},
            "peak": {"expr": "max_over_time(x[$window])", "type": "instant"}}}"#,
        )
        .unwrap();
        assert_eq!(both.range_queries.borrow().len(), sets::queries(&["kfp".to_owned()]).count() + 1);
        assert_eq!(both.instant_queries.len(), 1);
    }

    #[test]
    fn what_can_not_be_asked_is_refused() {
        let message = |params: &str| collector(params).err().unwrap().message;
        assert!(message("{}").starts_with("there is no query"));
        assert!(message(r#"{"queries": ["kfp"], "step": "10ms"}"#).contains("100ms"));
        assert!(message(r#"{"metrics": {"a": {"expr": "x[$window]"}}}"#).starts_with("a: `$window`"));
    }

    #[test]
    fn rows_have_the_tables_columns() {
        let window = LoadWindow::new("load", 1_000_000_001, 5_000_000_000);
        assert_eq!((window.start, window.end), (1001, 5000));
        assert_eq!(window.instant_row(&Sample::new("m", 1.0)).len(), description::columns());
    }
}
