//! Questions on a terminal, and answers that are not shown while they are typed.

use std::io;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use secrecy::SecretString;

use crate::cli::exit::{Exit, Failure};
use crate::cli::{output, signals};
use crate::config::without_line_end;

/// Asks, and takes an answer in one line; an empty one is the default where there is one.
pub(super) async fn ask(question: &str, default: Option<&str>) -> Result<String, Failure> {
    let shown = default.map(|default| format!(" [{default}]")).unwrap_or_default();
    output::ask(&format!("{question}{shown}: "));
    let answer = line().await?;
    let answer = answer.trim();
    Ok(if answer.is_empty() { default.unwrap_or_default() } else { answer }.to_owned())
}

/// Asks for a secret, which is taken as it is typed and not shown.
pub(super) async fn ask_hidden(question: &str) -> Result<SecretString, Failure> {
    output::ask(&format!("{question}: "));
    let hidden = Hidden::new();
    let answer = line().await;
    drop(hidden);
    // The line end that was typed was not shown either.
    output::talk("");
    Ok(SecretString::from(answer?))
}

/// A line from the terminal, without its end. Ctrl-C ends the command, as it always does, but not
/// before the terminal is as it was.
async fn line() -> Result<String, Failure> {
    let ended = signals::ended().map_err(anyhow::Error::from)?;
    let reading = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|read| (read, line))
    });
    let gave_up = || Failure::new(Exit::Failed, "nothing was written");
    tokio::select! {
        () = ended => Err(gave_up()),
        read = reading => match read.map_err(anyhow::Error::from)?.map_err(anyhow::Error::from)? {
            (0, _) => Err(gave_up()),
            (_, line) => Ok(without_line_end(line)),
        },
    }
}

/// What is typed is not shown until this goes. A terminal that cannot do that shows it.
struct Hidden(Option<Termios>);

impl Hidden {
    fn new() -> Self {
        let Ok(before) = tcgetattr(io::stdin()) else { return Self(None) };
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        let done = tcsetattr(io::stdin(), OptionalActions::Now, &quiet);
        Self(done.is_ok().then_some(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // A terminal that is gone needs nothing any more.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}
