//! A file that a command writes: whole under its name, or not there at all.
//!
//! It is written beside its place under another name, readable by its owner alone, and put on disk
//! before it gets its own. One that is there already is kept, unless somebody says otherwise.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::cli::exit::{Exit, Failure};
use crate::cli::table::visible;

/// What becomes of a file that has the name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Former {
    /// It stays, and nothing is written.
    Kept,
    /// The new one takes its place.
    Replaced,
}

/// A file that is being written. Dropped before its end, it leaves nothing.
pub(super) struct NewFile {
    file: NamedTempFile,
    path: PathBuf,
    former: Former,
}

impl NewFile {
    /// Begins a file that is to have this name. `hint` says what to do where it is taken.
    ///
    /// # Errors
    /// Where the name is taken by what is to be kept, or nothing can be written beside it.
    pub(super) fn begin(path: &Path, former: Former, hint: &str) -> Result<Self, Failure> {
        if former == Former::Kept && path.symlink_metadata().is_ok() {
            let path = shown(path);
            return Err(Failure::usage(format_args!("{path} is there already{hint}")));
        }
        let file = tempfile::Builder::new()
            .prefix(".replyd-")
            .tempfile_in(folder(path))
            .map_err(|error| unwritable(path, &error))?;
        Ok(Self { file, path: path.to_owned(), former })
    }

    /// Where it is while it is being written.
    pub(super) fn unfinished(&self) -> &Path {
        self.file.path()
    }

    /// Writes some of it.
    ///
    /// # Errors
    /// Where that fails.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes).map_err(|error| unwritable(&self.path, &error))
    }

    /// Puts it on disk and gives it its name; says how many bytes it has.
    ///
    /// # Errors
    /// Where that fails, or the name was taken meanwhile.
    pub(super) fn finish(self) -> Result<u64, Failure> {
        let Self { file, path, former } = self;
        let finish = || {
            file.as_file().sync_all()?;
            let bytes = file.as_file().metadata()?.len();
            match former {
                Former::Kept => file.persist_noclobber(&path)?,
                Former::Replaced => file.persist(&path)?,
            };
            File::open(folder(&path))?.sync_all()?;
            Ok(bytes)
        };
        finish().map_err(|error: io::Error| unwritable(&path, &error))
    }
}

/// The folder in which the file is.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What is said of a file that cannot be written.
pub(super) fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("replyd: {} cannot be written: {error}", shown(path)))
}

/// A path that may stand on a terminal.
pub(super) fn shown(path: &Path) -> String {
    visible(&path.display().to_string())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let name = |entry: io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
        let entries = std::fs::read_dir(folder).unwrap().map(name);
        entries.map(|name| name.into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_is_whole_and_its_owners_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let mut file = NewFile::begin(&path, Former::Kept, "").unwrap();
        file.write(b"abc").unwrap();
        assert!(!path.exists() && names(folder.path()).len() == 1);
        drop(file);
        assert_eq!(names(folder.path()), [""; 0], "it left something");
        let mut file = NewFile::begin(&path, Former::Kept, "").unwrap();
        file.write(b"abc").unwrap();
        assert_eq!(file.finish().unwrap(), 3);
        assert_eq!(std::fs::read(&path).unwrap(), b"abc");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(names(folder.path()), ["out"]);
    }

    #[test]
    fn a_file_that_is_there_is_kept_unless_it_is_to_be_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        // One that comes while the other is written is kept, too.
        let late = NewFile::begin(&path, Former::Kept, "").unwrap();
        std::fs::write(&path, "former").unwrap();
        assert_eq!(late.finish().unwrap_err().exit, Exit::Failed);
        let refused = NewFile::begin(&path, Former::Kept, ": hint").err().unwrap();
        assert!(refused.exit == Exit::Usage && refused.message.contains("already: hint"));
        assert_eq!(std::fs::read(&path).unwrap(), b"former");
        NewFile::begin(&path, Former::Replaced, "").unwrap().finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
        assert_eq!(names(folder.path()), ["out"]);
        let nowhere =
            NewFile::begin(&folder.path().join("no/out"), Former::Kept, "").err().unwrap();
        assert_eq!(nowhere.exit, Exit::Failed);
    }
}
