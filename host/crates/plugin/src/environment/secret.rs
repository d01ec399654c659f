//! Secrets: what a suite names and the host alone reads, and the headers that are made of them.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue};
use parking_lot::RwLock;

/// A secret text, read by the host. It can't be printed by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Takes the secret as it is; surrounding white space, such as a file's last line break, is removed.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.trim().into())
    }

    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

/// Why a credential can't be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The header's name is none.
    #[error("`{0}` is no header name; use one like `authorization`")]
    Header(String),
    /// The value can't stand in a header.
    #[error("the secret is empty or holds characters that can't stand in a header; check its source")]
    Value,
}

/// A header that the host adds for a plugin.
#[derive(Debug)]
pub struct Credential {
    pub(crate) header: HeaderName,
    scheme: String,
    held: RwLock<Held>,
}

#[derive(Debug)]
struct Held {
    secret: Secret,
    /// What stands in the header; none if that depends on the request's body.
    value: Option<HeaderValue>,
}

/// The scheme of a credential that signs: the header is `sha256=` and the body's HMAC-SHA256 (RFC 2104) under the secret, in
/// hexadecimal digits.
pub const HMAC_SHA256: &str = "HMAC-SHA256";

impl Credential {
    /// A credential sent as `header: scheme secret`. With the scheme `Basic` the secret is `user:password` and encoded
    /// here; with an empty scheme it is sent as it is.
    ///
    /// # Errors
    /// If the header's name or the secret can't stand in an HTTP request.
    pub fn new(header: &str, scheme: &str, secret: &Secret) -> Result<Self, CredentialError> {
        let name = HeaderName::try_from(header).map_err(|_| CredentialError::Header(header.into()))?;
        let held = RwLock::new(Held::new(scheme, secret)?);
        Ok(Self { header: name, scheme: scheme.into(), held })
    }

    /// Sends another secret from the next request on: the one before is about to expire.
    ///
    /// # Errors
    /// If the secret can't stand in an HTTP request; the one before stays then.
    pub fn renew(&self, secret: &Secret) -> Result<(), CredentialError> {
        *self.held.write() = Held::new(&self.scheme, secret)?;
        Ok(())
    }

    /// Adds the header to those of a request of the host's own with this body.
    pub fn attach(&self, headers: &mut http::HeaderMap, body: &[u8]) {
        if let Some(value) = self.value(Some(body)) {
            headers.insert(self.header.clone(), value);
        }
    }

    /// What stands in the header of a request with this body; none if the body has to be in memory for that and is not.
    pub(crate) fn value(&self, body: Option<&[u8]>) -> Option<HeaderValue> {
        let held = self.held.read();
        match (&held.value, body) {
            (Some(value), _) => Some(value.clone()),
            (None, Some(body)) => Some(signature(&held.secret, body)),
            (None, None) => None,
        }
    }

    /// The secret now.
    pub(crate) fn secret(&self) -> Secret {
        self.held.read().secret.clone()
    }
}

impl Held {
    fn new(scheme: &str, secret: &Secret) -> Result<Self, CredentialError> {
        let signs = scheme.eq_ignore_ascii_case(HMAC_SHA256);
        if signs && secret.expose().is_empty() {
            return Err(CredentialError::Value);
        }
        let value = if signs { None } else { Some(header_value(scheme, secret)?) };
        Ok(Self { secret: secret.clone(), value })
    }
}

fn signature(secret: &Secret, body: &[u8]) -> HeaderValue {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.expose().as_bytes());
    let digest = ring::hmac::sign(&key, body);
    let text = digest.as_ref().iter().fold("sha256=".to_owned(), |text, byte| format!("{text}{byte:02x}"));
    // Hexadecimal digits can stand in a header.
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// A header's value, marked as sensitive, so that its `Debug` prints nothing.
fn header_value(scheme: &str, secret: &Secret) -> Result<HeaderValue, CredentialError> {
    let text = match scheme {
        "" => secret.expose().to_owned(),
        basic if basic.eq_ignore_ascii_case("basic") => format!("{basic} {}", STANDARD.encode(secret.expose())),
        scheme => format!("{scheme} {}", secret.expose()),
    };
    let mut value = HeaderValue::try_from(text).map_err(|_| CredentialError::Value)?;
    if secret.expose().is_empty() {
        return Err(CredentialError::Value);
    }
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::redactor::Redactor;

    #[test]
    fn nothing_prints_a_secret() {
        let secret = Secret::new("hunter22");
        let credential = Credential::new("authorization", "Bearer", &secret).unwrap();
        let shown = format!("{secret:?} {credential:?} {:?}", Redactor::new([&secret]));
        assert!(!shown.contains("hunter22"), "{shown}");
        assert_eq!(credential.value(None).unwrap().as_bytes(), b"Bearer hunter22");
    }

    #[test]
    fn the_scheme_decides_how_a_secret_is_sent() {
        let secret = Secret::new("user:pass");
        let value = |scheme| Credential::new("authorization", scheme, &secret).unwrap().value(None).unwrap();
        assert_eq!(value("Basic").as_bytes(), b"Basic dXNlcjpwYXNz");
        assert_eq!(value("").as_bytes(), b"user:pass");
        assert!(Credential::new("no header", "", &secret).is_err());
        assert!(Credential::new("x", "", &Secret::new(" ")).is_err());
    }

    #[test]
    fn a_signature_depends_on_the_body() {
        // Test case 2 of RFC 4231.
        let key = Secret::new("Jefe");
        let credential = Credential::new("x-signature", HMAC_SHA256, &key).unwrap();
        let signed = credential.value(Some(b"what do ya want for nothing?")).unwrap();
        assert_eq!(signed, "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert_eq!(credential.value(None), None);
        assert!(Credential::new("x-signature", HMAC_SHA256, &Secret::new("")).is_err());
    }

    #[test]
    fn a_secret_can_be_renewed() {
        let (old, new) = (Secret::new("the-first"), Secret::new("the-second"));
        let credential = Credential::new("authorization", "Bearer", &old).unwrap();
        let redactor = Redactor::new([&old]);
        let clone = redactor.clone();
        redactor.learn(&new);
        credential.renew(&new).unwrap();
        assert_eq!(credential.value(None).unwrap().as_bytes(), b"Bearer the-second");
        assert_eq!(clone.redact("the-first, the-second"), "*********, **********");
        assert!(credential.renew(&Secret::new("")).is_err());
        assert_eq!(credential.value(None).unwrap().as_bytes(), b"Bearer the-second");
    }
}
