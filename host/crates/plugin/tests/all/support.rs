//! What every test needs: an engine, plugins, a worker, and a look at what came out.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use kperf_http::{Client, OriginConfig};
use kperf_metrics::{Delta, Incident, Registry, Shard, Tags};
use kperf_plugin::{
    Engine, EngineConfig, Facts, Grants, Incidents, Limits, Plugin, PluginContext, Records, Redactor, Runner,
    RunnerPool, WorkerContext,
};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

/// Runs a test on a thread with everything that a worker has.
pub fn on_worker(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        tokio::time::timeout(std::time::Duration::from_secs(120), test).await.expect("the test takes too long");
    });
}

pub fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled-plugins");
        Engine::new(&EngineConfig { cache: Some(cache) }).unwrap()
    })
}

pub fn bytes(name: &str) -> &'static [u8] {
    kperf_guests::get(name).unwrap()
}

pub async fn plugin(name: &str) -> Plugin {
    Plugin::load(engine(), bytes(name)).await.unwrap()
}

/// A worker and the ends at which a test listens.
pub struct Worker {
    pub context: WorkerContext,
    pub stop: watch::Sender<bool>,
    incidents: Mutex<mpsc::UnboundedReceiver<Incident>>,
}

impl Worker {
    pub fn new() -> Self {
        Self::with_redactor(Redactor::default())
    }

    pub fn with_redactor(redactor: Redactor) -> Self {
        let registry = Registry::default();
        let (incidents, received) = Incidents::channel();
        let (stop, stopped) = watch::channel(false);
        let context = WorkerContext {
            shard: Arc::new(Mutex::new(Shard::new(registry.clone(), 0))),
            records: Records::default(),
            facts: Facts::default(),
            registry,
            http: Client::new(OriginConfig::default()),
            epoch: Instant::now(),
            stop: stopped,
            ending: Arc::default(),
            incidents,
            redactor,
            seed: 7,
        };
        Self { context, stop, incidents: Mutex::new(received) }
    }

    pub fn runner(&self, plugin: &Plugin, context: PluginContext) -> Runner {
        Runner::new(plugin, self.context.clone(), Arc::new(context)).unwrap()
    }

    /// A pool with an empty state.
    pub fn pool(&self, plugin: &Plugin, context: PluginContext) -> RunnerPool {
        self.runner(plugin, context).pool(Arc::from([])).unwrap()
    }

    /// The incidents so far: how often each kind was seen, and the first one's text.
    pub fn incidents(&self) -> BTreeMap<String, (u64, String)> {
        let mut all: BTreeMap<String, (u64, String)> = BTreeMap::new();
        while let Ok(incident) = self.incidents.lock().try_recv() {
            let entry = all.entry(incident.kind.to_string()).or_default();
            entry.0 += incident.count;
            entry.1.push_str(&incident.message);
        }
        all
    }

    /// What was recorded since the last look: `metric{tags}` and its sum, count or share of true values.
    pub fn samples(&self) -> BTreeMap<String, f64> {
        let interval = self.context.shard.lock().take(1);
        let mut all = BTreeMap::new();
        for (series, delta) in interval.iter() {
            let name = self.context.registry.info(series).unwrap().to_string();
            let value = match delta {
                Delta::Counter(sum) => *sum,
                Delta::Gauge(gauge) => gauge.last,
                Delta::Rate(rate) => rate.trues as f64 / rate.total as f64,
                Delta::Distribution(histogram) => histogram.figures().count as f64,
            };
            all.insert(name, value);
        }
        all
    }
}

/// A scenario of a plugin's mode against a target.
pub fn scenario(mode: &str, target: &str, parameters: &str) -> PluginContext {
    PluginContext {
        name: "s".into(),
        mode: mode.into(),
        parameters: parameters.into(),
        target: target.into(),
        run: "r1".into(),
        users: 8,
        grants: Grants { target: (!target.is_empty()).then(|| target.parse().unwrap()), ..Grants::default() },
        tags: Tags::new([("scenario", "s")]),
        limits: Limits { cpu: std::time::Duration::from_millis(500), memory: 64 << 20, ..Limits::default() },
        ..PluginContext::default()
    }
}
