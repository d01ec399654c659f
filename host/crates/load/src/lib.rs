//! kperf-load
