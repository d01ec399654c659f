//! Threads beside the workers.

/// Runs a future on a thread of its own, which ends with it.
///
/// # Errors
/// When the operating system has no thread for it.
pub(crate) fn spawn<F: Future<Output = ()>>(
    name: &str,
    work: impl FnOnce() -> F + Send + 'static,
) -> std::io::Result<()> {
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(move || match runtime() {
        Ok(runtime) => runtime.block_on(work()),
        // Whoever waits for the thread's answer sees that there will be none.
        Err(error) => tracing::error!("can't make a runtime: {error}"),
    });
    started.map(drop)
}

/// A runtime for the calling thread.
///
/// # Errors
/// When the operating system refuses.
pub(crate) fn runtime() -> std::io::Result<tokio::runtime::LocalRuntime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build_local(tokio::runtime::LocalOptions::default())
}

/// Lowers this thread's priority, now that the workers, which would inherit it, are there: where cores are few, what is done
/// once a second must not delay them.
pub(crate) fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, 10) {
        tracing::debug!("can't give way to the workers: {error}");
    }
}
