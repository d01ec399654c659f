//! A plugin that makes load.

use std::{future::Future, marker::PhantomData};

pub use crate::bindings::runner::exports::kperf::plugin::runner_api::{Iteration, Scenario};
use crate::{Description, Entry, Failure, Finding, Slot, bindings::runner::exports::kperf::plugin::runner_api::Guest};

/// Makes load: one iteration at a time, as often and as concurrently as the host decides.
///
/// `preflight`, `setup` and `teardown` each run in an instance of their own, so they are functions of the type; what
/// the instances need goes through the state that `setup` returns. A value of the type lives in every instance that makes
/// load, from `open` on; several of its iterations run at once, interleaved at every `await`.
pub trait Runner: Sized + 'static {
    /// What this plugin is and offers. No capability works here.
    fn describe() -> Description;

    /// Checks whether the target is there and usable. Creates nothing.
    fn preflight(_scenario: Scenario) -> impl Future<Output = Vec<Finding>> {
        async { Vec::new() }
    }

    /// Prepares the scenario and returns a state of the plugin's own choosing, at most 1 MiB.
    fn setup(_scenario: Scenario) -> impl Future<Output = Result<Vec<u8>, Failure>> {
        async { Ok(Vec::new()) }
    }

    /// A fresh instance learns what it works on.
    fn open(scenario: Scenario, state: Vec<u8>) -> impl Future<Output = Result<Self, Failure>>;

    /// One iteration of one virtual user.
    fn iterate(&self, iteration: Iteration) -> impl Future<Output = Result<(), Failure>>;

    /// Ends what the scenario has begun, other than what the ledger knows; `state` is empty if `setup` did not succeed.
    fn teardown(_scenario: Scenario, _state: Vec<u8>) -> impl Future<Output = Result<(), Failure>> {
        async { Ok(()) }
    }

    /// Removes these things from the target, the latest first, and tells the [ledger](crate::ledger) of each that is gone.
    /// Nothing but the arguments is there: the run may be long over.
    fn cleanup(_scenario: Scenario, _entries: Vec<Entry>) -> impl Future<Output = Result<(), Failure>> {
        async { Err(Failure::new("cleanup", "the plugin keeps a ledger but does not implement `cleanup`")) }
    }
}

/// Ties a [`Runner`] to the exported functions.
pub struct RunnerComponent<R, S>(PhantomData<(R, S)>);

impl<R: Runner, S: Slot<R> + 'static> Guest for RunnerComponent<R, S> {
    fn describe() -> Description {
        R::describe()
    }

    async fn preflight(scenario: Scenario) -> Vec<Finding> {
        R::preflight(scenario).await
    }

    async fn setup(scenario: Scenario) -> Result<Vec<u8>, Failure> {
        R::setup(scenario).await
    }

    async fn open(scenario: Scenario, state: Vec<u8>) -> Result<(), Failure> {
        S::set(R::open(scenario, state).await?);
        Ok(())
    }

    async fn iterate(iteration: Iteration) -> Result<(), Failure> {
        match S::get() {
            Some(runner) => runner.iterate(iteration).await,
            None => Err(Failure::new("not-open", "iterate was called before open")),
        }
    }

    async fn teardown(scenario: Scenario, state: Vec<u8>) -> Result<(), Failure> {
        R::teardown(scenario, state).await
    }

    async fn cleanup(scenario: Scenario, entries: Vec<Entry>) -> Result<(), Failure> {
        R::cleanup(scenario, entries).await
    }
}

/// Exports a [`Runner`] as the component's world. Once per plugin.
#[macro_export]
macro_rules! export_runner {
    ($type:ty) => {
        // Natively, where only tests run, a shared library could not have such names.
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, missing_docs, reason = "the component's exports are C functions")]
        const _: () = {
            $crate::__slot!(Slot, $type);
            type Component = $crate::RunnerComponent<$type, Slot>;
    $crate::bindings::runner::export!(Component with_types_in $crate::bindings::runner);
        };
    };
}
