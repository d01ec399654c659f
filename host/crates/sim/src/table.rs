//! Rows by id, kept in the order in which lists show them.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;
use uuid::Uuid;

/// Place of a row in lists: the second of its creation, ties broken by id.
pub(crate) type Place = (u32, Uuid);

/// What a table needs to know of a row.
pub(crate) trait Row {
    /// The row's id.
    fn id(&self) -> Uuid;
    /// The second of its creation.
    fn created(&self) -> u32;
    /// What it belongs to (a version's pipeline, a run's experiment).
    fn parent(&self) -> Option<Uuid>;
}

/// One kind of resource. No walk over all rows is needed to find one or to list from some place on.
#[derive(Debug)]
pub(crate) struct Table<T> {
    rows: FxHashMap<Uuid, T>,
    order: BTreeSet<Place>,
    within: FxHashMap<Uuid, BTreeSet<Place>>,
    none: BTreeSet<Place>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { rows: FxHashMap::default(), order: BTreeSet::new(), within: FxHashMap::default(), none: BTreeSet::new() }
    }
}

impl<T: Row> Table<T> {
    /// Adds a row.
    pub(crate) fn insert(&mut self, row: T) {
        let place = (row.created(), row.id());
        self.order.insert(place);
        if let Some(parent) = row.parent() {
            self.within.entry(parent).or_default().insert(place);
        }
        self.rows.insert(row.id(), row);
    }

    /// Takes a row out.
    pub(crate) fn remove(&mut self, id: Uuid) -> Option<T> {
        let row = self.rows.remove(&id)?;
        let place = (row.created(), row.id());
        self.order.remove(&place);
        if let Some(parent) = row.parent()
            && let Some(siblings) = self.within.get_mut(&parent)
        {
            siblings.remove(&place);
            if siblings.is_empty() {
                self.within.remove(&parent);
            }
        }
        Some(row)
    }

    /// The row with this id.
    pub(crate) fn get(&self, id: Uuid) -> Option<&T> {
        self.rows.get(&id)
    }

    /// The row with this id, to change what neither its place nor its parent depends on.
    pub(crate) fn get_mut(&mut self, id: Uuid) -> Option<&mut T> {
        self.rows.get_mut(&id)
    }

    /// The places of all rows, or of those that belong to `parent`.
    pub(crate) fn places(&self, parent: Option<Uuid>) -> &BTreeSet<Place> {
        match parent {
            None => &self.order,
            Some(parent) => self.within.get(&parent).unwrap_or(&self.none),
        }
    }

    /// The rows of `places` in order, oldest first.
    pub(crate) fn rows(&self, parent: Option<Uuid>) -> impl DoubleEndedIterator<Item = &T> {
        self.places(parent).iter().filter_map(|(_, id)| self.rows.get(id))
    }
}
