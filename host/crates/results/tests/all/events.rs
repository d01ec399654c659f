//! Runs that never were: any order of events, with any samples.

use std::collections::BTreeMap;

use kperf_metrics::{
    Builtin, Fact, Incident, MetricDef, MetricKind, Registry, Severity, Shard, Tags, ThresholdChange, ThresholdState,
    Unit,
};
use kperf_results::{
    CapacityChange, CapacityProgress, CapacityState, End, Machine, Merged, Phase, RateSummary, RunEvent, RunHeader,
    RunInfo, ScenarioChange, ScenarioInfo, Status, digest_of, instant,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// When the runs begin, in nanoseconds since the Unix epoch.
pub const START: u64 = 1_700_000_000_000_000_000;
const SECOND: u64 = 1_000_000_000;

pub fn header() -> RunHeader {
    let scenario = |name: &str, search: bool| ScenarioInfo {
        name: name.into(),
        plugin: "http-runner".into(),
        mode: "REQUESTS".into(),
        executor: "constant-arrival-rate: 10/s for 1m".into(),
        open_model: true,
        workers: 2,
        target: Some("http://127.0.0.1:1".into()),
        spread: Some("tenant".into()),
        thresholds: vec![
            "http_req_duration{operation=get} p(95) < 5ms".into(),
            "http_reqs rate > 1/s".into(),
            "depth value < 1000".into(),
        ],
        criteria: search.then(|| vec!["http_req_failed rate < 1%".into()]),
    };
    RunHeader {
        schema: RunHeader::SCHEMA,
        run: RunInfo {
            id: "r1".into(),
            suite: "any".into(),
            suite_digest: digest_of(b"suite"),
            environment: None,
            overrides: Vec::new(),
            suite_folder: "/suites".into(),
            cell: None,
            plugins: Vec::new(),
            host_version: "0.1.0".into(),
            git_commit: None,
            machine: Machine { hostname: "h".into(), cpu: "c".into(), cores: 2, memory: 1, kernel: "k".into() },
            start_unix_ns: START,
            start: instant(START),
            end: None,
            status: Status::Running,
            facts: BTreeMap::new(),
        },
        scenarios: vec![scenario("a", false), scenario("b", true)],
        thresholds: vec!["http_reqs count > 10".into()],
        tables: Vec::new(),
        severities: Vec::new(),
    }
}

/// A sample, and where it belongs.
#[derive(Debug, Clone)]
pub enum Sample {
    Request { scenario: bool, tenant: u8, ns: u64, failed: bool },
    Depth { value: f64, behind: Option<u64> },
    Busy(f64),
    Lost(u64),
}

/// An event that is to happen.
#[derive(Debug, Clone)]
pub enum Happening {
    Second(Vec<Sample>),
    Starts(bool),
    Finishes { scenario: bool, elapsed_ms: u32, interrupted: u64 },
    Aborts,
    Goes(u8),
    Fact(u8),
    Fails,
    Search { held: f64, found: bool },
    Ends { interrupted: bool, exit_code: Option<u8> },
}

fn sample() -> impl Strategy<Value = Sample> {
    prop_oneof![
        8 => (any::<bool>(), 0..3_u8, 1..10_000_000_000_u64, any::<bool>())
            .prop_map(|(scenario, tenant, ns, failed)| Sample::Request { scenario, tenant, ns, failed }),
        2 => (-1e6..1e6, proptest::option::of(0..20_u64)).prop_map(|(value, behind)| Sample::Depth { value, behind }),
        1 => (0.0..1.0).prop_map(Sample::Busy),
        1 => (1..5_u64).prop_map(Sample::Lost),
    ]
}

/// Runs of up to twenty events, most of them seconds; with or without an end.
pub fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let happening = prop_oneof![
        8 => vec(sample(), 0..20).prop_map(Happening::Second),
        2 => any::<bool>().prop_map(Happening::Starts),
        1 => (any::<bool>(), any::<u32>(), 0..9_u64).prop_map(|(scenario, elapsed_ms, interrupted)| {
            Happening::Finishes { scenario, elapsed_ms: elapsed_ms % 100_000, interrupted }
        }),
        1 => Just(Happening::Aborts),
        1 => (0..4_u8).prop_map(Happening::Goes),
        1 => (0..4_u8).prop_map(Happening::Fact),
        1 => Just(Happening::Fails),
        1 => (0.001..1e4, any::<bool>()).prop_map(|(held, found)| Happening::Search { held, found }),
    ];
    let end = proptest::option::of((any::<bool>(), proptest::option::of(0..8_u8)));
    (vec(happening, 3..20), end).prop_map(|(mut all, end)| {
        all.extend(end.map(|(interrupted, exit_code)| Happening::Ends { interrupted, exit_code }));
        all
    })
}

