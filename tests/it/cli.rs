//! The command line as a whole, `run --once` and `demo`.

use std::time::Instant;

use replyd::gateway::simulator::Habits;

use crate::support::{
    Home, PATIENCE, Receiver, Settings, UID, ends, gateway, reply, stderr, stdout,
};

#[test]
fn help_lists_the_commands_and_what_is_no_command_is_refused() {
    let home = Home::with("");
    let help = ends(&home, &["--help"], 0);
    for command in [
        "demo",
        "run",
        "check",
        "poll",
        "replay",
        "replies",
        "backup",
        "deliveries",
        "subscribers",
        "coverage",
        "reads",
        "sim",
        "init",
        "listen",
        "verify",
    ] {
        let is_listed = |line: &str| line.split_whitespace().next() == Some(command);
        assert!(help.lines().any(is_listed), "{command} is not in {help}");
        assert!(ends(&home, &[command, "--help"], 0).contains("Usage: replyd"), "{command}");
    }
    for exit in ["66", "69", "75", "77", "78"] {
        assert!(help.contains(exit), "the exit code {exit} is not explained");
    }
    for arguments in [&["poolll"][..], &[], &["check", "--colour"], &["replay"]] {
        let output = home.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stdout(&output).is_empty() && stderr(&output).contains("Usage"), "{arguments:?}");
    }
}

#[test]
fn the_configuration_is_named_by_option_or_environment() {
    let home = Home::new(&Settings::default());
    std::fs::rename(home.path("config.toml"), home.path("other.toml")).unwrap();
    let output = home.run(&["check"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(stderr(&output).contains("config.toml: cannot be read"), "{}", stderr(&output));
    ends(&home, &["--config", "other.toml", "check"], 0);
    ends(&home, &["check", "--config", "other.toml"], 0);
    let output = home.command(&["check"]).env("REPLYD_CONFIG", "other.toml").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_once_reads_delivers_and_ends() {
    let (gateway, receiver) = (gateway(Habits::default()).await, Receiver::start().await);
    gateway.arrive(UID, reply("13900000001", "收到"));
    let home = Home::new(&Settings {
        base_url: &gateway.base_url(),
        subscribers: &[("crm", &receiver.url)],
        min_interval: "10m",
        ..Settings::default()
    });
    ends(&home, &["run", "--once"], 0);
    assert_eq!(receiver.webhooks().len(), 1);
    // A second at once finds the slot taken: no read, and that is no failure.
    gateway.arrive(UID, reply("13900000002", "later"));
    let output = home.run(&["run", "--once"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("too early"), "{}", stderr(&output));
    assert_eq!(gateway.requests().len(), 1);
    assert_eq!(receiver.webhooks().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_once_that_could_not_do_all_says_so_and_goes_on_the_next_time() {
    let (gateway, receiver) = (gateway(Habits::default()).await, Receiver::start().await);
    gateway.arrive(UID, reply("13900000001", "收到"));
    receiver.answer_next(&[500]);
    let home = Home::new(&Settings {
        base_url: &gateway.base_url(),
        subscribers: &[("crm", &receiver.url)],
        min_interval: "10m",
        ..Settings::default()
    });
    ends(&home, &["run", "--once"], 1);
    assert_eq!(receiver.webhooks().len(), 1);
    // The delivery is due again after its wait; until then a run has nothing to send.
    let started = Instant::now();
    while receiver.webhooks().len() < 2 {
        assert!(started.elapsed() < PATIENCE, "never tried again");
        ends(&home, &["run", "--once"], 0);
    }
    let webhooks = receiver.webhooks();
    assert_eq!(webhooks[0].body, webhooks[1].body);
    assert_eq!(webhooks[1].headers["replyd-attempt"], "2");
    assert_eq!(gateway.requests().len(), 1);
}

#[test]
fn the_demo_ends_well_with_its_five_figures() {
    let home = Home::with("not even a configuration");
    let out = ends(&home, &["demo"], 0);
    let (_, summary) = out.split_once("Summary\n").unwrap();
    for figure in ["read", "kept", "delivered", "retried", "verified"] {
        let line = summary.lines().find(|line| line.trim_start().starts_with(figure));
        let mut words = line.unwrap_or_default().split_whitespace().skip(1);
        let number: Option<u64> = words.next().and_then(|word| word.parse().ok());
        assert!(number.is_some_and(|number| number > 0), "{figure}: {summary}");
    }
    assert!(summary.contains("0 of them too early") && summary.contains("0 wrong"), "{summary}");
    assert!(summary.contains("Every reply was kept once, delivered and verified."), "{summary}");
    let left: Vec<_> = std::fs::read_dir(home.path(".")).unwrap().collect();
    assert_eq!(left.len(), 1, "the demo left something behind: {left:?}");
}
