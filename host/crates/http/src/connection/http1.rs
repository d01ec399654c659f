//! HTTP/1.1: the request's own future drives the connection.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use http_body::Body as _;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1 as conn;
use hyper_util::rt::TokioIo;
use tokio::time::Sleep;

use crate::body::SendBody;
use crate::connection::failure::Failure;
use crate::connection::link::{Link, MeteredStream, Yielded};
use crate::connection::receive::{BodyCollector, ReceiveOptions};
use crate::error::{Error, Phase};
use crate::exchange::{Measured, Response};
use crate::stop::{Deadline, StopSignal};

/// How often one poll may go round before it lets other tasks run.
const ROUNDS: usize = 8;

/// A connection together with its driver.
pub(crate) struct Connection {
    sender: conn::SendRequest<SendBody>,
    driver: conn::Connection<TokioIo<MeteredStream>, SendBody>,
    closed: bool,
    link: Arc<Link>,
    waker: Waker,
    yielded: Arc<Yielded>,
    handover: Waker,
    receiving: Option<Receiving>,
    /// Kept from request to request: moving a timer to a later instant takes no lock, making one does.
    timer: Option<Pin<Box<Sleep>>>,
    pub(crate) idle_since: Instant,
    pub(crate) used: bool,
}

impl Connection {
    pub(crate) async fn handshake(stream: MeteredStream, max_head: usize) -> Result<Box<Self>, Error> {
        let link = Arc::clone(&stream.link);
        let (sender, driver) = conn::Builder::new()
            .max_header_size(max_head)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| Error::protocol(&error))?;
        let waker = Waker::from(Arc::clone(&link));
        let yielded = Arc::new(Yielded::default());
        let handover = Waker::from(Arc::clone(&yielded));
        Ok(Box::new(Self {
            sender,
            driver,
            closed: false,
            link,
            waker,
            yielded,
            handover,
            receiving: None,
            timer: None,
            idle_since: Instant::now(),
            used: false,
        }))
    }

    /// Whether the connection can take a request. Looks at the socket only if something happened to it.
    pub(crate) fn is_alive(&mut self) -> bool {
        if self.link.woken() {
            self.drive();
        }
        !self.closed && self.sender.is_ready()
    }

    fn drive(&mut self) {
        if !self.closed {
            self.link.forget();
            // The driver hands its errors to the request or to the body; those tell more.
            self.closed = Pin::new(&mut self.driver).poll(&mut Context::from_waker(&self.waker)).is_ready();
        }
    }

    fn is_due(&mut self, deadline: Deadline) -> bool {
        let at = deadline.at.into();
        match &mut self.timer {
            Some(timer) => {
                if timer.deadline() != at {
                    timer.as_mut().reset(at);
                }
            }
            None => self.timer = Some(Box::pin(tokio::time::sleep_until(at))),
        }
        let mut cx = Context::from_waker(&self.waker);
        self.timer.as_mut().is_some_and(|timer| timer.as_mut().poll(&mut cx).is_ready())
    }

    /// Sends a request and takes the response in, into `measured`. Tells when it was over.
    pub(crate) async fn exchange(
        &mut self,
        request: http::Request<SendBody>,
        options: ReceiveOptions,
        deadline: Option<Deadline>,
        stop: &StopSignal,
        begun: Instant,
        measured: &mut Measured,
    ) -> Result<Instant, Failure> {
        self.link.restart();
        self.used = true;
        let length = request.body().size_hint().exact().unwrap_or(0);
        let mut head = pin!(self.sender.try_send_request(request));
        let result = std::future::poll_fn(|cx| {
            for round in 0..ROUNDS {
                self.link.mute();
                if let Poll::Ready(result) = self.step(head.as_mut(), options) {
                    return Poll::Ready(result);
                }
                if stop.is_stopped() {
                    return Poll::Ready(Err(Error::Interrupted.into()));
                }
                // A server that sends without end uses up what the runtime grants to a task in a row, and then timers don't answer either.
                if let Some(deadline) = deadline
                    && (self.is_due(deadline) || (round > 0 && Instant::now() >= deadline.at))
                {
                    let phase = self.phase(length);
                    return Poll::Ready(Err(Error::Timeout { phase, limit: deadline.limit }.into()));
                }
                self.link.unmute(cx.waker());
                if !self.link.woken() && !self.yielded.take() {
                    return Poll::Pending;
                }
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        self.link.mute();
        let end = Instant::now();
        self.account(begun, end, result.is_ok(), measured);
        let receiving = self.receiving.take();
        match result {
            Ok(()) => {
                measured.response = Some(receiving.ok_or_else(broken)?.finish()?);
                Ok(end)
            }
            Err(mut failure) => {
                failure.silent &= self.link.seen().first_read.is_none();
                Err(failure)
            }
        }
    }

    /// Goes on as far as possible without waiting.
    fn step<F>(&mut self, head: Pin<&mut F>, options: ReceiveOptions) -> Poll<Result<(), Failure>>
    where
        F: Future<Output = Result<http::Response<Incoming>, TrySendError<http::Request<SendBody>>>>,
    {
        self.drive();
        self.yielded.take();
        if self.receiving.is_none() {
            match head.poll(&mut Context::from_waker(&self.handover)) {
                Poll::Ready(Ok(response)) => self.receiving = Some(Receiving::new(response, options)?),
                Poll::Ready(Err(mut failure)) => {
                    let unsent = failure.take_message().map(Box::new);
                    let error = Error::protocol(&failure.into_error());
                    return Poll::Ready(Err(Failure { error, unsent, silent: true }));
                }
                Poll::Pending if self.closed => return Poll::Ready(Err(broken().into())),
                Poll::Pending => return Poll::Pending,
            }
        }
        let mut driven = true;
        while let Some(receiving) = &mut self.receiving {
            match receiving.poll(&mut Context::from_waker(&self.handover)) {
                Poll::Ready(Ok(true)) => break,
                Poll::Ready(Ok(false)) => driven = false,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Pending if !driven => {
                    self.drive();
                    driven = true;
                }
                Poll::Pending if self.closed => return Poll::Ready(Err(broken().into())),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Whether the connection can serve another request, now that a response is complete.
    pub(crate) fn settle(&mut self) -> bool {
        if !self.sender.is_ready() {
            self.drive();
        }
        // What woke the link since the driver's last turn was the body's last piece being taken: sockets are looked at
        // only between two turns of this thread. Forgetting it spares the next request a look at the connection.
        self.link.forget();
        !self.closed && self.sender.is_ready()
    }

    fn phase(&self, length: u64) -> Phase {
        let seen = self.link.seen();
        match seen.first_read {
            Some(_) => Phase::Receiving,
            None if seen.written > length => Phase::Waiting,
            None => Phase::Sending,
        }
    }

    fn account(&self, begun: Instant, end: Instant, complete: bool, measured: &mut Measured) {
        let seen = self.link.seen();
        let first_read = seen.first_read.unwrap_or(end);
        let last_read = seen.last_read.filter(|_| complete).unwrap_or(end);
        let last_write = seen.last_write.unwrap_or(first_read);
        measured.sent_bytes += seen.written;
        measured.received_bytes += seen.read;
        let timing = &mut measured.timing;
        timing.sending += last_write.saturating_duration_since(begun);
        timing.waiting += first_read.saturating_duration_since(last_write);
        timing.receiving += last_read.saturating_duration_since(first_read);
    }
}

fn broken() -> Error {
    Error::Protocol("connection closed before the response was complete".into())
}

/// A response whose body is coming in.
struct Receiving {
    response: Response,
    body: Incoming,
    collector: BodyCollector,
}

impl Receiving {
    fn new(response: http::Response<Incoming>, options: ReceiveOptions) -> Result<Self, Error> {
        let (mut head, body) = response.into_parts();
        let collector = BodyCollector::new(options, &mut head.headers, body.size_hint().exact())?;
        let response = Response {
            status: head.status,
            version: head.version,
            headers: head.headers,
            body: bytes::Bytes::new(),
            body_bytes: 0,
        };
        Ok(Self { response, body, collector })
    }

    /// Takes one piece in; true after the last one.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Error>> {
        if self.body.is_end_stream() {
            return Poll::Ready(Ok(true));
        }
        Pin::new(&mut self.body).poll_frame(cx).map(|frame| match frame {
            None => Ok(true),
            Some(Err(error)) => Err(Error::protocol(&error)),
            Some(Ok(frame)) => {
                if let Ok(piece) = frame.into_data() {
                    self.collector.push(piece)?;
                }
                Ok(false)
            }
        })
    }

    fn finish(mut self) -> Result<Response, Error> {
        let (body, received) = self.collector.finish()?;
        self.response.body = body;
        self.response.body_bytes = received;
        Ok(self.response)
    }
}
