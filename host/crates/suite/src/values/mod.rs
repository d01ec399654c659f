//! Values with a spelling of their own: a type, how it is read from a text, and how it is shown.
//!
//! In comes a text, out comes a value or why it is none. Where the text stands must stay unknown here. Rates are read by
//! [`kperf_schedule::Rate`].

mod base_url;
mod duration;
mod host_grant;
mod name;
mod share;
mod size;

pub use base_url::UrlError;
pub(crate) use base_url::base_url;
pub use duration::{DurationError, DurationText, parse_duration};
pub use host_grant::{HostGrant, HostGrantError};
pub(crate) use name::check_name;
pub use share::{Share, ShareError};
pub use size::{Size, SizeError};
