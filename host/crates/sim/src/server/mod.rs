//! HTTP around everything else.
//!
//! In: connections. Out: answers, delayed, refused or cut off where the configuration says so. Must not know how the server stores
//! or simulates anything: it finds the route and asks `kfp`, `kubernetes` or `truth`.

mod answer;
mod api;
mod faults;
mod reply;
mod reset;
mod route;
mod shared;
pub(crate) mod sim;
mod watch;
