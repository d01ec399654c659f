//! The things of a tenant that can be read, and how far each list has been read.

use kperf_plugin_sdk::random;
use serde::{Deserialize, Serialize};

use crate::api::resource::{Id, Resource};

/// After so many pages a list is read from its beginning again.
const DEEPEST: u32 = 1000;

/// Ids by kind of thing, each at most once.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Pool {
    most: usize,
    ids: [Vec<Id>; 5],
    #[serde(skip)]
    cursors: [Cursor; 5],
}

/// Where a list goes on.
#[derive(Clone, Debug, Default)]
struct Cursor {
    /// Whose versions these are.
    owner: String,
    /// Empty at the beginning.
    token: String,
    /// How many pages lie before.
    depth: u32,
}

impl Pool {
    /// Knows nothing yet, and never more than so many ids of a kind.
    pub fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// The known ids of a kind.
    pub fn ids(&self, resource: Resource) -> &[Id] {
        self.ids.get(resource.index()).map_or(&[], Vec::as_slice)
    }

    /// Adds ids while there is room.
    pub fn add(&mut self, resource: Resource, ids: Vec<Id>) {
        let Some(known) = self.ids.get_mut(resource.index()) else { return };
        for id in ids {
            if known.len() < self.most && !known.contains(&id) {
                known.push(id);
            }
        }
    }

    /// Takes up one of the ids of a page; when there is no room, in the place of another one. So what is read deep in a list
    /// is also read one by one.
    pub fn learn(&mut self, resource: Resource, ids: Vec<Id>, below: impl Fn(u64) -> u64) {
        let place = below(ids.len() as u64) as usize;
        let Some(id) = ids.into_iter().nth(place) else { return };
        let Some(known) = self.ids.get_mut(resource.index()) else { return };
        if known.len() < self.most {
            if !known.contains(&id) {
                known.push(id);
            }
        } else if let Some(old) = known.get_mut(below(self.most as u64) as usize) {
            *old = id;
        }
    }

    /// Forgets an id.
    pub fn forget(&mut self, resource: Resource, id: &Id) {
        if let Some(known) = self.ids.get_mut(resource.index()) {
            known.retain(|other| other != id);
        }
    }

    /// One of the ids, each as likely as any other.
    pub fn pick(&self, resource: Resource) -> Option<Id> {
        let known = self.ids(resource);
        known.get(random::below(known.len() as u64) as usize).cloned()
    }

    /// The token of the page that comes next, and how many pages lie before it.
    pub fn cursor(&self, resource: Resource, owner: &str) -> (String, u32) {
        let cursor = self.cursors.get(resource.index()).filter(|cursor| cursor.owner == owner);
        cursor.map(|cursor| (cursor.token.clone(), cursor.depth)).unwrap_or_default()
    }

    /// Notes where a list goes on; without a token, at its beginning.
    pub fn advance(&mut self, resource: Resource, owner: &str, token: String, depth: u32) {
        if let Some(cursor) = self.cursors.get_mut(resource.index()) {
            let over = token.is_empty() || depth >= DEEPEST;
            *cursor = if over { Cursor::default() } else { Cursor { owner: owner.into(), token, depth } };
        }
    }

    /// Begins a list again.
    pub fn rewind(&mut self, resource: Resource) {
        self.advance(resource, "", String::new(), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Id {
        Id { id: text.into(), pipeline: String::new() }
    }

    #[test]
    fn a_pool_never_grows_beyond_its_limit() {
        let mut pool = Pool::new(2);
        pool.add(Resource::Runs, vec![id("a"), id("a"), id("b"), id("c")]);
        assert_eq!(pool.ids(Resource::Runs), [id("a"), id("b")]);
        pool.learn(Resource::Runs, vec![id("d")], |_| 0);
        assert_eq!(pool.ids(Resource::Runs), [id("d"), id("b")]);
        pool.forget(Resource::Runs, &id("b"));
        assert_eq!(pool.ids(Resource::Runs), [id("d")]);
        assert_eq!(pool.ids(Resource::Pipelines), []);
    }

    #[test]
    fn lists_are_read_page_by_page_and_then_again() {
        let mut pool = Pool::new(2);
        assert_eq!(pool.cursor(Resource::Runs, ""), (String::new(), 0));
        pool.advance(Resource::Runs, "", "t1".into(), 1);
        assert_eq!(pool.cursor(Resource::Runs, ""), ("t1".into(), 1));
        pool.advance(Resource::Runs, "", String::new(), 2);
        assert_eq!(pool.cursor(Resource::Runs, ""), (String::new(), 0));
        pool.advance(Resource::Versions, "P", "t".into(), 1);
        assert_eq!(pool.cursor(Resource::Versions, "Q"), (String::new(), 0));
    }
}
