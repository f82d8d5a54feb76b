//! What the tests of the real binary share: a gateway, a folder with a configuration, and the
//! process.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use replyd::clock::Clock;
use replyd::gateway::simulator::{Habits, NewAccount, NewReply, Options, Simulator};
use replyd::time::BeijingTime;

pub(crate) use crate::receiver::{Receiver, Webhook};

/// The secret of every test's subscriber.
pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// The account of every test: the one of the provider's example.
pub(crate) const UID: &str = "9999";
/// How long a test waits for what must happen before it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until something holds, and fails when it does not within [`PATIENCE`].
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A gateway with the provider's example account.
pub(crate) async fn gateway(habits: Habits) -> Simulator {
    let options = Options { habits, accounts: vec![NewAccount::example()], ..Options::default() };
    Simulator::start(options, Clock::system()).await.unwrap()
}

/// The second that it is in Beijing.
pub(crate) fn now() -> BeijingTime {
    Clock::system().unix().beijing()
}

/// A reply of now, to the account's own number.
pub(crate) fn reply(mobile: &str, text: &str) -> NewReply {
    NewReply::text(mobile, text, now(), "1068112227282")
}

/// What a test configures.
pub(crate) struct Settings<'a> {
    pub(crate) base_url: &'a str,
    /// Name and URL of each subscriber.
    pub(crate) subscribers: &'a [(&'a str, &'a str)],
    pub(crate) min_interval: &'a str,
    pub(crate) timeout: &'a str,
    pub(crate) schedule: &'a str,
    /// Further lines of the account, and of every subscriber.
    pub(crate) account: &'a str,
    pub(crate) subscriber: &'a str,
}

impl Default for Settings<'_> {
    fn default() -> Self {
        Self {
            base_url: "http://127.0.0.1:9",
            subscribers: &[],
            min_interval: "50ms",
            timeout: "5s",
            schedule: "* * * * * *",
            account: "",
            subscriber: "allow_private = true",
        }
    }
}

/// Waits for a process without keeping the runtime's thread: gateway and receiver are tasks of
/// the same runtime, and the process may wait for them.
fn waiting<T>(wait: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(wait)
}

/// A folder with a configuration, in which the binary runs.
pub(crate) struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    pub(crate) fn new(settings: &Settings<'_>) -> Self {
        let home = Self { folder: tempfile::tempdir().unwrap() };
        home.write("config.toml", &config(settings));
        home
    }

    /// A folder with this configuration.
    pub(crate) fn with(config: &str) -> Self {
        let home = Self { folder: tempfile::tempdir().unwrap() };
        home.write("config.toml", config);
        home
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn write_bytes(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_replyd"));
        command
            .current_dir(self.folder.path())
            .args(arguments)
            .env_remove("REPLYD_CONFIG")
            .env_remove("REPLYD_SECRET")
            .env_remove("RUST_LOG")
            .env("LC_ALL", "C");
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        waiting(|| self.command(arguments).output().unwrap())
    }

    /// Starts the service; its log goes to `log` in the folder.
    pub(crate) fn serve(&self) -> Service {
        self.spawn(self.command(&["run"]))
    }

    /// Starts the service where no file can grow past so many blocks of 512 bytes: its disk is
    /// as good as full.
    pub(crate) fn serve_with_files_of(&self, blocks: u64) -> Service {
        let mut shell = Command::new("sh");
        let script = format!(r#"trap '' XFSZ; ulimit -f {blocks}; exec "$0" run"#);
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_replyd")]);
        shell.current_dir(self.folder.path()).env_remove("REPLYD_CONFIG").env_remove("RUST_LOG");
        self.spawn(shell)
    }

    /// Starts a process whose log goes to `log` in the folder.
    pub(crate) fn spawn(&self, mut command: Command) -> Service {
        let log =
            std::fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        Service { child: command.stdout(Stdio::null()).stderr(log).spawn().unwrap() }
    }

    /// Writes another configuration over the one that is there.
    pub(crate) fn configure(&self, settings: &Settings<'_>) {
        self.write("config.toml", &config(settings));
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

pub(crate) fn config(settings: &Settings<'_>) -> String {
    let Settings { base_url, min_interval, timeout, schedule, account, .. } = settings;
    let mut text = format!(
        r#"
[server]
listen = "127.0.0.1:0"
[[account]]
name = "main"
base_url = "{base_url}"
uid = "{UID}"
password_md5 = "fa246d0262c3925617b0c72bb20eeb1d"
schedule = "{schedule}"
min_interval = "{min_interval}"
timeout = "{timeout}"
{account}
"#
    );
    for (name, url) in settings.subscribers {
        text += &subscriber(name, url, settings.subscriber);
    }
    text
}

pub(crate) fn subscriber(name: &str, url: &str, further: &str) -> String {
    format!(
        r#"
[[subscriber]]
name = "{name}"
url = "{url}"
secret = "{SECRET}"
retry = ["50ms"]
{further}
"#
    )
}

/// A running service. Dropped, it is killed.
pub(crate) struct Service {
    child: Child,
}

impl Service {
    /// Kills it as a power failure would: no signal handler runs.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop and waits for its exit code. One that has only just begun is first let come
    /// to where it heeds signals.
    pub(crate) fn stop(mut self) -> Option<i32> {
        let started = Instant::now();
        waiting(|| {
            while self.is_running() && !self.heeds_sigterm() && started.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(5));
            }
            self.signal("TERM");
            self.child.wait().unwrap().code()
        })
    }

    /// Whether it has a handler for SIGTERM; of a system that does not say so, true.
    fn heeds_sigterm(&self) -> bool {
        const SIGTERM: u32 = 15;
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let caught = status.ok().and_then(|status| {
            let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
            u64::from_str_radix(mask.trim(), 16).ok()
        });
        caught.is_none_or(|mask| mask & (1 << (SIGTERM - 1)) != 0)
    }

    /// Waits until it ends by itself; its exit code.
    pub(crate) async fn ended(mut self) -> Option<i32> {
        until("the service to end", || !self.is_running()).await;
        self.child.wait().unwrap().code()
    }

    /// Its process's number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Runs a command and checks how it ends; its stdout.
#[track_caller]
pub(crate) fn ends(home: &Home, arguments: &[&str], expected: i32) -> String {
    let output = home.run(arguments);
    let (out, talk) = (stdout(&output), stderr(&output));
    assert_eq!(output.status.code(), Some(expected), "{arguments:?}\n{out}\n{talk}");
    out
}

/// The answer's first line to a body that announces more than 1 MiB and sends it. Whoever refuses
/// it may close before all of it was sent, which an HTTP client would call an error.
pub(crate) fn answer_to_large(url: &str) -> String {
    let (address, _) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let length = 1024 * 1024 + 1;
    let head = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n");
    drop(stream.write_all(&[head.into_bytes(), vec![b'a'; length]].concat()));
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// A private look into a home's store.
pub(crate) fn query<T: rusqlite::types::FromSql>(home: &Home, sql: &str) -> T {
    let store = rusqlite::Connection::open(home.path("replyd.db")).unwrap();
    store.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Changes a home's store behind its back.
pub(crate) fn execute(home: &Home, sql: &str) {
    let store = rusqlite::Connection::open(home.path("replyd.db")).unwrap();
    store.busy_timeout(PATIENCE).unwrap();
    store.execute_batch(sql).unwrap();
}
