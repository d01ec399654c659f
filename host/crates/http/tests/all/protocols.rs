//! TLS and HTTP/2.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Version};
use kperf_http::{Body, Chunk, Client, Error, HttpVersion, Origin, OriginConfig, Phase, Request, Tls, TlsConfig};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use crate::server::Server;
use crate::{body, configured, get};

/// A server for `localhost` with a certificate authority of its own, and that authority.
async fn secure(protocols: &[&str]) -> (Server, String) {
    let (server, authority, _) = acquainted(protocols, false).await;
    (server, authority)
}

/// As `secure`; it may want to know its clients. The last is a client's certificate and key.
async fn acquainted(protocols: &[&str], strict: bool) -> (Server, String, (String, String)) {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_certificate = authority.self_signed(&authority_key).unwrap();
    let authority_pem = authority_certificate.pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".into()]).unwrap().signed_by(&key, &issuer).unwrap();
    let client_key = KeyPair::generate().unwrap();
    let client = CertificateParams::new(vec!["robot".into()]).unwrap().signed_by(&client_key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority_certificate.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider)).build().unwrap();
    let verifier = if strict { verifier } else { WebPkiClientVerifier::no_client_auth() };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let server = Server::start(Some(TlsAcceptor::from(Arc::new(config)))).await;
    (server, authority_pem, (client.pem(), client_key.serialize_pem()))
}

fn over_tls(server: &Server, tls: Tls, version: HttpVersion) -> (Client, Origin) {
    let client = Client::new(OriginConfig { tls, version, ..Default::default() });
    let origin = client.origin(&format!("https://localhost:{}", server.port).parse().unwrap()).unwrap();
    (client, origin)
}

#[tokio::test]
async fn a_known_authority_is_trusted() {
    let (server, authority) = secure(&["http/1.1"]).await;
    let tls = Tls::with_authorities(authority.as_bytes()).unwrap();
    let (client, origin) = over_tls(&server, tls, HttpVersion::Auto);
    let first = client.send(&origin, get("/hello")).await;
    assert_eq!(body(&first), "hello");
    assert!(first.timing.tls > Duration::ZERO);
    assert_eq!(first.result.unwrap().version, Version::HTTP_11);
    let second = client.send(&origin, get("/hello")).await;
    assert!(second.reused);
    assert_eq!(second.timing.tls, Duration::ZERO);
}

#[tokio::test]
async fn a_server_may_want_to_know_its_client() {
    let (server, authority, (certificate, key)) = acquainted(&["http/1.1"], true).await;
    let authorities = Some(authority.as_bytes());
    let identity = Some((certificate.as_bytes(), key.as_bytes()));
    let known = Tls::new(TlsConfig { authorities, identity, ..TlsConfig::default() }).unwrap();
    let (client, origin) = over_tls(&server, known, HttpVersion::Auto);
    assert_eq!(body(&client.send(&origin, get("/hello")).await), "hello");
    let unknown = Tls::new(TlsConfig { authorities, ..TlsConfig::default() }).unwrap();
    let (client, origin) = over_tls(&server, unknown, HttpVersion::Auto);
    assert!(client.send(&origin, get("/hello")).await.result.is_err());
    for (certificate, key) in [(certificate.as_str(), "no key"), ("no certificate", key.as_str())] {
        let identity = Some((certificate.as_bytes(), key.as_bytes()));
        assert!(matches!(Tls::new(TlsConfig { identity, ..TlsConfig::default() }), Err(Error::Tls(_))));
    }
}

#[tokio::test]
async fn an_unknown_authority_is_not_trusted() {
    let (server, _) = secure(&[]).await;
    let (_, other) = secure(&[]).await;
    let (client, origin) = over_tls(&server, Tls::with_authorities(other.as_bytes()).unwrap(), HttpVersion::Auto);
    let error = client.send(&origin, get("/hello")).await.result.unwrap_err();
    assert!(matches!(error, Error::Tls(_)), "{error}");
    assert_eq!(client.stats().open, 0);
}

#[tokio::test]
async fn an_insecure_client_trusts_anyone() {
    let (server, _) = secure(&[]).await;
    let (client, origin) = over_tls(&server, Tls::insecure(), HttpVersion::Auto);
    assert_eq!(body(&client.send(&origin, get("/hello")).await), "hello");
}

