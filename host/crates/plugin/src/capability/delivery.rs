//! Messages that the host delivers: written down first, then sent until they arrive or the time is up.

use std::sync::Arc;

use wasmtime::component::Accessor;

use super::GuestData;
use crate::bindings::delivery::{Failure, Host, HostWithStore, Message as WireMessage, Response};
use crate::bindings::http::{Chunk, Timing};
use crate::call::fault::Fault;
use crate::component::guest::Guest;
use crate::environment::delivery::{Undelivered, deliver};
use crate::environment::services::Services;
use crate::recording::outbox::{Message, Piece};

/// The largest body in bytes.
const LARGEST: usize = 1 << 20;
/// The longest key in bytes.
const LONGEST_KEY: usize = 1024;

impl Host for Guest {}

impl<T: 'static> HostWithStore<T> for GuestData {
    async fn deliver(accessor: &Accessor<T, Self>, message: WireMessage) -> Result<Response, Failure> {
        let services = accessor.with(|mut access| Arc::clone(&access.get().services));
        let failed = |error: &Undelivered| Failure { kind: error.kind().into(), message: error.message().into() };
        let Some(delivery) = services.plugin.delivery.clone().filter(|_| services.capable) else {
            let error = Undelivered::Denied("only reporters have an outbox, and only while they report".into());
            services.fault(Fault::WrongWorld, 1, error.message());
            return Err(failed(&error));
        };
        let message = kept(&services, message).map_err(|error| failed(&error))?;
        let message = match delivery.outbox.put(message.clone()) {
            Ok(message) => message,
            Err(crate::recording::outbox::OutboxError::Full) => {
                return Err(failed(&Undelivered::Refused(crate::recording::outbox::OutboxError::Full.to_string())));
            }
            Err(error) => {
                // Whoever waits for an alarm does not care for this machine's disk.
                tracing::warn!("{}: {error}", services.plugin.name);
                message
            }
        };
        let response = deliver(&services, &delivery, &message).await.map_err(|error| failed(&error))?;
        let timing = Timing { blocked: 0, connecting: 0, tls: 0, sending: 0, waiting: 0, receiving: 0, duration: 0 };
        Ok(Response {
            status: response.status.as_u16(),
            headers: Vec::new(),
            body: services.worker.redactor.redact_bytes(response.body.into()),
            timing,
        })
    }
}

/// A message as it is kept: text, without secrets.
fn kept(services: &Services, message: WireMessage) -> Result<Message, Undelivered> {
    let refused = |text: &str| Undelivered::Refused(text.to_owned());
    let request = message.request;
    if message.key.is_empty() || message.key.len() > LONGEST_KEY {
        return Err(Undelivered::Refused(format!("a message's key has 1 to {LONGEST_KEY} bytes")));
    }
    let redact = |text: &str| services.worker.redactor.redact(text).into_owned();
    let (mut body, mut size) = (Vec::new(), 0);
    for chunk in request.body {
        body.push(match chunk {
            Chunk::Bytes(bytes) => {
                size += bytes.len();
                let text = String::from_utf8(bytes).map_err(|_| refused("a message's body has to be text (UTF-8)"))?;
                Piece::Text(redact(&text))
            }
            Chunk::Secret(name) => Piece::Secret(name),
            Chunk::File(_) | Chunk::Generated(_) => {
                return Err(refused("a message's body has no `file` and no `generated` chunks"));
            }
        });
    }
    if size > LARGEST {
        return Err(Undelivered::Refused(format!("a message has at most {LARGEST} bytes; send less")));
    }
    Ok(Message {
        number: 0,
        reporter: services.plugin.name.to_string(),
        key: redact(&message.key),
        operation: request.operation,
        method: request.method,
        // As it is: with a part of it masked it would lead elsewhere. The outbox alone has it.
        url: request.url,
        headers: request.headers.into_iter().map(|(name, value)| (name, redact(&value))).collect(),
        body,
        credential: request.credential,
        accepted: message.accepted,
    })
}
