//! The tenants that a scenario makes requests for.

use std::future::Future;

use futures_util::{StreamExt, TryStreamExt, stream};

/// At least one tenant, each known by its place in the list.
#[derive(Clone, Debug, PartialEq)]
pub struct Tenants<T> {
    first: T,
    others: Vec<T>,
}

impl<T> Tenants<T> {
    /// The tenants of a list; none if it is empty.
    pub fn new(tenants: impl IntoIterator<Item = T>) -> Option<Self> {
        let mut tenants = tenants.into_iter();
        Some(Self { first: tenants.next()?, others: tenants.collect() })
    }

    /// Adds one at the end.
    pub fn push(&mut self, tenant: T) {
        self.others.push(tenant);
    }

    /// The number of tenants, at least 1.
    pub fn count(&self) -> usize {
        self.others.len() + 1
    }

    /// All tenants in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// All tenants in the order of their places, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        std::iter::once(&mut self.first).chain(&mut self.others)
    }

    /// The tenant at a place; places beyond the last one begin again.
    pub fn get(&self, place: usize) -> &T {
        let place = place % self.count();
        place.checked_sub(1).and_then(|place| self.others.get(place)).unwrap_or(&self.first)
    }

    /// The place of the tenant that a virtual user works for, if users are dealt out evenly.
    pub fn place_of_user(&self, user: u32) -> usize {
        user as usize % self.count()
    }

    /// At most so many of them, evenly spread: those that a preflight looks at.
    pub fn some(&self, most: usize) -> impl Iterator<Item = &T> {
        self.iter().step_by(self.count().div_ceil(most.max(1)))
    }

    /// Does something for each, several at once, and gives the results back by place.
    ///
    /// # Errors
    /// The first error; what has not begun by then is not begun.
    pub async fn each<'a, F, R, E>(&'a self, at_once: usize, act: impl FnMut(&'a T) -> F) -> Result<Vec<R>, E>
    where
        F: Future<Output = Result<R, E>>,
    {
        stream::iter(self.iter()).map(act).buffered(at_once).try_collect().await
    }
}

impl<T> From<T> for Tenants<T> {
    fn from(only: T) -> Self {
        Self { first: only, others: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_go_round() {
        let tenants = Tenants::new(["a", "b", "c"]).unwrap();
        assert_eq!([0, 1, 2, 3, 7].map(|place| *tenants.get(place)), ["a", "b", "c", "a", "b"]);
        assert_eq!((tenants.count(), tenants.place_of_user(4)), (3, 1));
        assert_eq!(Tenants::<u8>::new([]), None);
    }

    #[test]
    fn some_are_evenly_spread() {
        let tenants = Tenants::new(0..25).unwrap();
        assert_eq!(tenants.some(10).copied().collect::<Vec<_>>(), [0, 3, 6, 9, 12, 15, 18, 21, 24]);
        assert_eq!(tenants.some(100).count(), 25);
    }
}
