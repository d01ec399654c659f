//! Collectors of the program against servers: the simulated cluster's Kubernetes API, and a real Prometheus.

mod kubernetes;
mod planning;
mod prometheus;
mod rows;
