//! The types that a single value can be read as.

use std::time::Duration;

use kperf_schedule::Rate;
use url::Url;

use super::spec::Kind;
use crate::{
    text::{Complaint, Node, Origin, Sources, Value, suggest},
    values::{Share, Size, base_url, parse_duration},
};

/// A type that a single value can be read as.
pub(crate) trait Typed: Sized {
    /// Reads it. `kind` sets the limits; `sources` gives the spelling where it matters.
    fn read(node: &Node, kind: Kind, sources: &Sources) -> Result<Self, Complaint>;
}

/// The complaint about a value of another kind.
pub(super) fn expected(kind: Kind, node: &Node) -> Complaint {
    Complaint::new(format!("expected {}, found {}", kind.expected(), node.found()))
}

/// The text that may stand for another type: a whole `${..}`.
fn variable_text(node: &Node) -> Option<&str> {
    node.text().filter(|_| node.variable).map(str::trim)
}

fn integer(node: &Node, kind: Kind) -> Result<i64, Complaint> {
    let number = match &node.value {
        Value::Integer(number) => Some(*number),
        _ => variable_text(node).and_then(|text| text.parse().ok()),
    };
    let Kind::Integer { min, max } = kind else { return Err(expected(kind, node)) };
    number.filter(|number| (min..=max).contains(number)).ok_or_else(|| {
        let complaint = expected(kind, node);
        match node.text().and_then(|text| text.parse::<i64>().ok()) {
            Some(number) => complaint.help(format!("write {number} without quotes")),
            None => complaint,
        }
    })
}

impl Typed for u32 {
    fn read(node: &Node, kind: Kind, _: &Sources) -> Result<Self, Complaint> {
        Self::try_from(integer(node, kind)?).map_err(|_| expected(kind, node))
    }
}

impl Typed for u64 {
    fn read(node: &Node, kind: Kind, _: &Sources) -> Result<Self, Complaint> {
        Self::try_from(integer(node, kind)?).map_err(|_| expected(kind, node))
    }
}

impl Typed for f64 {
    fn read(node: &Node, kind: Kind, _: &Sources) -> Result<Self, Complaint> {
        let number = match &node.value {
            Value::Float(number) => Some(*number),
            #[expect(clippy::cast_precision_loss, reason = "a factor beyond 2^53 is no one's intent")]
            Value::Integer(number) => Some(*number as Self),
            _ => variable_text(node).and_then(|text| text.parse().ok()),
        };
        number.filter(|number| number.is_finite() && *number > 0.0).ok_or_else(|| expected(kind, node))
    }
}

impl Typed for bool {
    fn read(node: &Node, kind: Kind, _: &Sources) -> Result<Self, Complaint> {
        match &node.value {
            Value::Bool(yes) => Some(*yes),
            _ => variable_text(node).and_then(|text| text.parse().ok()),
        }
        .ok_or_else(|| match node.text() {
            Some(text) if text.parse::<Self>().is_ok() => {
                expected(kind, node).help(format!("write {text} without quotes"))
            }
            _ => expected(kind, node),
        })
    }
}

impl Typed for String {
    fn read(node: &Node, kind: Kind, sources: &Sources) -> Result<Self, Complaint> {
        let text = match &node.value {
            Value::Text(text) => text.clone(),
            // What the command line says is not typed: `http=1.1` means the text.
            Value::Integer(_) | Value::Float(_) | Value::Bool(_) | Value::Datetime(_)
                if node.span.origin == Origin::Sets || node.variable =>
            {
                let spelt = sources.slice(node.span);
                if node.variable { node.value.plain().unwrap_or_default() } else { spelt.to_owned() }
            }
            _ => {
                let complaint = expected(kind, node);
                return Err(match node.value.plain() {
                    Some(text) => complaint.help(format!("write \"{text}\"")),
                    None => complaint,
                });
            }
        };
        match kind {
            Kind::Choice(words) if !words.contains(&text.as_str()) => {
                Err(expected(kind, node).help(suggest::suggestion(&text, words.iter().copied())))
            }
            _ => Ok(text),
        }
    }
}

/// The text of a value that is written with a unit.
fn with_unit<'n>(node: &'n Node, kind: Kind, unit: &str) -> Result<&'n str, Complaint> {
    node.text().ok_or_else(|| {
        let complaint = expected(kind, node);
        match &node.value {
            Value::Integer(number) => complaint.help(format!("write \"{number}{unit}\"")),
            // A share is often thought of as a number from 0 to 1.
            Value::Float(number) if unit == "%" => complaint.help(format!("write \"{}%\"", number * 100.0)),
            Value::Float(number) => complaint.help(format!("write \"{number}{unit}\"")),
            _ => complaint,
        }
    })
}

fn help_unit(text: &str, unit: &str) -> Option<String> {
    (!text.is_empty() && text.chars().all(|c| c.is_ascii_digit())).then(|| format!("write \"{text}{unit}\""))
}

fn refused(error: impl std::fmt::Display, text: &str, unit: &str) -> Complaint {
    let complaint = Complaint::new(error.to_string());
    match help_unit(text, unit) {
        Some(help) => complaint.help(help),
        None => complaint,
    }
}

impl Typed for Duration {
    fn read(node: &Node, kind: Kind, _: &Sources) -> Result<Self, Complaint> {
        let text = with_unit(node, kind, "s")?;
        let duration = parse_duration(text).map_err(|error| refused(error, text, "s"))?;
        match kind {
            Kind::Duration { positive: true } if duration.is_zero() => Err(expected(kind, node)),
            _ => Ok(duration),
        }
    }
}

impl Typed for Rate {
    fn read(node: &Node, kind: Kind, _: &Sources) -> Result<Self, Complaint> {
        let text = with_unit(node, kind, "/s")?;
        let rate: Self = text.parse().map_err(|error| refused(error, text, "/s"))?;
        match kind {
            Kind::Rate { positive: true } if rate.is_zero() => Err(expected(kind, node)),
            _ => Ok(rate),
        }
    }
}

impl Typed for Size {
    fn read(node: &Node, kind: Kind, _: &Sources) -> Result<Self, Complaint> {
        let text = with_unit(node, kind, "B")?;
        text.parse().map_err(|error| refused(error, text, "B"))
    }
}

impl Typed for Share {
    fn read(node: &Node, kind: Kind, _: &Sources) -> Result<Self, Complaint> {
        let text = with_unit(node, kind, "%")?;
        text.parse().map_err(|error| refused(error, text, "%"))
    }
}

impl Typed for Url {
    fn read(node: &Node, kind: Kind, sources: &Sources) -> Result<Self, Complaint> {
        base_url(&String::read(node, kind, sources)?).map_err(|error| {
            let complaint = Complaint::new(error.to_string());
            match error.help() {
                Some(help) => complaint.help(help),
                None => complaint,
            }
        })
    }
}
