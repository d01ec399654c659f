//! Real guests against the real plugin host, over the loopback interface.

mod capabilities;
mod faults;
mod load;
mod observers;
mod server;
mod support;
