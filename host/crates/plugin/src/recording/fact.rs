//! Facts about the system under test, on their way from plugins to the host.

use std::sync::Arc;

use kperf_metrics::Fact;
use parking_lot::Mutex;

use crate::recording::series::is_key;

/// The longest key in bytes.
const LONGEST_KEY: usize = 64;
/// The longest value in bytes; what is beyond is cut.
const LONGEST_VALUE: usize = 512;
/// How many keys a plugin may have.
const MOST: usize = 64;

/// The facts of a run. Cheap to clone; clones share everything.
#[derive(Debug, Clone, Default)]
pub struct Facts(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    all: Vec<Fact>,
    /// Places of those that nobody has taken yet.
    news: Vec<usize>,
}

impl Facts {
    /// Takes those that are new or have changed since the last call.
    #[must_use]
    pub fn take(&self) -> Vec<Fact> {
        let known = &mut *self.0.lock();
        std::mem::take(&mut known.news).into_iter().filter_map(|place| known.all.get(place).cloned()).collect()
    }

    /// Notes one. What is no key, or one key too many, is dropped.
    pub(crate) fn note(&self, source: &str, key: &str, value: &str) {
        let value = value.split_at_checked(value.floor_char_boundary(LONGEST_VALUE)).map_or(value, |(value, _)| value);
        let known = &mut *self.0.lock();
        let place = match known.all.iter().position(|fact| fact.source == source && fact.key == key) {
            Some(place) => place,
            None => {
                let count = known.all.iter().filter(|fact| fact.source == source).count();
                if !is_key(key) || key.len() > LONGEST_KEY || count >= MOST {
                    return;
                }
                known.all.push(Fact { source: source.to_owned(), key: key.to_owned(), value: String::new() });
                known.all.len() - 1
            }
        };
        let Some(fact) = known.all.get_mut(place).filter(|fact| fact.value != value) else { return };
        value.clone_into(&mut fact.value);
        if !known.news.contains(&place) {
            known.news.push(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_of_a_key_stays_and_is_taken_once() {
        let facts = Facts::default();
        for (key, value) in [("os", "a"), ("os", "b"), ("No key", "x"), ("os", "b")] {
            facts.note("cluster", key, value);
        }
        facts.note("other", "os", &"é".repeat(400));
        let taken = facts.take();
        let shown: Vec<_> = taken.iter().map(|it| (it.source.as_str(), it.key.as_str(), it.value.len())).collect();
        assert_eq!(shown, [("cluster", "os", 1), ("other", "os", 512)]);
        facts.note("cluster", "os", "b");
        assert!(facts.take().is_empty());
    }
}
