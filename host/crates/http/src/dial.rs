//! Opening connections, and waiting for the right to do so. Rare, so that it may cost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::client::Stop;
use crate::error::{Error, Phase, chain};
use crate::exchange::Timing;
use crate::http1::{self, Deadline};
use crate::http2;
use crate::link::{Link, Stream, Transport};
use crate::origin::{HttpVersion, Origin, Protocol};
use crate::pool::{Claim, Pool, Slot};
use crate::socket::Socket;

/// A connection that a request may use now.
pub(crate) enum Channel {
    Http1(Slot),
    Http2(http2::Stream),
}

impl Channel {
    /// Whether the connection has carried a request before.
    pub(crate) fn is_reused(&self) -> bool {
        match self {
            Self::Http1(slot) => slot.is_used(),
            Self::Http2(stream) => stream.reused,
        }
    }
}

/// The phase that is going on, and the time that each took so far.
struct Progress<'a> {
    phase: Phase,
    since: Instant,
    timing: &'a mut Timing,
}

impl Progress<'_> {
    fn enter(&mut self, phase: Phase) {
        let now = Instant::now();
        let spent = now.saturating_duration_since(self.since);
        match self.phase {
            Phase::Connecting => self.timing.connecting += spent,
            Phase::Tls => self.timing.tls += spent,
            _ => self.timing.blocked += spent,
        }
        self.phase = phase;
        self.since = now;
    }
}

/// Waits for a connection or opens one.
pub(crate) async fn obtain(
    origin: &Origin,
    stop: &Stop,
    since: Instant,
    deadline: Option<Deadline>,
    timing: &mut Timing,
) -> Result<Channel, Error> {
    let mut progress = Progress { phase: Phase::Blocked, since, timing };
    let result = tokio::select! {
        biased;
        result = find(origin, &mut progress) => Some(result),
        () = stop.stopped() => Some(Err(Error::Interrupted)),
        () = expiry(deadline) => None,
    };
    let phase = progress.phase;
    progress.enter(phase);
    result.unwrap_or_else(|| {
        let limit = deadline.map_or(Duration::ZERO, |deadline| deadline.limit);
        Err(Error::Timeout { phase, limit })
    })
}

/// Ends at the deadline, or never.
pub(crate) async fn expiry(deadline: Option<Deadline>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.at.into()).await,
        None => std::future::pending().await,
    }
}

async fn find(origin: &Origin, progress: &mut Progress<'_>) -> Result<Channel, Error> {
    loop {
        if origin.protocol() == Protocol::Http1 {
            return find_http1(origin, progress).await.map(Channel::Http1);
        }
        if let Some(stream) = Pool::stream(origin) {
            return Ok(Channel::Http2(stream));
        }
        let freed = origin.0.pool.freed.notified();
        let dialing = origin.0.pool.dialing.lock().await;
        if let Some(stream) = Pool::stream(origin) {
            return Ok(Channel::Http2(stream));
        }
        if origin.protocol() == Protocol::Http1 {
            continue;
        }
        let Some(slot) = Pool::room(origin) else {
            drop(dialing);
            freed.await;
            continue;
        };
        return open(origin, slot, progress).await;
    }
}

async fn find_http1(origin: &Origin, progress: &mut Progress<'_>) -> Result<Slot, Error> {
    let mut slot = match Pool::claim(origin) {
        Claim::Slot(slot) => slot,
        Claim::Wait(receiver) => receiver.await.map_err(|_| Error::Interrupted)?,
    };
    if let Some(connection) = slot.connection()
        && connection.is_alive()
    {
        origin.0.pool.count_reuse();
        return Ok(slot);
    }
    match open(origin, slot, progress).await? {
        Channel::Http1(slot) => Ok(slot),
        Channel::Http2(_) => Err(Error::Protocol("server spoke http/2 where it spoke http/1.1 before".into())),
    }
}

/// Opens a connection in the place of the slot's old one, if any.
async fn open(origin: &Origin, mut slot: Slot, progress: &mut Progress<'_>) -> Result<Channel, Error> {
    progress.enter(Phase::Connecting);
    let limit = origin.0.config.connect_timeout;
    let connected = tokio::time::timeout(limit, connect(origin, progress)).await;
    let phase = progress.phase;
    let (stream, protocol) = connected.unwrap_or(Err(Error::Timeout { phase, limit }))?;
    let link = Arc::clone(&stream.link);
    origin.learn(protocol);
    let channel = if protocol == Protocol::Http2 {
        let connection = http2::Connection::handshake(stream, &origin.0.config, slot).await?;
        let opened = http2::Stream::open(origin, &connection);
        origin.0.pool.share(connection);
        Channel::Http2(opened.ok_or_else(|| Error::Protocol("http/2 connection closed at once".into()))?)
    } else {
        slot.fill(http1::Connection::handshake(stream, &origin.0.config).await?);
        Channel::Http1(slot)
    };
    origin.0.pool.opened(&link);
    // What is left of the set-up belongs to the phase that it follows.
    let last = progress.phase;
    progress.enter(last);
    progress.phase = Phase::Blocked;
    Ok(channel)
}

async fn connect(origin: &Origin, progress: &mut Progress<'_>) -> Result<(Stream, Protocol), Error> {
    let stamped = origin.0.config.kernel_timestamps && origin.protocol() != Protocol::Http2;
    let tcp = Socket::new(connect_tcp(origin).await?, stamped).map_err(|error| Error::Connect(chain(&error)))?;
    let (transport, protocol) = match &origin.0.tls {
        None => (Transport::Plain(tcp), origin.protocol()),
        Some(config) => {
            progress.enter(Phase::Tls);
            let name = ServerName::try_from(origin.host().to_owned())
                .map_err(|_| Error::Invalid(format!("{} is no name that a certificate can have", origin.host())))?;
            let stream = TlsConnector::from(Arc::clone(config))
                .connect(name, tcp)
                .await
                .map_err(|error| Error::Tls(format!("{origin}: {}", chain(&error))))?;
            let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            if !http2 && origin.0.config.version == HttpVersion::Http2 {
                return Err(Error::Tls(format!("{origin} does not offer http/2; choose another http version")));
            }
            (Transport::Tls(Box::new(stream)), if http2 { Protocol::Http2 } else { Protocol::Http1 })
        }
    };
    Ok((Stream { transport, link: Link::new() }, protocol))
}

async fn connect_tcp(origin: &Origin) -> Result<TcpStream, Error> {
    TcpStream::connect((origin.host(), origin.port())).await.map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::AddrNotAvailable => "; no local port is left, keep connections alive or use fewer",
            _ => "",
        };
        Error::Connect(format!("{origin}: {}{hint}", chain(&error)))
    })
}
