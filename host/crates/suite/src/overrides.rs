//! `--set a.b=c`: single values from the command line, stronger than the suite and its environment.

use crate::{
    tables::environment::name_of,
    text::{DiagnosticBag, Entry, Node, Origin, Span, Table, Value, parse_document, parse_value, suggest},
};

/// A name on a path: what is written, and where.
#[derive(Debug)]
struct Segment {
    text: String,
    span: Span,
}

/// Applies the overrides to `root`, one after the other.
pub(crate) fn apply(diagnostics: &mut DiagnosticBag<'_>, root: &mut Table) {
    let sources = diagnostics.sources;
    let mut node = Node::new(Value::Table(std::mem::take(root)), Span::new(Origin::Sets, 0..0));
    let mut offset = 0;
    for line in sources.sets().split_inclusive('\n') {
        let text = line.trim_end_matches('\n');
        if !text.trim().is_empty()
            && let Some((path, value)) = parse(diagnostics, text, offset)
        {
            set(diagnostics, &mut node, "the suite", &path, value);
        }
        offset += line.len();
    }
    if let Value::Table(table) = node.value {
        *root = table;
    }
}

/// Reads `path=value`. The path is a TOML key; a value that is no TOML is a text.
fn parse(diagnostics: &mut DiagnosticBag<'_>, text: &str, offset: usize) -> Option<(Vec<Segment>, Node)> {
    let whole = Span::new(Origin::Sets, offset..offset + text.len());
    let Some(equals) = equals_sign(text) else {
        let help = "write it like `scenario.runs.load.vus=5`".to_owned();
        diagnostics.report(whole, format!("an override `{text}` without `=`"), help);
        return None;
    };
    let (key, value) = (text.get(..equals)?, text.get(equals + 1..)?);
    let mut syntax = Vec::new();
    let mut table = parse_document(&format!("{key}=0"), Origin::Sets, &mut syntax);
    let mut path = Vec::new();
    while let Some(entry) = table.entries.pop() {
        let at = entry.key_span.range();
        let span = Span::new(Origin::Sets, at.start + offset..at.end + offset);
        path.push(Segment { text: entry.key, span });
        table = match entry.node.value {
            Value::Table(table) => table,
            _ => Table::default(),
        };
    }
    if !syntax.is_empty() || path.is_empty() {
        let span = Span::new(Origin::Sets, offset..offset + key.len());
        let help = "separate names by dots, and quote those with other characters than letters, digits, `_` and `-`";
        diagnostics.report(span, format!("`{key}` is no path of names"), help.to_owned());
        return None;
    }
    if let Some(first) = path.first().filter(|first| first.text == "environments") {
        let help = "set the value itself: overrides are stronger than the environment".to_owned();
        diagnostics.report(first.span, "an override can't change an environment", help);
        return None;
    }
    let start = offset + equals + 1 + (value.len() - value.trim_start().len());
    let value = value.trim();
    let node = parse_value(value, Origin::Sets, start, &mut diagnostics.list).unwrap_or_else(|| {
        Node::new(Value::Text(value.to_owned()), Span::new(Origin::Sets, start..start + value.len()))
    });
    Some((path, node))
}

/// Where the path ends: the first `=` outside of quotes.
fn equals_sign(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '=') => return Some(at),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
    }
    None
}

fn set(diagnostics: &mut DiagnosticBag<'_>, node: &mut Node, inside: &str, path: &[Segment], value: Node) {
    let Some((segment, rest)) = path.split_first() else {
        *node = value;
        return;
    };
    let found = node.found();
    match &mut node.value {
        Value::Table(table) => {
            if table.get(&segment.text).is_none() {
                let node = Node::new(Value::Table(Table::default()), segment.span);
                table.insert(Entry { key: segment.text.clone(), key_span: segment.span, node });
            }
            if let Some(node) = table.get_mut(&segment.text) {
                set(diagnostics, node, &segment.text, rest, value);
            }
        }
        Value::Array(items) => {
            let at = items.iter().position(|item| name_of(item) == Some(&segment.text));
            let at = at.or_else(|| segment.text.parse().ok());
            if let Some(item) = at.and_then(|at| items.get_mut(at)) {
                set(diagnostics, item, &segment.text, rest, value);
                return;
            }
            let names: Vec<&str> = items.iter().filter_map(name_of).collect();
            let message = format!("there is no `{inside}` with the name or the index `{}`", segment.text);
            diagnostics.report(segment.span, message, suggest::suggestion(&segment.text, names));
        }
        _ => diagnostics.report(segment.span, format!("`{inside}` is {found}, nothing can be set in it"), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{Source, Sources};

    fn applied(text: &str, sets: &[&str]) -> Result<Table, Vec<String>> {
        let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
        let sources = Sources::new(Source { name: "suite.toml", text }, &sets);
        let mut diagnostics = DiagnosticBag::new(&sources);
        let mut root = parse_document(text, Origin::File, &mut diagnostics.list);
        apply(&mut diagnostics, &mut root);
        if diagnostics.list.is_empty() {
            return Ok(root);
        }
        let show =
            |diagnostic: &crate::Diagnostic| format!("{}: {}", sources.slice(diagnostic.span), diagnostic.message);
        Err(diagnostics.list.iter().map(show).collect())
    }

    fn at<'t>(root: &'t Table, path: &[&str]) -> &'t Node {
        let (last, steps) = path.split_last().unwrap();
        steps.iter().fold(root, |table, step| table.get(step).unwrap().table().unwrap()).get(last).unwrap()
    }

    #[test]
    fn sets_typed_values_and_falls_back_to_text() {
        let root = applied("a = 1\n[t]\nx = 'old'", &["a=2", "t.x=30s", "t.\"y z\".w=[1, 2]", "b='q=r'"]).unwrap();
        assert!(matches!(at(&root, &["a"]).value, Value::Integer(2)));
        assert_eq!(at(&root, &["t", "x"]).text(), Some("30s"));
        assert_eq!(at(&root, &["t", "y z", "w"]).array().unwrap().len(), 2);
        assert_eq!(at(&root, &["b"]).text(), Some("q=r"));
    }

    #[test]
    fn reaches_scenarios_by_name_and_by_index() {
        let text = "[[scenario]]\nname = 'a'\n[[scenario]]\nname = 'b'\n";
        let root = applied(text, &["scenario.b.start=1", "scenario.0.start=2"]).unwrap();
        let starts: Vec<&Node> = root
            .get("scenario")
            .unwrap()
            .array()
            .unwrap()
            .iter()
            .map(|it| at(it.table().unwrap(), &["start"]))
            .collect();
        assert!(matches!(
            starts.as_slice(),
            [Node { value: Value::Integer(2), .. }, Node { value: Value::Integer(1), .. }]
        ));
    }

    #[test]
    fn points_at_what_is_wrong_in_an_override() {
        let text = "a = 1\n[[scenario]]\nname = 'runs'\n";
        let wrong =
            applied(text, &["a.b=1", "scenario.run.x=1", "oops", "a b=1", "environments.x.vars.Y=1"]).unwrap_err();
        assert_eq!(wrong[0], "b: `a` is `1`, nothing can be set in it");
        assert_eq!(wrong[1], "run: there is no `scenario` with the name or the index `run`");
        assert_eq!(wrong[2], "oops: an override `oops` without `=`");
        assert!(wrong[3].starts_with("a b: "));
        assert!(wrong[4].starts_with("environments: "));
    }
}
