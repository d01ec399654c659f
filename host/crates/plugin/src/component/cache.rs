//! Compiled plugins on disk, so that a plugin is compiled once per machine and not once per run.
//!
//! Loading compiled code runs it without any further check: whoever can write the file can run code as this process.
//! The folder is therefore made private (0700), and used only if it is no link, belongs to this user, and nobody else may write to it; the
//! same goes for each file, which is opened once and checked by what was opened. Files are written under a temporary name and renamed, and
//! each carries the SHA-256 of its content, so that a torn or damaged file is recompiled instead of trusted.

use std::fmt::Write as _;
use std::hash::{Hash, Hasher};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};
use wasmtime::component::Component;

/// Bytes of the checksum in front of the compiled code.
const CHECKSUM: usize = 32;

/// Why the cache's folder can't be used.
#[derive(Debug, thiserror::Error)]
#[error("can't use {} for compiled plugins: {source}; choose another folder or run without a cache", .dir.display())]
pub struct CacheError {
    dir: PathBuf,
    source: io::Error,
}

/// A folder of compiled components.
#[derive(Debug)]
pub(crate) struct CompileCache {
    dir: PathBuf,
    /// Stands for wasmtime's version and every setting that the compiled code depends on.
    compatibility: u64,
}

impl CompileCache {
    pub(crate) fn open(dir: &Path, engine: &wasmtime::Engine) -> Result<Self, CacheError> {
        make_private(dir).map_err(|source| CacheError { dir: dir.into(), source })?;
        let mut hasher = rustc_hash::FxHasher::default();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self { dir: dir.into(), compatibility: hasher.finish() })
    }

    /// The compiled component of these bytes, from the cache or compiled now. A cache that can't be read or written
    /// costs time, never the run.
    pub(crate) fn component(
        &self,
        engine: &wasmtime::Engine,
        digest: &str,
        bytes: &[u8],
    ) -> wasmtime::Result<Component> {
        let path = self.dir.join(format!("{digest}-{:016x}.cwasm", self.compatibility));
        if let Some(component) = self.read(engine, &path) {
            return Ok(component);
        }
        let code = engine.precompile_component(bytes)?;
        if let Err(error) = self.write(&path, &code) {
            tracing::debug!(target: "plugin", %error, path = %path.display(), "compiled plugin not cached");
        }
        deserialize(engine, &code)
    }

    fn read(&self, engine: &wasmtime::Engine, path: &Path) -> Option<Component> {
        let content = read_own(path).inspect_err(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                let path = path.display();
                tracing::warn!(target: "plugin", %path, %error, "a compiled plugin can't be trusted, compiling again");
            }
        });
        let content = content.ok()?;
        let (checksum, code) = content.split_at_checked(CHECKSUM)?;
        if Sha256::digest(code).as_slice() != checksum {
            tracing::warn!(target: "plugin", path = %path.display(), "damaged compiled plugin, compiling again");
            return None;
        }
        deserialize(engine, code).ok()
    }

    fn write(&self, path: &Path, code: &[u8]) -> io::Result<()> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let temporary = self.dir.join(format!("{}-{}.tmp", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed)));
        let written = (|| {
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.open(&temporary)?;
            file.write_all(Sha256::digest(code).as_slice())?;
            file.write_all(code)?;
            std::fs::rename(&temporary, path)
        })();
        if written.is_err() {
            // The first error is the one that matters.
            let _ = std::fs::remove_file(&temporary);
        }
        written
    }
}

#[expect(
    unsafe_code,
    reason = "wasmtime can't check compiled code; where ours comes from is said in the module's header"
)]
fn deserialize(engine: &wasmtime::Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the code was made by this very engine configuration, either a moment ago or by an earlier process of the
    // same user, and its checksum was compared.
    unsafe { Component::deserialize(engine, code) }
}

/// Makes the folder, and refuses one that is not this user's alone.
fn make_private(dir: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        own(&std::fs::symlink_metadata(dir)?)
    }
    #[cfg(not(unix))]
    std::fs::create_dir_all(dir)
}

/// The content of a file that is this user's alone.
fn read_own(path: &Path) -> io::Result<Vec<u8>> {
    let mut options = std::fs::OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    let mut file = options.open(path)?;
    #[cfg(unix)]
    own(&file.metadata()?)?;
    let mut content = Vec::new();
    io::Read::read_to_end(&mut file, &mut content)?;
    Ok(content)
}

/// Whether something belongs to this user, is no link, and nobody else may write to it.
#[cfg(unix)]
fn own(metadata: &std::fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let wrong = match metadata {
        it if it.is_symlink() => "it is a link",
        it if it.uid() != rustix::process::geteuid().as_raw() => "it belongs to another user",
        it if it.mode() & 0o022 != 0 => "others may write to it",
        _ => return Ok(()),
    };
    Err(io::Error::new(io::ErrorKind::PermissionDenied, wrong))
}

/// The SHA-256 of a component's bytes, in lower-case hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cached(dir: &Path) -> PathBuf {
        let mut files = std::fs::read_dir(dir).unwrap().map(|f| f.unwrap().path()).collect::<Vec<_>>();
        assert_eq!(files.len(), 1, "{files:?}");
        files.remove(0)
    }

    #[test]
    fn the_second_load_comes_from_disk_and_a_damaged_file_is_compiled_again() {
        let engine = wasmtime::Engine::default();
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("cache");
        let cache = CompileCache::open(&dir, &engine).unwrap();
        // The empty component.
        let bytes = b"\0asm\x0d\0\x01\0";
        cache.component(&engine, &digest(bytes), bytes).unwrap();
        // Bytes that don't compile prove that nothing is compiled on a hit.
        cache.component(&engine, &digest(bytes), b"garbage").unwrap();
        let file = cached(&dir);
        let mut content = std::fs::read(&file).unwrap();
        *content.last_mut().unwrap() ^= 1;
        std::fs::write(&file, &content).unwrap();
        assert!(cache.component(&engine, &digest(bytes), b"garbage").is_err());
        cache.component(&engine, &digest(bytes), bytes).unwrap();
        cache.component(&engine, &digest(bytes), b"garbage").unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_others_may_write_to_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let error = CompileCache::open(dir.path(), &wasmtime::Engine::default()).unwrap_err();
        assert!(error.to_string().contains("others may write to it"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn what_is_not_this_users_alone_is_not_run() {
        use std::os::unix::fs::PermissionsExt as _;
        let engine = wasmtime::Engine::default();
        let dir = tempfile::tempdir().unwrap();
        let (folder, link) = (dir.path().join("cache"), dir.path().join("link"));
        let cache = CompileCache::open(&folder, &engine).unwrap();
        let bytes = b"\0asm\x0d\0\x01\0";
        cache.component(&engine, &digest(bytes), bytes).unwrap();
        let file = cached(&folder);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
        assert!(cache.component(&engine, &digest(bytes), b"garbage").is_err(), "others may write to the file");
        std::fs::rename(&file, dir.path().join("elsewhere")).unwrap();
        std::fs::set_permissions(dir.path().join("elsewhere"), std::fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), &file).unwrap();
        assert!(cache.component(&engine, &digest(bytes), b"garbage").is_err(), "the file is a link");
        std::os::unix::fs::symlink(&folder, &link).unwrap();
        assert!(CompileCache::open(&link, &engine).unwrap_err().to_string().contains("it is a link"));
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&folder, Some(65_534), None).unwrap();
            let error = CompileCache::open(&folder, &engine).unwrap_err();
            assert!(error.to_string().contains("belongs to another user"), "{error}");
        }
    }
}
