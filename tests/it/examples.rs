//! The receivers in `examples/receivers` and in the READMEs: each runtime that is here receives
//! what the real service sends, once, and refuses what nobody signed.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use replyd::clock::Clock;
use replyd::config::WebhookSecret;
use replyd::delivery::sign::{Signed, sign};
use replyd::gateway::simulator::{Habits, NewReply};

use crate::support::{
    Home, Receiver, SECRET, Settings, UID, answer_to_large, ends, gateway, until,
};

/// A second secret, as in a rotation.
const OTHER_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// An hour's replies, as customers write them.
const REPLIES: [(&str, &str); 4] = [
    ("13900000001", "好的，收到"),
    ("13900000002", "a\"b\\c/d <b>&amp;</b>"),
    ("13900000003", "第一行\n第二行\t€ ☺"),
    ("13900000003", "第一行\n第二行\t€ ☺"),
];
const HOUR: &str = "2008-05-27_12";

/// A receiver that somebody may start from.
struct Example {
    name: &'static str,
    /// Ends well where there is a runtime that is new enough.
    runtime: &'static [&'static str],
    /// Makes it ready, where that takes something.
    build: &'static [&'static str],
    /// Runs it; `{port}` stands for the port.
    run: &'static [&'static str],
}

const PYTHON: &[&str] = &["python3", "-c", "import sys; sys.exit(sys.version_info < (3, 9))"];

const EXAMPLES: [Example; 7] = [
    Example { name: "receiver.py", runtime: PYTHON, build: &[], run: &["python3", "receiver.py"] },
    Example { name: "README.md", runtime: PYTHON, build: &[], run: &["python3", "README.md.py"] },
    Example {
        name: "README.zh-CN.md",
        runtime: PYTHON,
        build: &[],
        run: &["python3", "README.zh-CN.md.py"],
    },
    Example {
        name: "receiver.mjs",
        runtime: &["node", "-e", "process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)"],
        build: &[],
        run: &["node", "receiver.mjs"],
    },
    Example {
        name: "receiver.php",
        runtime: &["php", "-r", "exit(PHP_MAJOR_VERSION < 8 ? 1 : 0);"],
        build: &[],
        run: &["php", "-S", "127.0.0.1:{port}", "receiver.php"],
    },
    Example {
        name: "Receiver.java",
        // A source file needs the compiler, and there are runtimes without it.
        runtime: &["java", "--describe-module", "jdk.compiler"],
        build: &[],
        // Its compiler takes half the time without its last stage.
        run: &["java", "-XX:TieredStopAtLevel=1", "Receiver.java"],
    },
    Example {
        name: "receiver.go",
        runtime: &["go", "version"],
        // `go run` would leave its child behind.
        build: &["go", "build", "-o", "receiver", "receiver.go"],
        run: &["./receiver"],
    },
];

/// A folder with every example in it, those that can run here, and what asks them.
struct Stage {
    folder: tempfile::TempDir,
    ready: Vec<&'static Example>,
    client: reqwest::Client,
}

impl Stage {
    fn new() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(root.join("examples/receivers")).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
        }
        for readme in ["README.md", "README.zh-CN.md"] {
            let text = std::fs::read_to_string(root.join(readme)).unwrap();
            let (_, code) = text.split_once("```python\n").unwrap();
            let (code, _) = code.split_once("```\n").unwrap();
            std::fs::write(folder.path().join(format!("{readme}.py")), code).unwrap();
        }
        replyd::tls::install_provider();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut stage = Self { folder, ready: Vec::new(), client };
        stage.ready = EXAMPLES.iter().filter(|example| stage.prepare(example)).collect();
        stage
    }

    /// Makes an example ready; says whether its runtime is here.
    fn prepare(&self, example: &Example) -> bool {
        let found = self.command(example.runtime, 0).output();
        if !found.is_ok_and(|output| output.status.success()) {
            // Past the capture of the test's output: whoever reads the run is to see it.
            let skipped =
                format!("{} is skipped: {} is not here\n", example.name, example.runtime[0]);
            std::io::stderr().write_all(skipped.as_bytes()).unwrap();
            return false;
        }
        if !example.build.is_empty() {
            let built = self.command(example.build, 0).output().unwrap();
            assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        }
        true
    }

    /// Starts every example that is ready, all at once.
    fn start(&self, ports: &mut impl Iterator<Item = u16>, secret: &str) -> Vec<Running> {
        let examples = self.ready.iter().zip(ports);
        examples.map(|(example, port)| Running::start(self, example, port, secret)).collect()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, words: &[&str], port: u16) -> Command {
        let words: Vec<_> =
            words.iter().map(|word| word.replace("{port}", &port.to_string())).collect();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir(self.folder.path());
        command
    }
}

