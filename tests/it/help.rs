//! What the commands say of themselves: `--help`, completions and manual pages are of one tree,
//! hold all of it, and every example is a command that the parser takes.

use std::process::Command as Process;

use clap::{ArgMatches, Command, CommandFactory as _};
use replyd::cli::Arguments;

use crate::support::{Home, ends, stderr};

/// Every command with the words that call it; the parser's own `help` is left out.
fn commands() -> Vec<(Vec<String>, Command)> {
    let mut root = Arguments::command().disable_help_subcommand(true);
    root.build();
    let mut all = vec![(Vec::new(), root)];
    let mut next = 0;
    while next < all.len() {
        let (words, command) = all[next].clone();
        for inner in command.get_subcommands() {
            all.push(([&words[..], &[inner.get_name().to_owned()]].concat(), inner.clone()));
        }
        next += 1;
    }
    assert!(all.len() > 30, "{}", all.len());
    all
}

/// The long options of a command.
fn flags(command: &Command) -> Vec<String> {
    let all = command.get_arguments().filter(|argument| !argument.is_hide_set());
    all.filter_map(|argument| argument.get_long()).map(|long| format!("--{long}")).collect()
}

fn help(home: &Home, words: &[String]) -> String {
    let mut arguments: Vec<&str> = words.iter().map(String::as_str).collect();
    arguments.push("--help");
    ends(home, &arguments, 0)
}

/// The lines below `Examples:` that are indented.
fn example_lines(help: &str) -> Vec<&str> {
    let below = help.lines().skip_while(|line| !matches!(*line, "Example:" | "Examples:")).skip(1);
    below.take_while(|line| line.starts_with("  ")).collect()
}

/// The examples of a help text. One that goes on behind a `\\` is one.
fn examples(help: &str) -> Vec<String> {
    let mut examples: Vec<String> = Vec::new();
    for line in example_lines(help) {
        match examples.last_mut().and_then(|last| Some((last.strip_suffix('\\')?.to_owned(), last)))
        {
            Some((before, last)) => *last = before + line.trim(),
            None => examples.push(line.trim().to_owned()),
        }
    }
    examples
}

/// The words of an example as a shell has them, up to what is for the shell itself or for the
/// reader: a pipe, a redirection, a bracket, or an explanation behind some blanks.
pub(crate) fn words(example: &str) -> Vec<String> {
    let (_, command) = example.split_once("replyd ").unwrap();
    let (mut words, mut word, mut quote) = (vec!["replyd".to_owned()], String::new(), None);
    let mut letters = command.chars().peekable();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), _) if open == letter => quote = None,
            (None, ' ') if letters.peek() == Some(&' ') => break,
            (None, ' ') => words.push(std::mem::take(&mut word)),
            (None, '|' | '>' | '<' | ')' | ';' | '`') => break,
            _ => word.push(letter),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// The command that was parsed, by its words.
fn called(matches: &ArgMatches) -> Vec<String> {
    match matches.subcommand() {
        None => Vec::new(),
        Some((name, inner)) => [vec![name.to_owned()], called(inner)].concat(),
    }
}

#[test]
fn every_help_has_examples_that_are_commands() {
    let home = Home::with("");
    for (command, tree) in commands() {
        let help = help(&home, &command);
        let examples = examples(&help);
        assert!(!examples.is_empty(), "{command:?} has no examples:\n{help}");
        let mut own = 0;
        for example in examples {
            let words = words(&example);
            let parsed = Arguments::command().try_get_matches_from(&words);
            let parsed = parsed.unwrap_or_else(|error| panic!("{example}: {words:?}: {error}"));
            let called = called(&parsed);
            own += usize::from(called.starts_with(&command));
        }
        assert!(own > 0, "no example of {command:?} is one of it");
        for flag in flags(&tree) {
            assert!(help.contains(&flag), "{flag} is not in the help of {command:?}");
        }
    }
}

#[test]
fn completions_know_every_command_and_flag() {
    let home = Home::with("");
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = ends(&home, &["completions", shell], 0);
        for (command, tree) in commands() {
            if let Some(name) = command.last() {
                assert!(script.contains(name.as_str()), "{shell} does not know {command:?}");
            }
            // The one for fish knows two levels of commands; only `subscribers secret new` is deeper.
            let known =
                if shell == "fish" && command.len() > 2 { Vec::new() } else { flags(&tree) };
            for flag in known {
                let flag = if shell == "fish" { flag.replace("--", "-l ") } else { flag };
                assert!(script.contains(&flag), "{shell} does not know {flag} of {command:?}");
            }
        }
    }
    // What cannot be parsed completes nothing. Not every machine has every shell.
    home.write("script", &ends(&home, &["completions", "bash"], 0));
    if let Ok(checked) = Process::new("bash").arg("-n").arg(home.path("script")).status() {
        assert!(checked.success());
    }
    for arguments in [&["completions"][..], &["completions", "sh"]] {
        ends(&home, arguments, 2);
    }
}

#[test]
fn manual_pages_hold_every_command_and_flag() {
    let home = Home::with("");
    ends(&home, &["man", "--dir", "pages"], 0);
    let commands = commands();
    assert_eq!(std::fs::read_dir(home.path("pages")).unwrap().count(), commands.len());
    for (command, tree) in commands {
        let name = [vec!["replyd".to_owned()], command.clone()].concat().join("-");
        let page = std::fs::read_to_string(home.path(&format!("pages/{name}.1"))).unwrap();
        let plain = page.replace("\\-", "-");
        let head = page.lines().find(|line| line.starts_with(".TH "));
        assert!(head.is_some_and(|head| head.contains(&name)), "{name}: {head:?}");
        // The synopsis names them too: what they mean stands among the options.
        let (_, options) = plain.split_once(".SH OPTIONS").unwrap_or_default();
        for flag in flags(&tree) {
            assert!(options.contains(&flag), "{flag} is not explained in the page of {name}");
        }
        for line in example_lines(&help(&home, &command)) {
            let line = line.replace('\\', "\\e");
            assert!(plain.contains(&line), "{line} is not in the page of {name}");
        }
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        assert_eq!(ends(&home, &[&["man"], &words[..]].concat(), 0), page);
    }
    let output = home.run(&["man", "deliveries", "lisst"]);
    assert_eq!(output.status.code(), Some(66));
    assert!(stderr(&output).contains("replyd deliveries has no command"), "{}", stderr(&output));
    ends(&home, &["man", "--dir", "pages", "run"], 2);
    home.write("file", "");
    ends(&home, &["man", "--dir", "file"], 1);
}
