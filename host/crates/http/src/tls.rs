//! Whom to trust over TLS.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::WantsClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::error::{Error, chain};

/// Whom to trust over TLS. Cheap to clone; clones share what is loaded, which happens with the first `https` origin.
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

/// What a [`Tls`] is made of; the default trusts the platform's certificate authorities and shows no certificate.
#[derive(Debug, Clone, Copy, Default)]
pub struct TlsConfig<'a> {
    /// PEM of certificate authorities to trust beside the platform's.
    pub authorities: Option<&'a [u8]>,
    /// PEM of a certificate, with those that lead to its authority, and of its key: for servers that want to know the client.
    pub identity: Option<(&'a [u8], &'a [u8])>,
    /// Trust every certificate, so that anyone in between can read and change everything. For test systems only.
    pub insecure: bool,
}

/// A client's certificates, its own first, and its key.
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

struct Inner {
    extra: Vec<CertificateDer<'static>>,
    identity: Option<Identity>,
    insecure: bool,
    loaded: OnceLock<Result<ClientConfig, Error>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("extra", &self.0.extra.len())
            .field("insecure", &self.0.insecure)
            .field("identity", &self.0.identity.is_some())
            .finish_non_exhaustive()
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self::build(Vec::new(), None, false)
    }
}

/// Every certificate in PEM; at least one.
fn certificates(pem: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let all: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| Error::Tls(format!("can't read the {what}: {error}")))?;
    if all.is_empty() {
        return Err(Error::Tls(format!("no certificate among the {what}; give PEM")));
    }
    Ok(all)
}

impl Tls {
    /// Trusts and shows what `config` says.
    ///
    /// # Errors
    /// [`Error::Tls`] if there is no certificate or key where there should be one, or a broken one.
    pub fn new(config: TlsConfig<'_>) -> Result<Self, Error> {
        let extra = config.authorities.map(|pem| certificates(pem, "certificate authorities")).transpose()?;
        let identity = config.identity.map(|(certificate, key)| {
            let key = PrivateKeyDer::from_pem_slice(key)
                .map_err(|error| Error::Tls(format!("can't read the client's key: {error}; give PEM")))?;
            Ok((certificates(certificate, "client's certificates")?, key))
        });
        Ok(Self::build(extra.unwrap_or_default(), identity.transpose()?, config.insecure))
    }

    /// Trusts the platform's certificate authorities and those in `pem`.
    ///
    /// # Errors
    /// [`Error::Tls`] if `pem` holds no certificate or a broken one.
    pub fn with_authorities(pem: &[u8]) -> Result<Self, Error> {
        Self::new(TlsConfig { authorities: Some(pem), ..TlsConfig::default() })
    }

    /// Trusts every certificate, so that anyone in between can read and change everything. For test systems only.
    pub fn insecure() -> Self {
        Self::build(Vec::new(), None, true)
    }

    fn build(extra: Vec<CertificateDer<'static>>, identity: Option<Identity>, insecure: bool) -> Self {
        Self(Arc::new(Inner { extra, identity, insecure, loaded: OnceLock::new() }))
    }

    /// The configuration that offers these protocols.
    pub(crate) fn config(&self, protocols: &[&[u8]]) -> Result<Arc<ClientConfig>, Error> {
        let mut config = self.0.loaded.get_or_init(|| self.0.load()).clone()?;
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(Arc::new(config))
    }
}

impl Inner {
    fn load(&self) -> Result<ClientConfig, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Tls(chain(&error)))?;
        if self.insecure {
            let verifier = Arc::new(AcceptAny(provider));
            return self.identified(builder.dangerous().with_custom_certificate_verifier(verifier));
        }
        let native = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(native.certs);
        for certificate in &self.extra {
            roots
                .add(certificate.clone())
                .map_err(|error| Error::Tls(format!("bad certificate authority: {error}")))?;
        }
        if roots.is_empty() {
            return Err(Error::Tls("the platform trusts no certificate authority; give one in the suite".into()));
        }
        self.identified(builder.with_root_certificates(roots))
    }

    fn identified(&self, builder: ConfigBuilder<ClientConfig, WantsClientCert>) -> Result<ClientConfig, Error> {
        let Some((certificates, key)) = &self.identity else { return Ok(builder.with_no_client_auth()) };
        builder
            .with_client_auth_cert(certificates.clone(), key.clone_key())
            .map_err(|error| Error::Tls(format!("can't use the client's certificate: {}", chain(&error))))
    }
}

/// Believes every certificate; the peer must still own the one that it shows.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
