//! Series on their way to other systems: a thread of its own takes what the journal takes, and brings it where the suite says.
//! The run waits for it only at its end, and not for long.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use kperf_export::{Common, Delivered, Destination, Otlp, Page, RemoteWrite, Touched, deliver, serve};
use kperf_http::OriginConfig;
use kperf_metrics::{Incident, Interval, Registry};
use kperf_plan::{Endpoints, Plan, Secrets, TargetAddress};
use kperf_plugin::{Credential, Incidents};
use kperf_results::{Merged, RunEvent, Second, Seconds, Sink, SinkError};
use kperf_suite::TargetRef;
use tokio::sync::{mpsc, oneshot};

use crate::listeners::{Terms, Until};
use crate::session::{self, EnvironmentError};
use crate::thread::{give_way, runtime};

/// Intervals that may wait for the thread; it needs a few milliseconds for one.
const FEED: usize = 120;
/// Seconds that may wait for a server; further ones are dropped and counted.
const QUEUE: usize = 600;
/// How long a server may take, once the run is over, for what still waits.
const DRAIN: Duration = Duration::from_secs(10);

/// Why series can't be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The address is not to be had.
    #[error("can't listen on {address} for Prometheus: {source}; choose another address")]
    Listen {
        /// The address that was to be listened on.
        address: std::net::SocketAddr,
        /// What was said about it below.
        source: std::io::Error,
    },
    /// A target can't be exported to.
    #[error("can't export to `{target}`: {source}")]
    Target {
        /// Its name in the suite.
        target: String,
        /// What was said about it below.
        source: EnvironmentError,
    },
    /// The operating system refused.
    #[error("can't start a thread: {0}")]
    Thread(#[source] std::io::Error),
}

/// Where the series go, ready to begin.
pub(crate) struct Exports {
    common: Common,
    listener: Option<std::net::TcpListener>,
    pushes: Vec<Push>,
}

/// A server that each second is sent to.
struct Push {
    what: &'static str,
    /// For people: without what of it is a secret.
    url: String,
    uri: http::Uri,
    origin: OriginConfig,
    headers: HeaderMap,
    credential: Option<Arc<Credential>>,
    encoder: Encoder,
}

enum Encoder {
    RemoteWrite(RemoteWrite),
    Otlp(Otlp),
}

impl Encoder {
    fn second<'a>(&mut self, unix_ns: u64, touched: impl Iterator<Item = Touched<'a>>) -> Option<Vec<u8>> {
        match self {
            Self::RemoteWrite(encoder) => encoder.second(unix_ns, touched),
            Self::Otlp(encoder) => encoder.second(unix_ns, touched),
        }
    }
}

impl Exports {
    /// What the suite asks for; none if it asks for nothing. `listen` takes the place of the suite's address.
    ///
    /// # Errors
    /// When the address can't be listened on, or a target can't be used.
    pub(crate) fn of(
        plan: &Plan,
        secrets: &Secrets,
        common: &Common,
        listen: Option<std::net::SocketAddr>,
    ) -> Result<Option<Self>, ExportError> {
        let export = &plan.suite.export;
        let common = Common { labels: export.labels.clone(), ..common.clone() };
        let listen = listen.or_else(|| export.prometheus.as_ref().map(|listen| listen.address.value));
        let listener = listen.map(bind).transpose()?;
        let mut pushes = Vec::new();
        for (what, push, encoder, headers) in [
            (
                "remote write",
                &export.remote_write,
                Encoder::RemoteWrite(RemoteWrite::new(common.clone())),
                RemoteWrite::headers(),
            ),
            ("OTLP", &export.otlp, Encoder::Otlp(Otlp::new(common.clone())), Otlp::headers()),
        ] {
            if let Some(push) = push {
                let made = self::push(plan, secrets, what, push, encoder, headers);
                let failed = |source| ExportError::Target { target: push.target.value.clone(), source };
                pushes.push(made.map_err(failed)?);
            }
        }
        Ok((listener.is_some() || !pushes.is_empty()).then_some(Self { common, listener, pushes }))
    }

