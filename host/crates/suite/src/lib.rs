//! kperf-suite: what a suite file says.
//!
//! In comes text: a TOML file, the name of an environment, overrides from the command line, and a function that looks up
//! variables. Out comes a [`Suite`] in which everything is typed, expanded and cross-checked, or [`Diagnostics`] with every
//! mistake at once, each with its place. The same key descriptions that drive the reading also give the JSON Schema for
//! editors and the reference in the docs.
//!
//! It reads no files and no environment, and knows neither plugins (whose tables it keeps as [`Params`] with places) nor
//! how anything is run.

mod keys;
mod overrides;
mod reference;
mod schema;
mod tables;
mod text;
mod values;

pub use reference::reference;
pub use schema::schema;
pub use tables::{
    Address, Axis, AxisValue, Cell, Cells, Collector, Credential, CredentialSource, Double, Export, HttpVersion,
    Isolation, Kubeconfig, Limits, Listen, Load, NativeCollector, Occasion, Params, PluginRef, PluginUse, Push,
    Reporter, Scenario, Simulated, Suite, Target, TargetRef, Threshold, simulated_operations,
};
pub use text::suggest::{closest, suggestion};
pub use text::{Diagnostic, Diagnostics, Located, Source, Sources, Span};
pub use values::{
    DurationError, DurationText, HostGrant, HostGrantError, Share, ShareError, Size, SizeError, UrlError,
    parse_duration,
};

use std::cell::RefCell;

use keys::{MISSING, Reader};
use tables::{environment, matrix, read_suite};
use text::{DiagnosticBag, Origin, Table, parse_document, secret_scan};

/// What a suite is loaded with besides its text.
#[derive(Clone, Copy)]
pub struct LoadOptions<'a> {
    /// The environment to apply; None for the suite as it stands.
    pub environment: Option<&'a str>,
    /// Overrides `path.to.key=value`, applied in order. Each value is TOML, or else a text.
    pub sets: &'a [String],
    /// Looks up a variable of the process environment.
    pub lookup: &'a dyn Fn(&str) -> Option<String>,
}

/// Loads a suite.
///
/// # Errors
/// Every mistake in the text, the environment and the overrides.
pub fn load(source: Source<'_>, options: &LoadOptions<'_>) -> Result<Suite, Diagnostics> {
    let sources = Sources::new(source, options.sets);
    let uses = RefCell::default();
    let mut reader = Reader::new(DiagnosticBag::new(&sources));
    let suite = read(&mut reader, options, &uses);
    let diagnostics = reader.diagnostics.list;
    match suite {
        Some(suite) if diagnostics.is_empty() => Ok(suite),
        _ => Err(Diagnostics::new(sources.clone(), diagnostics)),
    }
}

/// The uses of plugins in a suite, also in one that [`load`] refuses: a caller that has the plugins can then add what is wrong
/// with their modes and parameters, so that all mistakes are shown at once.
#[must_use]
pub fn plugin_uses(source: Source<'_>, options: &LoadOptions<'_>) -> Vec<PluginUse> {
    let sources = Sources::new(source, options.sets);
    let uses = RefCell::default();
    read(&mut Reader::new(DiagnosticBag::new(&sources)), options, &uses);
    uses.into_inner()
}

/// The passes, in order: each one only sees what the ones before have made of the text.
fn read(reader: &mut Reader<'_>, options: &LoadOptions<'_>, uses: &RefCell<Vec<PluginUse>>) -> Option<Suite> {
    let diagnostics = &mut reader.diagnostics;
    let mut root: Table = parse_document(diagnostics.sources.text(), Origin::File, &mut diagnostics.list);
    let syntax = diagnostics.list.clone();
    environment::apply(diagnostics, &mut root, options.environment);
    overrides::apply(diagnostics, &mut root);
    matrix::expand(diagnostics, &mut root, options.lookup);
    let suite = read_suite(reader, &root, options.environment, uses);
    for token in secret_scan::tokens(reader.sources) {
        let help = "put it into an environment variable or a file, and name that under `[credentials.NAME]`";
        reader.report(token, "a secret does not belong into a suite", help.to_owned());
    }
    forget_consequences(&mut reader.diagnostics, &syntax);
    suite
}

