//! JSON values as TOML: a pipeline's parameters may be anything that JSON can say, but for `null`.

use jsonc_parser::ast::{Object, Value as Json};
use kperf_suite::Diagnostic;
use toml_edit::{Array, InlineTable, Value};

use crate::{fields, json};

/// How deep values may lie in each other. TOML's readers have a limit of their own, above this one.
const DEEPEST: usize = 32;

/// The pipeline's parameters as a table.
pub(crate) fn read(value: &Json<'_>, diagnostics: &mut Vec<Diagnostic>) -> Option<InlineTable> {
    let object = fields::object(value, "an object with the pipeline's parameters", diagnostics)?;
    Some(table(object, 1, diagnostics))
}

fn table(object: &Object<'_>, depth: usize, diagnostics: &mut Vec<Diagnostic>) -> InlineTable {
    let mut table = InlineTable::new();
    for field in &object.properties {
        let name = field.name.as_str();
        if table.contains_key(name) {
            let diagnostic = Diagnostic::new(json::name_place(field), format!("`{name}` stands here twice"));
            diagnostics.push(diagnostic.help("leave one out"));
        } else if let Some(value) = toml(&field.value, depth + 1, diagnostics) {
            table.insert(name, value);
        }
    }
    table
}

fn toml(value: &Json<'_>, depth: usize, diagnostics: &mut Vec<Diagnostic>) -> Option<Value> {
    match value {
        Json::Array(_) | Json::Object(_) if depth > DEEPEST => {
            let message = format!("values lie more than {DEEPEST} deep in each other");
            diagnostics.push(Diagnostic::new(json::place(value), message).help("pass this one as a text"));
            None
        }
        Json::StringLit(text) => Some(literal(&text.value).into()),
        Json::BooleanLit(yes) => Some(yes.value.into()),
        Json::NumberLit(number) => {
            let integer = number.value.parse::<i64>().map(Value::from);
            let float = || number.value.parse::<f64>().ok().filter(|value| value.is_finite()).map(Value::from);
            let digits = number.value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
            let read = if digits { integer.ok() } else { float() };
            if read.is_none() {
                let message = format!("{} does not fit into 64 bits", json::found(value));
                diagnostics.push(Diagnostic::new(json::place(value), message).help("pass it as a text"));
            }
            read
        }
        Json::Array(array) => {
            Some(array.elements.iter().filter_map(|item| toml(item, depth + 1, diagnostics)).collect::<Array>().into())
        }
        Json::Object(object) => Some(table(object, depth, diagnostics).into()),
        Json::NullKeyword(_) => {
            let diagnostic = Diagnostic::new(json::place(value), "a suite has no `null`");
            diagnostics.push(diagnostic.help("leave the parameter out"));
            None
        }
    }
}

/// A text that a suite takes literally: `${` begins a variable there.
pub(crate) fn literal(text: &str) -> String {
    text.replace("${", "$${")
}
