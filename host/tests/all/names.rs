//! The names that users hold: fields of the results, keys of suites, variables, exit codes. They change with a new version of their
//! format only; the file of names is edited by hand then, which is the moment to write the CHANGELOG.

use std::collections::BTreeSet;

use crate::support::Kperf;
use serde_json::Value;

/// The path of every field that a JSON Schema describes: `summary.scenarios.operations.p95`.
fn fields(root: &Value, schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        fields(root, root.pointer(&reference[1..]).unwrap(), path, found);
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        for alternative in schema[key].as_array().into_iter().flatten() {
            fields(root, alternative, path, found);
        }
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get(key).filter(|it| it.is_object()) {
            fields(root, inner, path, found);
        }
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        fields(root, field, &path, found);
        found.insert(path);
    }
}

/// The variables that the help of a command names.
fn variables(help: &str) -> impl Iterator<Item = String> {
    let words = help.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
    words
        .filter(|word| word.starts_with("KPERF_") || *word == "SCENARIO_FILE_NAME")
        .map(|word| format!("variable {word}"))
}

#[test]
fn names_that_users_hold_stay() {
    let kperf = Kperf::with("");
    let mut names = BTreeSet::new();
    for of in ["summary", "suite"] {
        let schema: Value = serde_json::from_str(&kperf.call(&["schema", of]).stdout()).unwrap();
        fields(&schema, &schema, of, &mut names);
    }
    let help = kperf.call(&["run", "--help"]).stdout();
    names.extend(variables(&help));
    let codes = kperf.call(&["--help"]).stdout();
    let codes = codes.split_once("Exit codes:").unwrap().1;
    let codes = codes.split_whitespace().collect::<Vec<_>>().join(" ");
    names.extend(codes.trim_end_matches('.').split(", ").map(|code| format!("exit code {code}")));
    let text: String = names.into_iter().map(|name| name + "\n").collect();
    let known = include_str!("../data/names.txt");
    assert!(known.lines().count() > 300, "{known}");
    for line in known.lines() {
        assert!(text.lines().any(|it| it == line), "`{line}` is gone");
    }
    for line in text.lines() {
        assert!(known.lines().any(|it| it == line), "`{line}` is new: add it to host/tests/data/names.txt");
    }
}
