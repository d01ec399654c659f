//! For tests: a runner that speaks plain `wasi:http`, past the contract. Per iteration it asks for the target's root and
//! fails with the kind `denied` if the host refuses, so that a test can see what such a plugin gets.

use kperf_plugin_sdk::{Description, Failure, Iteration, Runner, Scenario, export_runner};

/// The path that it fetches.
pub struct FetchRunner {
    #[cfg_attr(not(target_arch = "wasm32"), expect(dead_code, reason = "wasi:http exists in components only"))]
    authority: String,
}

impl Runner for FetchRunner {
    fn describe() -> Description {
        Description::new("fetch-runner", env!("CARGO_PKG_VERSION"), "Asks for / through wasi:http")
            .mode("fetch", "GET /", "{}")
    }

    async fn open(scenario: Scenario, _: Vec<u8>) -> Result<Self, Failure> {
        let authority = scenario.target.strip_prefix("http://").unwrap_or(&scenario.target);
        Ok(Self { authority: authority.split('/').next().unwrap_or_default().to_owned() })
    }

    #[cfg(target_arch = "wasm32")]
    async fn iterate(&self, _: Iteration) -> Result<(), Failure> {
        match fetch(&self.authority) {
            Ok(200) => Ok(()),
            Ok(status) => Err(Failure::new("http-status", format!("answered {status}"))),
            Err(wasip2::http::types::ErrorCode::HttpRequestDenied) => Err(Failure::new("denied", "the host refuses")),
            Err(code) => Err(Failure::new("fetch", format!("{code:?}"))),
        }
    }

    #[cfg(not(target_arch = "wasm32"))]
    async fn iterate(&self, _: Iteration) -> Result<(), Failure> {
        Err(Failure::new("fetch", "wasi:http exists in components only"))
    }
}

/// The status of `GET /`, waiting for it in blocking style: `wasi:http` 0.2 has no other.
#[cfg(target_arch = "wasm32")]
fn fetch(authority: &str) -> Result<u16, wasip2::http::types::ErrorCode> {
    use wasip2::http::{
        outgoing_handler,
        types::{ErrorCode, Fields, OutgoingRequest, Scheme},
    };
    let invalid = |()| ErrorCode::HttpRequestUriInvalid;
    let request = OutgoingRequest::new(Fields::new());
    request.set_scheme(Some(&Scheme::Http)).map_err(invalid)?;
    request.set_authority(Some(authority)).map_err(invalid)?;
    request.set_path_with_query(Some("/")).map_err(invalid)?;
    let response = outgoing_handler::handle(request, None)?;
    loop {
        match response.get() {
            Some(Ok(result)) => return result.map(|response| response.status()),
            Some(Err(())) => return Err(ErrorCode::InternalError(None)),
            None => response.subscribe().block(),
        }
    }
}

export_runner!(FetchRunner);
