//! Scenario files: those with mistakes beside what is said about them, good ones beside the suite that comes of them. The
//! environment of `NAME.json` stands in `NAME.env`. `KPERF_BLESS=1` rewrites what is expected.

use std::{env, fs, path::Path};

use kperf_convert::{ConvertOptions, Converted, FileNotFound, Refused, convert};
use kperf_suite::Source;

fn convert_file(path: &Path) -> Result<Converted, Refused> {
    let text = fs::read_to_string(path).unwrap();
    let variables = fs::read_to_string(path.with_extension("env")).unwrap_or_default();
    let lookup = |name: &str| {
        let mut values = variables.lines().filter_map(|line| line.split_once('='));
        values.find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
    };
    let locate = |name: &str| match name.starts_with("missing") {
        true => Err(FileNotFound { folders: vec![".".to_owned(), "../pipeline_files".to_owned()] }),
        false => Ok(format!("../pipeline_files/{name}")),
    };
    let options = ConvertOptions { lookup: &lookup, locate: &locate, paths: "this file's folder" };
    convert(Source { name: path.file_name().unwrap().to_str().unwrap(), text: &text }, &options)
}

/// Compares what each scenario file in `folder` gives with the file beside it.
fn compare(folder: &str, extension: &str, show: impl Fn(&str, Result<Converted, Refused>) -> String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut seen = 0;
    let mut different = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|it| it != "json") {
            continue;
        }
        seen += 1;
        let shown = show(&path.display().to_string(), convert_file(&path));
        let expected = path.with_extension(extension);
        if env::var_os("KPERF_BLESS").is_some() {
            fs::write(&expected, &shown).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != shown {
            different.push(format!("{}:\n{shown}", path.display()));
        }
    }
    assert!(seen > 0, "no scenario files");
    assert!(different.is_empty(), "not as expected (KPERF_BLESS=1 accepts):\n{}", different.join("\n"));
}

#[test]
fn every_mistake_is_shown_with_its_place() {
    compare("ui", "err", |file, result| match result {
        Ok(converted) => panic!("{file} has a mistake, and became\n{}", converted.toml),
        Err(refused) => refused.render(false),
    });
}

#[test]
fn a_good_file_becomes_a_suite_that_loads() {
    compare("valid", "toml", |file, result| {
        let converted = result.unwrap_or_else(|refused| panic!("{file}:\n{refused}"));
        let options = kperf_suite::LoadOptions { environment: None, sets: &[], lookup: &|_| None };
        let loaded = kperf_suite::load(Source { name: "suite.toml", text: &converted.toml }, &options);
        loaded.unwrap_or_else(|wrong| panic!("{file}:\n{wrong}\n{}", converted.toml));
        let notes: String = converted.notes.iter().map(|note| format!("#! {note}\n")).collect();
        notes + &converted.toml
    });
}

#[test]
fn the_documentation_shows_what_comes_out() {
    let documentation = include_str!("../../../../../docs/json-scenarios.md");
    let suite = include_str!("../valid/single.toml");
    let body: Vec<&str> = suite.lines().skip_while(|line| line.starts_with('#')).collect();
    assert!(documentation.contains(&body.join("\n")), "docs/json-scenarios.md shows another suite than\n{suite}");
}
