//! `convert`, and how the commands that take a suite read a JSON scenario file in its place.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use kperf_convert::{ConvertOptions, FileNotFound};
use kperf_suite::Source;

use super::refusal::usage;
use crate::terminal;
use kperf_results::Exit;

/// The variable that names a scenario file where the command line names none.
pub(super) const FILE_VARIABLE: &str = "SCENARIO_FILE_NAME";
/// Where that file is looked for besides the current folder.
const SCENARIOS: &str = "test_data/scenarios";
/// Where pipelines are looked for, relative to the scenario file's folder.
const PIPELINES: [&str; 3] = ["", "../pipeline_files", "pipeline_files"];

/// What is converted, and where it goes.
#[derive(Debug, Args)]
pub(super) struct ConvertArgs {
    /// The scenario file (JSON)
    #[arg(env = FILE_VARIABLE)]
    file: PathBuf,
    /// Write the suite into this file instead of printing it; paths in it are relative to its folder
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// A suite's text, and what to call it in messages.
pub(super) struct SuiteText {
    pub name: String,
    pub text: String,
    /// The file that it was read from.
    pub file: PathBuf,
}

/// `kperf-host convert`.
pub(super) fn run(args: &ConvertArgs) -> Exit {
    let file = found(&args.file);
    let base = args.out.as_deref().map_or(Path::new("."), folder);
    let comment = match args.out {
        Some(_) => "this file's folder",
        None => "the folder that this was printed in",
    };
    let toml = match convert(&file, base, comment) {
        Ok(toml) => toml,
        Err(exit) => return exit,
    };
    let Some(out) = &args.out else {
        terminal::out(toml.trim_end());
        return Exit::Pass;
    };
    if same(out, &file) {
        return usage(&format!("{} is what is to be converted: name another file", out.display()));
    }
    match std::fs::write(out, toml) {
        Ok(()) => Exit::Pass,
        Err(error) => usage(&format!("can't write {}: {error}", out.display())),
    }
}

/// Reads a suite; a JSON file is converted on the way.
///
/// # Errors
/// The exit code, once the reason has been shown.
pub(super) fn read_suite(given: &Path) -> Result<SuiteText, Exit> {
    let file = found(given);
    let name = file.display().to_string();
    if !file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
        let text = read(&file)?;
        return Ok(SuiteText { name, text, file });
    }
    let text = convert(&file, folder(&file), "the scenario file's folder")?;
    Ok(SuiteText { name: format!("{name} (converted)"), text, file })
}

/// The folder that a file is in.
pub(super) fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Converts a scenario file; paths become relative to `base`, which `comment` describes.
fn convert(file: &Path, base: &Path, comment: &str) -> Result<String, Exit> {
    let text = read(file)?;
    let name = file.display().to_string();
    let options = ConvertOptions {
        lookup: &|name| std::env::var(name).ok(),
        locate: &|pipeline| locate(pipeline, folder(file), base),
        paths: comment,
    };
    match kperf_convert::convert(Source { name: &name, text: &text }, &options) {
        Ok(converted) => {
            for note in &converted.notes {
                terminal::note(&format!("note: {note}"));
            }
            Ok(converted.toml)
        }
        Err(refused) => {
            terminal::note(refused.render(terminal::colour()).trim_end());
            if refused.count() > 1 {
                terminal::note(&format!("\n{} mistakes", refused.count()));
            }
            Err(Exit::Usage)
        }
    }
}

/// The path, from `base`, of the pipeline that a scenario file in `folder` names.
fn locate(name: &str, folder: &Path, base: &Path) -> Result<String, FileNotFound> {
    let candidates = PIPELINES.map(|place| Path::new(place).join(name));
    match candidates.iter().find(|candidate| folder.join(candidate).is_file()) {
        Some(candidate) if same(folder, base) => Ok(candidate.display().to_string()),
        Some(candidate) => {
            let file = folder.join(candidate);
            Ok(relative(&file, base).unwrap_or(file).display().to_string())
        }
        None => {
            let folders = PIPELINES.map(|place| folder.join(place).join("").display().to_string());
            Err(FileNotFound { folders: folders.into() })
        }
    }
}

fn relative(file: &Path, base: &Path) -> io::Result<PathBuf> {
    let (file, base) = (file.canonicalize()?, base.canonicalize()?);
    Ok(pathdiff::diff_paths(&file, base).unwrap_or(file))
}

/// Whether two paths lead to the same place.
fn same(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// A file that only the environment names may lie in the folder for scenarios.
fn found(given: &Path) -> PathBuf {
    let named = std::env::var_os(FILE_VARIABLE).is_some_and(|name| name == OsStr::new(given));
    let usual = Path::new(SCENARIOS).join(given);
    if named && !given.exists() && usual.is_file() { usual } else { given.to_owned() }
}

fn read(file: &Path) -> Result<String, Exit> {
    std::fs::read_to_string(file).map_err(|error| {
        let named = std::env::var_os(FILE_VARIABLE).is_some_and(|name| name == file.as_os_str());
        let hint =
            if named { format!(" (named by {FILE_VARIABLE}; looked in {SCENARIOS} too)") } else { String::new() };
        usage(&format!("can't read {}{hint}: {error}", file.display()))
    })
}
