//! Whom to trust over TLS.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::error::{Error, chain};

/// Whom to trust over TLS. Cheap to clone; clones share what is loaded, which happens with the first `https` origin.
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
    extra: Vec<CertificateDer<'static>>,
    insecure: bool,
    loaded: OnceLock<Result<ClientConfig, Error>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("extra", &self.0.extra.len())
            .field("insecure", &self.0.insecure)
            .finish_non_exhaustive()
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self::build(Vec::new(), false)
    }
}

impl Tls {
    /// Trusts the platform's certificate authorities and those in `pem`.
    ///
    /// # Errors
    /// [`Error::Tls`] if `pem` holds no certificate or a broken one.
    pub fn with_authorities(pem: &[u8]) -> Result<Self, Error> {
        let extra: Vec<_> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|error| Error::Tls(format!("can't read the certificate authorities: {error}")))?;
        if extra.is_empty() {
            return Err(Error::Tls("no certificate among the certificate authorities; give PEM".into()));
        }
        Ok(Self::build(extra, false))
    }

    /// Trusts every certificate, so that anyone in between can read and change everything. For test systems only.
    pub fn insecure() -> Self {
        Self::build(Vec::new(), true)
    }

    fn build(extra: Vec<CertificateDer<'static>>, insecure: bool) -> Self {
        Self(Arc::new(Inner { extra, insecure, loaded: OnceLock::new() }))
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
            let verifier = Arc::new(Anyone(provider));
            return Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth());
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
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }
}

/// Believes every certificate; the peer must still own the one that it shows.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
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