    /// Starts the thread that serves and sends, and gives the sink that feeds it.
    ///
    /// # Errors
    /// When the operating system has no thread for it.
    pub(crate) fn start(self, incidents: &Incidents) -> Result<ExportSink, ExportError> {
        let (feed, fed) = mpsc::channel(FEED);
        let (end, ended) = oneshot::channel();
        let work = async move || {
            let incidents = export_all(self.common, self.listener, self.pushes, fed).await;
            // Nobody waits if the run was abandoned.
            let _ = end.send(incidents);
        };
        let started = std::thread::Builder::new().name("export".to_owned()).spawn(move || {
            give_way();
            match runtime() {
                Ok(runtime) => runtime.block_on(work()),
                Err(error) => tracing::error!("can't make a runtime: {error}"),
            }
        });
        started.map_err(ExportError::Thread)?;
        Ok(ExportSink { feed: Some(feed), ended: Some(ended), incidents: incidents.clone() })
    }
}

/// Feeds what was measured to the thread that brings it where the suite says.
pub(crate) struct ExportSink {
    feed: Option<mpsc::Sender<Arc<RunEvent>>>,
    ended: Option<oneshot::Receiver<Vec<Incident>>>,
    incidents: Incidents,
}

impl ExportSink {
    /// What incidents call it.
    pub(crate) const NAME: &str = "export";

    /// How it is to be treated: it has its time for what waits for a server.
    pub(crate) fn terms() -> Terms {
        Terms { patience: DRAIN + Duration::from_secs(5), ..Terms::usual(Until::Measured) }
    }
}

impl Sink for ExportSink {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn event(&mut self, event: &Arc<RunEvent>) -> Result<(), SinkError> {
        if let (RunEvent::Merged(_), Some(feed)) = (&**event, &self.feed) {
            feed.blocking_send(Arc::clone(event))?;
        }
        Ok(())
    }

    /// Waits until everything has arrived, or has had its time.
    fn finish(&mut self) -> Result<(), SinkError> {
        self.feed = None;
        let Some(ended) = self.ended.take() else { return Ok(()) };
        for incident in ended.blocking_recv()? {
            self.incidents.report(incident);
        }
        Ok(())
    }
}

fn incident(kind: &str, message: String, count: u64) -> Incident {
    Incident { source: ExportSink::NAME.to_owned(), kind: kind.to_owned(), message, count }
}

fn bind(address: std::net::SocketAddr) -> Result<std::net::TcpListener, ExportError> {
    let bound = std::net::TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.map_err(|source| ExportError::Listen { address, source })
}

fn push(
    plan: &Plan,
    secrets: &Secrets,
    what: &'static str,
    push: &kperf_suite::Push,
    encoder: Encoder,
    mut headers: HeaderMap,
) -> Result<Push, EnvironmentError> {
    let target = TargetRef::Named(push.target.value.clone());
    // They hear nothing of a run's beginning: servers inside this process start later.
    if let Some(TargetAddress::Simulated | TargetAddress::Double(_)) = plan.address(&target) {
        return Err(EnvironmentError::NoUrl);
    }
    let target = plan.resolve(&target, secrets, &Endpoints::default())?;
    let uri = target.url(&push.path)?;
    let url = target.shown_url(&push.path);
    let origin = match target.settings {
        Some(settings) => session::origin(settings, session::trust_of(plan, settings)?),
        None => OriginConfig::default(),
    };
    headers.extend(target.requests.headers);
    Ok(Push { what, uri, url, origin, headers, credential: target.credential, encoder })
}

/// A server with its queue.
struct Running {
    what: &'static str,
    url: String,
    encoder: Encoder,
    queue: mpsc::Sender<Bytes>,
    encoded: u64,
    dropped: u64,
    delivered: Rc<RefCell<Delivered>>,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    fn start(push: Push) -> Result<Self, String> {
        let client = kperf_http::Client::new(OriginConfig::default());
        let origin = client.register(&push.uri, push.origin).map_err(|error| error.to_string())?;
        let path = push.uri.path_and_query().cloned().ok_or("the URL has no path")?;
        let headers = move |body: &[u8]| {
            let mut headers = push.headers.clone();
            if let Some(credential) = &push.credential {
                credential.attach(&mut headers, body);
            }
            headers
        };
        let (queue, bodies) = mpsc::channel(QUEUE);
        let delivered = Rc::<RefCell<Delivered>>::default();
        let state = Rc::clone(&delivered);
        let report = move |now: &Delivered| *state.borrow_mut() = now.clone();
        let destination = Destination { name: push.url.clone(), client, origin, path, headers: Box::new(headers) };
        let task = tokio::task::spawn_local(deliver(destination, bodies, report));
        let (encoded, dropped) = (0, 0);
        Ok(Self { what: push.what, url: push.url, encoder: push.encoder, queue, encoded, dropped, delivered, task })
    }

