//! What is wrong with a configuration: every problem at once, each where it stands.
//!
//! No problem holds a value from the file: a line may hold a secret, and these texts end in
//! terminals and logs.

use std::fmt;
use std::path::{Path, PathBuf};

/// A place in the configuration file, both numbers from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The character of that line.
    pub column: usize,
}

/// One thing that is wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands; `None` when it concerns the file as a whole.
    pub place: Option<Place>,
    /// The key's full path, `account "main": min_interval` or `store.url`; empty when no key is
    /// to blame.
    pub key: String,
    /// What is wrong, in words that follow the key and a colon.
    pub message: String,
}

/// Everything that is wrong with a configuration, in the order of the file.
///
/// `Display` is one line for each problem: `config.toml:12:16: account "main": min_interval: …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    path: PathBuf,
    problems: Vec<Problem>,
    omitted: usize,
}

impl ConfigErrors {
    pub(super) fn new(path: &Path, problems: Vec<Problem>, omitted: usize) -> Self {
        Self { path: path.to_owned(), problems, omitted }
    }

    /// The one problem of a file that could not be read as text.
    pub(super) fn of_file(path: &Path, place: Option<Place>, message: String) -> Self {
        Self::new(path, vec![Problem { place, key: String::new(), message }], 0)
    }

    /// The file that they are about, as it was named to `load`.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The problems, in the order of the file.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}", self.path.display())?;
            if let Some(Place { line, column }) = problem.place {
                write!(f, ":{line}:{column}")?;
            }
            if !problem.key.is_empty() {
                write!(f, ": {}", problem.key)?;
            }
            write!(f, ": {}", problem.message)?;
        }
        if self.omitted > 0 {
            write!(f, "\n{}: and {} more", self.path.display(), self.omitted)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
