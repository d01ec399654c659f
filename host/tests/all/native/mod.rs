//! What is outside: native collectors, what the generator itself uses, and series that go to other systems.

mod collectors;
mod export;
mod prometheus;

/// A suite with one scenario of `http-runner` that takes about so many seconds, and whatever else.
fn suite(url: &str, seconds: u32, rest: &str) -> String {
    format!(
        r#"
name = "outside"
[targets.server]
url = "{url}"
[[scenario]]
name = "get"
plugin = "http-runner"
target = "server"
[[scenario.params.requests]]
name = "get"
path = "/"
expect = {{ json = {{ "/state" = "ok" }} }}
[scenario.load]
executor = "constant-arrival-rate"
rate = "20/s"
duration = "{seconds}s"
pre_allocated_vus = 5
{rest}
"#
    )
}
