//! What tells a running schedule to stop before its time.

use tokio::sync::watch;

/// How far a run may still go. It only ever moves on to a later phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Go on as scheduled.
    Run,
    /// Start nothing more; let running iterations end within the graceful stop.
    StopStarting,
    /// Drop everything that runs, now.
    Abandon,
}

/// A worker's view of the phase; clones see the same one.
#[derive(Debug, Clone)]
pub struct Signals(watch::Receiver<Phase>);

/// The sender that the host keeps, and the view that each worker gets a clone of. A dropped sender leaves the phase as it is.
#[must_use]
pub fn signals() -> (watch::Sender<Phase>, Signals) {
    let (sender, receiver) = watch::channel(Phase::Run);
    (sender, Signals(receiver))
}

impl Signals {
    /// The phase now.
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Waits until the phase is `phase` or a later one, and says which. Waits for ever when it never comes.
    pub async fn reached(mut self, phase: Phase) -> Phase {
        let seen = self.0.wait_for(|now| *now >= phase).await.map(|now| *now);
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
    async fn waits_for_its_phase_or_a_later_one() {
        let (sender, signals) = signals();
        assert_eq!(signals.phase(), Phase::Run);
        sender.send(Phase::StopStarting).unwrap();
        assert_eq!(signals.clone().reached(Phase::StopStarting).await, Phase::StopStarting);
        sender.send(Phase::Abandon).unwrap();
        assert_eq!(signals.clone().reached(Phase::StopStarting).await, Phase::Abandon);
    }
}
