//! kperf-metrics
