//! Collects what is wrong, so that all mistakes are shown at once.

use std::ops::Range;

use super::{
    diagnostic::Diagnostic,
    node::{Node, Value},
    source::{Sources, Span},
};

/// The diagnostics about some texts so far.
pub(crate) struct DiagnosticBag<'a> {
    pub sources: &'a Sources,
    pub list: Vec<Diagnostic>,
}

/// Why a value can't be read.
pub(crate) struct Complaint {
    message: String,
    help: Option<String>,
    /// Which part of the text.
    part: Option<Range<usize>>,
}

impl Complaint {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, part: None }
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub fn part(mut self, part: Range<usize>) -> Self {
        self.part = Some(part);
        self
    }
}

impl<'a> DiagnosticBag<'a> {
    pub fn new(sources: &'a Sources) -> Self {
        Self { sources, list: Vec::new() }
    }

    pub fn report(&mut self, span: Span, message: impl Into<String>, help: impl Into<Option<String>>) {
        self.list.push(Diagnostic { span, message: message.into(), help: help.into() });
    }

    /// Reports a complaint about the value of `node`, unless that is unknown because of an earlier diagnostic.
    pub fn complain(&mut self, node: &Node, complaint: Complaint) {
        if matches!(node.value, Value::Unknown) {
            return;
        }
        let span = match (complaint.part, node.text()) {
            (Some(part), Some(text)) => self.sources.within(node.span, text, part),
            _ => node.span,
        };
        self.report(span, complaint.message, complaint.help);
    }
}
