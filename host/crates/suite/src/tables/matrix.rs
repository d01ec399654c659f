//! `[matrix]`: axes whose combinations multiply the scenarios that use them, or, with `[cells]`, the whole suite. Also the
//! pass that fills in all variables, because they differ from one combination to the next.

use std::collections::BTreeSet;

use super::cells::CELLS_KEY;
use crate::text::{Combination, Complaint, DiagnosticBag, MATRIX_PREFIX, Node, Piece, Table, Value, Variables, pieces};

/// More scenarios than this in one run are a mistake in the axes, not an intent.
const MOST: usize = 1_000;

/// Expands the scenarios of `root` and fills in every variable.
pub(crate) fn expand(diagnostics: &mut DiagnosticBag<'_>, root: &mut Table, lookup: &dyn Fn(&str) -> Option<String>) {
    let variables = Variables::take(diagnostics, root, lookup);
    if root.get(CELLS_KEY).is_some() {
        return narrow(diagnostics, root, &variables);
    }
    for entry in &mut root.entries {
        if !matches!(entry.key.as_str(), "scenario" | "vars" | "environments") {
            variables.fill(diagnostics, &mut entry.node, None);
        }
    }
    let axes = read_axes(diagnostics, root);
    let Some(Value::Array(scenarios)) = root.get_mut("scenario").map(|node| &mut node.value) else { return };
    let mut expanded = Vec::with_capacity(scenarios.len());
    for scenario in scenarios.drain(..) {
        for (mut scenario, combination) in combinations(diagnostics, scenario, &axes) {
            variables.fill(diagnostics, &mut scenario, Some(&combination));
            expanded.push(scenario);
        }
    }
    *scenarios = expanded;
}

/// Makes the suite that of the matrix's first cell.
fn narrow(diagnostics: &mut DiagnosticBag<'_>, root: &mut Table, variables: &Variables<'_>) {
    let kept = |key: &str| matches!(key, "matrix" | "vars" | "environments");
    let mut used = BTreeSet::new();
    root.entries.iter().filter(|entry| !kept(&entry.key)).for_each(|entry| axes_in(&entry.node, &mut used));
    if let Some(matrix) = root.get_mut("matrix") {
        variables.fill(diagnostics, matrix, None);
    }
    let axes = read_axes(diagnostics, root);
    // What a command does with an axis that it finds in its environment is not known here.
    let cells = root.get(CELLS_KEY).and_then(Node::table);
    let commands = cells.is_some_and(|cells| cells.get("before").or_else(|| cells.get("after")).is_some());
    if let Some(matrix) = root.get("matrix").and_then(Node::table).filter(|_| !commands) {
        for entry in matrix.entries.iter().filter(|entry| !used.contains(&entry.key)) {
            let message = format!("nothing uses the axis `{}`: its cells would be alike", entry.key);
            diagnostics.report(
                entry.key_span,
                message,
                format!("write `${{matrix.{}}}` where its values belong", entry.key),
            );
        }
    }
    let first: Combination =
        axes.into_iter().filter_map(|(axis, values)| Some((axis, values.into_iter().next()?))).collect();
    for entry in root.entries.iter_mut().filter(|entry| !kept(&entry.key)) {
        variables.fill(diagnostics, &mut entry.node, Some(&first));
    }
}

type Axis = (String, Vec<Value>);

fn read_axes(diagnostics: &mut DiagnosticBag<'_>, root: &Table) -> Vec<Axis> {
    let Some(node) = root.get("matrix") else { return Vec::new() };
    let Some(table) = node.table() else {
        diagnostics.report(node.span, format!("expected a table of arrays, found {}", node.found()), None);
        return Vec::new();
    };
    let mut axes = Vec::new();
    for entry in &table.entries {
        let help = || Some(format!("write `{} = [1, 10]`", entry.key));
        let Some(items) = entry.node.array() else {
            diagnostics.report(entry.node.span, format!("expected an array, found {}", entry.node.found()), help());
            continue;
        };
        if items.is_empty() {
            diagnostics.report(entry.node.span, format!("the axis `{}` has no values", entry.key), help());
        }
        for item in items.iter().filter(|item| item.value.plain().is_none()) {
            let message = format!("expected a text, a number or a boolean, found {}", item.found());
            diagnostics.complain(item, Complaint::new(message));
        }
        axes.push((entry.key.clone(), items.iter().map(|item| item.value.clone()).collect()));
    }
    axes
}

/// The scenario once per combination of the axes that it uses, its name told apart.
fn combinations(diagnostics: &mut DiagnosticBag<'_>, scenario: Node, axes: &[Axis]) -> Vec<(Node, Combination)> {
    let mut used = BTreeSet::new();
    axes_in(&scenario, &mut used);
    let used: Vec<&Axis> = axes.iter().filter(|(axis, _)| used.contains(axis)).collect();
    let count = used.iter().fold(1usize, |count, (_, values)| count.saturating_mul(values.len()));
    // One value of each axis that is not used, so that a name that does not exist is told from one that does.
    let rest = axes.iter().filter(|(axis, _)| !used.iter().any(|(known, _)| known == axis));
    let rest: Combination = rest.filter_map(|(axis, values)| Some((axis.clone(), values.first()?.clone()))).collect();
    if used.is_empty() {
        return vec![(scenario, rest)];
    }
    if count > MOST {
        let message = format!("the matrix makes {count} scenarios of this one, more than {MOST}");
        diagnostics.report(scenario.span, message, None);
        return Vec::new();
    }
    let mut named = BTreeSet::new();
    if let Some(name) = scenario.table().and_then(|table| table.get("name")) {
        axes_in(name, &mut named);
    }
    let mut all: Vec<Combination> = vec![Vec::new()];
    for (axis, values) in used {
        let with = |start: &Combination, value: &Value| {
            let mut combination = start.clone();
            combination.push((axis.clone(), value.clone()));
            combination
        };
        all = all.iter().flat_map(|start| values.iter().map(move |value| with(start, value))).collect();
    }
    let one = |combination: Combination| {
        let mut scenario = scenario.clone();
        let shown: Vec<String> = combination
            .iter()
            .filter(|(axis, _)| !named.contains(axis))
            .map(|(axis, value)| format!("{axis}={}", value.plain().unwrap_or_default()))
            .collect();
        let name = scenario.table_mut().and_then(|table| table.get_mut("name"));
        if let (Some(Node { value: Value::Text(name), .. }), false) = (name, shown.is_empty()) {
            // The values are final: what looks like a variable in them is none.
            name.push_str(&format!(" [{}]", shown.join(",").replace("${", "$${")));
        }
        (scenario, combination.into_iter().chain(rest.iter().cloned()).collect())
    };
    all.into_iter().map(one).collect()
}

/// The axes that texts in `node` use.
fn axes_in(node: &Node, axes: &mut BTreeSet<String>) {
    match &node.value {
        Value::Text(text) => {
            for piece in pieces(text).unwrap_or_default() {
                if let Piece::Variable { name, .. } = piece
                    && let Some(axis) = name.strip_prefix(MATRIX_PREFIX)
                {
                    axes.insert(axis.to_owned());
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| axes_in(item, axes)),
        Value::Table(table) => table.entries.iter().for_each(|entry| axes_in(&entry.node, axes)),
        _ => {}
    }
}
