//! kperf-suite: what a suite file says.
//!
//! In comes text: a TOML file, the name of an environment, overrides from the command line, and a function that looks up
//! variables. Out comes a [`Suite`] in which everything is typed, expanded and cross-checked, or [`Diagnostics`] with every
//! mistake at once, each with its place. The same key descriptions that drive the reading also give the JSON Schema for
//! editors and the reference in the docs.
//!
//! It reads no files and no environment, and knows neither plugins (whose tables it keeps as [`Params`] with places) nor
//! how anything is run.

mod credential;
mod diagnostic;
mod duration;
mod environment;
mod host_grant;
mod limits;
mod load;
mod matrix;
mod name;
mod node;
mod observer;
mod overrides;
mod params;
mod plugin_use;
mod rate;
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

pub use credential::{Credential, CredentialSource};
pub use diagnostic::{Diagnostic, Diagnostics};
pub use duration::{DurationError, DurationText, parse_duration};
pub use host_grant::{HostGrant, HostGrantError};
pub use limits::Limits;
pub use load::{Load, Shape, Stage};
pub use name::NameError;
pub use observer::{Collector, Reporter};
pub use params::Params;
pub use plugin_use::{PluginRef, PluginUse, TargetRef};
pub use rate::{Rate, RateError};
pub use reader::Located;
pub use reference::reference;
pub use scenario::{Isolation, Scenario};
pub use schema::schema;
pub use share::{Share, ShareError};
pub use simulated::Simulated;
pub use size::{Size, SizeError};
pub use source::{Source, Sources, Span};
pub use suggest::help as suggestion;
pub use suite::Suite;
pub use target::{HttpVersion, Target};
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

/// The passes, in order: each one only sees what the ones before have made of the text.
fn read(reader: &mut Reader<'_>, options: &Options<'_>) -> Option<Suite> {
    let mut root: Table = node::parse_document(reader.sources.text(), Origin::File, &mut reader.findings);
    let syntax = reader.findings.clone();
    environment::apply(reader, &mut root, options.environment);
    overrides::apply(reader, &mut root);
    matrix::expand(reader, &mut root, options.lookup);
    let suite = suite::read_suite(reader, &root, options.environment);
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
