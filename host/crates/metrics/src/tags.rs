//! Tags: the small sorted set of pairs that tells one series of a metric from another, and the selector over them.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// Pairs of key and value, sorted by key, each key once. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tags(Arc<[(Arc<str>, Arc<str>)]>);

impl Tags {
    /// Tags from pairs in any order; of two with the same key the later one stays.
    pub fn new<K: Into<Arc<str>>, V: Into<Arc<str>>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let mut all: Vec<(Arc<str>, Arc<str>)> = Vec::new();
        for (key, value) in pairs {
            let (key, value) = (key.into(), value.into());
            match all.binary_search_by(|(k, _)| k.cmp(&key)) {
                Ok(at) => {
                    if let Some(pair) = all.get_mut(at) {
                        pair.1 = value;
                    }
                }
                Err(at) => all.insert(at, (key, value)),
            }
        }
        Self(all.into())
    }

    /// These tags and one more; a pair with the same key is replaced.
    pub fn with(&self, key: &str, value: &str) -> Self {
        Self::new(self.0.iter().cloned().chain([(key.into(), value.into())]))
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| &**k == key).map(|(_, value)| &**value)
    }

    /// The pairs, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every pair of `selector` is among these tags. The empty selector matches everything.
    pub fn matches(&self, selector: &Tags) -> bool {
        selector.iter().all(|(key, value)| self.get(key) == Some(value))
    }
}

impl Default for Tags {
    fn default() -> Self {
        Self(Arc::new([]))
    }
}

impl fmt::Display for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (at, (key, value)) in self.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{key}={value}")?;
        }
        f.write_str("}")
    }
}

impl Serialize for Tags {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pairs = std::collections::BTreeMap::<String, String>::deserialize(deserializer)?;
        Ok(Self::new(pairs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_and_the_later_value_stays() {
        let tags = Tags::new([("b", "2"), ("a", "1"), ("b", "3")]);
        assert_eq!(tags, Tags::new([("a", "1"), ("b", "3")]));
        assert_eq!(tags.to_string(), "{a=1,b=3}");
        assert_eq!(tags.with("a", "9").get("a"), Some("9"));
    }

    #[test]
    fn a_selector_matches_when_all_its_pairs_are_there() {
        let tags = Tags::new([("scenario", "s"), ("operation", "create_run")]);
        assert!(tags.matches(&Tags::default()));
        assert!(tags.matches(&Tags::new([("operation", "create_run")])));
        assert!(!tags.matches(&Tags::new([("operation", "get_run")])));
        assert!(!tags.matches(&Tags::new([("status", "200")])));
    }
}
