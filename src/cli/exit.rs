//! How a command ends.

use std::process::{ExitCode, Termination};

use crate::app::NoToken;
use crate::config::ConfigErrors;
use crate::intake::reader::IntakeError;
use crate::store::error::StoreError;
use crate::store::read::Verdict;

/// The exit codes of every command; scripts rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All of it was done.
    Done = 0,
    /// Some of it failed.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// What was named is not there.
    NotFound = 66,
    /// The gateway cannot be reached.
    Unreachable = 69,
    /// It is too early; try again later.
    NotNow = 75,
    /// The gateway refused the account.
    Refused = 77,
    /// The configuration is wrong.
    Configuration = 78,
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self as u8)
    }
}

impl From<Verdict> for Exit {
    /// How a read that came to this ends its command.
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Proven => Self::Done,
            Verdict::Refused(_) => Self::Refused,
            Verdict::Doubtful("never_answered") => Self::Unreachable,
            Verdict::Doubtful(_) => Self::Failed,
        }
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) exit: Exit,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// Of arguments that are right each by itself, and wrong together or at this time.
    pub(super) fn usage(message: impl std::fmt::Display) -> Self {
        Self::new(Exit::Usage, format!("error: {message}\n\nFor more information, try '--help'."))
    }
}

impl From<ConfigErrors> for Failure {
    fn from(errors: ConfigErrors) -> Self {
        Self::new(Exit::Configuration, errors.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let exit = match error {
            StoreError::Missing(_) => Exit::NotFound,
            StoreError::Busy => Exit::NotNow,
            StoreError::Refused(_) | StoreError::Older { .. } => Exit::Configuration,
            _ => Exit::Failed,
        };
        Self::new(exit, format!("replyd: {error}"))
    }
}

impl From<IntakeError> for Failure {
    fn from(error: IntakeError) -> Self {
        match error {
            IntakeError::Store { source, .. } => source.into(),
            IntakeError::Client { .. } => Self::new(Exit::Failed, format!("replyd: {error}")),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let exit = match error.is::<NoToken>() {
            true => Exit::Configuration,
            false => Exit::Failed,
        };
        match error.downcast::<StoreError>() {
            Ok(error) => error.into(),
            Err(error) => Self::new(exit, format!("replyd: {error:#}")),
        }
    }
}
