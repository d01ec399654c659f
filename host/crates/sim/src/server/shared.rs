//! What all connections share.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::Mutex;

use crate::config::SimConfig;
use crate::kfp::store::Store;
use crate::server::faults::Faults;

/// The configuration and the state behind every connection.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: SimConfig,
    pub(crate) faults: Faults,
    pub(crate) store: Mutex<Store>,
    /// The bearer token that requests for the Kubernetes API must carry; without one they need none.
    pub(crate) token: Mutex<Option<String>>,
    /// Rises when all open watches are to break.
    pub(crate) watch_generation: AtomicU64,
}

impl Shared {
    /// A server with what it is to be filled with.
    ///
    /// # Errors
    /// A setting is outside of its range.
    pub(crate) fn new(config: SimConfig) -> io::Result<Arc<Self>> {
        config.check().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let mut store = Store::new(config.clone());
        store.prefill();
        let (store, token, watch_generation) = (Mutex::new(store), Mutex::new(None), AtomicU64::new(0));
        Ok(Arc::new(Self { faults: Faults::new(&config), config, store, token, watch_generation }))
    }
}
