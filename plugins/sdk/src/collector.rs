//! A plugin that observes the system under test.

use std::{future::Future, marker::PhantomData};

pub use crate::bindings::collector::exports::kperf::plugin::collector_api::{Collection, ScenarioWindow, Window};
use crate::{Description, Failure, Slot, bindings::collector::exports::kperf::plugin::collector_api::Guest};

/// Observes the system under test while load runs. All calls are made in one instance, never two at once.
pub trait Collector: Sized + 'static {
    /// What this plugin is and offers. No capability works here.
    fn describe() -> Description;

    /// Called once, before load starts. A failure stops the run.
    fn start(collection: Collection) -> impl Future<Output = Result<Self, Failure>>;

    /// Takes one observation, on an interval from the instant when load starts. A failure is an incident in the result.
    fn collect(&self) -> impl Future<Output = Result<(), Failure>>;

    /// Takes what can only be had afterwards, for the time in which load ran.
    fn finish(&self, _window: Window) -> impl Future<Output = Result<(), Failure>> {
        async { Ok(()) }
    }
}

/// Ties a [`Collector`] to the exported functions.
pub struct CollectorComponent<C, S>(PhantomData<(C, S)>);

fn not_started() -> Failure {
    Failure::new("not-started", "called before start")
}

impl<C: Collector, S: Slot<C> + 'static> Guest for CollectorComponent<C, S> {
    fn describe() -> Description {
        C::describe()
    }

    async fn start(collection: Collection) -> Result<(), Failure> {
        S::set(C::start(collection).await?);
        Ok(())
    }

    async fn collect() -> Result<(), Failure> {
        S::get().ok_or_else(not_started)?.collect().await
    }

    async fn finish(window: Window) -> Result<(), Failure> {
        S::get().ok_or_else(not_started)?.finish(window).await
    }
}

/// Exports a [`Collector`] as the component's world. Once per plugin.
#[macro_export]
macro_rules! export_collector {
    ($type:ty) => {
        // Natively, where only tests run, a shared library could not have such names.
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, missing_docs, reason = "the component's exports are C functions")]
        const _: () = {
            $crate::__slot!(Slot, $type);
            type Component = $crate::CollectorComponent<$type, Slot>;
    $crate::bindings::collector::export!(Component with_types_in $crate::bindings::collector);
        };
    };
}
