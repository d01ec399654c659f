//! How the tables of a suite are described: which keys there are, of which kind, with which default.
//!
//! The parser, the JSON Schema and the reference in the docs all read these descriptions; each table's own stands beside
//! the type that it becomes.

use crate::text::suggest;

/// A table and its keys.
#[derive(Debug)]
pub(crate) struct TableSpec {
    /// How it is written, for headings and messages: `[targets.NAME]`.
    pub title: &'static str,
    /// What it is for, in one sentence or two.
    pub doc: &'static str,
    /// Its keys in the order in which people should read about them.
    pub keys: &'static [KeySpec],
}

/// A key of a table.
#[derive(Debug)]
pub(crate) struct KeySpec {
    pub name: &'static str,
    pub kind: Kind,
    pub need: Need,
    /// What it does, in one sentence or two.
    pub doc: &'static str,
}

/// Whether a key may be left out, and what happens then.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Need {
    /// It may not be left out.
    Required,
    /// This value holds, spelt without quotes.
    Default(&'static str),
    /// It may be left out; the text says what happens then, in a few words.
    Absent(&'static str),
}

/// The type of a key's value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// A whole number from `min` to `max`, both included.
    Integer { min: i64, max: i64 },
    /// A number above zero.
    Factor,
    /// `true` or `false`.
    Bool,
    /// A duration; more than nothing if `positive`.
    Duration { positive: bool },
    /// A rate; more than nothing if `positive`.
    Rate { positive: bool },
    /// A size.
    Size,
    /// A percentage.
    Share,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// An absolute URL.
    Url,
    /// Texts.
    Texts,
    /// Names with texts.
    TextMap,
    /// Names with texts, numbers or booleans.
    ScalarMap,
    /// Names with arrays of texts, numbers or booleans.
    Axes,
    /// A table.
    Table(&'static TableSpec),
    /// Tables by name.
    Tables(&'static TableSpec),
    /// An array of tables.
    List(&'static TableSpec),
    /// Thresholds: texts, or tables.
    Thresholds(&'static TableSpec),
    /// A table whose keys depend on `executor`: one description per executor.
    Load(&'static [TableSpec]),
    /// A table that belongs to the plugin.
    Opaque,
}

impl KeySpec {
    pub const fn new(name: &'static str, kind: Kind, need: Need, doc: &'static str) -> Self {
        Self { name, kind, need, doc }
    }
}

impl TableSpec {
    pub fn key(&self, name: &str) -> Option<&'static KeySpec> {
        self.keys.iter().find(|key| key.name == name)
    }

    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().map(|key| key.name)
    }
}

/// Any number of something of which one is needed.
pub(crate) const COUNT: Kind = Kind::Integer { min: 1, max: u32::MAX as i64 };
/// Any number of something, also none.
pub(crate) const COUNT_OR_NONE: Kind = Kind::Integer { min: 0, max: u32::MAX as i64 };
/// A duration that may be nothing.
pub(crate) const DURATION: Kind = Kind::Duration { positive: false };
/// A duration above zero.
pub(crate) const SOME_DURATION: Kind = Kind::Duration { positive: true };

impl Kind {
    /// The type in words, for messages: `a rate above zero`.
    pub fn expected(self) -> String {
        match self {
            Self::Text => "a text".into(),
            Self::Integer { min, max } if max >= i64::from(u32::MAX) => format!("a whole number of at least {min}"),
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Factor => "a number above 0".into(),
            Self::Bool => "`true` or `false`".into(),
            Self::Duration { positive: true } => "a duration above zero".into(),
            Self::Duration { positive: false } => "a duration".into(),
            Self::Rate { positive: true } => "a rate above zero".into(),
            Self::Rate { positive: false } => "a rate".into(),
            Self::Size => "a size".into(),
            Self::Share => "a percentage".into(),
            Self::Choice(words) => format!("one of {}", suggest::list(words)),
            Self::Url => "an absolute URL".into(),
            Self::Texts => "an array of texts".into(),
            Self::TextMap => "a table of texts".into(),
            Self::ScalarMap => "a table of texts, numbers or booleans".into(),
            Self::Axes => "a table of arrays".into(),
            Self::Table(_) | Self::Load(_) | Self::Opaque => "a table".into(),
            Self::Tables(_) => "a table of tables".into(),
            Self::List(_) => "an array of tables".into(),
            Self::Thresholds(_) => "an array of thresholds".into(),
        }
    }

    /// A value as an example, spelt in TOML.
    pub fn example(self) -> Option<&'static str> {
        match self {
            Self::Duration { .. } => Some("\"30s\""),
            Self::Rate { .. } => Some("\"200/s\""),
            Self::Size => Some("\"16MiB\""),
            Self::Share => Some("\"5%\""),
            Self::Integer { .. } => Some("10"),
            Self::Factor => Some("1.0"),
            Self::Bool => Some("true"),
            Self::Url => Some("\"https://example.com\""),
            _ => None,
        }
    }
}
