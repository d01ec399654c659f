//! kperf-sim
