//! Time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wasmtime::AsContextMut as _;
use wasmtime::component::Accessor;

use super::GuestData;
use crate::bindings::clock::{Host, HostWithStore};
use crate::call::duration::nanoseconds;
use crate::component::guest::{self, Guest};

impl Host for Guest {
    fn now(&mut self) -> u64 {
        nanoseconds(self.services.worker.epoch.elapsed())
    }

    fn wall(&mut self) -> u64 {
        nanoseconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }

    fn stopping(&mut self) -> bool {
        self.services.is_ending()
    }
}

impl<T: 'static> HostWithStore<T> for GuestData {
    async fn sleep(accessor: &Accessor<T, Self>, duration: u64) {
        let (task, disturbed, mut stop) = accessor.with(|mut access| {
            let task = guest::caller(access.as_context_mut());
            let guest = access.get();
            (task, guest.calls.disturbed(), guest.services.worker.stop.clone())
        });
        // An error means that nobody can stop the run any more.
        let stopped = async {
            if stop.wait_for(|stopped| *stopped).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let abandoned = async {
            loop {
                let next = disturbed.notified();
                if accessor.with(|mut access| access.get().calls.is_abandoned(task)) {
                    return;
                }
                next.await;
            }
        };
        tokio::select! {
            () = tokio::time::sleep(Duration::from_nanos(duration)) => {}
            () = stopped => {}
            () = abandoned => {}
        }
    }
}
