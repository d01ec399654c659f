//! The process: parse, run, exit. Everything else is in the library, and nothing below this file exits.

use std::process::ExitCode;

/// An eighth of an iteration's time goes into the allocator; this one is faster than the platform's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    kperf_host::cli::main().into()
}
