//! `[cells]`: the combinations of the matrix as whole runs, one after the other.
//!
//! The suite that is read beside it is the one of the first combination. Any other cell's suite is the same text with
//! [`Cell::sets`] added to the overrides, which narrow each axis to one value: a run's kept overrides are enough to make its
//! cell again.

use std::{collections::BTreeSet, fmt, time::Duration};

use crate::{
    keys::{COUNT, DURATION, KeySpec, Kind, Need, Reader, SOME_DURATION, Section, TableSpec},
    text::{Complaint, Node, Table, Value},
};

/// More cells than this are a mistake in the axes, not an intent.
const MOST: usize = 1_000;

/// How the matrix is gone through, cell by cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Cells {
    /// From the end of one cell to the start of the next.
    pub pause: Duration,
    /// How often the whole matrix is gone through, at least once.
    pub repeat: u32,
    /// The command before each cell, a program and its arguments; empty for none.
    pub before: Vec<String>,
    /// The command after each cell; empty for none.
    pub after: Vec<String>,
    /// The deadline of each command.
    pub hook_timeout: Duration,
    /// The axes in the order of the suite; none if the suite has no matrix.
    pub axes: Vec<Axis>,
}

/// An axis of the matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// The key in `[matrix]`, the `AXIS` of `${matrix.AXIS}`.
    pub name: String,
    /// Its values in the order of the suite, each once; at least one.
    pub values: Vec<AxisValue>,
}

/// A value on an axis.
#[derive(Clone, Debug, PartialEq)]
pub enum AxisValue {
    /// A text; dates and times are texts.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// Another number.
    Float(f64),
    /// `true` or `false`.
    Bool(bool),
}

/// One combination of the axes, in one repeat of the matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// The place in the order in which the cells run, from 1.
    pub number: u32,
    /// Which repeat of the matrix it belongs to, from 1.
    pub repeat: u32,
    /// The axes with its values, in the order of the suite.
    pub values: Vec<(String, AxisValue)>,
}

impl AxisValue {
    fn of(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Text(text) | Value::Datetime(text) => Self::Text(text.clone()),
            Value::Integer(number) => Self::Integer(*number),
            Value::Float(number) => Self::Float(*number),
            Value::Bool(yes) => Self::Bool(*yes),
            Value::Array(_) | Value::Table(_) | Value::Unknown => return None,
        })
    }

    /// The value as an override spells it in TOML.
    fn toml(&self) -> String {
        match self {
            // A TOML basic string takes JSON's escapes. What looks like a variable is none: it was filled in already.
            Self::Text(text) => {
                let quoted = serde_json::Value::from(text.replace("${", "$${")).to_string();
                quoted.replace('\u{7f}', "\\u007f")
            }
            Self::Float(number) => format!("{number:?}"),
            plain => plain.to_string(),
        }
    }
}

impl fmt::Display for AxisValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Integer(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
            Self::Bool(yes) => yes.fmt(f),
        }
    }
}

impl Cells {
    /// All cells in the order in which they run: the last axis changes first, the repeat last.
    #[must_use]
    pub fn cells(&self) -> Vec<Cell> {
        let mut combinations: Vec<Vec<(String, AxisValue)>> = vec![Vec::new()];
        for axis in &self.axes {
            let with = |start: &Vec<(String, AxisValue)>, value: &AxisValue| {
                let mut combination = start.clone();
                combination.push((axis.name.clone(), value.clone()));
                combination
            };
            combinations =
                combinations.iter().flat_map(|start| axis.values.iter().map(move |value| with(start, value))).collect();
        }
        let repeats = (1..=self.repeat).flat_map(|repeat| combinations.iter().map(move |values| (repeat, values)));
        (1..).zip(repeats).map(|(number, (repeat, values))| Cell { number, repeat, values: values.clone() }).collect()
    }
}

impl Cell {
    /// The overrides that make the suite this cell's.
    #[must_use]
    pub fn sets(&self) -> Vec<String> {
        // A quoted key may be any name.
        let quoted = |name: &str| serde_json::Value::from(name).to_string();
        self.values.iter().map(|(axis, value)| format!("matrix.{}=[{}]", quoted(axis), value.toml())).collect()
    }

    /// The combination for people: `tenants=10,users=5`; empty without axes.
    #[must_use]
    pub fn label(&self) -> String {
        self.values.iter().map(|(axis, value)| format!("{axis}={value}")).collect::<Vec<_>>().join(",")
    }
}

/// The name of the table in a suite.
pub(crate) const CELLS_KEY: &str = "cells";

