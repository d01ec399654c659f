//! The process: parse, run, exit. Everything else is in the library, and nothing below this file exits.

use std::process::ExitCode;

fn main() -> ExitCode {
    kperf_host::cli::main().into()
}