/// The events of a run, one second after the other.
pub fn events(happenings: &[Happening], registry: &Registry) -> Vec<RunEvent> {
    let mut shard = Shard::new(registry.clone(), START);
    let mut now = START;
    let mut events = vec![RunEvent::Prepared(Box::new(header()))];
    for happening in happenings {
        events.push(match happening {
            Happening::Second(samples) => {
                samples.iter().for_each(|sample| measure(&mut shard, registry, sample, now));
                now += SECOND;
                RunEvent::Merged(Merged { registry: registry.clone(), interval: shard.take(now) })
            }
            other => event(other, now),
        });
    }
    events
}

fn name(scenario: bool) -> String {
    if scenario { "a" } else { "b" }.to_owned()
}

fn event(happening: &Happening, now: u64) -> RunEvent {
    match happening {
        Happening::Second(_) => unreachable!("made from samples"),
        Happening::Starts(of) => RunEvent::Scenario(ScenarioChange::Started { scenario: name(*of), unix_ns: now }),
        Happening::Finishes { scenario, elapsed_ms, interrupted } => RunEvent::Scenario(ScenarioChange::Finished {
            scenario: name(*scenario),
            unix_ns: now,
            elapsed_ns: u64::from(*elapsed_ms) * 1_000_000,
            interrupted: *interrupted,
        }),
        Happening::Aborts => RunEvent::Threshold(ThresholdChange {
            scenario: "a".into(),
            threshold: "http_reqs rate > 1/s".into(),
            state: ThresholdState::Aborted,
            value: 0.1,
            limit: 1.0,
            unit: Unit::None,
            severity: Severity::Error,
            unix_ns: now,
        }),
        Happening::Goes(kind) => RunEvent::Incident(Incident::once("a", &format!("kind-{kind}"), "wrong")),
        Happening::Fact(value) => {
            RunEvent::Fact(Fact { source: "a".into(), key: "version".into(), value: value.to_string() })
        }
        Happening::Fails => {
            RunEvent::PhaseFailed { phase: Phase::Teardown, incident: Incident::once("b", "teardown", "it is gone") }
        }
        Happening::Search { held, found } => RunEvent::Capacity(Box::new(CapacityChange {
            scenario: "b".into(),
            step: None,
            standing: CapacityProgress {
                state: if *found { CapacityState::Found } else { CapacityState::Searching },
                highest_held: Some(RateSummary { rate: *held, held: 1, broke: 0 }),
                lowest_broken: None,
            },
        })),
        Happening::Ends { interrupted, exit_code } => {
            RunEvent::Ended(End { unix_ns: now, interrupted: *interrupted, exit_code: *exit_code })
        }
    }
}

fn measure(shard: &mut Shard, registry: &Registry, sample: &Sample, now: u64) {
    let builtin = |metric: Builtin, tags: &Tags| registry.series(metric.into(), tags.clone()).unwrap();
    match sample {
        Sample::Request { scenario, tenant, ns, failed } => {
            let tags = Tags::new([("scenario", name(*scenario).as_str()), ("operation", "get")]);
            let tags = tags.with("tenant", &format!("t{tenant}"));
            shard.count(builtin(Builtin::HttpReqs, &tags.with("status", if *failed { "503" } else { "200" })), 1.0);
            shard.rate(builtin(Builtin::HttpReqFailed, &tags), *failed);
            shard.record_ns(builtin(Builtin::HttpReqDuration, &tags), *ns);
        }
        Sample::Depth { value, behind } => {
            let depth = MetricDef::new("depth", MetricKind::Gauge, Unit::None, "");
            let tags = Tags::new([("scenario", "a")]);
            let id = registry.series(registry.metric(&depth).unwrap(), tags).unwrap();
            match behind {
                Some(seconds) => shard.record_at(id, *value, now - seconds * SECOND),
                None => shard.gauge(id, *value),
            }
        }
        Sample::Busy(share) => {
            shard.record(builtin(Builtin::WorkerCpu, &Tags::new([("scenario", "a")])), *share);
        }
        Sample::Lost(count) => shard.drop_samples(*count),
    }
}
