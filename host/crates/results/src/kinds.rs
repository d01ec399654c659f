//! How many things of which kind.

use std::collections::BTreeMap;

/// How many things of each kind; kinds are English nouns of the plugins' own.
pub type Kinds = BTreeMap<String, u64>;

/// Kinds that are named; a plugin may have made up any number.
const NAMED: usize = 12;

/// `37 runs, 1 pipeline`: kinds are English nouns of the plugins' own.
#[must_use]
pub fn list_of_kinds(kinds: &Kinds) -> String {
    let name = |kind: &str| -> String { kind.chars().map(|c| if c.is_control() { '?' } else { c }).collect() };
    let mut parts: Vec<String> =
        kinds.iter().take(NAMED).map(|(kind, &count)| format!("{count} {}", plural(&name(kind), count))).collect();
    let others: u64 = kinds.values().skip(NAMED).sum();
    if others > 0 {
        parts.push(format!("{others} of other kinds"));
    }
    parts.join(", ")
}

/// `run`, `runs`; a word that ends in `s` stays as it is.
fn plural(word: &str, count: u64) -> String {
    let ending = if count == 1 || word.ends_with('s') { "" } else { "s" };
    format!("{word}{ending}")
}
