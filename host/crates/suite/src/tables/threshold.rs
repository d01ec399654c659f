//! `thresholds`: what must hold for the run to pass, as the suite writes it. The grammar is the metrics' own.

use std::{ops::Range, time::Duration};

use kperf_metrics::{Severity, Threshold as Expression};

use crate::{
    keys::{DURATION, KeySpec, Kind, Need, Reader, Section, TableSpec},
    text::{Complaint, Node, Sources, Span, Value},
};

/// A threshold of a scenario or of the whole suite.
#[derive(Clone, Debug)]
pub struct Threshold {
    /// As it is written, variables filled in.
    pub text: String,
    /// What it says; for one of a scenario, of that scenario's samples only.
    pub expression: Expression,
    /// How long after the start a breach aborts the run; None if a breach does not abort.
    pub abort: Option<Duration>,
    /// How urgent a breach is, for reporters.
    pub severity: Severity,
    /// The place of its text in the suite.
    pub span: Span,
}

impl Threshold {
    /// The place of a part of the text, counted in bytes.
    #[must_use]
    pub fn part(&self, sources: &Sources, part: Range<usize>) -> Span {
        sources.within(self.span, &self.text, part)
    }

    /// Narrows it to the samples of a scenario.
    pub(crate) fn within(self, scenario: &str) -> Self {
        Self { expression: self.expression.within("scenario", scenario), ..self }
    }
}

pub(crate) const THRESHOLD: TableSpec = TableSpec {
    title: "thresholds",
    doc: "What must hold for the run to pass: a text like `\"http_req_duration{operation=create_run} p(95) < 500ms\"`, or a \
          table of these keys. One in a scenario counts that scenario's samples only.",
    keys: &[
        KeySpec::new("expr", Kind::Text, Need::Required, "The threshold."),
        KeySpec::new("abort", Kind::Bool, Need::Default("false"), "A breach stops the run at once."),
        KeySpec::new(
            "after",
            DURATION,
            Need::Default("0s"),
            "Before this much time has passed a breach does not abort.",
        ),
        KeySpec::new(
            "severity",
            Kind::Choice(&["critical", "error", "warning", "info"]),
            Need::Default("error"),
            "How much a breach matters, for those whom reporters tell.",
        ),
    ],
};

pub(crate) fn read_thresholds(reader: &mut Reader<'_>, section: &Section<'_>, name: &'static str) -> Vec<Threshold> {
    reader.items(section, name).iter().filter_map(|item| read_threshold(reader, item)).collect()
}

fn read_threshold(reader: &mut Reader<'_>, node: &Node) -> Option<Threshold> {
    match &node.value {
        Value::Text(text) => expression(reader, node, text, None, Severity::default()),
        Value::Table(_) => {
            let section = reader.section(&THRESHOLD, node)?;
            let abort = reader.value::<bool>(&section, "abort");
            let after: Duration = reader.value(&section, "after");
            if let (Some(node), false) = (section.table.get("after"), abort) {
                let help = "add `abort = true`, or leave `after` out".to_owned();
                reader.report(node.span, "`after` delays an abort, but there is none", help);
            }
            let severity = reader.choice(&section, "severity", &Severity::ALL).unwrap_or_default();
            let text: String = reader.optional(&section, "expr")?;
            expression(reader, section.table.get("expr")?, &text, abort.then_some(after), severity)
        }
        _ => {
            let message = format!("expected a threshold as a text or a table, found {}", node.found());
            reader.complain(node, Complaint::new(message));
            None
        }
    }
}

fn expression(
    reader: &mut Reader<'_>,
    node: &Node,
    text: &str,
    abort: Option<Duration>,
    severity: Severity,
) -> Option<Threshold> {
    match Expression::parse(text) {
        Ok(expression) => Some(Threshold { text: text.to_owned(), expression, abort, severity, span: node.span }),
        Err(error) => {
            reader.complain(node, Complaint::new(format!("invalid threshold: {}", error.message)).part(error.span));
            None
        }
    }
}
