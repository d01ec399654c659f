//! Compares a few places of a JSON text with expected values, in one pass and without building the whole value.
//!
//! The pointers form a tree. The text is read once, completely, so that broken JSON anywhere fails; members that no
//! pointer leads to are skipped, scalars are compared where they stand.

use std::{collections::BTreeMap, fmt};

use kperf_plugin_sdk::Failure;
use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer,
        value::SeqAccessDeserializer,
    },
};
use serde_json::Value;

/// Which of the pointers hold, by their order.
#[derive(Default)]
pub struct Matches(u64);

impl Matches {
    pub fn contains(&self, index: usize) -> bool {
        self.0 & (1 << index) != 0
    }

    fn insert(&mut self, index: usize) {
        self.0 |= 1 << index;
    }
}

/// The most pointers that one request may have: their outcomes fit into a word.
const MOST: usize = u64::BITS as usize;

/// A set of JSON pointers with the values expected there.
#[derive(Default)]
pub struct Picker {
    root: Node,
    len: usize,
}

#[derive(Default)]
struct Node {
    /// The number of the pointer that ends here, and the value expected.
    expected: Option<(usize, Value)>,
    children: Vec<(String, Node)>,
}

impl Picker {
    /// Builds the tree; pointers are numbered in the map's order.
    pub fn new(pointers: BTreeMap<String, Value>) -> Result<Self, Failure> {
        if pointers.len() > MOST {
            let message = format!("{} JSON pointers are too many for one request, {MOST} is the most", pointers.len());
            return Err(Failure::params(message));
        }
        let mut picker = Self { root: Node::default(), len: pointers.len() };
        for (index, (pointer, value)) in pointers.into_iter().enumerate() {
            let mut node = &mut picker.root;
            if !pointer.is_empty() {
                let Some(steps) = pointer.strip_prefix('/') else {
                    let help = "write for example \"/items/0/name\"";
                    return Err(Failure::params(format!("`{pointer}` is not a JSON pointer, {help}")));
                };
                for step in steps.split('/') {
                    node = node.child(step.replace("~1", "/").replace("~0", "~"));
                }
            }
            node.expected = Some((index, value));
        }
        Ok(picker)
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Which pointers hold in a body; none if it isn't JSON.
    pub fn pick(&self, body: &[u8]) -> Matches {
        let mut matches = Matches::default();
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        let read = Seed { node: &self.root, matches: &mut matches }.deserialize(&mut deserializer);
        if read.and_then(|()| deserializer.end()).is_err() {
            return Matches::default();
        }
        matches
    }
}

impl Node {
    fn child(&mut self, step: String) -> &mut Self {
        let at = self.children.iter().position(|(key, _)| *key == step).unwrap_or_else(|| {
            self.children.push((step, Self::default()));
            self.children.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "the position was just found or made")]
        &mut self.children[at].1
    }

    /// Marks what matches in a value that had to be built, below this node.
    fn compare(&self, value: &Value, matches: &mut Matches) {
        if let Some((index, expected)) = &self.expected
            && equal(expected, value)
        {
            matches.insert(*index);
        }
        for (step, child) in &self.children {
            let found = match value {
                Value::Object(members) => members.get(step),
                Value::Array(items) => step.parse::<usize>().ok().and_then(|at| items.get(at)),
                _ => None,
            };
            if let Some(found) = found {
                child.compare(found, matches);
            }
        }
    }
}

/// Equality in the sense of JSON, where 1 and 1.0 are the same number.
fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => left == right,
    }
}

struct Seed<'a> {
    node: &'a Node,
    matches: &'a mut Matches,
}