#[test]
fn broken_authorities_are_refused() {
    for pem in ["", "nonsense", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
        assert!(matches!(Tls::with_authorities(pem.as_bytes()), Err(Error::Tls(_))), "{pem}");
    }
}

#[tokio::test]
async fn http2_is_chosen_over_tls() {
    let (server, _) = secure(&["h2", "http/1.1"]).await;
    for (version, spoken) in [
        (HttpVersion::Auto, Version::HTTP_2),
        (HttpVersion::Http2, Version::HTTP_2),
        (HttpVersion::Http1, Version::HTTP_11),
    ] {
        let (client, origin) = over_tls(&server, Tls::insecure(), version);
        assert_eq!(client.send(&origin, get("/hello")).await.result.unwrap().version, spoken, "{version:?}");
    }
    let (server, _) = secure(&["http/1.1"]).await;
    let (client, origin) = over_tls(&server, Tls::insecure(), HttpVersion::Http2);
    let error = client.send(&origin, get("/hello")).await.result.unwrap_err();
    assert!(matches!(error, Error::Tls(_)), "{error}");
}

fn prior_knowledge(server: &Server, max_connections: Option<usize>) -> (Client, Origin) {
    configured(server.port, OriginConfig { version: HttpVersion::Http2, max_connections, ..Default::default() })
}

#[tokio::test]
async fn http2_requests_share_a_connection() {
    let server = Server::start(None).await;
    let (client, origin) = prior_knowledge(&server, None);
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let (client, origin) = (client.clone(), origin.clone());
            tokio::spawn(async move { client.send(&origin, get("/hello")).await })
        })
        .collect();
    let mut reused = 0;
    for task in tasks {
        let exchange = task.await.unwrap();
        assert_eq!(body(&exchange), "hello");
        reused += usize::from(exchange.reused);
    }
    assert_eq!((server.accepted(), reused), (1, 49));
    assert_eq!((client.stats().open, client.stats().idle), (1, 1));
}

#[tokio::test]
async fn http2_opens_another_connection_when_the_streams_are_used_up() {
    let server = Server::start(None).await;
    let (client, origin) = prior_knowledge(&server, None);
    assert_eq!(body(&client.send(&origin, get("/hello")).await), "hello");
    // The server allows 200 streams for each connection.
    let tasks: Vec<_> = (0..250)
        .map(|_| {
            let (client, origin) = (client.clone(), origin.clone());
            tokio::spawn(async move { client.send(&origin, get("/never")).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(client.stats().open, 2);
    client.interrupt();
    for task in tasks {
        assert_eq!(task.await.unwrap().result.unwrap_err(), Error::Interrupted);
    }
}

#[tokio::test]
async fn http2_bodies_limits_and_timeouts() {
    let server = Server::start(None).await;
    let (client, origin) = prior_knowledge(&server, Some(1));
    let upload = Chunk::Generated { length: 3 << 20, seed: 1 };
    let put = Request { body: Body::Chunks([upload].into()), ..Request::new(Method::PUT, "/upload".parse().unwrap()) };
    let exchange = client.send(&origin, put).await;
    assert!(body(&exchange).starts_with(b"3145728 "));
    assert!(exchange.sent_bytes >= 3 << 20);
    assert_eq!(body(&client.send(&origin, get("/zeros?3000000")).await).len(), 3_000_000);
    assert_eq!(body(&client.send(&origin, get("/gzip?100000")).await), vec![b'x'; 100_000]);
    let beyond = Request { body_limit: 10, ..get("/zeros?1000") };
    assert_eq!(client.send(&origin, beyond).await.result.unwrap_err(), Error::TooLarge { limit: 10 });
    let limit = Duration::from_millis(40);
    let late = client.send(&origin, Request { timeout: Some(limit), ..get("/never") }).await;
    assert_eq!(late.result.unwrap_err(), Error::Timeout { phase: Phase::Waiting, limit });
    assert_eq!(body(&client.send(&origin, get("/hello")).await), "hello");
    assert_eq!(server.accepted(), 1, "a failed request takes only its own stream with it");
}
