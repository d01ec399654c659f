//! `[environments.NAME]`: what differs when the suite runs there.

use super::{
    credential::CREDENTIAL, limits::LIMITS, load::LOADS, simulated::SIMULATED, target::TARGET, threshold::THRESHOLD,
};
use crate::{
    keys::{KeySpec, Kind, Need, TableSpec},
    text::{Complaint, DiagnosticBag, Entry, Node, Origin, Span, Table, Value, suggest},
};

pub(crate) const ENVIRONMENT: TableSpec = TableSpec {
    title: "[environments.NAME]",
    doc: "What differs when the suite runs with `--env NAME`. Tables are merged key by key; everything else replaces what the \
          suite says.",
    keys: &[
        KeySpec::new("vars", Kind::ScalarMap, Need::Absent("as in the suite"), "Values of `${NAME}`."),
        KeySpec::new(
            "targets",
            Kind::Tables(&TARGET),
            Need::Absent("as in the suite"),
            "Changed or further targets. A new `url` or `kubeconfig` takes the place of the old one.",
        ),
        KeySpec::new(
            "credentials",
            Kind::Tables(&CREDENTIAL),
            Need::Absent("as in the suite"),
            "Changed or further credentials. A new `env` or `file` takes the place of the old one.",
        ),
        KeySpec::new("simulated", Kind::Table(&SIMULATED), Need::Absent("as in the suite"), "The simulated server."),
        KeySpec::new("limits", Kind::Table(&LIMITS), Need::Absent("as in the suite"), "What every plugin may use."),
        KeySpec::new(
            "scenario",
            Kind::Tables(&ENVIRONMENT_SCENARIO),
            Need::Absent("as in the suite"),
            "Changed scenarios, by name.",
        ),
    ],
};

pub(crate) const ENVIRONMENT_SCENARIO: TableSpec = TableSpec {
    title: "[environments.NAME.scenario.SCENARIO]",
    doc: "What differs in a scenario. A `load` with an `executor` replaces the scenario's own, one without changes single keys.",
    keys: &[
        KeySpec::new("target", Kind::Text, Need::Absent("as in the suite"), "Another target."),
        KeySpec::new("load", Kind::Load(LOADS), Need::Absent("as in the suite"), "Another load, or single keys of it."),
        KeySpec::new("params", Kind::Opaque, Need::Absent("as in the suite"), "Single parameters."),
        KeySpec::new(
            "thresholds",
            Kind::Thresholds(&THRESHOLD),
            Need::Absent("as in the suite"),
            "Thresholds in place of the scenario's own.",
        ),
    ],
};

/// Takes the environments out of `root`, checks all of them for misspelt names, and merges `chosen` into the rest.
pub(crate) fn apply(diagnostics: &mut DiagnosticBag<'_>, root: &mut Table, chosen: Option<&str>) {
    let environments = root.remove("environments");
    let empty = Table::default();
    let table = match &environments {
        None => &empty,
        Some(node) => node.table().unwrap_or_else(|| {
            let message = format!("expected a table of environments, found {}", node.found());
            diagnostics.complain(node, Complaint::new(message));
            &empty
        }),
    };
    for entry in &table.entries {
        check(diagnostics, &entry.node, &ENVIRONMENT, root);
    }
    let Some(chosen) = chosen else { return };
    let Some(environment) = table.get(chosen) else {
        let span = environments.as_ref().map_or_else(|| Span::new(Origin::File, 0..0), |node| node.span);
        let help = suggest::suggestion(chosen, table.keys());
        diagnostics.report(span, format!("the suite has no environment `{chosen}`"), help);
        return;
    };
    let Value::Table(mut overlay) = environment.value.clone() else { return };
    if let Some(Value::Table(scenarios)) = overlay.remove("scenario").map(|node| node.value) {
        for entry in scenarios.entries {
            if let Some(scenario) = find_scenario(root, &entry.key) {
                merge(scenario, entry.node, &["scenario"]);
            }
        }
    }
    overlay.entries.retain(|entry| ENVIRONMENT.key(&entry.key).is_some());
    merge_table(root, overlay, &[]);
}

