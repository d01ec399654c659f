//! Units, in the contract's words and in ours.

use kperf_metrics::Unit;

use crate::bindings::types;

/// A unit in the contract's words.
pub(crate) fn wire_unit(unit: Unit) -> types::Unit {
    match unit {
        Unit::None => types::Unit::None,
        Unit::Seconds => types::Unit::Seconds,
        Unit::Bytes => types::Unit::Bytes,
        Unit::Ratio => types::Unit::Ratio,
    }
}

pub(crate) fn unit(unit: types::Unit) -> Unit {
    match unit {
        types::Unit::None => Unit::None,
        types::Unit::Seconds => Unit::Seconds,
        types::Unit::Bytes => Unit::Bytes,
        types::Unit::Ratio => Unit::Ratio,
    }
}
