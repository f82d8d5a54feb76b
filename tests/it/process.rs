//! A command that stays: what it prints and says as it comes, what it is told on stdin, how it
//! ends.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::support::{Home, until};

/// A running command whose output goes to files in its home. Dropped, it is killed.
pub(crate) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    out: PathBuf,
    talk: PathBuf,
}

impl Process {
    /// Starts a command; `name` is what its files are called.
    pub(crate) fn start(home: &Home, name: &str, arguments: &[&str]) -> Self {
        let (out, talk) = (home.path(&format!("{name}.out")), home.path(&format!("{name}.talk")));
        let mut command: Command = home.command(arguments);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(std::fs::File::create(&out).unwrap())
            .stderr(std::fs::File::create(&talk).unwrap())
            .spawn()
            .unwrap();
        Self { stdin: child.stdin.take(), child, out, talk }
    }

    /// What it has printed.
    pub(crate) fn out(&self) -> String {
        std::fs::read_to_string(&self.out).unwrap()
    }

    /// What it has said.
    pub(crate) fn talk(&self) -> String {
        std::fs::read_to_string(&self.talk).unwrap()
    }

    /// Waits until it says where it listens; the URL without a slash at its end.
    pub(crate) async fn url(&self) -> String {
        until("where it listens", || self.talk().contains("Ctrl-C")).await;
        let talk = self.talk();
        let (_, rest) = talk.split_once("http://").unwrap();
        let address: String = rest
            .chars()
            .take_while(|letter| letter.is_ascii_digit() || ".:".contains(*letter))
            .collect();
        format!("http://{address}")
    }

    /// Waits until it has printed something.
    pub(crate) async fn printed(&self, words: &str) {
        until(words, || self.out().contains(words)).await;
    }

    /// Writes a line on its stdin.
    pub(crate) fn types(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Closes its stdin.
    pub(crate) fn types_no_more(&mut self) {
        self.stdin = None;
    }

    /// Sends a signal and waits until it ends; its exit code.
    pub(crate) async fn ended_by(mut self, signal: &str) -> (Option<i32>, String, String) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
        until("the command to end", || self.child.try_wait().unwrap().is_some()).await;
        (self.child.wait().unwrap().code(), self.out(), self.talk())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
