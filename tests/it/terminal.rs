//! A command on a terminal: what that shows, and what is typed there.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

use crate::support::{Home, until};

/// A command with all three of its streams on a terminal. Dropped, it is killed.
pub(crate) struct Terminal {
    child: Child,
    /// The end at which somebody sits.
    front: File,
    /// The end that the command has. Kept open, so that it can be looked at.
    back: File,
    shown: Arc<Mutex<Vec<u8>>>,
    /// How much of it was answered.
    answered: usize,
}

impl Terminal {
    pub(crate) fn start(home: &Home, arguments: &[&str]) -> Self {
        Self::with(home, arguments, &[])
    }

    /// Starts it with these variables.
    pub(crate) fn with(home: &Home, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let front = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&front).unwrap();
        unlockpt(&front).unwrap();
        let name = ptsname(&front, Vec::new()).unwrap().into_string().unwrap();
        let back = File::options().read(true).write(true).open(name).unwrap();
        let end = || back.try_clone().unwrap();
        let mut command = home.command(arguments);
        command.env("TERM", "xterm").env_remove("NO_COLOR").envs(variables.iter().copied());
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let (front, shown) = (File::from(front), Arc::<Mutex<Vec<u8>>>::default());
        let (mut reading, seen) = (front.try_clone().unwrap(), Arc::clone(&shown));
        // It ends when both copies of the other end are closed.
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = reading.read(&mut piece) {
                seen.lock().unwrap().extend_from_slice(&piece[..count]);
            }
        });
        Self { child, front, back, shown, answered: 0 }
    }

    /// All that it has shown.
    pub(crate) fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    /// Waits for a question and answers it.
    pub(crate) async fn answers(&mut self, question: &str, answer: &str) {
        let asked = || {
            let shown = self.shown.lock().unwrap();
            String::from_utf8_lossy(&shown[self.answered..]).contains(question)
        };
        until(question, asked).await;
        self.answered = self.shown.lock().unwrap().len();
        writeln!(self.front, "{answer}").unwrap();
    }

    /// Whether what is typed is shown.
    pub(crate) fn echoes(&self) -> bool {
        tcgetattr(&self.back).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    /// Presses Ctrl-C.
    pub(crate) fn interrupt(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", "INT", &id]).status().unwrap().success());
    }

    /// Waits until it ends; its exit code.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        until("the command to end", || self.child.try_wait().unwrap().is_some()).await;
        self.child.wait().unwrap().code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
