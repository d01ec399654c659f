//! What all instances of one plugin share on one worker: the samples' way out, incidents, floods.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kperf_metrics::{Record, Shard, printable};
use parking_lot::Mutex;

use crate::bindings::records::Value;
use crate::call::fault::{Fault, IncidentCounter};
use crate::call::stopped::Stopped;
use crate::component::description::Description;
use crate::environment::context::{PluginContext, WorkerContext};
use crate::environment::http_target::PreparedTarget;
use crate::environment::limits::Meter;
use crate::environment::random::Stream;
use crate::environment::redactor::Redactor;
use crate::recording::series::{SeriesBook, Unrecorded};
use crate::recording::table::{self, Table, cut};

/// The longest message of an incident in bytes; what is beyond is cut.
const LONGEST_MESSAGE: usize = 4096;

/// See the module. Locked only by the thread that runs the plugin, so never contended.
pub(crate) struct Services {
    pub(crate) worker: WorkerContext,
    pub(crate) plugin: Arc<PluginContext>,
    /// False while the plugin describes itself: nothing is granted then, whatever the context says.
    pub(crate) capable: bool,
    pub(crate) http: PreparedTarget,
    /// From which the streams of iterations are made.
    pub(crate) random_root: u64,
    tables: Vec<Table>,
    /// Nanoseconds that guests ran since they were last counted.
    guest_cpu: AtomicU64,
    state: Mutex<State>,
}

struct State {
    series: SeriesBook,
    book: IncidentCounter,
    samples: Meter,
    log_lines: Meter,
    ledger: Meter,
    /// When the plugin last logged a line or spoke to the ledger; at first, when it was put to work.
    heard: Instant,
    /// For `traceparent`; unlike the guests' streams it differs from run to run.
    trace: Stream,
}

impl Services {
    pub(crate) fn new(worker: WorkerContext, plugin: Arc<PluginContext>, description: &Description) -> Arc<Self> {
        let mut series = SeriesBook::new(worker.registry.clone(), plugin.tags.clone(), worker.redactor.clone());
        let mut book = IncidentCounter::new(Arc::clone(&plugin.name), worker.incidents.clone());
        for metric in description.metrics.iter().chain(&plugin.metrics) {
            if let Err(conflict) = series.declare(metric) {
                book.fault(Fault::UndeclaredMetric, 1, || conflict.to_string());
            }
        }
        let state = State {
            series,
            book,
            samples: Meter::new(plugin.limits.samples),
            log_lines: Meter::new(plugin.limits.log_lines),
            ledger: Meter::new(plugin.limits.samples),
            heard: Instant::now(),
            trace: Stream::new(rand::random()),
        };
        Arc::new(Self {
            random_root: Stream::root(worker.seed, &plugin.name),
            worker,
            plugin,
            capable: true,
            http: PreparedTarget::default(),
            tables: description.tables.clone(),
            guest_cpu: AtomicU64::new(0),
            state: Mutex::new(state),
        })
    }

    /// Services for a plugin that describes itself.
    pub(crate) fn incapable((worker, plugin): (WorkerContext, PluginContext)) -> Arc<Self> {
        let mut services = Self::new(worker, Arc::new(plugin), &Description::default());
        if let Some(services) = Arc::get_mut(&mut services) {
            services.capable = false;
        }
        services
    }

    /// Adds to the guests' processor time.
    pub(crate) fn count_guest_cpu(&self, nanoseconds: u64) {
        if nanoseconds > 0 {
            self.guest_cpu.fetch_add(nanoseconds, Ordering::Relaxed);
        }
    }

    /// Records something, and reports what can't be recorded.
    pub(crate) fn record(&self, record: impl FnOnce(&mut SeriesBook, &mut Shard) -> Result<(), Unrecorded>) {
        let state = &mut *self.state.lock();
        let result = record(&mut state.series, &mut self.worker.shard.lock());
        if let Err(error) = result {
            let fault = match error {
                Unrecorded::Undeclared(_) => Fault::UndeclaredMetric,
                Unrecorded::Tag(_) => Fault::InvalidSample,
                Unrecorded::Limit(_) => Fault::SeriesLimit,
            };
            state.book.fault(fault, 1, || told(&self.worker.redactor, &error.to_string()));
        }
    }

    /// Takes `wanted` from the budget of samples; the rest is dropped, counted and reported.
    pub(crate) fn admit_samples(&self, wanted: usize) -> usize {
        let state = &mut *self.state.lock();
        let wanted = wanted as u64;
        let granted = state.samples.take(wanted, Instant::now());
        if granted < wanted {
            let limit = self.plugin.limits.samples;
            self.worker.shard.lock().drop_samples(wanted - granted);
            state.book.fault(Fault::SampleFlood, wanted - granted, || {
                format!(
                    "more than {limit} samples per second; the rest is dropped: emit less or raise `limits.samples`"
                )
            });
        }
        usize::try_from(granted).unwrap_or(usize::MAX)
    }

    /// Takes a row; one that does not fit its table, or that is beyond the budget of samples, is dropped, counted and
    /// reported.
    pub(crate) fn append(&self, name: &str, row: Vec<Value>) {
        let Some(first) = self.plugin.tables else {
            return self.fault(Fault::WrongWorld, 1, "records of a plugin of this kind are not kept");
        };
        let (place, cells) = match table::fit(&self.tables, name, row, &self.worker.redactor) {
            Ok(fits) => fits,
            Err(unfit) => return self.fault(Fault::InvalidRecord, 1, &unfit.to_string()),
        };
        let table = u32::try_from(place).map_or(u32::MAX, |place| first.saturating_add(place));
        let granted = self.state.lock().samples.take(1, Instant::now()) == 1;
        if !granted || !self.worker.records.push(Record { table, cells }) {
            let limit = self.plugin.limits.samples;
            let message = format!(
                "more than {limit} records and samples per second, or 16 MiB of records; the rest is dropped: append less \
                 or raise `limits.samples`"
            );
            self.fault(Fault::RecordFlood, 1, &message);
        }
    }