/// An example that runs. Dropped, it is killed.
struct Running {
    name: &'static str,
    url: String,
    out: PathBuf,
    log: PathBuf,
    process: Child,
    client: reqwest::Client,
}

impl Running {
    /// Starts an example that is ready.
    fn start(stage: &Stage, example: &Example, port: u16, secret: &str) -> Self {
        let [out, log] =
            ["out", "log"].map(|end| stage.path(&format!("{}.{port}.{end}", example.name)));
        let file = |path| std::fs::File::create(path).unwrap();
        let mut command = stage.command(example.run, port);
        command
            .env("REPLYD_CRM_SECRET", secret)
            .env("PORT", port.to_string())
            .env("SEEN_DIR", stage.path("seen"))
            .env("LC_ALL", "C");
        command.stdin(Stdio::null()).stdout(file(&out)).stderr(file(&log));
        let url = format!("http://127.0.0.1:{port}/hooks/sms");
        let client = stage.client.clone();
        Self { name: example.name, url, out, log, process: command.spawn().unwrap(), client }
    }

    /// Waits until it listens or has ended; how it ended.
    async fn settled(&mut self) -> Option<ExitStatus> {
        let address = self.url.replace("http://", "").replace("/hooks/sms", "");
        let mut ended = None;
        until(self.name, || {
            ended = self.process.try_wait().unwrap();
            ended.is_some() || std::net::TcpStream::connect(&address).is_ok()
        })
        .await;
        ended
    }

