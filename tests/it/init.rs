//! `init`: a commented configuration, asked for on a terminal or written from arguments.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use crate::support::{Home, SECRET, ends, stderr, stdout};
use crate::terminal::Terminal;

/// A folder with nothing in it.
fn nothing() -> Home {
    let home = Home::with("");
    std::fs::remove_file(home.path("config.toml")).unwrap();
    home
}

fn read(home: &Home, name: &str) -> String {
    std::fs::read_to_string(home.path(name)).unwrap()
}

fn files(home: &Home) -> Vec<String> {
    let names = std::fs::read_dir(home.path(".")).unwrap();
    let mut names: Vec<_> =
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// What is set in a configuration.
fn set(home: &Home, name: &str) -> Vec<String> {
    let is_set = |line: &&str| line.contains(" = ") && !line.starts_with('#');
    read(home, name).lines().filter(is_set).map(str::to_owned).collect()
}

#[track_caller]
fn init(home: &Home, arguments: &[&str], expected: i32) -> Output {
    let output = home.run(&[&["init"], arguments].concat());
    assert_eq!(output.status.code(), Some(expected), "{arguments:?}: {}", stderr(&output));
    assert_eq!(stdout(&output), "");
    output
}

#[test]
fn without_a_terminal_it_writes_what_is_usual_and_check_finds_it_right() {
    let home = nothing();
    let talk = stderr(&init(&home, &[], 0));
    assert_eq!(files(&home), ["config.toml", "crm.secret"]);
    for name in files(&home) {
        assert_eq!(home.path(&name).metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    let secret = read(&home, "crm.secret");
    assert!(secret.starts_with("whsec_") && !talk.contains(secret.trim()), "{talk}");
    for words in ["export REPLYD_PASSWORD=", "replyd check", "replyd run", "a placeholder"] {
        assert!(talk.contains(words), "{words:?} is not in {talk}");
    }
    ends(&home, &["check", "--offline"], 0);
    // The password is where the configuration says, and only there.
    ends(&home, &["check"], 78);
    let output = home.command(&["check"]).env("REPLYD_PASSWORD", "word").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = read(&home, "config.toml");
    assert!(text.lines().filter(|line| line.starts_with("# ")).count() > 80, "few comments");
}

#[test]
fn arguments_say_what_is_set() {
    let check = |arguments: &[&str], expected: &[&str]| {
        let home = nothing();
        home.write("word", "word\n");
        init(&home, arguments, 0);
        ends(&home, &["check", "--offline"], 0);
        let set = set(&home, "config.toml");
        for line in expected {
            assert!(set.iter().any(|set| set == line), "{line:?} is not in {set:#?}");
        }
    };
    check(
        &["--uid", "a\"b", "--base-url", "https://sms.example.com/api", "--number", "1068"],
        &[r#"uid = "a\"b""#, r#"base_url = "https://sms.example.com/api""#, r#"number = "1068""#],
    );
    check(&["--password", "word\\"], &[r#"password = "word\\""#]);
    check(&["--password-file", "word"], &[r#"password = { file = "word" }"#]);
    check(&["--password-env", "WORD"], &[r#"password = { env = "WORD" }"#]);
    check(
        &["--url", "https://crm.example.com/hooks/sms"],
        &[r#"url = "https://crm.example.com/hooks/sms""#, "allow_private = false"],
    );
    check(&["--url", "http://localhost:8000/a"], &["allow_private = true"]);
    check(&["--listen", "127.0.0.1:0"], &[r#"listen = "127.0.0.1:0""#]);
    check(
        &["--store", "/var/lib/replyd/replyd.db"],
        &[r#"url = "sqlite:/var/lib/replyd/replyd.db""#],
    );
    check(
        &["--sim"],
        &[
            r#"base_url = "http://127.0.0.1:8481""#,
            r#"password = "9999""#,
            r#"min_interval = "5s""#,
            r#"schedule = "*/5 * * * * *""#,
            r#"secret = { file = "crm.secret" }"#,
        ],
    );
}

#[test]
fn the_configuration_may_stand_elsewhere() {
    let home = nothing();
    std::fs::create_dir(home.path("etc")).unwrap();
    home.write("word", "word\n");
    let arguments = ["--config", "etc/other.toml", "init", "--password-file", "word", "--uid", "1"];
    let output = home.run(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("replyd --config etc/other.toml run"), "{}", stderr(&output));
    assert!(!stderr(&output).contains("placeholder"), "{}", stderr(&output));
    assert!(home.path("etc/crm.secret").exists());
    ends(&home, &["--config", "etc/other.toml", "check"], 0);
    ends(&home, &["--config", "nowhere/other.toml", "init"], 66);
}

#[test]
fn nothing_is_written_over() {
    let home = Home::with("mine");
    let talk = stderr(&init(&home, &["--sim"], 78));
    assert!(talk.contains("config.toml is there already"), "{talk}");
    assert_eq!((read(&home, "config.toml").as_str(), files(&home).len()), ("mine", 1));
    // A secret that is there is the one that the receiver has.
    let home = nothing();
    home.write("crm.secret", SECRET);
    let talk = stderr(&init(&home, &["--sim"], 0));
    assert!(talk.contains("kept crm.secret") && !talk.contains(SECRET), "{talk}");
    assert_eq!(read(&home, "crm.secret"), SECRET);
    ends(&home, &["check"], 0);
    let home = nothing();
    home.write("crm.secret", "whsec_short");
    let talk = stderr(&init(&home, &["--sim"], 78));
    assert!(talk.contains("must hold 24 to 64 bytes") || talk.contains("not base64"), "{talk}");
    assert_eq!(files(&home), ["crm.secret"]);
}

#[test]
fn what_check_would_refuse_is_not_written() {
    for (arguments, words) in [
        (&["--base-url", "http.c123.com"][..], "base_url: not a URL"),
        (&["--base-url", "http://http.c123.com/rx"], "must end before"),
        (&["--uid", ""], "uid: is empty"),
        (&["--number", "a"], "number"),
        (&["--url", "ftp://crm.example.com/"], "url"),
        (&["--url", "http://crm.example.com/"], "url: is plain http"),
        (&["--password", "a", "--password-env", "B"], "cannot be used with"),
    ] {
        let home = nothing();
        let talk = stderr(&init(&home, arguments, 2));
        assert!(talk.contains(words), "{arguments:?}: {talk}");
        assert_eq!(files(&home), Vec::<String>::new(), "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_terminal_it_asks_and_shows_no_password() {
    let home = nothing();
    let mut terminal = Terminal::start(&home, &["init", "--number", "1068"]);
    terminal.answers("address [http://http.c123.com]:", "nonsense").await;
    terminal.answers("base_url: not a URL", "http://sms.example.com").await;
    terminal.answers("(uid):", "").await;
    terminal.answers("uid: is empty", "1234").await;
    terminal.answers("1, 2, 3 [1]:", "").await;
    terminal.answers("(not shown):", "word-of-account").await;
    terminal.answers("URL [http://127.0.0.1:8000/]:", "https://crm.example.com/sms").await;
    assert_eq!(terminal.ended().await, Some(0), "{}", terminal.shown());
    assert!(!terminal.shown().contains("word-of-account"), "{}", terminal.shown());
    assert!(terminal.echoes());
    assert_eq!(read(&home, "main.password"), "word-of-account\n");
    assert_eq!(files(&home), ["config.toml", "crm.secret", "main.password"]);
    let set = set(&home, "config.toml");
    for line in [
        r#"base_url = "http://sms.example.com""#,
        r#"uid = "1234""#,
        r#"password = { file = "main.password" }"#,
        r#"number = "1068""#,
        r#"url = "https://crm.example.com/sms""#,
    ] {
        assert!(set.iter().any(|set| set == line), "{line:?} is not in {set:#?}");
    }
    ends(&home, &["check"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_leaves_the_terminal_as_it_was_and_writes_nothing() {
    let home = nothing();
    let arguments = ["init", "--base-url", "http://a.example", "--uid", "1", "--lang", "zh"];
    let mut terminal = Terminal::start(&home, &arguments);
    terminal.answers("1, 2, 3 [1]:", "3").await;
    crate::support::until("the question", || terminal.shown().contains("密码")).await;
    crate::support::until("nothing to be shown", || !terminal.echoes()).await;
    terminal.interrupt();
    assert_eq!(terminal.ended().await, Some(1), "{}", terminal.shown());
    assert!(terminal.echoes(), "what is typed stays hidden");
    assert_eq!(files(&home), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn with_yes_a_terminal_is_asked_nothing() {
    let home = nothing();
    let mut terminal = Terminal::start(&home, &["init", "--yes"]);
    assert_eq!(terminal.ended().await, Some(0), "{}", terminal.shown());
    assert!(!terminal.shown().contains(':') || !terminal.shown().contains("[1]"));
    ends(&home, &["check", "--offline"], 0);
}