pub(crate) const CELLS: TableSpec = TableSpec {
    title: "[cells]",
    doc: "With this table, each combination of the matrix is a run of its own, a cell, and the cells run one after the other. \
          `${matrix.AXIS}` may then stand in every text of the suite but in `[vars]` and `[matrix]`.",
    keys: &[
        KeySpec::new("pause", DURATION, Need::Default("0s"), "From the end of a cell to the start of the next."),
        KeySpec::new("repeat", COUNT, Need::Default("1"), "How often the whole matrix is gone through."),
        KeySpec::new(
            "before",
            Kind::Texts,
            Need::Absent("none"),
            "A command that is run on this machine before each cell: a program and its arguments, no shell. If it fails, \
             the cell does.",
        ),
        KeySpec::new(
            "after",
            Kind::Texts,
            Need::Absent("none"),
            "A command that is run after each cell, however it ended.",
        ),
        KeySpec::new("hook_timeout", SOME_DURATION, Need::Default("10m"), "How long such a command may take."),
    ],
};

/// Reads the table, with the axes of the matrix beside it.
pub(crate) fn read_cells(reader: &mut Reader<'_>, node: &Node, root: &Table) -> Option<Cells> {
    let section = reader.section(&CELLS, node)?;
    let pause = reader.value(&section, "pause");
    let repeat: u32 = reader.value(&section, "repeat");
    let hook_timeout = reader.value(&section, "hook_timeout");
    let [before, after] = ["before", "after"].map(|key| read_command(reader, section.table.get(key), key, &section));
    let matrix = root.get("matrix");
    let entries = matrix.and_then(Node::table).map_or(&[][..], |table| &table.entries);
    let mut axes = Vec::new();
    for entry in entries {
        let items = entry.node.array().unwrap_or_default();
        let mut seen = BTreeSet::new();
        for item in items {
            if !seen.insert(item.value.plain()) {
                let complaint = Complaint::new(format!("the axis `{}` has {} twice", entry.key, item.found()));
                reader.complain(item, complaint.help("`repeat` in `[cells]` runs all cells several times"));
            }
        }
        axes.push(Axis {
            name: entry.key.clone(),
            values: items.iter().filter_map(|item| AxisValue::of(&item.value)).collect(),
        });
    }
    let count = axes.iter().fold(repeat as usize, |count, axis: &Axis| count.saturating_mul(axis.values.len().max(1)));
    if count > MOST {
        let span = matrix.map_or(node.span, |matrix| matrix.span);
        reader.report(span, format!("these are {count} cells, more than {MOST}"), None);
        return None;
    }
    Some(Cells { pause, repeat, before, after, hook_timeout, axes })
}

fn read_command(reader: &mut Reader<'_>, node: Option<&Node>, key: &'static str, section: &Section<'_>) -> Vec<String> {
    let command: Vec<String> = reader.texts(section, key).into_iter().map(|text| text.value).collect();
    if let Some(node) = node
        && node.array().is_some_and(|items| items.is_empty() || items.first().and_then(Node::text) == Some(""))
    {
        let help = format!("write `{key} = [\"program\", \"argument\"]`");
        reader.report(node.span, format!("`{key}` names no program"), help);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LoadOptions, Source, Suite, load};

    const SUITE: &str = r#"
name = "m"
[matrix]
tenants = [1, 10]
kind = ["a b", "\"${matrix}\\", 1.0]
[targets.t]
url = "http://127.0.0.1:1/${matrix.tenants}"
[cells]
repeat = 2
before = ["deploy", "--tenants=${matrix.tenants}"]
[[scenario]]
name = "s"
plugin = "p"
target = "t"
params = { kind = "${matrix.kind}" }
load = { executor = "constant-vus", vus = "${matrix.tenants}", duration = "1s" }
"#;

    fn loaded(sets: &[String]) -> Suite {
        let options = LoadOptions { environment: None, sets, lookup: &|_| None };
        load(Source { name: "m.toml", text: &SUITE.replace("${matrix}", "$${matrix}") }, &options)
            .unwrap_or_else(|wrong| panic!("{wrong}"))
    }

    #[test]
    fn every_cell_can_be_made_from_its_overrides() {
        let suite = loaded(&[]);
        let cells = suite.cells.unwrap().cells();
        assert_eq!(cells.len(), 12);
        assert_eq!(
            (cells[0].label().as_str(), cells[11].label().as_str()),
            ("tenants=1,kind=a b", "tenants=10,kind=1")
        );
        assert_eq!(cells.iter().map(|cell| cell.repeat).collect::<Vec<_>>(), [[1; 6], [2; 6]].concat());
        for cell in &cells {
            let suite = loaded(&cell.sets());
            assert_eq!(suite.scenarios.len(), 1);
            assert_eq!(suite.scenarios[0].plugin.name.value, "s");
            let tenants = cell.values[0].1.to_string();
            let url = suite.targets["t"].address.base_url().unwrap().to_owned();
            assert!(url.ends_with(&format!("/{tenants}")), "{url}");
            let kind = &suite.scenarios[0].plugin.params.json()["kind"];
            match &cell.values[1].1 {
                AxisValue::Text(text) => assert_eq!(kind, text),
                other => assert_eq!(kind.as_f64().unwrap().to_string(), other.to_string()),
            }
            let narrowed = suite.cells.unwrap();
            assert_eq!(narrowed.before, ["deploy".to_owned(), format!("--tenants={tenants}")]);
            assert_eq!(narrowed.cells().len(), 2, "one cell, twice");
        }
    }
}
