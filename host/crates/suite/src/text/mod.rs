//! What is written: texts, the values in them, and what is wrong there.
//!
//! In come the suite file, the overrides and the variables; out come [`Node`]s that know their place, and [`Diagnostic`]s
//! that point at one. Which tables and keys a suite has must stay unknown here.

mod diagnostic;
mod diagnostic_bag;
mod node;
pub(crate) mod secret_scan;
mod source;
pub(crate) mod suggest;
mod variables;

pub use diagnostic::{Diagnostic, Diagnostics};
pub(crate) use diagnostic_bag::{Complaint, DiagnosticBag};
pub(crate) use node::{Entry, Node, Table, Value, parse_document, parse_value};
pub(crate) use source::Origin;
pub use source::{Located, Source, Sources, Span};
pub(crate) use variables::{Combination, MATRIX_PREFIX, Piece, Variables, pieces};
