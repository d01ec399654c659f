//! kperf-host
fn main() {}
