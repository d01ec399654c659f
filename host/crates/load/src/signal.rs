//! The signal that stops a running schedule before its time.

use tokio::sync::watch;

/// How far a schedule may still go. It only ever moves on to a later signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signal {
    /// Go on as scheduled.
    Continue,
    /// Start nothing more; let running iterations end within the graceful stop.
    GracefulStop,
    /// Drop everything that runs, now.
    Abort,
}

/// A worker's view of the signal; clones see the same one.
#[derive(Debug, Clone)]
pub struct SignalReceiver(watch::Receiver<Signal>);

/// The sender that the host keeps, and the view that each worker gets a clone of. A dropped sender leaves the signal as it is.
#[must_use]
pub fn signal_channel() -> (watch::Sender<Signal>, SignalReceiver) {
    let (sender, receiver) = watch::channel(Signal::Continue);
    (sender, SignalReceiver(receiver))
}

impl SignalReceiver {
    /// The last signal sent.
    #[must_use]
    pub fn current(&self) -> Signal {
        *self.0.borrow()
    }

    /// Waits until the signal is `signal` or a later one, and says which. Waits for ever when it never comes.
    pub async fn reached(mut self, signal: Signal) -> Signal {
        let seen = self.0.wait_for(|now| *now >= signal).await.map(|now| *now);
        match seen {
            Ok(now) => now,
            Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[tokio::test]
    async fn waits_for_its_signal_or_a_later_one() {
        let (sender, receiver) = signal_channel();
        assert_eq!(receiver.current(), Signal::Continue);
        sender.send(Signal::GracefulStop).unwrap();
        assert_eq!(receiver.clone().reached(Signal::GracefulStop).await, Signal::GracefulStop);
        sender.send(Signal::Abort).unwrap();
        assert_eq!(receiver.clone().reached(Signal::GracefulStop).await, Signal::Abort);
    }
}
