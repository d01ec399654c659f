//! Rows by id, kept in the order in which lists show them.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use uuid::Uuid;

use crate::random::RandomStream;

/// The position of a row in lists: the second of its creation, ties broken by id.
pub(crate) type Position = (u32, Uuid);
/// The places of rows, with where each row is kept.
pub(crate) type Positions = BTreeMap<Position, usize>;

/// A row of a table.
pub(crate) trait Row {
    /// The row's id.
    fn id(&self) -> Uuid;
    /// The second of its creation.
    fn created(&self) -> u32;
    /// The ids that it can be listed by (a version's pipeline; a run's experiment, namespace and recurring run).
    fn parents(&self) -> [Option<Uuid>; 3];
    /// The name that no other row may have, for rows with a name of their own.
    fn unique(&self) -> Option<String> {
        None
    }
}

/// The key under which rows of a namespace, or of none, are listed.
pub(crate) fn namespace_key(namespace: &str) -> Uuid {
    RandomStream::new(0).fork_named(namespace).uuid()
}

/// A name as it must be unique: within its namespace or parent, without regard to case like the database.
pub(crate) fn unique_name(within: &str, name: &str) -> String {
    format!("{within}/{}", name.to_lowercase())
}

/// One kind of resource. No walk over all rows is needed to find one, to check a name, or to list from some place on.
#[derive(Debug)]
pub(crate) struct Table<T> {
    rows: Vec<Option<T>>,
    holes: Vec<usize>,
    ids: FxHashMap<Uuid, usize>,
    names: FxHashMap<String, Uuid>,
    order: Positions,
    within: FxHashMap<Uuid, Positions>,
    none: Positions,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            holes: Vec::new(),
            ids: FxHashMap::default(),
            names: FxHashMap::default(),
            order: Positions::new(),
            within: FxHashMap::default(),
            none: Positions::new(),
        }
    }
}

impl<T: Row> Table<T> {
    /// Adds a row.
    pub(crate) fn insert(&mut self, row: T) {
        let place = (row.created(), row.id());
        let at = self.holes.pop().unwrap_or(self.rows.len());
        self.order.insert(place, at);
        for parent in row.parents().into_iter().flatten() {
            self.within.entry(parent).or_default().insert(place, at);
        }
        if let Some(name) = row.unique() {
            self.names.insert(name, row.id());
        }
        self.ids.insert(row.id(), at);
        match self.rows.get_mut(at) {
            Some(hole) => *hole = Some(row),
            None => self.rows.push(Some(row)),
        }
    }

    /// Takes a row out.
    pub(crate) fn remove(&mut self, id: Uuid) -> Option<T> {
        let at = self.ids.remove(&id)?;
        let row = self.rows.get_mut(at)?.take()?;
        self.holes.push(at);
        let place = (row.created(), row.id());
        self.order.remove(&place);
        if let Some(name) = row.unique() {
            self.names.remove(&name);
        }
        for parent in row.parents().into_iter().flatten() {
            if let Some(siblings) = self.within.get_mut(&parent) {
                siblings.remove(&place);
                if siblings.is_empty() {
                    self.within.remove(&parent);
                }
            }
        }
        Some(row)
    }

    /// The row with this id.
    pub(crate) fn get(&self, id: Uuid) -> Option<&T> {
        self.at(*self.ids.get(&id)?)
    }

    /// The row with this id, to change what neither its place, its parents nor its unique name depend on.
    pub(crate) fn get_mut(&mut self, id: Uuid) -> Option<&mut T> {
        self.rows.get_mut(*self.ids.get(&id)?)?.as_mut()
    }

    /// The row with this unique name.
    pub(crate) fn named(&self, name: &str) -> Option<&T> {
        self.get(*self.names.get(name)?)
    }

    /// The row kept there.
    pub(crate) fn at(&self, at: usize) -> Option<&T> {
        self.rows.get(at)?.as_ref()
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// The places of all rows, or of those of `parent`.
    pub(crate) fn places(&self, parent: Option<Uuid>) -> &Positions {
        match parent {
            None => &self.order,
            Some(parent) => self.within.get(&parent).unwrap_or(&self.none),
        }
    }

    /// The ids of the rows of `parent`, oldest first.
    pub(crate) fn ids(&self, parent: Option<Uuid>) -> Vec<Uuid> {
        self.places(parent).keys().map(|(_, id)| *id).collect()
    }

    /// The rows of `parent` (of all, if there is none), oldest first.
    pub(crate) fn rows(&self, parent: Option<Uuid>) -> impl DoubleEndedIterator<Item = &T> {
        self.places(parent).values().filter_map(|at| self.at(*at))
    }
}
