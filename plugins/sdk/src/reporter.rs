//! A plugin that tells somebody about the result.

use std::{future::Future, marker::PhantomData};

pub use crate::bindings::reporter::exports::kperf::plugin::reporter_api::{Event, Reporting, ThresholdChange};
use crate::{Description, Failure, Slot, bindings::reporter::exports::kperf::plugin::reporter_api::Guest};

/// Tells somebody about the run. All calls are made in one instance, never two at once.
pub trait Reporter: Sized + 'static {
    /// What this plugin is and offers. No capability works here.
    fn describe() -> Description;

    /// Called once, before load starts.
    fn start(reporting: Reporting) -> impl Future<Output = Result<Self, Failure>>;

    /// Called per event.
    fn on_event(&self, _event: Event) -> impl Future<Output = Result<(), Failure>> {
        async { Ok(()) }
    }

    /// Called once with the whole result: the text of `summary.json`.
    fn report(&self, summary: String) -> impl Future<Output = Result<(), Failure>>;
}

impl ThresholdChange {
    /// A message's key that is the same for a breach and for its recovery: who was not told of the one needs not be told of the
    /// other alone.
    #[must_use]
    pub fn key(&self) -> String {
        format!("threshold/{}/{}", self.scenario, self.threshold)
    }
}

/// Ties a [`Reporter`] to the exported functions.
pub struct ReporterComponent<R, S>(PhantomData<(R, S)>);

fn not_started() -> Failure {
    Failure::new("not-started", "called before start")
}

impl<R: Reporter, S: Slot<R> + 'static> Guest for ReporterComponent<R, S> {
    fn describe() -> Description {
        R::describe()
    }

    async fn start(reporting: Reporting) -> Result<(), Failure> {
        S::set(R::start(reporting).await?);
        Ok(())
    }

    async fn on_event(event: Event) -> Result<(), Failure> {
        S::get().ok_or_else(not_started)?.on_event(event).await
    }

    async fn report(summary: String) -> Result<(), Failure> {
        S::get().ok_or_else(not_started)?.report(summary).await
    }
}

/// Exports a [`Reporter`] as the component's world. Once per plugin.
#[macro_export]
macro_rules! export_reporter {
    ($type:ty) => {
        // Natively, where only tests run, a shared library could not have such names.
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, missing_docs, reason = "the component's exports are C functions")]
        const _: () = {
            $crate::__slot!(Slot, $type);
            type Component = $crate::ReporterComponent<$type, Slot>;
    $crate::bindings::reporter::export!(Component with_types_in $crate::bindings::reporter);
        };
    };
}
