//! Reads written values as what their key's description says, and collects what is wrong with them.

use std::collections::BTreeMap;

use super::{
    spec::{KeySpec, Kind, Need, TableSpec},
    typed::{Typed, expected},
};
use crate::text::{Complaint, DiagnosticBag, Entry, Located, Node, Origin, Sources, Span, Table, Value, suggest};

/// A table that is being read, with its description.
#[derive(Clone, Copy)]
pub(crate) struct Section<'t> {
    pub spec: &'static TableSpec,
    pub table: &'t Table,
    pub span: Span,
}

/// Reads values, and collects what is wrong with them.
pub(crate) struct Reader<'a> {
    pub sources: &'a Sources,
    pub diagnostics: DiagnosticBag<'a>,
    /// Which keys were asked for, as (table, key): the tests hold it against the descriptions.
    #[cfg(test)]
    pub asked: std::collections::BTreeSet<(&'static str, &'static str)>,
}

impl<'a> Reader<'a> {
    /// A reader of what `diagnostics` are about, which adds to them.
    pub fn new(diagnostics: DiagnosticBag<'a>) -> Self {
        Self {
            sources: diagnostics.sources,
            diagnostics,
            #[cfg(test)]
            asked: std::collections::BTreeSet::new(),
        }
    }

    pub fn report(&mut self, span: Span, message: impl Into<String>, help: impl Into<Option<String>>) {
        self.diagnostics.report(span, message, help);
    }

    pub fn complain(&mut self, node: &Node, complaint: Complaint) {
        self.diagnostics.complain(node, complaint);
    }

    /// Takes `node` as a table of `spec`: reports unknown keys, and required ones that are missing.
    pub fn section<'t>(&mut self, spec: &'static TableSpec, node: &'t Node) -> Option<Section<'t>> {
        let Some(table) = node.table() else {
            self.complain(node, expected(Kind::Table(spec), node));
            return None;
        };
        Some(self.section_of(spec, table, node.span, |_| None))
    }