/// The scenario of this name, as the suite writes it.
pub(crate) fn find_scenario<'t>(root: &'t mut Table, name: &str) -> Option<&'t mut Node> {
    let Value::Array(scenarios) = &mut root.get_mut("scenario")?.value else { return None };
    scenarios.iter_mut().find(|node| name_of(node) == Some(name))
}

/// The name that an item of an array of tables gives itself.
pub(crate) fn name_of(node: &Node) -> Option<&str> {
    node.table()?.get("name")?.text()
}

/// Looks for misspelt keys, and for scenarios that do not exist. Values are checked when the environment is chosen.
fn check(diagnostics: &mut DiagnosticBag<'_>, node: &Node, spec: &'static TableSpec, root: &Table) {
    let Some(table) = node.table() else {
        diagnostics.report(node.span, format!("expected a table, found {}", node.found()), None);
        return;
    };
    for entry in &table.entries {
        let Some(key) = spec.key(&entry.key) else {
            let help = suggest::suggestion(&entry.key, spec.names());
            diagnostics.report(entry.key_span, format!("unknown key `{}` in {}", entry.key, spec.title), help);
            continue;
        };
        match key.kind {
            Kind::Table(spec) => check(diagnostics, &entry.node, spec, root),
            Kind::Tables(spec) => {
                for inner in entry.node.table().map_or(&[][..], |table| &table.entries) {
                    if key.name == "scenario" {
                        check_scenario(diagnostics, inner, root);
                    }
                    check(diagnostics, &inner.node, spec, root);
                }
            }
            Kind::Load(specs) => {
                for inner in entry.node.table().map_or(&[][..], |table| &table.entries) {
                    if !specs.iter().any(|spec| spec.key(&inner.key).is_some()) {
                        let known = specs.iter().flat_map(TableSpec::names);
                        let help = suggest::closest(&inner.key, known).map(|known| format!("did you mean `{known}`?"));
                        diagnostics.report(inner.key_span, format!("unknown key `{}` in a load", inner.key), help);
                    }
                }
            }
            _ => {}
        }
    }
}

fn check_scenario(diagnostics: &mut DiagnosticBag<'_>, entry: &Entry, root: &Table) {
    let scenarios = root.get("scenario").and_then(Node::array).unwrap_or_default();
    let names: Vec<&str> = scenarios.iter().filter_map(name_of).collect();
    if !names.contains(&entry.key.as_str()) {
        let help = suggest::suggestion(&entry.key, names.iter().copied());
        diagnostics.report(entry.key_span, format!("the suite has no scenario `{}`", entry.key), help);
    }
}

fn merge(base: &mut Node, overlay: Node, path: &[&str]) {
    match (&mut base.value, overlay.value) {
        (Value::Table(table), Value::Table(overlay_table)) => {
            merge_table(table, overlay_table, path);
        }
        (_, value) => *base = Node { value, ..overlay },
    }
}

fn merge_table(base: &mut Table, overlay: Table, path: &[&str]) {
    match path {
        // Keys of two executors can't be mixed, so a new executor starts afresh.
        ["scenario", "load"] if overlay.get("executor").is_some() => {
            *base = overlay;
            return;
        }
        ["credentials", _] if overlay.get("env").is_some() || overlay.get("file").is_some() => {
            base.remove("env");
            base.remove("file");
        }
        // A kubeconfig says whom to trust and who to be, too.
        ["targets", _] if overlay.get("kubeconfig").is_some() => {
            for key in ["url", "url_from", "ca", "insecure", "client_cert", "client_key"] {
                base.remove(key);
            }
        }
        ["targets", _] if overlay.get("url").is_some() || overlay.get("url_from").is_some() => {
            for key in ["url", "url_from", "kubeconfig", "context"] {
                base.remove(key);
            }
        }
        _ => {}
    }
    for entry in overlay.entries {
        let path: Vec<&str> = path.iter().copied().chain([entry.key.as_str()]).collect();
        match base.get_mut(&entry.key) {
            Some(old) => merge(old, entry.node.clone(), &path),
            None => base.insert(entry.clone()),
        }
    }
}
