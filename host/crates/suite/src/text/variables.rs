//! `${NAME}` and `${NAME:-default}` in texts; `$${` stands for `${`.

use std::{collections::BTreeMap, ops::Range};

use super::{
    diagnostic_bag::{Complaint, DiagnosticBag},
    node::{Node, Table, Value},
    source::Origin,
    suggest,
};

/// What `${..}` can stand for.
pub(crate) struct Variables<'a> {
    /// `[vars]`, and what `--set vars.NAME=..` says.
    vars: BTreeMap<String, Node>,
    /// The process environment.
    lookup: &'a dyn Fn(&str) -> Option<String>,
}

/// One combination of the matrix: axis and value.
pub(crate) type Combination = Vec<(String, Value)>;

/// What a name's prefix says of the matrix.
pub(crate) const MATRIX_PREFIX: &str = "matrix.";

/// A piece of a text.
#[derive(Debug, PartialEq)]
pub(crate) enum Piece<'t> {
    /// As it stands.
    Text(&'t str),
    /// A variable.
    Variable { name: &'t str, default: Option<&'t str>, range: Range<usize> },
}

/// Takes a text apart. The error is the place and what is wrong there.
pub(crate) fn pieces(text: &str) -> Result<Vec<Piece<'_>>, (Range<usize>, String)> {
    let mut pieces = Vec::new();
    let mut done = 0;
    while let Some(found) = text.get(done..).and_then(|rest| rest.find("${")) {
        let start = done + found;
        let before = text.get(done..start).unwrap_or_default();
        if let Some(before) = before.strip_suffix('$') {
            pieces.extend([Piece::Text(before), Piece::Text("${")]);
            done = start + 2;
            continue;
        }
        if !before.is_empty() {
            pieces.push(Piece::Text(before));
        }
        let body = text.get(start + 2..).unwrap_or_default();
        let Some(end) = body.find('}') else {
            return Err((start..text.len(), "`${` without `}`; write `$${` for the two characters themselves".into()));
        };
        let range = start..start + 2 + end + 1;
        let body = body.get(..end).unwrap_or_default();
        let (name, default) = body.split_once(":-").map_or((body, None), |(name, default)| (name, Some(default)));
        if !is_name(name) {
            let message = format!("`{name}` is no variable name; write `$${{` for the two characters themselves");
            return Err((range, message));
        }
        done = range.end;
        pieces.push(Piece::Variable { name, default, range });
    }
    match text.get(done..) {
        Some(rest) if !rest.is_empty() => pieces.push(Piece::Text(rest)),
        _ => {}
    }
    Ok(pieces)
}

fn is_name(name: &str) -> bool {
    let word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    match name.strip_prefix(MATRIX_PREFIX) {
        Some(axis) => word(axis) || axis.split('-').all(word),
        None => word(name) && !name.starts_with(|c: char| c.is_ascii_digit()),
    }
}

impl<'a> Variables<'a> {
    /// Takes `vars` out of `root`. Their own texts may use the process environment.
    pub fn take(diagnostics: &mut DiagnosticBag<'_>, root: &Table, lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        let mut variables = Self { vars: BTreeMap::new(), lookup };
        let Some(node) = root.get("vars") else { return variables };
        let Some(table) = node.table() else {
            diagnostics
                .complain(node, Complaint::new(format!("expected a table of variables, found {}", node.found())));
            return variables;
        };
        for entry in &table.entries {
            if !is_name(&entry.key) || entry.key.starts_with(MATRIX_PREFIX) {
                let help = "use letters, digits and `_`, not starting with a digit".to_owned();
                diagnostics.report(entry.key_span, format!("`{}` is no variable name", entry.key), help);
            } else if entry.node.value.plain().is_none() {
                let message = format!("expected a text, a number or a boolean, found {}", entry.node.found());
                diagnostics.complain(&entry.node, Complaint::new(message));
            }
        }
        let mut vars = table.clone();
        vars.entries.retain(|entry| entry.node.value.plain().is_some());
        // A default that the process environment overrides need not resolve.
        let overridden = |name: &str| (lookup)(name).is_some_and(|text| !text.is_empty());
        for entry in &mut vars.entries {
            if !overridden(&entry.key) || entry.node.span.origin == Origin::Sets {
                variables.fill(diagnostics, &mut entry.node, None);
            }
        }
        variables.vars = vars.entries.into_iter().map(|entry| (entry.key, entry.node)).collect();
        variables
    }

