//! From bytes to a plugin that can be called: compiled, cached, inspected, linked, asked what it is.

pub(crate) mod cache;
pub(crate) mod description;
pub(crate) mod description_error;
pub(crate) mod engine;
pub(crate) mod guest;
pub(crate) mod inspect;
pub(crate) mod load;
pub(crate) mod unit;
pub(crate) mod wasi;
