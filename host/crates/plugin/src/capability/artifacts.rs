//! Granted files, and files that the plugin leaves in the run's folder.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use kperf_metrics::printable;
use wasmtime::component::Accessor;

use super::GuestData;
use crate::bindings::artifacts::{Host, HostWithStore};
use crate::call::fault::Fault;
use crate::component::description::sentence;
use crate::component::guest::Guest;
use crate::environment::context::ArtifactsLeft;

/// The largest file that a plugin can write or read as a whole, in bytes.
const LARGEST: u64 = 64 << 20;

/// The longest name of an artifact in bytes.
const LONGEST_NAME: usize = 512;

impl Host for Guest {}

impl<T> HostWithStore<T> for GuestData {
    async fn read(accessor: &Accessor<T, Self>, path: String) -> Result<Vec<u8>, String> {
        let services = accessor.with(|mut access| Arc::clone(&access.get().services));
        let file = services.granted_file(&path)?;
        let metadata = tokio::fs::metadata(&file).await.map_err(|error| format!("can't read `{path}`: {error}"))?;
        if metadata.len() > LARGEST {
            return Err(format!("`{path}` is larger than {LARGEST} bytes; send it as a `file` chunk of a request"));
        }
        tokio::fs::read(&file).await.map_err(|error| format!("can't read `{path}`: {error}"))
    }

    async fn write(accessor: &Accessor<T, Self>, name: String, content: Vec<u8>) -> Result<(), String> {
        let services = accessor.with(|mut access| Arc::clone(&access.get().services));
        let folder = services.plugin.artifacts.as_ref().filter(|_| services.capable);
        let folder = folder.ok_or("there is no run's folder to write to")?;
        if content.len() as u64 > LARGEST {
            return Err(format!("`{name}` is larger than {LARGEST} bytes; write less"));
        }
        if !services.plugin.left.add(content.len() as u64) {
            let (most, bytes) = (ArtifactsLeft::MOST, ArtifactsLeft::LARGEST);
            let text = format!(
                "a plugin leaves at most {most} artifacts with {bytes} bytes in a run; `{name}` is one too many"
            );
            services.fault(Fault::ArtifactFlood, 1, &text);
            return Err(text);
        }
        let path = inside(folder, &services.worker.redactor.redact(&name))?;
        let content = services.worker.redactor.redact_bytes(content);
        let written = async {
            if let Some(parent) = path.parent() {
                tokio::fs::create_dir_all(parent).await?;
            }
            tokio::fs::write(&path, content).await
        };
        written.await.map_err(|error| format!("can't write `{name}`: {error}"))
    }
}

/// The path of a name below a folder; a name that could lead out of it is refused.
fn inside(folder: &Path, name: &str) -> Result<PathBuf, String> {
    let relative = Path::new(name);
    let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
    if !plain || name.is_empty() || name.len() > LONGEST_NAME || name.contains('\\') || printable(name) != name {
        let name = sentence(name);
        return Err(format!(
            "`{name}` is no name for an artifact: give a relative path without `..` and control characters, of at most \
             {LONGEST_NAME} bytes"
        ));
    }
    Ok(folder.join(relative))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_not_lead_out_of_the_folder() {
        assert_eq!(inside(Path::new("/run"), "a/b.txt").unwrap(), Path::new("/run/a/b.txt"));
        for wrong in ["", "..", "../x", "a/../../x", "/etc/x", "a\\..\\x", "a\u{1b}[2J", &"x".repeat(513)] {
            assert!(inside(Path::new("/run"), wrong).is_err(), "{wrong}");
        }
    }
}
