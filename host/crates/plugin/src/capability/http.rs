//! HTTP requests: checked against the grants, completed with headers and credential, sent, measured, recorded.

use http::{HeaderMap, HeaderValue};
use kperf_http::Timing;
use wasmtime::AsContextMut as _;
use wasmtime::component::Accessor;

use super::GuestData;
use crate::bindings::http::{self as wit, Error, Host, HostWithStore};
use crate::call::duration::nanoseconds;
use crate::component::guest::{self, Guest};
use crate::environment::sender::Sender;

impl Host for Guest {}

impl<T: 'static> HostWithStore<T> for GuestData {
    async fn send(accessor: &Accessor<T, Self>, request: wit::Request) -> Result<wit::Response, Error> {
        // Only now is the guest on the stack, so that the iteration can be found for which this is.
        let sender = accessor.with(|mut access| {
            let task = guest::caller(access.as_context_mut());
            let seed = generates(&request).then(|| access.get().calls.stream(task).next());
            let guest = access.get();
            let sender = Sender::new(&guest.services, guest.calls.late(task), seed.unwrap_or_default());
            (!guest.calls.is_abandoned(task)).then_some(sender)
        });
        let sender = sender.ok_or_else(|| Error::Interrupted("the iteration is over its time".into()))?;
        let wanted = Wanted::of(&request);
        let answer = move |response: kperf_http::Response, timing| wit::Response {
            status: response.status.as_u16(),
            headers: wanted.pick(&response.headers),
            body: response.body.into(),
            timing: timing_of(&timing),
        };
        sender.exchange(request, answer)?.await
    }
}

/// What the guest wants to have of a response.
enum Wanted {
    Nothing,
    All,
    These(Vec<String>),
}

impl Wanted {
    fn of(request: &wit::Request) -> Self {
        match request.response_headers.as_slice() {
            [] => Self::Nothing,
            names if names.iter().any(|name| name == "*") => Self::All,
            names => Self::These(names.to_vec()),
        }
    }

    fn pick(&self, headers: &HeaderMap) -> Vec<(String, String)> {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        match self {
            Self::Nothing => Vec::new(),
            Self::All => headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect(),
            Self::These(names) => names
                .iter()
                .flat_map(|name| {
                    headers.get_all(name.as_str()).iter().map(|value| (name.to_ascii_lowercase(), text(value)))
                })
                .collect(),
        }
    }
}

fn generates(request: &wit::Request) -> bool {
    request.body.iter().any(|chunk| matches!(chunk, wit::Chunk::Generated(_)))
}

fn timing_of(timing: &Timing) -> wit::Timing {
    wit::Timing {
        blocked: nanoseconds(timing.blocked),
        connecting: nanoseconds(timing.connecting),
        tls: nanoseconds(timing.tls),
        sending: nanoseconds(timing.sending),
        waiting: nanoseconds(timing.waiting),
        receiving: nanoseconds(timing.receiving),
        duration: nanoseconds(timing.duration()),
    }
}
