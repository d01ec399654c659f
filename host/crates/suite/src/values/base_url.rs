//! Base URLs as a suite writes them: `https://example.com/pipeline`.

use url::Url;

/// Why a text is no base URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// No URL, or one without a scheme or a host.
    #[error("`{text}` is no absolute URL: {reason}")]
    Relative {
        /// What is written.
        text: String,
        /// What the parser of URLs says.
        #[source]
        reason: url::ParseError,
    },
    /// A scheme that is not HTTP's.
    #[error("expected an http or https URL, found `{0}:`")]
    Scheme(String),
    /// Login data, which would be shown with the URL.
    #[error("a URL must not carry a user name or a password")]
    Login,
    /// Something behind the path, where operations append theirs.
    #[error("a target's URL has no query and no fragment")]
    Query,
}

impl UrlError {
    /// What to write instead, if that is known.
    pub(crate) fn help(&self) -> Option<String> {
        Some(match self {
            Self::Relative { text, .. } => {
                format!("write it with its scheme, like \"https://{}\"", text.trim_start_matches('/'))
            }
            Self::Scheme(_) => "write it with its scheme, like \"https://example.com\"".to_owned(),
            Self::Login => "name a credential instead: `credential = \"..\"` with `[credentials.NAME]`".to_owned(),
            Self::Query => return None,
        })
    }
}

/// Reads the URL of a target: absolute, of HTTP, and without what does not belong into a suite.
pub(crate) fn base_url(text: &str) -> Result<Url, UrlError> {
    let url = Url::parse(text).map_err(|reason| UrlError::Relative { text: text.to_owned(), reason })?;
    match &url {
        url if !matches!(url.scheme(), "http" | "https") => Err(UrlError::Scheme(url.scheme().to_owned())),
        url if !url.username().is_empty() || url.password().is_some() => Err(UrlError::Login),
        url if url.query().is_some() || url.fragment().is_some() => Err(UrlError::Query),
        _ => Ok(url),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_absolute_urls_of_http_and_nothing_that_operations_would_lose_or_show() {
        assert_eq!(base_url("https://h:8080/a").unwrap().as_str(), "https://h:8080/a");
        assert!(matches!(base_url("h/a"), Err(UrlError::Relative { .. })));
        assert_eq!(base_url("ftp://h"), Err(UrlError::Scheme("ftp".into())));
        assert_eq!(base_url("http://user@h"), Err(UrlError::Login));
        assert_eq!(base_url("http://h?a=b"), Err(UrlError::Query));
    }
}
