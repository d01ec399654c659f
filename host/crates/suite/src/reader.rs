//! Reads written values as what their key's description says, and collects what is wrong with them.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use kperf_schedule::Rate;
use url::Url;

use crate::{
    diagnostic::Diagnostic,
    duration::parse_duration,
    node::{Node, Table, Value},
    share::Share,
    size::Size,
    source::{Origin, Sources, Span},
    spec::{KeySpec, Kind, Need, TableSpec},
    suggest,
};

/// A value with its place, for findings that only others can make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

/// A table that is being read, with its description.
#[derive(Clone, Copy)]
pub(crate) struct Section<'t> {
    pub spec: &'static TableSpec,
    pub table: &'t Table,
    pub span: Span,
}

/// Collects findings while values are read.
pub(crate) struct Reader<'a> {
    pub sources: &'a Sources,
    pub findings: Vec<Diagnostic>,
    /// The uses of plugins that could be read, whatever else is wrong.
    pub uses: Vec<crate::plugin_use::PluginUse>,
    /// Which keys were asked for, as (table, key): the tests hold it against the descriptions.
    #[cfg(test)]
    pub asked: std::collections::BTreeSet<(&'static str, &'static str)>,
}

/// Why a value can't be read.
pub(crate) struct Complaint {
    message: String,
    help: Option<String>,
    /// Which part of the text.
    part: Option<Range<usize>>,
}

impl Complaint {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, part: None }
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub fn into_message(self) -> String {
        self.message
    }

    pub fn part(mut self, part: Range<usize>) -> Self {
        self.part = Some(part);
        self
    }

    fn expected(kind: Kind, node: &Node) -> Self {
        Self::new(format!("expected {}, found {}", kind.expected(), node.found()))
    }
}

/// A type that a single value can be read as.
pub(crate) trait Leaf: Sized {
    /// Reads it. `kind` sets the limits; `sources` gives the spelling where it matters.
    fn read(node: &Node, kind: Kind, sources: &Sources) -> Result<Self, Complaint>;
}

impl<'a> Reader<'a> {
    pub fn new(sources: &'a Sources) -> Self {
        Self {
            sources,
            findings: Vec::new(),
            uses: Vec::new(),
            #[cfg(test)]
            asked: std::collections::BTreeSet::new(),
        }
    }

    pub fn report(&mut self, span: Span, message: impl Into<String>, help: impl Into<Option<String>>) {
        self.findings.push(Diagnostic { span, message: message.into(), help: help.into() });
    }

    pub fn complain(&mut self, node: &Node, complaint: Complaint) {
        if matches!(node.value, Value::Unknown) {
            return;
        }
        let span = match (complaint.part, node.text()) {
            (Some(part), Some(text)) => self.sources.within(node.span, text, part),
            _ => node.span,
        };
        self.report(span, complaint.message, complaint.help);
    }

