//! `replyd man`: manual pages, made from the same tree of commands that parses them.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

use crate::cli::exit::{Exit, Failure};
use crate::cli::{self, output};

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// The command whose page is wanted, such as `deliveries list`; without any, the main one
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
    /// Write all pages into this folder, which is made if it is not there
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    dir: Option<PathBuf>,
}

const AFTER_HELP: &str = "\
Examples:
  replyd man | man -l -
  replyd man deliveries list | man -l -
  replyd man --dir ~/.local/share/man/man1

Exit codes: 0 written, 1 it could not be written, 2 usage, 66 no such command.";

/// Writes one page to stdout, or all of them to a folder.
pub(super) fn man(arguments: &Arguments) -> Result<Exit, Failure> {
    // `help` is a command of the parser's own, and needs no page.
    let mut root = cli::Arguments::command().disable_help_subcommand(true);
    root.build();
    match &arguments.dir {
        Some(dir) => write_all(&root, dir)?,
        None => {
            let command = find(&root, &arguments.command)?;
            let page = page(command).context("cannot write the page")?;
            output::bytes(&page).map_err(anyhow::Error::from)?;
        }
    }
    Ok(Exit::Done)
}

fn find<'a>(root: &'a Command, names: &[String]) -> Result<&'a Command, Failure> {
    names.iter().try_fold(root, |command, name| {
        command.find_subcommand(name).ok_or_else(|| {
            let known: Vec<_> = command.get_subcommands().map(Command::get_name).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let of = command.get_bin_name().unwrap_or_default();
            let message = format!("replyd: {of} has no command {name:?}; there is {known}");
            Failure::new(Exit::NotFound, message)
        })
    })
}

fn write_all(root: &Command, dir: &Path) -> Result<(), Failure> {
    let cannot = || format!("cannot write into {}", dir.display());
    std::fs::create_dir_all(dir).with_context(cannot)?;
    let mut commands = vec![root];
    let mut pages = 0;
    while let Some(command) = commands.pop() {
        let file = dir.join(format!("{}.1", title(command)));
        let page = page(command).with_context(cannot)?;
        std::fs::write(&file, page).with_context(cannot)?;
        commands.extend(command.get_subcommands());
        pages += 1;
    }
    output::talk(&format!("wrote {} to {}", output::count(pages, "page", "pages"), dir.display()));
    Ok(())
}

/// What a command's page is called: its words, with dashes between.
fn title(command: &Command) -> String {
    command.get_bin_name().unwrap_or_else(|| command.get_name()).replace(' ', "-")
}

/// A page. What follows the options stands in it as `--help` shows it, line by line: filled into
/// paragraphs, its examples could not be told apart.
fn page(command: &Command) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone()).title(title(command));
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(notes) = command.get_after_help() {
        page.extend(b".SH NOTES\n.nf\n");
        for line in notes.to_string().lines() {
            page.extend(escaped(line).into_bytes());
        }
        page.extend(b".fi\n");
    }
    Ok(page)
}

/// A line that is text to the formatter, whatever it begins with.
fn escaped(line: &str) -> String {
    let control = if line.starts_with(['.', '\'']) { "\\&" } else { "" };
    format!("{control}{}\n", line.replace('\\', "\\e").replace('-', "\\-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_commands_the_formatter() {
        for (line, expected) in [
            (".nf", "\\&.nf\n"),
            ("'", "\\&'\n"),
            ("  replyd run --once", "  replyd run \\-\\-once\n"),
            (r"a\nb", "a\\enb\n"),
            ("", "\n"),
        ] {
            assert_eq!(escaped(line), expected);
        }
    }
}
