//! Where secrets come from that the file only names, and how files are read within a limit.

use std::io::{self, Read};
use std::path::Path;

/// A secret's file holds a key or a password: more is some other file.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// Whether secrets that stand outside of the file are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    /// They are read from the environment and from files; what cannot be read is an error.
    Read,
    /// They are not touched: each is a placeholder of the right form. For checking a
    /// configuration on a machine that does not have them; never for running.
    Skip,
}

/// Why a secret cannot be had. The text names neither the variable nor the path nor the value.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The environment has no such variable.
    #[error("not set")]
    NotSet,
    /// It holds bytes that are not UTF-8.
    #[error("not UTF-8")]
    NotText,
    /// The file is larger than its limit, in bytes.
    #[error("larger than {0} bytes")]
    TooLarge(u64),
    /// The file cannot be read.
    #[error("{0}")]
    Unreadable(#[from] io::Error),
}

/// Gives the secrets that the file names: the system's, or a table in tests.
pub trait SecretSource {
    /// The value of an environment variable; `Ok(None)` when secrets are not to be fetched.
    ///
    /// # Errors
    /// When it is not set or not UTF-8.
    fn env(&self, name: &str) -> Result<Option<String>, SourceError>;

    /// The text of a file, as it is; `Ok(None)` when secrets are not to be fetched.
    ///
    /// # Errors
    /// When it cannot be read, is not UTF-8 or is larger than 64 KiB.
    fn file(&self, path: &Path) -> Result<Option<String>, SourceError>;
}

impl SecretSource for Secrets {
    fn env(&self, name: &str) -> Result<Option<String>, SourceError> {
        if *self == Self::Skip {
            return Ok(None);
        }
        let value = std::env::var_os(name).ok_or(SourceError::NotSet)?;
        value.into_string().map(Some).map_err(|_| SourceError::NotText)
    }

    fn file(&self, path: &Path) -> Result<Option<String>, SourceError> {
        if *self == Self::Skip {
            return Ok(None);
        }
        let bytes = read_file(path, SECRET_BYTES_MAX)?;
        String::from_utf8(bytes).map(Some).map_err(|_| SourceError::NotText)
    }
}

/// Reads a file of at most `limit` bytes, and no more of it than that.
pub(super) fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, SourceError> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if read as u64 > limit { Err(SourceError::TooLarge(limit)) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_up_to_their_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let limit = usize::try_from(SECRET_BYTES_MAX).unwrap();
        std::fs::write(&path, vec![b'x'; limit]).unwrap();
        assert_eq!(Secrets::Read.file(&path).unwrap().unwrap().len(), limit);
        std::fs::write(&path, vec![b'x'; limit + 1]).unwrap();
        let error = Secrets::Read.file(&path).unwrap_err().to_string();
        assert_eq!(error, "larger than 65536 bytes");
        std::fs::write(&path, b"\xd6\xd0").unwrap();
        assert_eq!(Secrets::Read.file(&path).unwrap_err().to_string(), "not UTF-8");
        assert!(matches!(
            Secrets::Read.file(&folder.path().join("none")),
            Err(SourceError::Unreadable(_))
        ));
        assert!(matches!(Secrets::Skip.file(&path), Ok(None)));
    }

    #[test]
    fn variables_are_read_or_not_set() {
        assert!(matches!(Secrets::Read.env("PATH"), Ok(Some(_))));
        assert!(matches!(Secrets::Read.env("REPLYD_TEST_NEVER_SET"), Err(SourceError::NotSet)));
        assert!(matches!(Secrets::Skip.env("REPLYD_TEST_NEVER_SET"), Ok(None)));
    }
}
