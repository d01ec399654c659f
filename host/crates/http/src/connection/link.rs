//! What a connection's socket, its driver and the request that uses it tell each other.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

use crate::connection::socket::Socket;

/// One per connection: the waker that everything inside the connection is polled with, and what the socket has seen.
///
/// A waker that stays the same over all requests spares the runtime its exchange. While a request polls its own
/// connection, wake-ups from within are only noted (`muted`); otherwise each one would wake the task once more.
pub(crate) struct Link {
    base: Instant,
    task: Mutex<Option<Waker>>,
    muted: AtomicBool,
    woken: AtomicBool,
    written: AtomicU64,
    read: AtomicU64,
    /// Nanoseconds since `base`; 0 for never.
    last_write: AtomicU64,
    /// Nanoseconds since `base`; 0 for never.
    first_read: AtomicU64,
    /// Nanoseconds since `base`; 0 for never.
    last_read: AtomicU64,
}

/// What a socket has seen since the last [`Link::restart`].
pub(crate) struct Seen {
    pub(crate) written: u64,
    pub(crate) read: u64,
    pub(crate) last_write: Option<Instant>,
    pub(crate) first_read: Option<Instant>,
    pub(crate) last_read: Option<Instant>,
}

impl Link {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            base: Instant::now(),
            task: Mutex::new(None),
            muted: AtomicBool::new(true),
            woken: AtomicBool::new(false),
            written: AtomicU64::new(0),
            read: AtomicU64::new(0),
            last_write: AtomicU64::new(0),
            first_read: AtomicU64::new(0),
            last_read: AtomicU64::new(0),
        })
    }

    /// Begins the account of the next request.
    pub(crate) fn restart(&self) {
        for counter in [&self.written, &self.read, &self.last_write, &self.first_read, &self.last_read] {
            counter.store(0, Ordering::Relaxed);
        }
    }

    pub(crate) fn seen(&self) -> Seen {
        let instant = |nanos: &AtomicU64| match nanos.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(self.base + Duration::from_nanos(nanos)),
        };
        Seen {
            written: self.written.load(Ordering::Relaxed),
            read: self.read.load(Ordering::Relaxed),
            last_write: instant(&self.last_write),
            first_read: instant(&self.first_read),
            last_read: instant(&self.last_read),
        }
    }

    /// From now on wake-ups are only noted.
    pub(crate) fn mute(&self) {
        self.muted.store(true, Ordering::SeqCst);
    }

    /// From now on wake-ups reach this task.
    pub(crate) fn unmute(&self, task: &Waker) {
        let mut slot = self.task.lock();
        if !slot.as_ref().is_some_and(|known| known.will_wake(task)) {
            *slot = Some(task.clone());
        }
        drop(slot);
        self.muted.store(false, Ordering::SeqCst);
    }

    /// Whether there was a wake-up since [`Link::forget`].
    pub(crate) fn woken(&self) -> bool {
        self.woken.load(Ordering::SeqCst)
    }

    pub(crate) fn forget(&self) {
        self.woken.store(false, Ordering::SeqCst);
    }

    fn nanoseconds(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.base).as_nanos()).unwrap_or(u64::MAX).max(1)
    }

    fn wrote(&self, bytes: usize) {
        self.written.fetch_add(bytes as u64, Ordering::Relaxed);
        if self.first_read.load(Ordering::Relaxed) == 0 {
            self.last_write.store(self.nanoseconds(Instant::now()), Ordering::Relaxed);
        }
    }

    fn received(&self, bytes: usize, came_in: Option<Instant>) {
        if bytes == 0 {
            return;
        }
        self.read.fetch_add(bytes as u64, Ordering::Relaxed);
        // Another clock may say that the answer came before the request.
        let at = self.nanoseconds(came_in.unwrap_or_else(Instant::now)).max(self.last_write.load(Ordering::Relaxed));
        if self.first_read.load(Ordering::Relaxed) == 0 {
            self.first_read.store(at, Ordering::Relaxed);
        }
        self.last_read.store(at, Ordering::Relaxed);
    }
}

impl Wake for Link {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        if !self.muted.load(Ordering::SeqCst)
            && let Some(task) = self.task.lock().as_ref()
        {
            task.wake_by_ref();
        }
    }
}

/// Notes wake-ups from what the driver hands over, the head and the body of a response. They are polled right after the
/// driver, so that only a wake-up during that poll itself matters: the runtime asks a task that took long to yield.
#[derive(Default)]
pub(crate) struct Yielded(AtomicBool);

impl Yielded {
    /// Whether there was a wake-up since the last call.
    pub(crate) fn take(&self) -> bool {
        self.0.swap(false, Ordering::SeqCst)
    }
}

impl Wake for Yielded {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A socket that keeps its link's account. With TLS it counts what is inside the encryption.
pub(crate) struct MeteredStream {
    transport: Transport,
    pub(crate) link: Arc<Link>,
    /// Bytes read since the socket was last empty.
    in_a_row: usize,
}

/// So many bytes are read in a row. A server that sends without end, and what reads it, must come to an end of their turn: other
/// connections wait, and so does the timeout of this one.
const IN_A_ROW: usize = 256 << 10;

impl MeteredStream {
    pub(crate) fn new(transport: Transport, link: Arc<Link>) -> Self {
        Self { transport, link, in_a_row: 0 }
    }
}

pub(crate) enum Transport {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

impl Transport {
    fn came_in(&self) -> Option<Instant> {
        match self {
            Self::Plain(socket) => socket.came_in(),
            Self::Tls(stream) => stream.get_ref().0.came_in(),
        }
    }
}

impl AsyncRead for MeteredStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.in_a_row >= IN_A_ROW {
            self.in_a_row = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let read = match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Transport::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        };
        if read.is_ready() {
            let bytes = buf.filled().len() - before;
            self.in_a_row += bytes;
            self.link.received(bytes, self.transport.came_in());
        } else {
            self.in_a_row = 0;
        }
        read
    }
}

impl AsyncWrite for MeteredStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Transport::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        })?;
        self.link.wrote(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Transport::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        })?;
        self.link.wrote(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Plain(stream) => stream.is_write_vectored(),
            Transport::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