/// Drops what follows from a mistake in the TOML itself: diagnostics on its line, and keys that are missing because of it.
fn forget_consequences(diagnostics: &mut DiagnosticBag<'_>, syntax: &[Diagnostic]) {
    if syntax.is_empty() {
        return;
    }
    let sources = diagnostics.sources;
    let lines: Vec<usize> = syntax.iter().map(|diagnostic| sources.position(diagnostic.span).0).collect();
    diagnostics.list.retain(|diagnostic| {
        let follows = diagnostic.span.range().is_empty()
            || diagnostic.message.starts_with(MISSING)
            || (diagnostic.span.origin == Origin::File && lines.contains(&sources.position(diagnostic.span).0));
        syntax.contains(diagnostic) || !follows
    });
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        keys::{Kind, TableSpec},
        reference::tables,
        tables::{SUITE, executors},
        text::{Node, Value},
    };

    type Keys = BTreeSet<(&'static str, &'static str)>;

    fn described() -> Keys {
        tables().into_iter().flat_map(|spec| spec.names().map(|name| (spec.title, name))).collect()
    }

    fn written(spec: &'static TableSpec, node: &Node, keys: &mut Keys) {
        for entry in &node.table().unwrap().entries {
            let key = spec.key(&entry.key).unwrap_or_else(|| panic!("{} is not described", entry.key));
            keys.insert((spec.title, key.name));
            match (key.kind, &entry.node.value) {
                (Kind::Table(inner), _) => written(inner, &entry.node, keys),
                (Kind::Tables(inner), Value::Table(table)) => {
                    table.entries.iter().for_each(|entry| written(inner, &entry.node, keys));
                }
                (Kind::List(inner) | Kind::Thresholds(inner), Value::Array(items)) => {
                    items.iter().filter(|item| item.table().is_some()).for_each(|item| written(inner, item, keys));
                }
                (Kind::Load(_), Value::Table(table)) => {
                    let executor = table.get("executor").and_then(Node::text).unwrap_or("constant-vus");
                    written(executors().find(|(name, _)| *name == executor).unwrap().1, &entry.node, keys);
                }
                _ => {}
            }
        }
    }

    /// The suite beside the tests that writes every key there is.
    const FULL: &str = include_str!("../tests/valid/full.toml");

    #[test]
    fn every_described_key_is_accepted_and_read() {
        let sources = Sources::new(Source { name: "full.toml", text: FULL }, &[]);
        let mut reader = Reader::new(DiagnosticBag::new(&sources));
        let root = parse_document(FULL, Origin::File, &mut reader.diagnostics.list);
        let mut keys = Keys::new();
        written(&SUITE, &Node::new(Value::Table(root), Span::new(Origin::File, 0..0)), &mut keys);
        assert_eq!(described().difference(&keys).collect::<Vec<_>>(), Vec::<&(&str, &str)>::new(), "not in full.toml");

        let suite =
            read(&mut reader, &LoadOptions { environment: None, sets: &[], lookup: &|_| None }, &RefCell::default());
        assert!(suite.is_some() && reader.diagnostics.list.is_empty(), "{:?}", reader.diagnostics.list);
        // An environment's keys are merged into the suite's, and read there.
        let read: Keys = reader.asked;
        let unread: Vec<_> = described()
            .into_iter()
            .filter(|(title, _)| !title.starts_with("[environments"))
            .filter(|key| !read.contains(key))
            .collect();
        assert_eq!(unread, []);
    }

    #[test]
    fn params_know_the_places_of_their_values() {
        let text = "name = 'n'\n[[scenario]]\nname = 's'\nplugin = 'p'\nload = { executor = 'per-vu-iterations' }\n\
                    [scenario.params]\na = { 'x/y' = [1, '${N:-5}'] }\n";
        let options = LoadOptions { environment: None, sets: &[], lookup: &|_| None };
        let suite = load(Source { name: "s", text }, &options).unwrap();
        let params = &suite.scenarios[0].plugin.params;
        let place = |pointer| suite.sources.slice(params.locate(pointer).unwrap());
        assert_eq!(place(""), "[scenario.params]");
        assert_eq!(place("/a/x~1y/0"), "1");
        assert_eq!(place("/a/x~1y/1"), "'${N:-5}'");
        assert!(params.is_variable("/a/x~1y/1") && !params.is_variable("/a/x~1y/0"));
        assert_eq!(suite.sources.slice(params.locate_key("/a/x~1y").unwrap()), "'x/y'");
        assert_eq!(params.locate("/b"), None);
    }

    #[test]
    fn a_scenarios_thresholds_are_about_its_own_samples() {
        let options = LoadOptions { environment: None, sets: &[], lookup: &|_| None };
        let suite = load(Source { name: "full.toml", text: FULL }, &options).unwrap();
        let threshold = &suite.scenarios[0].thresholds[0];
        assert_eq!(threshold.expression.selector().get("scenario"), Some("one"));
        assert_eq!(suite.thresholds[0].expression.selector().get("scenario"), None);
        let metric = threshold.part(&suite.sources, threshold.expression.metric_span());
        assert_eq!(suite.sources.slice(metric), "http_req_duration");
    }

    #[test]
    fn the_reference_has_every_key() {
        let text = reference();
        for (_, key) in described() {
            assert!(text.contains(&format!("| `{key}` |")), "{key}");
        }
        assert_eq!(text.matches("### ").count(), tables().len());
    }
}
