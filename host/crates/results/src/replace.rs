//! Files that are there whole or not at all.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

/// Writes a file under another name beside it and renames it when it is complete, so that a reader never sees half of
/// it and a failure leaves the old one.
///
/// # Errors
/// When the folder can't be written or `write` fails.
pub fn replace<T, E: From<io::Error>>(path: &Path, write: impl FnOnce(File) -> Result<T, E>) -> Result<T, E> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let beside = Path::new(&beside);
    let written = File::create(beside).map_err(E::from).and_then(write);
    let renamed = written.and_then(|value| {
        fs::rename(beside, path)?;
        Ok(value)
    });
    if renamed.is_err() {
        // What matters is the first error; the rest of a file that could not be written is only in the way.
        let _ = fs::remove_file(beside);
    }
    renamed
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_failure_leaves_the_old_file_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        replace(&path, |mut file| file.write_all(b"old")).unwrap();
        let failed = replace(&path, |mut file| {
            file.write_all(b"half")?;
            Err::<(), _>(io::Error::other("full"))
        });
        assert_eq!(failed.map_err(|e| e.to_string()), Err("full".to_owned()));
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
