//! kperf-suite: what a suite file says.
//!
//! In comes text: a TOML file, the name of an environment, overrides from the command line, and a function that looks up
//! variables. Out comes a [`Suite`] in which everything is typed, expanded and cross-checked, or [`Diagnostics`] with every
//! mistake at once, each with its place. The same key descriptions that drive the reading also give the JSON Schema for
//! editors and the reference in the docs.
//!
//! It reads no files and no environment, and knows neither plugins (whose tables it keeps as [`Params`] with places) nor
//! how anything is run.

mod cells;
mod credential;
mod diagnostic;
mod duration;
mod environment;
mod export;
mod host_grant;
mod leak;
mod limits;
mod load;
mod matrix;
mod name;
mod native;
mod node;
mod observer;
mod overrides;
mod params;
mod plugin_use;
mod reader;
mod reference;
mod scenario;
mod schema;
mod share;
mod simulated;
mod size;
mod source;
mod spec;
mod suggest;
mod suite;
mod target;
mod threshold;
mod variables;

pub use cells::{Axis, AxisValue, Cell, Cells};
pub use credential::{Credential, CredentialSource};
pub use diagnostic::{Diagnostic, Diagnostics};
pub use duration::{DurationError, DurationText, parse_duration};
pub use export::{Export, Listen, Push};
pub use host_grant::{HostGrant, HostGrantError};
pub use limits::Limits;
pub use load::Load;
pub use native::NativeCollector;
pub use observer::{Collector, Occasion, Reporter};
pub use params::Params;
pub use plugin_use::{PluginRef, PluginUse, TargetRef};
pub use reader::Located;
pub use reference::reference;
pub use scenario::{Isolation, Scenario};
pub use schema::schema;
pub use share::{Share, ShareError};
pub use simulated::{Simulated, simulated_operations};
pub use size::{Size, SizeError};
pub use source::{Source, Sources, Span};
pub use suggest::{closest, suggestion};
pub use suite::Suite;
pub use target::{Address, Double, HttpVersion, Kubeconfig, Target};
pub use threshold::Threshold;

use crate::{node::Table, reader::Reader, source::Origin};

/// What a suite is loaded with besides its text.
#[derive(Clone, Copy)]
pub struct Options<'a> {
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
pub fn load(source: Source<'_>, options: &Options<'_>) -> Result<Suite, Diagnostics> {
    let sources = Sources::new(source, options.sets);
    let mut reader = Reader::new(&sources);
    let suite = read(&mut reader, options);
    match suite {
        Some(suite) if reader.findings.is_empty() => Ok(suite),
        _ => {
            let findings = std::mem::take(&mut reader.findings);
            Err(Diagnostics::new(sources, findings))
        }
    }
}

/// The uses of plugins in a suite, also in one that [`load`] refuses: whoever knows the plugins can add what is wrong with
/// their modes and parameters, so that all mistakes are shown at once.
#[must_use]
pub fn plugin_uses(source: Source<'_>, options: &Options<'_>) -> Vec<PluginUse> {
    let sources = Sources::new(source, options.sets);
    let mut reader = Reader::new(&sources);
    read(&mut reader, options);
    reader.uses
}

/// The passes, in order: each one only sees what the ones before have made of the text.
fn read(reader: &mut Reader<'_>, options: &Options<'_>) -> Option<Suite> {
    let mut root: Table = node::parse_document(reader.sources.text(), Origin::File, &mut reader.findings);
    let syntax = reader.findings.clone();
    environment::apply(reader, &mut root, options.environment);
    overrides::apply(reader, &mut root);
    matrix::expand(reader, &mut root, options.lookup);
    let suite = suite::read_suite(reader, &root, options.environment);
    leak::look(reader);
    forget_consequences(reader, &syntax);
    suite
}

/// Drops what follows from a mistake in the TOML itself: findings on its line, and keys that are missing because of it.
fn forget_consequences(reader: &mut Reader<'_>, syntax: &[Diagnostic]) {
    if syntax.is_empty() {
        return;
    }
    let sources = reader.sources;
    let lines: Vec<usize> = syntax.iter().map(|finding| sources.position(finding.span).0).collect();
    reader.findings.retain(|finding| {
        let follows = finding.span.range().is_empty()
            || finding.message.starts_with(reader::MISSING)
            || (finding.span.origin == Origin::File && lines.contains(&sources.position(finding.span).0));
        syntax.contains(finding) || !follows
    });
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        node::{Node, Value},
        reference::tables,
        spec::{Kind, TableSpec},
        suite::SUITE,
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
                    written(load::executors().find(|(name, _)| *name == executor).unwrap().1, &entry.node, keys);
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
        let mut reader = Reader::new(&sources);
        let root = node::parse_document(FULL, Origin::File, &mut reader.findings);
        let mut keys = Keys::new();
        written(&SUITE, &Node::new(Value::Table(root), Span::new(Origin::File, 0..0)), &mut keys);
        assert_eq!(described().difference(&keys).collect::<Vec<_>>(), Vec::<&(&str, &str)>::new(), "not in full.toml");

        let suite = read(&mut reader, &Options { environment: None, sets: &[], lookup: &|_| None });
        assert!(suite.is_some() && reader.findings.is_empty(), "{:?}", reader.findings);
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
        let options = Options { environment: None, sets: &[], lookup: &|_| None };
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
        let options = Options { environment: None, sets: &[], lookup: &|_| None };
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
