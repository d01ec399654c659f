//! What goes wrong on purpose, and how long answers take on purpose.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::config::SimConfig;
use crate::draw::Draw;

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing unusual.
    None,
    /// It is refused before any work.
    Refuse,
    /// Its connection is reset before any work.
    Reset,
    /// Its connection is reset instead of the answer; the work is done.
    ResetAfterWork,
}

/// Draws a fault per request, in the order in which requests arrive.
#[derive(Debug)]
pub(crate) struct Faults {
    draw: Draw,
    seen: AtomicU64,
    errors: f64,
    resets: f64,
}

impl Faults {
    /// The faults that the configuration asks for.
    pub(crate) fn new(config: &SimConfig) -> Self {
        Self {
            draw: Draw::new(config.seed).named("faults"),
            seen: AtomicU64::new(0),
            errors: config.error_rate,
            resets: config.reset_rate,
        }
    }

    /// What happens to the next request.
    pub(crate) fn next(&self) -> Fault {
        if self.errors <= 0.0 && self.resets <= 0.0 {
            return Fault::None;
        }
        let draw = self.draw.of(self.seen.fetch_add(1, Ordering::Relaxed));
        if draw.of(0).unit() < self.errors {
            return Fault::Refuse;
        }
        match (draw.of(1).unit() < self.resets, draw.of(2).unit() < 0.5) {
            (false, _) => Fault::None,
            (true, false) => Fault::Reset,
            (true, true) => Fault::ResetAfterWork,
        }
    }
}

/// How long the answer of an operation is held back, with so many rows stored where it lists some.
pub(crate) fn delay(config: &SimConfig, operation: &str, rows: Option<usize>) -> Duration {
    let own = config.latencies.get(operation).copied().unwrap_or_default();
    let list = rows.map_or(Duration::ZERO, |rows| config.list_latency.mul_f64(rows as f64 / 1000.0));
    config.latency + own + list
}

/// A connection that can end in a reset: the system sends one if closing finds its linger time at zero.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Wire {
    /// Wraps a connection. It is reset when it is dropped after `reset` was set.
    pub(crate) fn new(stream: TcpStream, reset: Arc<AtomicBool>) -> Self {
        Self { stream, reset }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.reset.load(Ordering::Relaxed) {
            // Without it the connection closes in order: a fault all the same.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.reset.load(Ordering::Relaxed) {
            // An orderly end would be sent ahead of the reset.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_come_at_their_rates_and_repeat() {
        let config = SimConfig { error_rate: 0.1, reset_rate: 0.2, seed: 7, ..SimConfig::default() };
        let draw = || {
            let faults = Faults::new(&config);
            (0..10_000).map(|_| faults.next()).collect::<Vec<_>>()
        };
        let seen = draw();
        let share = |fault: Fault| seen.iter().filter(|f| **f == fault).count() as f64 / 10_000.0;
        assert!((0.08..0.12).contains(&share(Fault::Refuse)), "{}", share(Fault::Refuse));
        for reset in [Fault::Reset, Fault::ResetAfterWork] {
            assert!((0.07..0.11).contains(&share(reset)), "{}", share(reset));
        }
        assert_eq!(seen, draw());
        assert_eq!(Faults::new(&SimConfig::default()).next(), Fault::None);
    }

    #[test]
    fn delays_add_up() {
        let second = Duration::from_secs(1);
        let config = SimConfig {
            latency: second,
            latencies: [("get_run".to_owned(), 2 * second)].into(),
            list_latency: 4 * second,
            ..SimConfig::default()
        };
        assert_eq!(delay(&config, "get_run", None), 3 * second);
        assert_eq!(delay(&config, "list_runs", Some(500)), 3 * second);
    }
}