    /// The file that a path of the plugin's parameters stands for.
    pub(crate) fn granted_file(&self, path: &str) -> Result<std::path::PathBuf, String> {
        let denied = match self.plugin.grants.file(path) {
            Ok(file) if self.capable => return Ok(file.into()),
            Ok(_) => "no file can be read while the plugin describes itself".into(),
            Err(denied) => denied.to_string(),
        };
        self.fault(Fault::HostDenied, 1, &denied);
        Err(denied)
    }

    /// Takes a word for the ledger from the budget. Unlike samples none may be dropped: beyond it the call ends.
    pub(crate) fn admit_word(&self) -> Result<(), Stopped> {
        let (mut state, now) = (self.state.lock(), Instant::now());
        state.heard = now;
        if state.ledger.take(1, now) == 1 {
            return Ok(());
        }
        let limit = self.plugin.limits.samples;
        let message = format!("more than {limit} words for the ledger per second (`limits.samples`)");
        Err(Stopped { fault: Fault::LedgerFlood, message })
    }

    /// Whether a log line may be written.
    pub(crate) fn admit_line(&self) -> bool {
        let (state, now) = (&mut *self.state.lock(), Instant::now());
        state.heard = now;
        let granted = state.log_lines.take(1, now) == 1;
        if !granted {
            let limit = self.plugin.limits.log_lines;
            state.book.fault(Fault::LogFlood, 1, || {
                format!(
                    "more than {limit} log lines per second; the rest is dropped: log less or raise `limits.log_lines`"
                )
            });
        }
        granted
    }

    /// When the plugin last logged a line or spoke to the ledger.
    pub(crate) fn last_heard(&self) -> Instant {
        self.state.lock().heard
    }

    /// A text that the plugin, or a server that it talks to, has a part in, fit for people: without secrets, on one line, not too long.
    pub(crate) fn told(&self, text: &str) -> String {
        told(&self.worker.redactor, text)
    }

    /// Masks the secrets that a server sends back, byte for byte, and reports that it does.
    pub(crate) fn mask_echo(&self, operation: &str, response: &mut kperf_http::Response) {
        let Some(search) = self.worker.redactor.search() else { return };
        let mut echoes = false;
        if let Some(masked) = search.masked(&response.body) {
            response.body = masked.into();
            echoes = true;
        }
        for value in response.headers.values_mut() {
            let masked = search.masked(value.as_bytes());
            if let Some(masked) = masked.and_then(|masked| http::HeaderValue::from_bytes(&masked).ok()) {
                *value = masked;
                echoes = true;
            }
        }
        if echoes {
            let target = if self.plugin.target.is_empty() { "a granted host" } else { &self.plugin.target };
            let message =
                format!("{target} sends a secret of the suite back (`{operation}`); the plugin got it masked");
            self.fault(Fault::SecretEchoed, 1, &message);
        }
    }

    /// Reports a fault.
    pub(crate) fn fault(&self, fault: Fault, count: u64, message: &str) {
        self.state.lock().book.fault(fault, count, || self.told(message));
    }

    /// Reports a failure that the plugin returned, and gives its kind as an interned text.
    pub(crate) fn failure(&self, kind: &str, message: &str) -> Arc<str> {
        let kind = self.worker.redactor.redact(kind);
        self.state.lock().book.add(sane_kind(&kind), 1, || self.told(message))
    }

    /// Reports what the plugin itself has to say about the result.
    pub(crate) fn incident(&self, kind: &str, message: &str, count: u64) {
        let kind = self.worker.redactor.redact(kind);
        self.state.lock().book.add(sane_kind(&kind), count, || self.told(message));
    }

    /// 128 random bits for a trace.
    pub(crate) fn trace_ids(&self) -> (u64, u64, u64) {
        let trace = &mut self.state.lock().trace;
        (trace.next(), trace.next(), trace.next())
    }

    /// Whether the run is ending before its time.
    pub(crate) fn is_ending(&self) -> bool {
        self.worker.ending.load(Ordering::Relaxed) || self.stopped()
    }

    /// Whether the run is being stopped.
    pub(crate) fn stopped(&self) -> bool {
        *self.worker.stop.borrow()
    }

    /// Counts the guests' processor time and sends the incidents that have added up.
    pub(crate) fn tick(&self) {
        let nanoseconds = self.guest_cpu.swap(0, Ordering::Relaxed);
        if nanoseconds > 0 {
            self.record(|series, shard| series.guest_cpu(shard, Duration::from_nanos(nanoseconds)));
        }
        self.state.lock().book.flush();
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        self.tick();
    }
}

/// See [`Services::told`]. Redaction comes first: a cut secret is not found any more.
fn told(redactor: &Redactor, text: &str) -> String {
    // What is far too long is not looked through to its end.
    let text = cut(text, 4 * LONGEST_MESSAGE);
    let text = redactor.redact(text);
    cut(&printable(&text), LONGEST_MESSAGE).to_owned()
}

/// The kind as it is, or `invalid-kind` for what can't be a tag's value.
fn sane_kind(kind: &str) -> &str {
    let sane = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    if (1..=64).contains(&kind.len()) && kind.bytes().all(sane) { kind } else { "invalid-kind" }
}
