//! The metrics that the host itself records. Names and meaning follow k6 where k6 has them.

use crate::{MetricDef, MetricId, MetricKind, Unit};

/// Declares the built-in metrics once: variant, name, kind, unit, description.
macro_rules! builtins {
    ($($variant:ident $name:literal $kind:ident $unit:ident $description:literal;)+) => {
        /// A metric that the host records. Every [`crate::Registry`] knows all of them from the start, in this order.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum Builtin {
            $(#[doc = concat!("`", $name, "`: ", $description)] $variant,)+
        }

        impl Builtin {
            /// All of them, in the order of their ids.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The metric's name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The one with this name.
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|builtin| builtin.name() == name)
            }

            /// The metric's definition.
            pub fn def(self) -> MetricDef {
                match self {
                    $(Self::$variant => MetricDef::new($name, MetricKind::$kind, Unit::$unit, $description),)+
                }
            }
        }
    };
}

builtins! {
    HttpReqs "http_reqs" Counter None "requests sent";
    HttpReqFailed "http_req_failed" Rate Ratio "share of requests without an expected response";
    HttpReqDuration "http_req_duration" Distribution Seconds "service time: sending, waiting and receiving";
    HttpReqResponseTime "http_req_response_time" Distribution Seconds
        "service time plus how late the iteration started (open model)";
    HttpReqBlocked "http_req_blocked" Distribution Seconds "waiting for a connection of the pool";
    HttpReqConnecting "http_req_connecting" Distribution Seconds "name resolution and TCP";
    HttpReqTlsHandshaking "http_req_tls_handshaking" Distribution Seconds "TLS handshake";
    HttpReqSending "http_req_sending" Distribution Seconds "sending the request";
    HttpReqWaiting "http_req_waiting" Distribution Seconds "from the last byte sent to the first byte received";
    HttpReqReceiving "http_req_receiving" Distribution Seconds "from the first byte received to the last";
    HttpConnsOpened "http_conns_opened" Counter None "connections opened";
    HttpConnsReused "http_conns_reused" Counter None "requests sent on a connection that was already open";
    HttpConnsOpen "http_conns_open" Gauge None "connections open now";
    DataSent "data_sent" Counter Bytes "bytes sent";
    DataReceived "data_received" Counter Bytes "bytes received";
    Iterations "iterations" Counter None "iterations that ended, failed ones included";
    IterationDuration "iteration_duration" Distribution Seconds "an iteration from its real start to its end";
    IterationResponseTime "iteration_response_time" Distribution Seconds
        "an iteration from the instant it was due to its end (open model)";
    IterationStartDelay "iteration_start_delay" Distribution Seconds "how late an iteration started after it was due";
    IterationsFailed "iterations_failed" Counter None "iterations that failed, tagged with the kind of failure";
    DroppedIterations "dropped_iterations" Counter None "iterations that were due and could not start";
    Vus "vus" Gauge None "virtual users that are running an iteration";
    VusMax "vus_max" Gauge None "virtual users that may run at once";
    Checks "checks" Rate Ratio "share of checks that held, tagged with the check";
    GuestCpu "guest_cpu" Counter Seconds "CPU time spent inside plugins";
    WorkerCpu "worker_cpu" Distribution Ratio "share of each second that a worker thread was busy";
    WorkerCpuWait "worker_cpu_wait" Distribution Ratio
        "share of each second that a worker thread was ready to run and had no CPU";
    GeneratorCpu "generator_cpu" Gauge None "cores that kperf itself used";
    GeneratorMachineCpu "generator_machine_cpu" Gauge Ratio "share of the machine's CPU that was used, by whomever";
    GeneratorMemory "generator_memory" Gauge Bytes "memory that kperf itself occupied";
    GeneratorMemoryShort "generator_memory_short" Rate Ratio
        "share of seconds in which the machine was short of memory";
    GeneratorOpenFiles "generator_open_files" Gauge None "files and sockets that kperf itself had open";
    GeneratorNetworkReceived "generator_network_received" Counter Bytes
        "bytes that the machine received, loopback left out";
    GeneratorNetworkSent "generator_network_sent" Counter Bytes "bytes that the machine sent, loopback left out";
    Capacity "capacity" Gauge None "the highest rate that held, in iterations per second (capacity search)";
}

impl From<Builtin> for MetricId {
    fn from(builtin: Builtin) -> Self {
        Self::from_index(builtin as u32)
    }
}