impl Seed<'_> {
    fn found(self, matches: bool) {
        if let Some((index, _)) = &self.node.expected
            && matches
        {
            self.matches.insert(*index);
        }
    }

    fn expected(&self) -> Option<&Value> {
        self.node.expected.as_ref().map(|(_, value)| value)
    }

    fn number<E>(self, number: serde_json::Number) -> Result<(), E> {
        let matches = self.expected().is_some_and(|expected| equal(expected, &Value::Number(number)));
        self.found(matches);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        let matches = self.expected().and_then(Value::as_bool) == Some(value);
        self.found(matches);
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.number(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.number(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        match serde_json::Number::from_f64(value) {
            Some(number) => self.number(number),
            None => Ok(()),
        }
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        let matches = self.expected().and_then(Value::as_str) == Some(value);
        self.found(matches);
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        let matches = self.expected().is_some_and(Value::is_null);
        self.found(matches);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        if self.node.expected.is_some() {
            let value = Value::deserialize(SeqAccessDeserializer::new(items))?;
            self.node.compare(&value, self.matches);
            return Ok(());
        }
        for at in 0_usize.. {
            let child = self.node.children.iter().find(|(step, _)| step.parse() == Ok(at));
            let more = match child {
                Some((_, node)) => items.next_element_seed(Seed { node, matches: &mut *self.matches })?.is_some(),
                None => items.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        if self.node.expected.is_some() {
            let value = Value::deserialize(MapAccessDeserializer::new(members))?;
            self.node.compare(&value, self.matches);
            return Ok(());
        }
        while let Some(child) = members.next_key_seed(Key(&self.node.children))? {
            match child {
                Some(node) => members.next_value_seed(Seed { node, matches: &mut *self.matches })?,
                None => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// Finds the child that a member's name leads to, without copying the name.
struct Key<'a>(&'a [(String, Node)]);

impl<'de, 'a> DeserializeSeed<'de> for Key<'a> {
    type Value = Option<&'a Node>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for Key<'a> {
    type Value = Option<&'a Node>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a member's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().find(|(step, _)| step == name).map(|(_, node)| node))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pointer: &str, expected: Value, body: &str) -> bool {
        let pointers = [(pointer.to_owned(), expected)].into_iter().collect();
        Picker::new(pointers).unwrap().pick(body.as_bytes()).contains(0)
    }

    #[test]
    fn agrees_with_serde_json_pointers() {
        let body = r#"{"a":{"b":[1,{"c":"x"},null,true,2.5]},"~/":{"":-3},"s":"t","e":[],"o":{"k":[1.0]}}"#;
        let value: Value = serde_json::from_str(body).unwrap();
        let pointers = [
            "", "/a", "/a/b", "/a/b/0", "/a/b/1", "/a/b/1/c", "/a/b/2", "/a/b/3", "/a/b/4", "/~0~1", "/~0~1/", "/s",
            "/e", "/o/k",
        ];
        for pointer in pointers {
            let expected = value.pointer(pointer).unwrap();
            assert!(matches(pointer, expected.clone(), body), "{pointer}");
            assert!(!matches(pointer, serde_json::json!("other"), body), "{pointer}");
        }
        for pointer in ["/x", "/a/b/9", "/a/b/x", "/s/0"] {
            assert!(value.pointer(pointer).is_none());
            assert!(!matches(pointer, Value::Null, body), "{pointer}");
        }
    }

    #[test]
    fn one_pointer_may_lie_below_another() {
        let pointers: BTreeMap<String, Value> =
            [("/a".to_owned(), serde_json::json!({"b": 1})), ("/a/b".to_owned(), serde_json::json!(1))].into();
        let picker = Picker::new(pointers).unwrap();
        let matches = picker.pick(br#"{"a":{"b":1}}"#);
        assert!(matches.contains(0) && matches.contains(1));
    }

    #[test]
    fn broken_json_holds_nothing() {
        for body in ["", "{", r#"{"a":1"#, r#"{"a":1} x"#, r#"{"a":1,"b":tru}"#] {
            assert!(!matches("/a", 1.into(), body), "{body}");
        }
    }

    #[test]
    fn numbers_compare_by_value() {
        assert!(matches("/a", serde_json::json!(1), r#"{"a":1.0}"#));
        assert!(matches("/a", serde_json::json!(-1.5), r#"{"a":-15e-1}"#));
        assert!(!matches("/a", serde_json::json!(1), r#"{"a":"1"}"#));
    }

    #[test]
    fn refuses_what_is_no_pointer() {
        let pointers = [("a".to_owned(), Value::Null)].into_iter().collect();
        assert!(Picker::new(pointers).is_err());
        let many = (0..65).map(|n| (format!("/{n}"), Value::Null)).collect();
        assert!(Picker::new(many).is_err());
    }
}
