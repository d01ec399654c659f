//! Ctrl-C, once to end in order, twice to leave at once; and what says the same: SIGTERM (CI and Kubernetes), SIGHUP (the terminal was
//! closed). SIGXFSZ (a file may not grow any more) ends nothing by itself: the write that failed has an error, which ends the run in order.

use tokio::sync::watch;

/// How often the user has asked to stop. Cheap to clone.
#[derive(Clone)]
pub struct Interrupts(watch::Receiver<u32>);

impl Interrupts {
    /// Starts listening; needs a `LocalRuntime`.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn listen() -> std::io::Result<Self> {
        let mut signals = Signals::new()?;
        let (count, seen) = watch::channel(0);
        tokio::task::spawn_local(async move {
            loop {
                signals.next().await;
                count.send_modify(|count| *count += 1);
            }
        });
        Ok(Self(seen))
    }

    /// Waits until the user has asked to stop.
    pub async fn once(&self) {
        self.times(1).await;
    }

    /// Waits until the user has asked to leave at once.
    pub async fn twice(&self) {
        self.times(2).await;
    }

    /// Whether the user has asked to stop.
    pub fn any(&self) -> bool {
        *self.0.borrow() > 0
    }

    async fn times(&self, wanted: u32) {
        let mut seen = self.0.clone();
        if seen.wait_for(|count| *count >= wanted).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(unix)]
struct Signals([tokio::signal::unix::Signal; 3]);

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        // Whoever listens once is not killed by it any more.
        let _ = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?;
        Ok(Self([signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?]))
    }

    async fn next(&mut self) {
        let Self([interrupt, terminate, hangup]) = self;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    async fn next(&mut self) {
        let _ = self.0.recv().await;
    }
}
