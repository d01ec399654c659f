//! Doubles of the services that reporters deliver to, Slack and PagerDuty, for tests and for trying suites out.
//!
//! In: HTTP requests as the vendors' published interfaces take them. Out: the vendors' answers, with their limits and error
//! texts, and a list of the requests ([`ReceivedRequest`]). Must not know: the rest of kperf, and any real account.
//!
//! Each service is a pure [`Service`]; [`DoubleServer`] listens, throttles and keeps the list for all of them.

mod pagerduty;
mod server;
mod service;
mod slack;

pub use pagerduty::PagerDuty;
pub use server::{DoubleServer, ReceivedRequest};
pub use service::{Reply, Service, ServiceRequest};
pub use slack::Slack;
