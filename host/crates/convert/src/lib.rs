//! kperf-convert: the JSON scenario files of the Python performance framework for Kubeflow Pipelines, as a suite.
//!
//! In comes JSON text, a function that looks up environment variables, and one that finds a pipeline's file by its name. Out
//! comes the text of a suite in TOML, or every mistake at once, each with its place in the JSON or in the variable.
//!
//! It reads no files and no environment, and knows nothing of how a suite runs. What it knows of Kubeflow Pipelines is what
//! those files can say.

mod environment;
mod fields;
mod flag;
mod json;
mod parameters;
mod quantity;
mod scenario;
mod suite;

use std::{fmt, path::Path};

use jsonc_parser::ast::{Object, Value};
use kperf_suite::{Diagnostic, Diagnostics, Source, Sources, Span};

/// What a scenario file is converted with besides its text.
#[derive(Clone, Copy)]
pub struct ConvertOptions<'a> {
    /// Looks up a variable of the process environment.
    pub lookup: &'a dyn Fn(&str) -> Option<String>,
    /// Finds the file of a pipeline by the name in the JSON: the path to write into the suite.
    pub locate: &'a dyn Fn(&str) -> Result<String, FileNotFound>,
    /// What those paths are relative to, for a comment at the suite's head.
    pub paths: &'a str,
}

/// There is no file of this name in any of these folders.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("looked for it in {}", folders.iter().map(|folder| format!("`{folder}`")).collect::<Vec<_>>().join(", "))]
pub struct FileNotFound {
    /// The folders that could have had it.
    pub folders: Vec<String>,
}

/// A converted file.
#[derive(Debug)]
pub struct Converted {
    /// The suite's text.
    pub toml: String,
    /// What was said and does nothing, each a line with its place.
    pub notes: Vec<String>,
}

/// Why a file can't be converted: all mistakes in the environment and in the JSON.
#[derive(Debug)]
pub struct Refused(Vec<Diagnostics>);

impl Refused {
    /// How many mistakes there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.iter().map(Diagnostics::len).sum()
    }

    /// All mistakes as text for people, as [`Diagnostics::render`].
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        self.0.iter().map(|part| part.render(colour)).collect::<Vec<_>>().join("\n")
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Refused {}

/// Converts a scenario file.
///
/// # Errors
/// Every mistake in the JSON and in the environment variables that it needs.
pub fn convert(source: Source<'_>, options: &ConvertOptions<'_>) -> Result<Converted, Refused> {
    // Editors for Windows put a byte order mark there.
    let text = source.text.strip_prefix('\u{feff}').unwrap_or(source.text);
    let sources = Sources::file(Source { text, ..source });
    let server = environment::read(options.lookup);
    let mut diagnostics = Vec::new();
    let scenarios = scenarios(text, options.locate, &mut diagnostics);
    let server = match server {
        Ok(server) if diagnostics.is_empty() => server,
        server => {
            let json = (!diagnostics.is_empty()).then(|| Diagnostics::new(sources, diagnostics));
            return Err(Refused(server.err().into_iter().chain(json).collect()));
        }
    };
    let file = Path::new(source.name).file_name().map_or_else(|| source.name.into(), |name| name.to_string_lossy());
    let name = suite_name(&file);
    let mut notes = Vec::new();
    for scenario in &scenarios {
        for (field, start) in &scenario.idle {
            let (line, column) = sources.position(Span::in_file(*start..*start));
            let mode = scenario.mode.name();
            notes.push(format!("{}:{line}:{column}: `{field}` does nothing in {mode}", source.name));
        }
    }
    let origin = suite::Origin { name: &name, file: &file, paths: options.paths };
    Ok(Converted { toml: suite::write(&origin, &server, scenarios), notes })
}

/// The scenarios of a file: an array of objects, or a single object.
fn scenarios(
    text: &str,
    locate: &dyn Fn(&str) -> Result<String, FileNotFound>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<scenario::Scenario> {
    let document = match json::parse(text) {
        Ok(document) => document,
        Err(diagnostic) => {
            diagnostics.push(diagnostic);
            return Vec::new();
        }
    };
    let objects: Vec<&Object<'_>> = match &document {
        Value::Object(object) => vec![object],
        Value::Array(array) => {
            if array.elements.is_empty() {
                let diagnostic = Diagnostic::new(json::place(&document), "there is no scenario in the file");
                diagnostics.push(diagnostic.help("add at least one, with `mode`, `startTime` and `runTime`"));
            }
            array
                .elements
                .iter()
                .filter_map(|item| fields::object(item, "a scenario (an object)", diagnostics))
                .collect()
        }
        other => {
            let message = format!("expected an array of scenarios or a single one, found {}", json::found(other));
            diagnostics.push(Diagnostic::new(json::place(other), message));
            Vec::new()
        }
    };
    objects.into_iter().filter_map(|object| scenario::read(object, locate, diagnostics)).collect()
}

/// The file's name without its ending, as far as a suite's name allows.
fn suite_name(file: &str) -> String {
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let plain = |c: char| if c.is_ascii_alphanumeric() || " ._-".contains(c) { c } else { '-' };
    let name: String = stem.chars().map(plain).take(100).collect();
    let name = name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    if name.is_empty() { "scenarios".to_owned() } else { name.to_owned() }
}
