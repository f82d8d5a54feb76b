//! Asking before much is changed.

use std::io::{self, BufRead, IsTerminal};

use crate::cli::exit::{Exit, Failure};
use crate::cli::output;

/// What is needed before a command goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Nothing,
    Answer,
    /// Nobody is there to be asked.
    Option,
}

fn need(given: bool, is_much: bool, is_terminal: bool) -> Need {
    match (given, is_terminal) {
        (true, _) => Need::Nothing,
        (false, true) if is_much => Need::Answer,
        (false, true) => Need::Nothing,
        (false, false) => Need::Option,
    }
}

/// Goes on where that was agreed to: by `--yes`, or by whoever sits at the terminal. There, what
/// `is_much` is not needs no answer.
///
/// # Errors
/// With `--yes` missing where nobody can be asked, and with the answer no.
pub(super) fn require(yes: bool, is_much: bool, question: &str) -> Result<(), Failure> {
    let is_terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
    match need(yes, is_much, is_terminal) {
        Need::Nothing => Ok(()),
        Need::Option => Err(Failure::usage(
            "nobody can be asked here, as this is no terminal: add --yes, or look first with --dry-run",
        )),
        Need::Answer => {
            output::ask(&format!("{question} [y/N] "));
            let mut answer = String::new();
            let read = io::stdin().lock().read_line(&mut answer);
            match is_yes(&answer) && read.is_ok() {
                true => Ok(()),
                false => Err(Failure::new(Exit::Failed, "nothing was changed")),
            }
        }
    }
}

fn is_yes(answer: &str) -> bool {
    ["y", "yes", "是"].contains(&answer.trim().to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_is_asked_about_much_and_a_script_has_to_say_yes() {
        for (yes, is_much, is_terminal, expected) in [
            (true, true, true, Need::Nothing),
            (true, true, false, Need::Nothing),
            (false, true, true, Need::Answer),
            (false, false, true, Need::Nothing),
            (false, true, false, Need::Option),
            (false, false, false, Need::Option),
        ] {
            let found = need(yes, is_much, is_terminal);
            assert_eq!(found, expected, "{yes} {is_much} {is_terminal}");
        }
    }

    #[test]
    fn only_a_yes_is_one() {
        for (answer, expected) in [
            ("y\n", true),
            ("YES\r\n", true),
            ("是\n", true),
            ("", false),
            ("\n", false),
            ("n\n", false),
            ("yy", false),
        ] {
            assert_eq!(is_yes(answer), expected, "{answer:?}");
        }
    }
}
