//! kperf-plugin
