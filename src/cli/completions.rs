//! `replyd completions SHELL`: what a shell needs to complete the commands and their options.

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};

use crate::cli::exit::{Exit, Failure};
use crate::cli::{self, output};

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

const AFTER_HELP: &str = "\
Examples:
  replyd completions bash > ~/.local/share/bash-completion/completions/replyd
  replyd completions zsh > ~/.zfunc/_replyd          a folder of your fpath
  replyd completions fish > ~/.config/fish/completions/replyd.fish";

/// Writes the shell's script, which is made from the same tree of commands that parses them.
pub(super) fn completions(arguments: &Arguments) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    generate(arguments.shell, &mut cli::Arguments::command(), "replyd", &mut script);
    output::bytes(&script).map_err(anyhow::Error::from)?;
    Ok(Exit::Done)
}
