//! From nothing to a first delivered reply in five commands, those of the README.

use crate::process::Process;
use crate::support::{Home, ends, until};

/// The README's five commands: nothing but `--help` and this section is known to a newcomer.
const COMMANDS: [&str; 5] = [
    "replyd sim --replies-per-minute 12",
    "replyd init --sim",
    "replyd check",
    "replyd listen --subscriber crm",
    "replyd run",
];

/// Addresses of this machine that no other process has: those of this process's own number. So
/// the test needs no ports of everybody's.
fn own(port: u16) -> String {
    let [_, a, b, c] = std::process::id().to_be_bytes();
    format!("127.{}.{b}.{c}:{port}", a.wrapping_add(7))
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn five_commands_bring_a_first_reply_to_a_receiver_that_verifies() {
    let home = Home::with("");
    std::fs::remove_file(home.path("config.toml")).unwrap();
    let words = |number: usize| COMMANDS[number].split(' ').skip(1).collect::<Vec<_>>();
    let (gateway, receiver, health) = (own(8481), own(8000), own(8480));
    let (base_url, url) = (format!("http://{gateway}"), format!("http://{receiver}/"));

    let sim = Process::start(&home, "sim", &[&words(0)[..], &["--listen", &gateway]].concat());
    sim.url().await;
    let elsewhere = ["--base-url", &base_url, "--url", &url, "--listen", &health];
    ends(&home, &[&words(1)[..], &elsewhere].concat(), 0);
    ends(&home, &words(2), 0);
    let listen = [&words(3)[..], &["--listen", &receiver, "--content"]].concat();
    let listen = Process::start(&home, "listen", &listen);
    listen.url().await;
    let run = Process::start(&home, "run", &words(4));
    until("a webhook that is verified", || listen.out().contains("verified, new")).await;

    assert!(listen.out().contains("reply.received"), "{}", listen.out());
    assert!(!listen.out().contains("NOT VERIFIED"), "{}", listen.out());
    let (code, _, talk) = run.ended_by("TERM").await;
    assert_eq!(code, Some(0), "{talk}");
    let (code, _, talk) = listen.ended_by("INT").await;
    assert_eq!(code, Some(0), "{talk}");
    let (code, _, talk) = sim.ended_by("INT").await;
    assert_eq!(code, Some(0), "{talk}");
    assert!(talk.contains(" 0 of them too early"), "{talk}");
}

#[test]
fn the_five_commands_are_those_of_help_and_readme() {
    let help = ends(&Home::with(""), &["--help"], 0);
    let readmes = [include_str!("../../README.md"), include_str!("../../README.zh-CN.md")];
    for text in [readmes[0], readmes[1], &help] {
        let mut lines = text.lines().map(str::trim_start);
        // In this order.
        for command in COMMANDS {
            assert!(lines.any(|line| line.starts_with(command)), "{command:?} is not in\n{text}");
        }
    }
}