    /// The lines that it printed, as a set, and how many there are.
    fn printed(&self) -> (BTreeSet<String>, usize) {
        let text = read(&self.out);
        (text.lines().map(str::to_owned).collect(), text.lines().count())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// Ports that are free, below those that systems give to connections that go out.
fn free_ports() -> impl Iterator<Item = u16> {
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    (first..).filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
}

/// A webhook that a test sends by itself.
#[derive(Clone)]
struct Request {
    id: String,
    timestamp: i64,
    signature: String,
    body: Vec<u8>,
}

impl Request {
    fn new(id: &str, body: &str, age: i64) -> Self {
        let timestamp = Clock::system().unix().seconds() - age;
        let signed = Signed { id, timestamp, body: body.as_bytes() };
        let secret = WebhookSecret::parse(SECRET).unwrap();
        let signature = sign(&[secret], signed);
        Self { id: id.to_owned(), timestamp, signature, body: body.as_bytes().to_vec() }
    }

    fn signed_as(self, signature: &str) -> Self {
        Self { signature: signature.to_owned(), ..self }
    }

    async fn post(self, to: &Running) -> u16 {
        let mut request = to.client.post(&to.url).header("content-type", "application/json");
        for (name, value) in [
            ("webhook-id", self.id.clone()),
            ("webhook-timestamp", self.timestamp.to_string()),
            ("webhook-signature", self.signature.clone()),
        ] {
            if !value.is_empty() {
                request = request.header(name, value);
            }
        }
        request.body(self.body).send().await.unwrap().status().as_u16()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_takes_each_webhook_once_and_refuses_what_is_not_signed() {
    let stage = tokio::task::block_in_place(Stage::new);
    let mut ports = free_ports();
    takes_nothing_without_a_secret(stage.start(&mut ports, "whsec_")).await;
    let mut running = stage.start(&mut ports, SECRET);
    for running in &mut running {
        assert_eq!(running.settled().await, None, "{}: {}", running.name, read(&running.log));
    }
    let told = deliver_twice(&running).await;
    for running in &running {
        assert_eq!(running.printed(), (told.clone(), REPLIES.len()), "{}", running.name);
        refuses(running).await;
        assert_eq!(running.printed().1, REPLIES.len(), "{} took what is not ours", running.name);
        accepts_in_a_rotation(running).await;
    }
}

/// An empty key is a key, and everybody has it.
async fn takes_nothing_without_a_secret(running: Vec<Running>) {
    for mut running in running {
        match running.settled().await {
            Some(status) => assert!(!status.success(), "{}", running.name),
            None => {
                let status = Request::new("rpl_example", "{}", 0).post(&running).await;
                assert_eq!(status, 500, "{}", running.name);
            }
        }
        assert_eq!(running.printed().1, 0, "{}", running.name);
    }
}

/// The service sends the hour's replies, and again in a replay; the bodies that it sent.
async fn deliver_twice(running: &[Running]) -> BTreeSet<String> {
    let (gateway, reference) = (gateway(Habits::default()).await, Receiver::start().await);
    for (mobile, text) in REPLIES {
        let time = "2008-05-27 12:10:11".parse().unwrap();
        gateway.arrive(UID, NewReply::text(mobile, text, time, "1068112227282"));
    }
    let mut subscribers = vec![("reference", reference.url.as_str())];
    let names: Vec<_> = running.iter().map(|one| one.name.replace('.', "-")).collect();
    subscribers
        .extend(names.iter().zip(running).map(|(name, one)| (name.as_str(), one.url.as_str())));
    let home = Home::new(&Settings {
        base_url: &gateway.base_url(),
        subscribers: &subscribers,
        min_interval: "10m",
        ..Settings::default()
    });
    // Each ends well only if every receiver took everything.
    ends(&home, &["run", "--once"], 0);
    ends(&home, &["replay", HOUR], 0);
    ends(&home, &["run", "--once"], 0);
    let webhooks = reference.webhooks();
    assert_eq!(webhooks.len(), 2 * REPLIES.len());
    webhooks.iter().map(|webhook| String::from_utf8(webhook.body.to_vec()).unwrap()).collect()
}

async fn refuses(running: &Running) {
    let body = r#"{"data":{"content":"收到"}}"#;
    let signed = |age| Request::new("rpl_example", body, age);
    let other = {
        let secret = WebhookSecret::parse(OTHER_SECRET).unwrap();
        let Request { timestamp, .. } = signed(0);
        sign(&[secret], Signed { id: "rpl_example", timestamp, body: body.as_bytes() })
    };
    let bare = signed(0).signature.replace("v1,", "");
    for (what, request) in [
        ("by another secret", signed(0).signed_as(&other)),
        ("no signature", signed(0).signed_as("")),
        ("no entry", signed(0).signed_as("v1,")),
        ("no version", signed(0).signed_as(&bare)),
        ("another version", signed(0).signed_as(&format!("v2,{bare}"))),
        ("too old", signed(360)),
        ("too new", signed(-360)),
        ("another body", Request { body: body.replace("收到", "不行").into_bytes(), ..signed(0) }),
        ("another id", Request { id: "rpl_other".to_owned(), ..signed(0) }),
        ("no id", Request { id: String::new(), ..signed(0) }),
    ] {
        assert_eq!(request.post(running).await, 401, "{}: {what}", running.name);
    }
    let large = answer_to_large(&running.url);
    assert!(large.contains(" 413 "), "{}: {large}", running.name);
}

/// Either of two signatures may be the one, and none of them makes it another webhook.
async fn accepts_in_a_rotation(running: &Running) {
    let count = running.printed().1;
    let body = r#"{"data":{"content":"收到"}}"#;
    for form in ["v2,AAAA v1,AAAA {}", "{} v1,AAAA"] {
        let request = Request::new("rpl_rotated", body, 0);
        let signature = form.replace("{}", &request.signature);
        let status = request.signed_as(&signature).post(running).await;
        assert_eq!(status, 204, "{}: {form}", running.name);
        let (lines, printed) = running.printed();
        assert_eq!(printed, count + 1, "{}: {form}", running.name);
        assert!(lines.contains(body), "{}: {lines:?}", running.name);
    }
}