    /// Fills in the variables of all texts in `node`.
    pub fn fill(&self, diagnostics: &mut DiagnosticBag<'_>, node: &mut Node, combination: Option<&Combination>) {
        match &mut node.value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.fill(diagnostics, item, combination)),
            Value::Table(table) => {
                table.entries.iter_mut().for_each(|entry| self.fill(diagnostics, &mut entry.node, combination));
            }
            Value::Text(text) if text.contains("${") => match self.resolve(text, combination) {
                Ok((value, whole)) => (node.value, node.variable) = (value, whole),
                Err(complaints) => {
                    for complaint in complaints {
                        diagnostics.complain(node, complaint);
                    }
                    node.value = Value::Unknown;
                }
            },
            _ => {}
        }
    }

    /// The value of a text, and whether the text was one whole `${..}`.
    fn resolve(&self, text: &str, combination: Option<&Combination>) -> Result<(Value, bool), Vec<Complaint>> {
        let pieces = pieces(text).map_err(|(part, message)| vec![Complaint::new(message).part(part)])?;
        if let [Piece::Variable { name, default, range }] = pieces.as_slice() {
            return match self.value(name, *default, combination) {
                Ok(value) => Ok((value, true)),
                Err(complaint) => Err(vec![complaint.part(range.clone())]),
            };
        }
        let mut out = String::new();
        let mut complaints = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Variable { name, default, range } => match self.value(name, default, combination) {
                    Ok(value) => out.push_str(&value.plain().unwrap_or_default()),
                    Err(complaint) => complaints.push(complaint.part(range)),
                },
            }
        }
        if complaints.is_empty() { Ok((Value::Text(out), false)) } else { Err(complaints) }
    }

    /// `--set vars.NAME` wins over the process environment, that over `[vars]`, that over the default at the place.
    fn value(&self, name: &str, default: Option<&str>, combination: Option<&Combination>) -> Result<Value, Complaint> {
        if let Some(axis) = name.strip_prefix(MATRIX_PREFIX) {
            let Some(combination) = combination else {
                let complaint = Complaint::new(format!("`${{{name}}}` has a value only inside of `[[scenario]]`"));
                return Err(
                    complaint.help("with a `[cells]` table it has one everywhere but in `[vars]` and `[matrix]`")
                );
            };
            return combination.iter().find(|(known, _)| known == axis).map(|(_, value)| value.clone()).ok_or_else(
                || {
                    let known = combination.iter().map(|(axis, _)| axis.as_str());
                    Complaint::new(format!("[matrix] has no axis `{axis}`")).help(suggest::suggestion(axis, known))
                },
            );
        }
        let var = self.vars.get(name);
        if let Some(node) = var
            && node.span.origin == Origin::Sets
        {
            return Ok(node.value.clone());
        }
        // As in a shell, `:-` also stands for a variable that is empty.
        let from_environment = (self.lookup)(name).filter(|text| !text.is_empty());
        match (from_environment, var, default) {
            (Some(text), Some(node), _) => Ok(alike(text, &node.value)),
            (Some(text), None, _) => Ok(Value::Text(text)),
            (None, Some(node), _) => Ok(node.value.clone()),
            (None, None, Some(text)) => Ok(Value::Text(text.to_owned())),
            (None, None, None) => {
                let complaint = Complaint::new(format!("the variable `{name}` is not set"));
                let help = match suggest::closest(name, self.vars.keys().map(String::as_str)) {
                    Some(known) => format!("did you mean `{known}`?"),
                    None => {
                        format!("set it, add it to `[vars]`, or give it a default here: `${{{name}:-default}}`")
                    }
                };
                Err(complaint.help(help))
            }
        }
    }
}

/// `text` as the type of `model`, if it can be read so.
fn alike(text: String, model: &Value) -> Value {
    let typed = match model {
        Value::Integer(_) => text.trim().parse().ok().map(Value::Integer),
        Value::Float(_) => text.trim().parse().ok().map(Value::Float),
        Value::Bool(_) => text.trim().parse().ok().map(Value::Bool),
        _ => None,
    };
    typed.unwrap_or(Value::Text(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_texts_apart() {
        let variable = |name, default, range| Piece::Variable { name, default, range };
        assert_eq!(pieces("a${B}c").unwrap(), [Piece::Text("a"), variable("B", None, 1..5), Piece::Text("c")]);
        assert_eq!(pieces("${B:-x:-y}").unwrap(), [variable("B", Some("x:-y"), 0..10)]);
        assert_eq!(pieces("$${B} $5").unwrap(), [Piece::Text(""), Piece::Text("${"), Piece::Text("B} $5")]);
        assert_eq!(pieces("${matrix.a}").unwrap(), [variable("matrix.a", None, 0..11)]);
        assert_eq!(pieces("").unwrap(), []);
        assert_eq!(pieces("a${B").unwrap_err().0, 1..4);
        assert_eq!(pieces("${}").unwrap_err().0, 0..3);
        assert!(pieces("${1A}").is_err() && pieces("${a b}").is_err());
    }
}
