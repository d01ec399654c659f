//! HTTP/2: many requests share a connection, which a task of its own drives.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use http::HeaderMap;
use http_body::Body as _;
use hyper::client::conn::http2 as conn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;

use crate::body::{SendBody, Taken};
use crate::connection::failure::Failure;
use crate::connection::link::MeteredStream;
use crate::connection::receive::{BodyCollector, ReceiveOptions};
use crate::error::{Error, Phase};
use crate::exchange::{Measured, Response};
use crate::stop::{Deadline, StopSignal};

/// A connection that is shared.
pub(crate) struct Connection {
    usage: Mutex<Usage>,
    /// How many streams the server allows, as the driver last heard.
    limit: Arc<AtomicUsize>,
}

struct Usage {
    sender: conn::SendRequest<SendBody>,
    streams: usize,
    total: u64,
    idle_since: Instant,
}

impl Connection {
    pub(crate) async fn handshake(stream: MeteredStream, max_head: usize) -> Result<Self, Error> {
        let (sender, mut driver) = conn::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(max_head).unwrap_or(u32::MAX))
            // With the defaults of 64 KiB the window would be measured instead of the server.
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(8 << 20)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| Error::protocol(&error))?;
        let limit = Arc::new(AtomicUsize::new(driver.current_max_send_streams()));
        let heard = Arc::clone(&limit);
        // Its errors reach the requests that it carries.
        tokio::spawn(poll_fn(move |cx| {
            let done = Pin::new(&mut driver).poll(cx).map(drop);
            heard.store(driver.current_max_send_streams(), Ordering::Relaxed);
            done
        }));
        let usage = Usage { sender, streams: 0, total: 0, idle_since: Instant::now() };
        Ok(Self { usage: Mutex::new(usage), limit })
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.usage.lock().sender.is_closed()
    }

    /// Since when nothing uses the connection.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let usage = self.usage.lock();
        (usage.streams == 0).then_some(usage.idle_since)
    }

    /// Takes a stream, to be given back by [`Connection::close_stream`], and counts it: 1 is the connection's first. None if
    /// there are as many as the server allows.
    pub(crate) fn open_stream(&self) -> Option<u64> {
        let mut usage = self.usage.lock();
        if usage.streams >= self.limit.load(Ordering::Relaxed).max(1) {
            return None;
        }
        usage.streams += 1;
        usage.total += 1;
        Some(usage.total)
    }

    pub(crate) fn close_stream(&self) {
        let mut usage = self.usage.lock();
        usage.streams -= 1;
        usage.idle_since = Instant::now();
    }

    /// Sends a request and takes the response in, into `measured`.
    pub(crate) async fn exchange(
        &self,
        mut request: http::Request<SendBody>,
        options: ReceiveOptions,
        deadline: Option<Deadline>,
        stop: &StopSignal,
        begun: Instant,
        measured: &mut Measured,
    ) -> Result<(), Failure> {
        let body_length = request.body().size_hint().exact().unwrap_or(0);
        let sent_bytes = size(request.headers()) + body_length;
        let taken = Arc::new(OnceLock::new());
        request.body_mut().taken = Some(Taken(Arc::clone(&taken)));
        let mut seen = Seen::default();
        let result = tokio::select! {
            biased;
            result = self.run(request, options, &mut seen) => result,
            () = stop.stopped() => Err(Error::Interrupted.into()),
            () = Deadline::expiry(deadline) => {
                let phase = match (seen.head_at, taken.get()) {
                    (Some(_), _) => Phase::Receiving,
                    (None, Some(_)) => Phase::Waiting,
                    (None, None) => Phase::Sending,
                };
                let limit = deadline.map_or_else(Default::default, |deadline| deadline.limit);
                Err(Error::Timeout { phase, limit }.into())
            }
        };
        let end = Instant::now();
        let head_at = seen.head_at.unwrap_or(end);
        let taken_at = taken.get().copied().unwrap_or(head_at).min(head_at);
        measured.timing.sending += taken_at.saturating_duration_since(begun);
        measured.timing.waiting += head_at.saturating_duration_since(taken_at);
        measured.timing.receiving += end.saturating_duration_since(head_at);
        measured.sent_bytes += if taken.get().is_some() { sent_bytes } else { 0 };
        measured.received_bytes += seen.bytes;
        measured.response = Some(result?);
        Ok(())
    }

    fn sender(&self) -> conn::SendRequest<SendBody> {
        self.usage.lock().sender.clone()
    }

    async fn run(
        &self,
        request: http::Request<SendBody>,
        options: ReceiveOptions,
        seen: &mut Seen,
    ) -> Result<Response, Failure> {
        let response = self.sender().try_send_request(request).await.map_err(|mut failure| {
            let unsent = failure.take_message().map(Box::new);
            Failure { error: Error::protocol(&failure.into_error()), unsent, silent: true }
        })?;
        seen.head_at = Some(Instant::now());
        seen.bytes = size(response.headers());
        let (mut head, mut body) = response.into_parts();
        let mut collector = BodyCollector::new(options, &mut head.headers, body.size_hint().exact())?;
        while !body.is_end_stream() {
            let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await else { break };
            if let Ok(piece) = frame.map_err(|error| Error::protocol(&error))?.into_data() {
                seen.bytes += piece.len() as u64;
                collector.push(piece)?;
            }
        }
        let (body, body_bytes) = collector.finish()?;
        Ok(Response { status: head.status, version: head.version, headers: head.headers, body, body_bytes })
    }
}

#[derive(Default)]
struct Seen {
    head_at: Option<Instant>,
    bytes: u64,
}

/// About what a head takes on the wire; header compression is not accounted for.
fn size(headers: &HeaderMap) -> u64 {
    headers.iter().map(|(name, value)| (name.as_str().len() + value.len() + 4) as u64).sum()
}
