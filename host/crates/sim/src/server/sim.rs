//! The server itself: starting, accepting connections, stopping; and what tests ask it directly.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::config::SimConfig;
use crate::kfp::json::parse_id;
use crate::server::answer::answer;
use crate::server::reset::ResettableStream;
use crate::server::shared::Shared;
use crate::truth::{RunTruth, Truth};

/// A simulated server on a thread of its own. Dropping it stops it and waits for its end.
#[derive(Debug)]
pub struct Sim {
    addr: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sim {
    /// Starts a server that listens on `listen` (port 0: any free one) once this returns.
    ///
    /// # Errors
    /// The configuration is wrong, the address can't be bound, or no thread can be started.
    pub fn start(config: SimConfig, listen: SocketAddr) -> io::Result<Self> {
        let shared = Shared::new(config)?;
        let listener = std::net::TcpListener::bind(listen)?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("kperf-sim".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    () = accept(served, listener) => {}
                }
            });
        })?;
        Ok(Self { addr, shared, stop: Some(stop), thread: Some(thread) })
    }

    /// The address that the server listens on, with the port that it got.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The base address that clients take, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What has really happened up to now: all runs since the start, deleted ones included.
    pub fn truth(&self) -> Truth {
        let mut store = self.shared.store.lock();
        store.catch_up();
        store.truth()
    }

    /// Requests for the Kubernetes API must carry this bearer token from now on; others are answered with 401, as by an API
    /// server when a token has expired.
    pub fn require_token(&self, token: &str) {
        *self.shared.token.lock() = Some(token.to_owned());
    }

    /// Breaks every watch of the Kubernetes API that is open: its connection is reset.
    pub fn drop_watches(&self) {
        self.shared.watch_generation.fetch_add(1, Ordering::Relaxed);
    }

    /// Forgets the history of the Kubernetes API: watches and pages that go on from before now are answered with 410.
    pub fn compact(&self) {
        self.shared.store.lock().compact();
    }

    /// What has really happened up to now to one run, also if it was deleted or prefilled.
    pub fn truth_of(&self, run_id: &str) -> Option<RunTruth> {
        let mut store = self.shared.store.lock();
        store.catch_up();
        store.truth_of(parse_id(run_id))
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the server has been shown by the thread itself; there is nobody to hand it to here.
            let _ = thread.join();
        }
    }
}

/// Serves HTTP/1.1 and HTTP/2 (prior knowledge) on `listener` until dropped; open connections end with it.
///
/// # Errors
/// The configuration is wrong. What goes wrong while accepting is waited out.
pub async fn serve(config: SimConfig, listener: TcpListener) -> io::Result<()> {
    accept(Shared::new(config)?, listener).await;
    Ok(())
}

async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            // Out of file descriptors, most likely: those in use come back when connections close.
            Err(_) => {
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            }
        };
        // Without it answers would wait for the client's delayed acknowledgements; a failure costs only speed.
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let reset = Arc::new(AtomicBool::new(false));
            let stream = ResettableStream::new(stream, Arc::clone(&reset));
            let service = service_fn(move |request| answer(Arc::clone(&shared), Arc::clone(&reset), request));
            let mut builder = Builder::new(TokioExecutor::new());
            builder.http1().timer(TokioTimer::new()).pipeline_flush(true);
            // A broken connection concerns only its client.
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
