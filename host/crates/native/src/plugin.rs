//! A native collector that was found, checked and asked what it is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::description::DescriptionError;
use crate::thread::{self, CollectorThread};
use crate::{Collection, Description, Failure, Kind, builtin, foreign};

/// Why a collector can't be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file can't be read.
    #[error("can't read `{}`: {error}", path.display())]
    Read {
        /// The library.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file is not the one that the suite means.
    #[error("`{}` has the digest {found}, not {expected}: it is not the file that was checked when the suite was written", path.display())]
    Digest {
        /// The library.
        path: PathBuf,
        /// Its digest, 64 hexadecimal digits.
        found: String,
        /// The suite's.
        expected: String,
    },
    /// The system can't load it.
    #[error("can't be loaded as a shared library: {0}")]
    Open(String),
    /// It is no collector.
    #[error(
        "the library has no function `kperf_collector_v1`: it is no native collector of kperf (see kperf_collector.h)"
    )]
    Symbol,
    /// It speaks another version.
    #[error("the library was built for version {0} of kperf_collector.h, and this kperf knows version 1 only")]
    Version(u32),
    /// A function is missing.
    #[error("the library's `{0}` is NULL: every function of kperf_collector.h is needed")]
    Missing(&'static str),
    /// It describes itself wrongly.
    #[error(transparent)]
    Description(#[from] DescriptionError),
    /// It did not come back.
    #[error("loading it and asking what it is took longer than {0:?}")]
    Hung(Duration),
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Plugin {
    description: Arc<Description>,
    digest: Option<String>,
    kind: Arc<dyn Kind>,
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin").field("description", &self.description).field("digest", &self.digest).finish()
    }
}

/// The SHA-256 digest of a content: 64 hexadecimal digits.
fn digest_of(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Plugin {
    /// A collector that is part of kperf; none of this name.
    #[must_use]
    pub fn builtin(name: &str) -> Option<Self> {
        let (description, kind) = builtin::get(name)?;
        Some(Self { description: Arc::new(description), digest: None, kind })
    }

    /// The digest of a file, 64 hexadecimal digits, for a suite that does not have it yet.
    ///
    /// # Errors
    /// If the file can't be read.
    pub fn digest_of_file(path: &Path) -> Result<String, LoadError> {
        let read = std::fs::read(path).map_err(|error| LoadError::Read { path: path.to_owned(), error })?;
        Ok(digest_of(&read))
    }

    /// Loads a shared library whose content has this digest (64 hexadecimal digits), which runs its code. What is loaded is
    /// the content that was checked, whatever becomes of the file meanwhile.
    ///
    /// # Errors
    /// If it is another file, or no collector; if it does not come back within `limit`.
    pub fn load(path: &Path, sha256: &str, limit: Duration) -> Result<Self, LoadError> {
        let content = std::fs::read(path).map_err(|error| LoadError::Read { path: path.to_owned(), error })?;
        let found = digest_of(&content);
        if !found.eq_ignore_ascii_case(sha256) {
            return Err(LoadError::Digest { path: path.to_owned(), found, expected: sha256.to_owned() });
        }
        let path = path.to_owned();
        let loaded = thread::apart("loading", limit, move || {
            let library = foreign::Library::open(&path, &content)?;
            let description = Description::read(&library.describe()?)?;
            Ok((library, description))
        });
        let (library, description) = loaded.unwrap_or(Err(LoadError::Hung(limit)))?;
        Ok(Self { description: Arc::new(description), digest: Some(found), kind: Arc::new(library) })
    }

    /// What it says of itself.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The SHA-256 digest of its file, 64 hexadecimal digits; none for one that is part of kperf.
    #[must_use]
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// Starts a collector on a thread of its own; each of its calls may take `limit`.
    ///
    /// # Errors
    /// If it says that it can't start, or takes too long. What it had to log comes along.
    pub fn start(
        &self,
        collection: Collection,
        limit: Duration,
    ) -> Result<(CollectorThread, crate::Observations), Failure> {
        CollectorThread::start(Arc::clone(&self.kind), collection, limit)
    }
}
