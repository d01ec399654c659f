//! Sleeping until an instant as exactly as the system can.
//!
//! Tokio's own timers round up to a millisecond, which at 1,000 arrivals a second is a whole period. On Linux a timerfd wakes
//! the worker's poll within tens of microseconds. Elsewhere, and where no timerfd can be had, tokio's timer serves:
//! arrivals then start up to a millisecond late, none is lost, and their due instants stay exact.

use tokio::time::{Instant, sleep_until};

/// A worker's alarm clock for arrivals.
#[derive(Debug)]
pub(crate) enum Timer {
    /// A kernel timer that is polled with the sockets.
    #[cfg(target_os = "linux")]
    Precise(linux::TimerFd),
    /// Tokio's timer; it also follows tokio's paused clock.
    Coarse,
}

impl Timer {
    /// The most exact timer there is. Needs a runtime with its I/O driver on.
    pub(crate) fn new() -> Self {
        #[cfg(target_os = "linux")]
        if let Ok(timer) = linux::TimerFd::new() {
            return Self::Precise(timer);
        }
        Self::Coarse
    }

    /// Sleeps until `at`; returns at once when it has passed. May be dropped at any time and used again.
    pub(crate) async fn until(&mut self, at: Instant) {
        #[cfg(target_os = "linux")]
        if let Self::Precise(timer) = self {
            match timer.until(at).await {
                Ok(()) => return,
                Err(_) => *self = Self::Coarse,
            }
        }
        sleep_until(at).await;
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use rustix::io::{Errno, read};
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
    };
    use std::io;
    use std::os::fd::OwnedFd;
    use std::time::Duration;
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;
    use tokio::time::Instant;

    /// The shortest sleep. Setting a kernel timer costs as much as several iterations (on a virtual machine 10 us and more, as
    /// it leaves the guest), so a loop that slept from arrival to arrival at 100,000/s would do nothing else. What falls due
    /// meanwhile starts together at the end: below 20,000/s per worker there is nothing to gather.
    const SHORTEST: Duration = Duration::from_micros(50);

    /// A timerfd on the monotonic clock, registered with the runtime.
    #[derive(Debug)]
    pub(crate) struct TimerFd(AsyncFd<OwnedFd>);

    impl TimerFd {
        #[expect(deprecated, reason = "sound for an `OwnedFd`; the successor is unsafe for any descriptor")]
        pub(super) fn new() -> io::Result<Self> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            Ok(Self(AsyncFd::with_interest(fd, Interest::READABLE)?))
        }

        pub(super) async fn until(&self, at: Instant) -> io::Result<()> {
            let left = at.saturating_duration_since(Instant::now());
            // A zero value would disarm the timer.
            if left.is_zero() {
                return Ok(());
            }
            self.arm(left.max(SHORTEST))?;
            // Unlike `async_io` this does not try to read first, which would be in vain each time.
            loop {
                let mut guard = self.0.readable().await?;
                let expired = read(self.0.get_ref(), &mut [0_u8; 8]);
                guard.clear_ready();
                match expired {
                    // The event of a wait that was dropped.
                    Err(Errno::AGAIN) => {}
                    other => return Ok(other.map(drop)?),
                }
            }
        }

        /// Setting the timer also clears an expiry that a dropped wait left behind.
        fn arm(&self, left: Duration) -> io::Result<()> {
            let value = Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            };
            let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
            timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &once)?;
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn never_wakes_early_even_after_a_dropped_wait() {
        let mut timer = Timer::new();
        let soon = Instant::now() + Duration::from_millis(2);
        // Dropped while armed: its expiry must not end the next wait.
        let dropped =
            tokio::time::timeout(Duration::from_millis(1), timer.until(soon + Duration::from_millis(2))).await;
        assert!(dropped.is_err() || Instant::now() >= soon);
        for millis in [1, 5, 20] {
            let at = Instant::now() + Duration::from_millis(millis);
            timer.until(at).await;
            assert!(Instant::now() >= at);
        }
        timer.until(soon).await;
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn linux_has_the_precise_one() {
        assert!(matches!(Timer::new(), Timer::Precise(_)));
    }
}
