//! `sim`: the simulated gateway as a command of its own.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::Value;

use crate::process::Process;
use crate::support::{Home, PATIENCE, ends, stderr, until};

const LOGIN: &str = "uid=9999&pwd=fa246d0262c3925617b0c72bb20eeb1d";

/// A gateway on a free port, and its URL.
async fn start(home: &Home, arguments: &[&str]) -> (Process, String) {
    let all = [&["sim", "--listen", "127.0.0.1:0"], arguments].concat();
    let sim = Process::start(home, "sim", &all);
    let url = sim.url().await;
    (sim, url)
}

/// The whole answer to a GET, as bytes that are read as Latin-1.
fn get(url: &str, target: &str) -> String {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer.into_iter().map(char::from).collect()
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

#[tokio::test]
async fn a_gateway_hands_out_what_it_was_told_and_shows_each_request() {
    let home = Home::with("");
    let (mut sim, url) =
        start(&home, &["--reply", "13900000001=TD", "--min-interval", "1ms"]).await;
    let plain = format!("/rx/?{LOGIN}");
    let first = get(&url, &plain);
    assert!(first.contains("{&}13900000001||TD||"), "{first}");
    sim.types("13900000002 see you\u{1b}[2J");
    sim.types("nobody");
    until("a complaint", || sim.talk().contains("no reply: ")).await;
    sim.printed("139****0002 writes").await;
    sim.types_no_more();
    let second = get(&url, &plain);
    assert!(second.contains("13900000002||see you") && !second.contains("TD"), "{second}");
    get(&url, &format!("/mm/?{LOGIN}"));
    get(&url, "/mm/?uid=9999&pwd=word");
    get(&url, &format!("/tx/?{LOGIN}&mobile=13900000003&content=secretly"));
    get(&url, "/other");
    sim.printed("/other").await;
    let (code, out, talk) = sim.ended_by("TERM").await;
    assert_eq!(code, Some(0), "{talk}");
    for line in [
        "reply   139****0001 writes \"TD\"",
        "/rx     9999: the box, 1 reply",
        r#"reply   139****0002 writes "see you\u{1b}[2J""#,
        "/mm     9999: 100 (success)",
        "/mm     9999: 101 (login failed)",
        "/tx     9999: accepted, to 1 number, 8 characters",
        "/other  HTTP 404: no call of this protocol",
    ] {
        assert!(out.lines().any(|shown| shown.ends_with(line)), "{line:?} is not in\n{out}");
    }
    for hidden in ["fa246d02", "word", "secretly", "13900000003", "\u{1b}"] {
        assert!(!out.contains(hidden) && !talk.contains(hidden), "{hidden:?}: {out}{talk}");
    }
    assert!(talk.contains(&format!("replyd init --sim --base-url {url}\n")), "{talk}");
    assert!(
        talk.contains(
            "2 replies, of which 2 were handed out; 2 reads, 0 of them too early; 1 message sent"
        ),
        "{talk}"
    );
}

#[tokio::test]
async fn json_is_a_line_for_each_thing_that_happens() {
    let home = Home::with("");
    let arguments = [
        "--json",
        "--replies-per-minute",
        "6000",
        "--seed",
        "7",
        "--uid",
        "test",
        "--password",
        "word",
    ];
    let (sim, url) = start(&home, &arguments).await;
    sim.printed("\"what\":\"reply\"").await;
    // md5("word")
    let answer = get(&url, "/rx/?uid=test&pwd=c47d187067c6cf953245f128b5fde62a");
    assert!(body(&answer).starts_with("100{&}139"), "{answer}");
    sim.printed("\"what\":\"rx\"").await;
    let (code, out, talk) = sim.ended_by("INT").await;
    assert_eq!(code, Some(0), "{talk}");
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let read = lines.iter().find(|line| line["what"] == "rx").unwrap();
    assert_eq!(
        (&read["asked"], &read["ending"], &read["early"]),
        (&"plain".into(), &"whole".into(), &false.into())
    );
    assert!(lines[0]["from"].as_str().unwrap().contains("****"), "{}", lines[0]);
    assert!(lines[0]["at"].as_str().unwrap().ends_with("+08:00"));
    let snippet =
        format!("replyd init --sim --base-url {url} --uid test --password-env REPLYD_PASSWORD");
    assert!(talk.contains(&snippet) && !talk.contains("word "), "{talk}");
}

#[tokio::test]
async fn it_behaves_as_it_is_told() {
    let check = async |arguments: &[&str], target: &str, expected: &str| {
        let home = Home::with("");
        let (_sim, url) = start(&home, arguments).await;
        get(&url, &format!("/rx/?{LOGIN}"));
        let answer = get(&url, &format!("/rx/?{LOGIN}{target}"));
        assert_eq!(
            body(&answer).split("||").nth(1).unwrap_or(body(&answer)),
            expected,
            "{arguments:?}"
        );
    };
    check(&[], "", "107").await;
    check(&["--too-early", "103"], "", "103").await;
    check(&["--too-early", "empty"], "", "").await;
    check(&["--status", "109"], "", "109").await;
    let ten = ["--min-interval", "0ms", "--reply", "13900000001=\u{597d}"];
    check(&ten, "", "").await;
    check(&[&ten[..], &["--consume", "at-next-read"]].concat(), "", "").await;
    let home = Home::with("");
    let (sim, url) = start(&home, &[&ten[..], &["--faults", "100", "--seed", "7"]].concat()).await;
    get(&url, &format!("/rx/?{LOGIN}"));
    sim.printed("the box, 1 reply; the answer BROKE on the way").await;
    assert!(sim.talk().contains("by chance, with --seed 7"), "{}", sim.talk());
    let home = Home::with("");
    let (_sim, url) = start(&home, &[&ten[..], &["--charset", "utf-8"]].concat()).await;
    let answer = get(&url, &format!("/rx/?{LOGIN}&encode=utf8"));
    assert!(answer.contains("||\u{e5}\u{a5}\u{bd}||"), "{answer}");
}

#[test]
fn what_cannot_be_is_refused() {
    let home = Home::with("");
    for arguments in [
        &["--reply", "13900000001"][..],
        &["--reply", "TD=13900000001"],
        &["--replies-per-minute", "0"],
        &["--faults", "101"],
        &["--status", "99"],
        &["--number", "a"],
        &["--min-interval", "5"],
        &["--listen", "8481"],
    ] {
        let all = [&["sim"], arguments].concat();
        assert_eq!(ends(&home, &all, 2), "", "{arguments:?}");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = home.run(&["sim", "--listen", &address]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains(&format!("cannot listen on {address}")),
        "{}",
        stderr(&output)
    );
}
