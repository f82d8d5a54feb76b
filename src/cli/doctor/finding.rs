//! What the doctor found, how bad it is, and with which exit code that ends. It decides; nothing
//! here looks or prints.

use crate::cli::exit::Exit;

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// As it is to be.
    Ok,
    /// It works, and somebody had better look.
    Warn,
    /// It does not work.
    Bad,
}

impl Level {
    /// Its word in JSON and on the terminal.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) level: Level,
    /// What was looked at: `store`, `account main`.
    pub(super) about: String,
    /// What was found. May hold what a stranger said.
    pub(super) what: String,
    /// What to do about it.
    pub(super) mend: Option<String>,
    /// How the command ends where nothing else is wrong.
    exit: Exit,
}

impl Finding {
    pub(super) fn ok(about: impl Into<String>, what: impl Into<String>) -> Self {
        let (about, what) = (about.into(), what.into());
        Self { level: Level::Ok, about, what, mend: None, exit: Exit::Done }
    }

    pub(super) fn warn(
        about: impl Into<String>,
        what: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self { level: Level::Warn, mend: Some(mend.into()), ..Self::ok(about, what) }
    }

    pub(super) fn bad(
        exit: Exit,
        about: impl Into<String>,
        what: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self { level: Level::Bad, exit, ..Self::warn(about, what, mend) }
    }
}

/// How the command ends: with the code of what is wrong where all that is wrong is of one kind.
pub(super) fn exit_of(findings: &[Finding]) -> Exit {
    let mut wrong = findings.iter().filter(|finding| finding.level == Level::Bad);
    let Some(first) = wrong.next() else { return Exit::Done };
    if wrong.all(|finding| finding.exit == first.exit) { first.exit } else { Exit::Failed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_kind_of_trouble_ends_with_its_code() {
        let check = |codes: &[Exit], expected| {
            let bad = |exit: &Exit| Finding::bad(*exit, "a", "b", "c");
            let mut all: Vec<Finding> = codes.iter().map(bad).collect();
            all.push(Finding::ok("a", "b"));
            all.push(Finding::warn("a", "b", "c"));
            assert_eq!(exit_of(&all), expected, "{codes:?}");
        };
        check(&[], Exit::Done);
        check(&[Exit::Refused], Exit::Refused);
        check(&[Exit::Unreachable, Exit::Unreachable], Exit::Unreachable);
        check(&[Exit::Unreachable, Exit::Refused], Exit::Failed);
        check(&[Exit::Failed, Exit::Unreachable], Exit::Failed);
    }
}