    fn second(&mut self, unix_ns: u64, registry: &Registry, second: &Second) {
        let touched = second.iter().filter_map(|(id, delta)| Some((registry.info(*id)?, delta)));
        if let Some(body) = self.encoder.second(unix_ns, touched) {
            match self.queue.try_send(body.into()) {
                Ok(()) => self.encoded += 1,
                Err(_) => self.dropped += 1,
            }
        }
    }

    /// Waits until `deadline` for what is queued, and says what went wrong.
    async fn finish(self, deadline: tokio::time::Instant) -> Vec<Incident> {
        drop(self.queue);
        let in_time = tokio::time::timeout_at(deadline, self.task).await.is_ok();
        let Delivered { taken, refused, why } = self.delivered.borrow().clone();
        if let Encoder::RemoteWrite(encoder) = &self.encoder
            && encoder.left_out() > 0
        {
            tracing::info!(
                "remote write: {} values came after later ones of their series were sent",
                encoder.left_out()
            );
        }
        let to = format!("{} to {}", self.what, self.url);
        let mut incidents = Vec::new();
        if refused > 0 {
            incidents.push(incident("export-refused", format!("{to}: seconds were refused: {why}"), refused));
        }
        let unsent = self.encoded.saturating_sub(taken + refused) + self.dropped;
        if unsent > 0 {
            let after = if in_time { String::new() } else { format!(" within {} s after the run", DRAIN.as_secs()) };
            incidents.push(incident("export-unsent", format!("{to}: seconds were not taken{after}: {why}"), unsent));
        }
        incidents
    }
}

async fn export_all(
    common: Common,
    listener: Option<std::net::TcpListener>,
    pushes: Vec<Push>,
    mut fed: mpsc::Receiver<Arc<RunEvent>>,
) -> Vec<Incident> {
    let mut incidents = Vec::new();
    let start = common.start_unix_ns;
    let page = Rc::new(RefCell::new(Page::new(common)));
    let serving = listener.and_then(|listener| match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => {
            if let Ok(address) = listener.local_addr() {
                tracing::info!("serving http://{address}/metrics");
            }
            Some(tokio::task::spawn_local(serve(listener, Rc::clone(&page))))
        }
        Err(error) => {
            incidents.push(incident("export-listen", format!("can't serve /metrics: {error}"), 1));
            None
        }
    });
    let mut running = Vec::new();
    for push in pushes {
        let url = push.url.clone();
        match Running::start(push) {
            Ok(push) => running.push(push),
            Err(error) => incidents.push(incident("export-unsent", format!("can't send to {url}: {error}"), 1)),
        }
    }
    let mut seconds = Seconds::new(start);
    let mut last = None;
    while let Some(event) = fed.recv().await {
        let RunEvent::Merged(Merged { registry, interval }) = &*event else { continue };
        if serving.is_some() {
            show(&mut page.borrow_mut(), registry, interval);
        }
        if !running.is_empty() {
            let Ok(()) =
                seconds.add(interval.clone(), registry, |at, second| send(&mut running, start, registry, at, second));
        }
        last = Some(registry.clone());
    }
    if let Some(registry) = last {
        let Ok(()) = seconds.finish(|at, second| send(&mut running, start, &registry, at, second));
    }
    let deadline = tokio::time::Instant::now() + DRAIN;
    for push in running {
        incidents.extend(push.finish(deadline).await);
    }
    incidents
}

fn send(
    running: &mut [Running],
    start: u64,
    registry: &Registry,
    at: i64,
    second: &Second,
) -> Result<(), std::convert::Infallible> {
    let unix_ns = i128::from(start) + i128::from(at) * 1_000_000_000;
    let unix_ns = u64::try_from(unix_ns.max(0)).unwrap_or(u64::MAX);
    running.iter_mut().for_each(|push| push.second(unix_ns, registry, second));
    Ok(())
}

fn show(page: &mut Page, registry: &Registry, interval: &Interval) {
    for (id, delta) in interval.iter() {
        if let Some(info) = registry.info(id) {
            page.add((info, delta));
        }
    }
    for dated in &interval.dated {
        let Some(info) = registry.info(dated.series) else { continue };
        if let Some(delta) = dated.delta(info.metric.kind, info.metric.unit) {
            page.add((info, &delta));
        }
    }
}
