//! kperf-suite
