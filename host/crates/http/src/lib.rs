//! kperf-http