    /// As [`Reader::section`], with a say of `elsewhere` on keys that are not of this table.
    pub fn section_of<'t>(
        &mut self,
        spec: &'static TableSpec,
        table: &'t Table,
        span: Span,
        elsewhere: impl Fn(&str) -> Option<String>,
    ) -> Section<'t> {
        for entry in &table.entries {
            if spec.key(&entry.key).is_none() {
                let help = elsewhere(&entry.key).unwrap_or_else(|| suggest::suggestion(&entry.key, spec.names()));
                self.report(entry.key_span, format!("unknown key `{}` in {}", entry.key, spec.title), help);
            }
        }
        // A misspelt key is one mistake, not two.
        let misspelt: Vec<&str> = table
            .keys()
            .filter(|key| spec.key(key).is_none())
            .filter_map(|key| suggest::closest(key, spec.names()))
            .collect();
        for key in spec.keys.iter().filter(|key| matches!(key.need, Need::Required)) {
            if table.get(key.name).is_none() && !misspelt.contains(&key.name) {
                self.missing(span, spec, key);
            }
        }
        Section { spec, table, span }
    }

    fn missing(&mut self, span: Span, spec: &TableSpec, key: &KeySpec) {
        let help = match key.kind.example() {
            Some(example) => format!("add {}, for example `{} = {example}`", key.kind.expected(), key.name),
            None => format!("`{}`: {}", key.name, key.doc),
        };
        self.report(span, format!("{MISSING}`{}` in {}", key.name, spec.title), help);
    }

    /// The description of `name` and the value written for it.
    pub fn find<'t>(&mut self, section: &Section<'t>, name: &'static str) -> (Option<&'t Node>, Kind, Need) {
        let key = section.spec.key(name);
        debug_assert!(key.is_some(), "`{name}` is read but not described in {}", section.spec.title);
        #[cfg(test)]
        self.asked.insert((section.spec.title, name));
        let (kind, need) = key.map_or((Kind::Opaque, Need::Required), |key| (key.kind, key.need));
        (section.table.get(name), kind, need)
    }

    /// The value of `name`, or its default. None if there is neither, or the value is wrong.
    pub fn optional<T: Typed>(&mut self, section: &Section<'_>, name: &'static str) -> Option<T> {
        let (node, kind, need) = self.find(section, name);
        match (node, need) {
            (Some(node), _) => self.typed(node, kind),
            (None, Need::Default(text)) => T::read(&default_node(text), kind, self.sources).ok(),
            (None, _) => None,
        }
    }

    /// The value of `name` or its default. What comes back for a wrong or missing one does not matter: that is reported,
    /// and no suite comes of it.
    pub fn value<T: Typed + Default>(&mut self, section: &Section<'_>, name: &'static str) -> T {
        self.optional(section, name).unwrap_or_default()
    }

    /// The value of `name` with its place, if it is written.
    pub fn located<T: Typed>(&mut self, section: &Section<'_>, name: &'static str) -> Option<Located<T>> {
        let (node, kind, _) = self.find(section, name);
        let node = node?;
        Some(Located { value: self.typed(node, kind)?, span: node.span })
    }

    /// The one of `options` whose word is written for `name`, or is its default.
    pub fn choice<T: Copy>(&mut self, section: &Section<'_>, name: &'static str, options: &[T]) -> Option<T> {
        let (_, kind, _) = self.find(section, name);
        let word: String = self.optional(section, name)?;
        let Kind::Choice(words) = kind else { return None };
        options.get(words.iter().position(|known| *known == word)?).copied()
    }

    fn typed<T: Typed>(&mut self, node: &Node, kind: Kind) -> Option<T> {
        match T::read(node, kind, self.sources) {
            Ok(value) => Some(value),
            Err(complaint) => {
                self.complain(node, complaint);
                None
            }
        }
    }

    /// The items of the array `name`, none if it is not written.
    pub fn items<'t>(&mut self, section: &Section<'t>, name: &'static str) -> &'t [Node] {
        match self.find(section, name) {
            (Some(node), kind, _) => node.array().unwrap_or_else(|| {
                self.complain(node, expected(kind, node));
                &[]
            }),
            _ => &[],
        }
    }

    /// The entries of the table `name`, none if it is not written.
    pub fn entries<'t>(&mut self, section: &Section<'t>, name: &'static str) -> &'t [Entry] {
        match self.find(section, name) {
            (Some(node), kind, _) => match node.table() {
                Some(table) => &table.entries,
                None => {
                    self.complain(node, expected(kind, node));
                    &[]
                }
            },
            _ => &[],
        }
    }

    /// The array of texts `name` with the place of each.
    pub fn texts(&mut self, section: &Section<'_>, name: &'static str) -> Vec<Located<String>> {
        let items = self.items(section, name);
        let located =
            |node: &Node| self.typed(node, Kind::Text).map(|value: String| Located { value, span: node.span });
        items.iter().filter_map(located).collect()
    }

    /// The table of texts `name`; `check` may refuse a key.
    pub fn text_map<E: std::fmt::Display>(
        &mut self,
        section: &Section<'_>,
        name: &'static str,
        check: impl Fn(&str) -> Result<(), E>,
    ) -> BTreeMap<String, String> {
        let mut map = BTreeMap::new();
        for entry in self.entries(section, name) {
            if let Err(error) = check(&entry.key) {
                self.report(entry.key_span, error.to_string(), None);
            }
            if let Some(text) = self.typed(&entry.node, Kind::Text) {
                map.insert(entry.key.clone(), text);
            }
        }
        map
    }
}

/// How every message about a missing key starts.
pub(crate) const MISSING: &str = "missing key ";

/// A default as if it had been written through a variable, so that it reads as whatever its place wants.
fn default_node(text: &str) -> Node {
    Node { variable: true, ..Node::new(Value::Text(text.to_owned()), Span::new(Origin::File, 0..0)) }
}
