//! What the plugin creates on the target, so that nothing is left behind.
//!
//! [`create`] sends a request under an entry, [`remove`] removes what is open in the end. What they can't express says
//! [`Pending`].
//!
//! ```ignore
//! let run = ledger::create("run", &name, api::create_run(&name), |run| &run.id, ApiError::is_refusal).await?;
//! ```

use std::{collections::BTreeMap, future::Future};

use futures_util::{StreamExt, stream};

use crate::{
    Entry, Failure,
    bindings::kperf::plugin::ledger::{created, creating},
};

pub use crate::bindings::kperf::plugin::ledger::removed;

/// Something that is about to be created. Dropped without a word it stays open in the ledger: the request may have
/// reached the target although no answer came back.
#[must_use = "say what became of it"]
pub struct Pending(u64);

impl Pending {
    /// Notes that something is about to be created; `kind` is a short word from a small set, `name` is enough to find it
    /// on the target if no id ever comes back.
    pub fn new(kind: &str, name: &str) -> Self {
        Self(creating(kind, name))
    }

    /// The target has created it under this id. Returns the entry's number, for [`removed`].
    pub fn created(self, id: &str) -> u64 {
        created(self.0, id);
        self.0
    }

    /// The target has answered that it did not create it. Hands the error through.
    pub fn refused<E>(self, error: E) -> E {
        removed(self.0);
        error
    }
}

/// Sends a request that creates something, with an entry in the ledger. `id` names the thing's id in the answer, `is_refusal`
/// says whether an error means that nothing was created.
///
/// # Errors
/// The request's error. Unless it is a refusal the entry stays open: the thing may be there.
pub async fn create<T, E>(
    kind: &str,
    name: &str,
    request: impl Future<Output = Result<T, E>>,
    id: impl FnOnce(&T) -> &str,
    is_refusal: impl FnOnce(&E) -> bool,
) -> Result<T, E> {
    let pending = Pending::new(kind, name);
    match request.await {
        Ok(made) => {
            pending.created(id(&made));
            Ok(made)
        }
        Err(error) if is_refusal(&error) => Err(pending.refused(error)),
        Err(error) => Err(error),
    }
}

/// Removes things from the target, `at_once` at a time, and tells the ledger of each one that is gone: for
/// [`cleanup`](crate::Runner::cleanup). Those with the least `order` go first, and those with the next one when they are done.
///
/// # Errors
/// The first failure, with how many more there were; all others are gone all the same.
pub async fn remove<K: Ord, F, E>(
    entries: Vec<Entry>,
    order: impl Fn(&Entry) -> K,
    at_once: usize,
    remove: impl Fn(Entry) -> F,
) -> Result<(), Failure>
where
    F: Future<Output = Result<(), E>>,
    Failure: From<E>,
{
    let mut groups: BTreeMap<K, Vec<Entry>> = BTreeMap::new();
    for entry in entries {
        groups.entry(order(&entry)).or_default().push(entry);
    }
    let mut failures = Vec::new();
    for group in groups.into_values() {
        let removals = stream::iter(group).map(|entry| {
            let (number, removal) = (entry.number, remove(entry));
            async move {
                removal.await?;
                removed(number);
                Ok::<(), E>(())
            }
        });
        let results: Vec<Result<(), E>> = removals.buffer_unordered(at_once).collect().await;
        failures.extend(results.into_iter().filter_map(Result::err).map(Failure::from));
    }
    first_of(failures)
}

impl Entry {
    /// The failure of an entry that is not this plugin's: its kind is unknown, or its name can't be read.
    #[must_use]
    pub fn unknown(&self) -> Failure {
        Failure::new("cleanup", format!("`{} {}` is nothing that this plugin creates", self.kind, self.name))
    }
}

fn first_of(failures: Vec<Failure>) -> Result<(), Failure> {
    let more = failures.len().saturating_sub(1);
    match failures.into_iter().next() {
        None => Ok(()),
        Some(first) if more == 0 => Err(first),
        Some(first) => Err(Failure::new(&first.kind, format!("{} (and {more} more failures)", first.message))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_says_how_many_more_there_are() {
        let failure = |text: &str| Failure::new("x", text);
        assert_eq!(first_of(Vec::new()), Ok(()));
        assert_eq!(first_of(vec![failure("a")]), Err(failure("a")));
        let several = vec![failure("a"), failure("b"), failure("c")];
        assert_eq!(first_of(several), Err(failure("a (and 2 more failures)")));
    }
}
