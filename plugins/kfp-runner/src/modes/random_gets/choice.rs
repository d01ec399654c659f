//! Which read comes next. Random numbers come in as a function, so that everything here can be repeated.

use std::collections::BTreeMap;

use kperf_plugin_sdk::{Failure, random::Weighted};
use serde_json::json;

use crate::api::{self, resource::Resource};

/// Weights by name; names that are left out have no weight, unless no name is given at all.
pub type Weights = BTreeMap<String, u32>;

/// A read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Read {
    One(Resource),
    List(Resource, Shape),
}

/// How a list is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The first page in the server's own order.
    First,
    /// The page after the one that was read last.
    Deep,
    /// The first page in another order.
    Sorted,
    /// The first page of what a filter leaves.
    Filtered,
}

impl Shape {
    const ALL: [Self; 4] = [Self::First, Self::Deep, Self::Sorted, Self::Filtered];

    /// The key in `shapes`, and the value of the tag `shape`.
    pub fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Deep => "deep",
            Self::Sorted => "sorted",
            Self::Filtered => "filtered",
        }
    }

    fn default_weight(self) -> u32 {
        match self {
            Self::First => 4,
            Self::Deep | Self::Sorted | Self::Filtered => 2,
        }
    }
}

/// Reads with their weights.
#[derive(Debug)]
pub struct Choices {
    /// A kind of thing, and whether its list is read.
    operations: Weighted<(Resource, bool)>,
    shapes: Weighted<Shape>,
}

impl Choices {
    /// # Errors
    /// A failure of the kind `params` if a name is unknown, or nothing has a weight.
    pub fn new(operations: &Weights, shapes: &Weights) -> Result<Self, Failure> {
        // People read the list of runs and single runs far more often than anything else.
        let default = |name: &str| match name {
            "list_runs" | "get_run" => 30,
            "list_experiments" | "list_pipelines" => 8,
            _ => 4,
        };
        let mut left = operations.clone();
        let mut chosen = Vec::new();
        for resource in Resource::ALL {
            let (one, list) = resource.operations();
            for (name, is_list) in [(one, false), (list, true)] {
                let weight = left.remove(name).unwrap_or_else(|| if operations.is_empty() { default(name) } else { 0 });
                chosen.push((weight, (resource, is_list)));
            }
        }
        let unknown = |what: &str, name: &str, known: Vec<&str>| {
            Failure::params(format!("`{what}` has no `{name}`, there are: {}", known.join(", ")))
        };
        if let Some(name) = left.keys().next() {
            let known = Resource::ALL.iter().flat_map(|it| [it.operations().0, it.operations().1]).collect();
            return Err(unknown("operations", name, known));
        }
        let weight = |shape: Shape| {
            shapes.get(shape.name()).copied().unwrap_or(if shapes.is_empty() { shape.default_weight() } else { 0 })
        };
        let known = Shape::ALL.map(Shape::name);
        if let Some(name) = shapes.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(unknown("shapes", name, known.to_vec()));
        }
        let reads_lists = chosen.iter().any(|(weight, (_, is_list))| *weight > 0 && *is_list);
        let operations = Weighted::new(chosen);
        let shapes = Weighted::new(Shape::ALL.map(|shape| (weight(shape), shape)));
        if operations.total() == 0 || (reads_lists && shapes.total() == 0) {
            return Err(Failure::params("give at least one of `operations` and of `shapes` a weight above 0"));
        }
        Ok(Self { operations, shapes })
    }

    /// A read by its weight; `below` gives a random number below its argument.
    pub fn choose(&self, below: impl Fn(u64) -> u64) -> Read {
        match self.operations.choose(&below) {
            Some((resource, false)) => Read::One(*resource),
            Some((resource, true)) => {
                Read::List(*resource, self.shapes.choose(&below).copied().unwrap_or(Shape::First))
            }
            None => Read::List(Resource::Runs, Shape::First),
        }
    }
}

/// An order for a list.
pub fn sort(resource: Resource, below: impl Fn(u64) -> u64) -> String {
    let fields: &[&str] = match resource {
        Resource::Runs => &["created_at", "name", "finished_at", "state"],
        _ => &["created_at", "name"],
    };
    let field = fields.get(below(fields.len() as u64) as usize).copied().unwrap_or("created_at");
    // Ascending by creation is the server's own order, and would be no other one.
    if field == "created_at" || below(2) == 0 { format!("{field} desc") } else { format!("{field} asc") }
}

/// A filter for a list: by a piece of the name, or for runs also by state.
pub fn filter(resource: Resource, below: impl Fn(u64) -> u64) -> String {
    const STATES: [&str; 3] = ["SUCCEEDED", "FAILED", "RUNNING"];
    if resource == Resource::Runs && below(2) == 0 {
        let state = STATES.get(below(3) as usize).copied().unwrap_or("RUNNING");
        return api::filter(&[api::equals("state", state)]);
    }
    // Most tools put numbers into names.
    let piece = below(10).to_string();
    api::filter(&[json!({"operation": "IS_SUBSTRING", "key": "name", "string_value": piece})])
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn weights(pairs: &[(&str, u32)]) -> Weights {
        pairs.iter().map(|(name, weight)| ((*name).to_owned(), *weight)).collect()
    }

    /// Numbers that go round.
    fn numbers() -> impl Fn(u64) -> u64 {
        let state = Cell::new(1_u64);
        move |bound| {
            state.set(state.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
            (state.get() >> 33) % bound.max(1)
        }
    }

    #[test]
    fn reads_follow_their_weights() {
        let choices = Choices::new(&weights(&[("get_run", 1), ("list_runs", 3)]), &weights(&[("deep", 1)])).unwrap();
        let random = numbers();
        let reads: Vec<Read> = (0..4000).map(|_| choices.choose(&random)).collect();
        let lists = reads.iter().filter(|read| **read == Read::List(Resource::Runs, Shape::Deep)).count();
        assert!((2800..3200).contains(&lists), "{lists}");
        assert_eq!(reads.iter().filter(|read| **read == Read::One(Resource::Runs)).count(), 4000 - lists);
    }

    #[test]
    fn by_default_everything_is_read() {
        let choices = Choices::new(&Weights::new(), &Weights::new()).unwrap();
        let random = numbers();
        let reads: Vec<Read> = (0..4000).map(|_| choices.choose(&random)).collect();
        for resource in Resource::ALL {
            assert!(reads.contains(&Read::One(resource)), "{resource:?}");
            for shape in Shape::ALL {
                assert!(reads.contains(&Read::List(resource, shape)), "{resource:?} {shape:?}");
            }
        }
    }

    #[test]
    fn what_has_no_meaning_is_refused() {
        let refused = |operations: &[(&str, u32)], shapes: &[(&str, u32)]| {
            Choices::new(&weights(operations), &weights(shapes)).unwrap_err().message
        };
        assert!(refused(&[("get_runs", 1)], &[]).contains("has no `get_runs`, there are: get_pipeline"));
        assert!(refused(&[], &[("last", 1)]).contains("has no `last`"));
        assert!(refused(&[("get_run", 0)], &[]).contains("above 0"));
        assert!(Choices::new(&weights(&[("get_run", 1)]), &weights(&[("first", 0)])).is_ok());
    }

    #[test]
    fn orders_and_filters_are_ones_that_servers_know() {
        let random = numbers();
        for _ in 0..100 {
            assert!(sort(Resource::Runs, &random).ends_with("sc"));
            assert!(filter(Resource::Runs, &random).starts_with("{\"predicates\":[{"));
            assert!(filter(Resource::Experiments, &random).contains("IS_SUBSTRING"));
        }
    }
}
