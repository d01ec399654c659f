//! The reference of all keys, as Markdown for the docs.

use std::fmt::Write;

use crate::{
    keys::{KeySpec, Kind, Need, TableSpec},
    tables::SUITE,
};

/// Markdown with a section for each table of a suite: what it is for, and its keys with type, default and meaning.
#[must_use]
pub fn reference() -> String {
    let mut out = String::new();
    for spec in tables() {
        // Writing to a String can't fail.
        let _ = write!(out, "### {}\n\n{}\n\n", heading(spec), spec.doc);
        out.push_str("| Key | Type | Default | Meaning |\n| --- | --- | --- | --- |\n");
        for key in spec.keys {
            let _ = writeln!(out, "| `{}` | {} | {} | {} |", key.name, kind(key.kind), need(key), escaped(key.doc));
        }
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

/// All tables, each once, an outer one before the ones inside.
pub(crate) fn tables() -> Vec<&'static TableSpec> {
    let mut all: Vec<&'static TableSpec> = Vec::new();
    let mut queue = vec![&SUITE];
    while let Some(spec) = queue.pop() {
        if all.iter().any(|known| known.title == spec.title) {
            continue;
        }
        all.push(spec);
        for key in spec.keys.iter().rev() {
            match key.kind {
                Kind::Table(inner) | Kind::Tables(inner) | Kind::List(inner) | Kind::Thresholds(inner) => {
                    queue.push(inner)
                }
                Kind::Load(specs) => queue.extend(specs.iter().rev()),
                _ => {}
            }
        }
    }
    all
}

fn heading(spec: &TableSpec) -> String {
    match spec.title.find(']') {
        Some(_) => {
            let end = spec.title.rfind(']').map_or(0, |at| at + 1);
            let (name, rest) = spec.title.split_at(end);
            format!("`{name}`{rest}")
        }
        None => spec.title.to_owned(),
    }
}

fn kind(kind: Kind) -> String {
    match kind {
        Kind::Duration { .. } => "duration".into(),
        Kind::Rate { .. } => "rate".into(),
        Kind::Size => "size".into(),
        Kind::Share => "percentage".into(),
        Kind::Integer { min: 0, .. } => "whole number".into(),
        Kind::Integer { .. } => "whole number from 1".into(),
        Kind::Factor => "number above 0".into(),
        Kind::Text => "text".into(),
        Kind::Url => "URL".into(),
        Kind::Bool => "boolean".into(),
        Kind::Choice(words) => words.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", "),
        Kind::Texts => "array of texts".into(),
        Kind::TextMap => "table of texts".into(),
        Kind::ScalarMap => "table of texts, numbers or booleans".into(),
        Kind::Axes => "table of arrays".into(),
        Kind::Table(_) | Kind::Load(_) => "table".into(),
        Kind::Tables(_) => "table of tables".into(),
        Kind::List(_) => "array of tables".into(),
        Kind::Thresholds(_) => "array of texts or tables".into(),
        Kind::Opaque => "table, the plugin's own".into(),
    }
}

fn need(key: &KeySpec) -> String {
    match (key.need, key.kind) {
        (Need::Required, _) => "**required**".into(),
        (Need::Absent(text), _) => escaped(text),
        (Need::Default(text), Kind::Integer { .. } | Kind::Factor | Kind::Bool) => format!("`{text}`"),
        (Need::Default(text), _) => format!("`\"{text}\"`"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('|', "\\|")
}
