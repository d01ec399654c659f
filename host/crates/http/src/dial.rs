//! Opening connections, and waiting for the right to do so. Rare, so that it may cost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::connection::{Link, MeteredStream, Socket, Transport, http1, http2};
use crate::endpoint::{Endpoint, HttpVersion, Protocol};
use crate::error::{Error, Phase, chain};
use crate::exchange::Timing;
use crate::pool::{Checkout, Lease, Pool, SharedStream};
use crate::stop::{Deadline, StopSignal};

/// A connection that a request may use now.
pub(crate) enum Channel {
    Http1(Lease),
    Http2(SharedStream),
}

impl Channel {
    /// Whether the connection has carried a request before.
    pub(crate) fn is_reused(&self) -> bool {
        match self {
            Self::Http1(lease) => lease.is_used(),
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
    pool: &Arc<Pool>,
    stop: &StopSignal,
    since: Instant,
    deadline: Option<Deadline>,
    timing: &mut Timing,
) -> Result<Channel, Error> {
    let mut progress = Progress { phase: Phase::Blocked, since, timing };
    let result = tokio::select! {
        biased;
        result = find(pool, &mut progress) => Some(result),
        () = stop.stopped() => Some(Err(Error::Interrupted)),
        () = Deadline::expiry(deadline) => None,
    };
    let phase = progress.phase;
    progress.enter(phase);
    result.unwrap_or_else(|| {
        let limit = deadline.map_or(Duration::ZERO, |deadline| deadline.limit);
        Err(Error::Timeout { phase, limit })
    })
}

async fn find(pool: &Arc<Pool>, progress: &mut Progress<'_>) -> Result<Channel, Error> {
    loop {
        if pool.endpoint.protocol() == Protocol::Http1 {
            return find_http1(pool, progress).await.map(Channel::Http1);
        }
        if let Some(stream) = pool.open_stream() {
            return Ok(Channel::Http2(stream));
        }
        let freed = pool.freed.notified();
        let dialing = pool.dialing.lock().await;
        if let Some(stream) = pool.open_stream() {
            return Ok(Channel::Http2(stream));
        }
        if pool.endpoint.protocol() == Protocol::Http1 {
            continue;
        }
        let Some(lease) = pool.reserve() else {
            drop(dialing);
            freed.await;
            continue;
        };
        return open(pool, lease, progress).await;
    }
}

async fn find_http1(pool: &Arc<Pool>, progress: &mut Progress<'_>) -> Result<Lease, Error> {
    let mut lease = match pool.check_out() {
        Checkout::Now(lease) => lease,
        Checkout::Queued(receiver) => receiver.await.map_err(|_| Error::Interrupted)?,
    };
    if let Some(connection) = lease.connection()
        && connection.is_alive()
    {
        pool.count_reuse();
        return Ok(lease);
    }
    match open(pool, lease, progress).await? {
        Channel::Http1(lease) => Ok(lease),
        Channel::Http2(_) => Err(Error::Protocol("server spoke http/2 where it spoke http/1.1 before".into())),
    }
}

/// Opens a connection in the place of the lease's old one, if any.
async fn open(pool: &Arc<Pool>, mut lease: Lease, progress: &mut Progress<'_>) -> Result<Channel, Error> {
    progress.enter(Phase::Connecting);
    let endpoint = &pool.endpoint;
    let limit = endpoint.config.connect_timeout;
    let connected = tokio::time::timeout(limit, connect(endpoint, progress)).await;
    let phase = progress.phase;
    let (stream, protocol) = connected.unwrap_or(Err(Error::Timeout { phase, limit }))?;
    let link = Arc::clone(&stream.link);
    endpoint.learn(protocol);
    let channel = if protocol == Protocol::Http2 {
        let connection = http2::Connection::handshake(stream, endpoint.config.max_head).await?;
        let opened = pool.share(connection, lease.into_permit());
        Channel::Http2(opened.ok_or_else(|| Error::Protocol("http/2 connection closed at once".into()))?)
    } else {
        lease.fill(http1::Connection::handshake(stream, endpoint.config.max_head).await?);
        Channel::Http1(lease)
    };
    pool.count_opened(&link);
    // What is left of the set-up belongs to the phase that it follows.
    let last = progress.phase;
    progress.enter(last);
    progress.phase = Phase::Blocked;
    Ok(channel)
}

async fn connect(endpoint: &Endpoint, progress: &mut Progress<'_>) -> Result<(MeteredStream, Protocol), Error> {
    let stamped = endpoint.config.kernel_timestamps && endpoint.protocol() != Protocol::Http2;
    let tcp = Socket::new(connect_tcp(endpoint).await?, stamped).map_err(|error| Error::Connect(chain(&error)))?;
    let (transport, protocol) = match &endpoint.tls {
        None => (Transport::Plain(tcp), endpoint.protocol()),
        Some(config) => {
            progress.enter(Phase::Tls);
            let host = &*endpoint.host;
            let name = ServerName::try_from(host.to_owned())
                .map_err(|_| Error::Invalid(format!("{host} is no name that a certificate can have")))?;
            let stream = TlsConnector::from(Arc::clone(config))
                .connect(name, tcp)
                .await
                .map_err(|error| Error::Tls(format!("{endpoint}: {}", chain(&error))))?;
            let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            if !http2 && endpoint.config.version == HttpVersion::Http2 {
                return Err(Error::Tls(format!("{endpoint} does not offer http/2; choose another http version")));
            }
            (Transport::Tls(Box::new(stream)), if http2 { Protocol::Http2 } else { Protocol::Http1 })
        }
    };
    Ok((MeteredStream::new(transport, Link::new()), protocol))
}

async fn connect_tcp(endpoint: &Endpoint) -> Result<TcpStream, Error> {
    TcpStream::connect((&*endpoint.host, endpoint.port)).await.map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::AddrNotAvailable => "; no local port is left, keep connections alive or use fewer",
            _ => "",
        };
        Error::Connect(format!("{endpoint}: {}{hint}", chain(&error)))
    })
}
