//! The JSON Schema for editors agrees with what the parser takes.

use std::{fs, path::Path};

use serde_json::Value;

fn suite(text: &str) -> Value {
    toml::from_str(text).unwrap()
}

fn validator() -> jsonschema::Validator {
    let schema = kperf_suite::schema();
    jsonschema::draft202012::meta::validate(&schema).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
}

#[test]
fn good_suites_fit() {
    let validator = validator();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/valid");
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|it| it == "toml") {
            let mut suite = suite(&fs::read_to_string(&path).unwrap());
            without_dates(&mut suite);
            let wrong: Vec<String> =
                validator.iter_errors(&suite).map(|error| format!("{}: {error}", error.instance_path())).collect();
            assert!(wrong.is_empty(), "{}: {wrong:#?}", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 3);
}

/// A date is a table of one marked key to serde; editors see a text.
fn without_dates(value: &mut Value) {
    match value {
        Value::Object(map) if map.contains_key("$__toml_private_datetime") => *value = Value::from("date"),
        Value::Object(map) => map.values_mut().for_each(without_dates),
        Value::Array(items) => items.iter_mut().for_each(without_dates),
        _ => {}
    }
}

#[test]
fn mistakes_do_not_fit() {
    let validator = validator();
    let good = "name = 'n'\n[[scenario]]\nname = 's'\nplugin = 'p'\n\
                load = { executor = 'constant-vus', duration = '10s' }\n";
    assert!(validator.is_valid(&suite(good)));
    for (right, wrong) in [
        ("name = 'n'", "nmae = 'n'"),
        ("'10s'", "10"),
        ("'10s'", "'10 parsecs'"),
        ("duration = '10s'", "duration = '10s', rate = '5/s'"),
        ("'constant-vus'", "'constant'"),
        ("plugin = 'p'", "plugin = 'p'\nisolation = 'none'"),
    ] {
        let text = good.replacen(right, wrong, 1);
        assert_ne!(text, good);
        assert!(!validator.is_valid(&suite(&text)), "{text}");
    }
}