    /// Takes `node` as a table of `spec`: reports unknown keys, and required ones that are missing.
    pub fn section<'t>(&mut self, spec: &'static TableSpec, node: &'t Node) -> Option<Section<'t>> {
        let Some(table) = node.table() else {
            self.complain(node, Complaint::expected(Kind::Table(spec), node));
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
    pub fn optional<T: Leaf>(&mut self, section: &Section<'_>, name: &'static str) -> Option<T> {
        let (node, kind, need) = self.find(section, name);
        match (node, need) {
            (Some(node), _) => self.leaf(node, kind),
            (None, Need::Default(text)) => T::read(&default_node(text), kind, self.sources).ok(),
            (None, _) => None,
        }
    }

    /// The value of `name` or its default. What comes back for a wrong or missing one does not matter: that is reported,
    /// and no suite comes of it.
    pub fn value<T: Leaf + Default>(&mut self, section: &Section<'_>, name: &'static str) -> T {
        self.optional(section, name).unwrap_or_default()
    }

    /// The value of `name` with its place, if it is written.
    pub fn located<T: Leaf>(&mut self, section: &Section<'_>, name: &'static str) -> Option<Located<T>> {
        let (node, kind, _) = self.find(section, name);
        let node = node?;
        Some(Located { value: self.leaf(node, kind)?, span: node.span })
    }

    /// The one of `options` whose word is written for `name`, or is its default.
    pub fn choice<T: Copy>(&mut self, section: &Section<'_>, name: &'static str, options: &[T]) -> Option<T> {
        let (_, kind, _) = self.find(section, name);
        let word: String = self.optional(section, name)?;
        let Kind::Choice(words) = kind else { return None };
        options.get(words.iter().position(|known| *known == word)?).copied()
    }

    fn leaf<T: Leaf>(&mut self, node: &Node, kind: Kind) -> Option<T> {
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
                self.complain(node, Complaint::expected(kind, node));
                &[]
            }),
            _ => &[],
        }
    }

    /// The entries of the table `name`, none if it is not written.
    pub fn entries<'t>(&mut self, section: &Section<'t>, name: &'static str) -> &'t [crate::node::Entry] {
        match self.find(section, name) {
            (Some(node), kind, _) => match node.table() {
                Some(table) => &table.entries,
                None => {
                    self.complain(node, Complaint::expected(kind, node));
                    &[]
                }
            },
            _ => &[],
        }
    }

    /// The array of texts `name` with the place of each.
    pub fn texts(&mut self, section: &Section<'_>, name: &'static str) -> Vec<Located<String>> {
        let items = self.items(section, name);
        let located = |node: &Node| self.leaf(node, Kind::Text).map(|value: String| Located { value, span: node.span });
        items.iter().filter_map(located).collect()
    }

    /// The table of texts `name`; `check` may refuse a key.
    pub fn text_map(
        &mut self,
        section: &Section<'_>,
        name: &'static str,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> BTreeMap<String, String> {
        let mut map = BTreeMap::new();
        for entry in self.entries(section, name) {
            if let Err(message) = check(&entry.key) {
                self.report(entry.key_span, message, None);
            }
            if let Some(text) = self.leaf(&entry.node, Kind::Text) {
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

/// The text that may stand for another type: a whole `${..}`.
fn variable_text(node: &Node) -> Option<&str> {
    node.text().filter(|_| node.variable).map(str::trim)
}

fn integer(node: &Node, kind: Kind) -> Result<i64, Complaint> {
    let number = match &node.value {
        Value::Integer(number) => Some(*number),
        _ => variable_text(node).and_then(|text| text.parse().ok()),
    };
    let Kind::Integer { min, max } = kind else { return Err(Complaint::expected(kind, node)) };
    number.filter(|number| (min..=max).contains(number)).ok_or_else(|| {
        let complaint = Complaint::expected(kind, node);
        match node.text().and_then(|text| text.parse::<i64>().ok()) {
            Some(number) => complaint.help(format!("write {number} without quotes")),
            None => complaint,
        }
    })
}

impl Leaf for u32 {
    fn read(node: &Node, kind: Kind, _: &Sources) -> Result<Self, Complaint> {
        Self::try_from(integer(node, kind)?).map_err(|_| Complaint::expected(kind, node))
    }
}

impl Leaf for u64 {
    fn read(node: &Node, kind: Kind, _: &Sources) -> Result<Self, Complaint> {
        Self::try_from(integer(node, kind)?).map_err(|_| Complaint::expected(kind, node))
    }
}

impl Leaf for f64 {
    fn read(node: &Node, kind: Kind, _: &Sources) -> Result<Self, Complaint> {
        let number = match &node.value {
            Value::Float(number) => Some(*number),
            #[expect(clippy::cast_precision_loss, reason = "a factor beyond 2^53 is no one's intent")]
            Value::Integer(number) => Some(*number as Self),
            _ => variable_text(node).and_then(|text| text.parse().ok()),
        };
        number.filter(|number| number.is_finite() && *number > 0.0).ok_or_else(|| Complaint::expected(kind, node))
    }
}

impl Leaf for bool {
    fn read(node: &Node, kind: Kind, _: &Sources) -> Result<Self, Complaint> {
        match &node.value {
            Value::Bool(yes) => Some(*yes),
            _ => variable_text(node).and_then(|text| text.parse().ok()),
        }
        .ok_or_else(|| match node.text() {
            Some(text) if text.parse::<Self>().is_ok() => {
                Complaint::expected(kind, node).help(format!("write {text} without quotes"))
            }
            _ => Complaint::expected(kind, node),
        })
    }
}

impl Leaf for String {
    fn read(node: &Node, kind: Kind, sources: &Sources) -> Result<Self, Complaint> {
        let text = match &node.value {
            Value::Text(text) => text.clone(),
            // What the command line says is not typed: `http=1.1` means the text.
            Value::Integer(_) | Value::Float(_) | Value::Bool(_) | Value::Datetime(_)
                if node.span.origin == Origin::Sets || node.variable =>
            {
                let spelt = sources.slice(node.span);
                if node.variable { node.value.plain().unwrap_or_default() } else { spelt.to_owned() }
            }
            _ => {
                let complaint = Complaint::expected(kind, node);
                return Err(match node.value.plain() {
                    Some(text) => complaint.help(format!("write \"{text}\"")),
                    None => complaint,
                });
            }
        };
        match kind {
            Kind::Choice(words) if !words.contains(&text.as_str()) => {
                Err(Complaint::expected(kind, node).help(suggest::suggestion(&text, words.iter().copied())))
            }
            _ => Ok(text),
        }
    }
}

/// The text of a value that is written with a unit.
fn with_unit<'n>(node: &'n Node, kind: Kind, unit: &str) -> Result<&'n str, Complaint> {
    node.text().ok_or_else(|| {
        let complaint = Complaint::expected(kind, node);
        match &node.value {
            Value::Integer(number) => complaint.help(format!("write \"{number}{unit}\"")),
            // A share is often thought of as a number from 0 to 1.
            Value::Float(number) if unit == "%" => complaint.help(format!("write \"{}%\"", number * 100.0)),
            Value::Float(number) => complaint.help(format!("write \"{number}{unit}\"")),
            _ => complaint,
        }
    })
}

fn help_unit(text: &str, unit: &str) -> Option<String> {
    (!text.is_empty() && text.chars().all(|c| c.is_ascii_digit())).then(|| format!("write \"{text}{unit}\""))
}

fn refused(error: impl std::fmt::Display, text: &str, unit: &str) -> Complaint {
    let complaint = Complaint::new(error.to_string());
    match help_unit(text, unit) {
        Some(help) => complaint.help(help),
        None => complaint,
    }
}

impl Leaf for Duration {
    fn read(node: &Node, kind: Kind, _: &Sources) -> Result<Self, Complaint> {
        let text = with_unit(node, kind, "s")?;
        let duration = parse_duration(text).map_err(|error| refused(error, text, "s"))?;
        match kind {
            Kind::Duration { positive: true } if duration.is_zero() => Err(Complaint::expected(kind, node)),
            _ => Ok(duration),
        }
    }
}

impl Leaf for Rate {
    fn read(node: &Node, kind: Kind, _: &Sources) -> Result<Self, Complaint> {
        let text = with_unit(node, kind, "/s")?;
        let rate: Self = text.parse().map_err(|error| refused(error, text, "/s"))?;
        match kind {
            Kind::Rate { positive: true } if rate.is_zero() => Err(Complaint::expected(kind, node)),
            _ => Ok(rate),
        }
    }
}

impl Leaf for Size {
    fn read(node: &Node, kind: Kind, _: &Sources) -> Result<Self, Complaint> {
        let text = with_unit(node, kind, "B")?;
        text.parse().map_err(|error| refused(error, text, "B"))
    }
}

impl Leaf for Share {
    fn read(node: &Node, kind: Kind, _: &Sources) -> Result<Self, Complaint> {
        let text = with_unit(node, kind, "%")?;
        text.parse().map_err(|error| refused(error, text, "%"))
    }
}

impl Leaf for Url {
    fn read(node: &Node, kind: Kind, sources: &Sources) -> Result<Self, Complaint> {
        base_url(&String::read(node, kind, sources)?)
    }
}

/// Reads a target's URL.
pub(crate) fn base_url(text: &str) -> Result<Url, Complaint> {
    let url = Url::parse(text).map_err(|error| {
        Complaint::new(format!("`{text}` is no absolute URL: {error}"))
            .help(format!("write it with its scheme, like \"https://{}\"", text.trim_start_matches('/')))
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        let complaint = Complaint::new(format!("expected an http or https URL, found `{}:`", url.scheme()));
        return Err(complaint.help("write it with its scheme, like \"https://example.com\""));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Complaint::new("a URL must not carry a user name or a password")
            .help("name a credential instead: `credential = \"..\"` with `[credentials.NAME]`"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Complaint::new("a target's URL has no query and no fragment"));
    }
    Ok(url)
}
