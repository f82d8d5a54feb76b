//! `verify`: what the service sent holds, what was changed on its way does not, and it says why.

use std::io::Write;
use std::process::{Output, Stdio};

use replyd::gateway::simulator::Habits;
use serde_json::Value;

use crate::support::{
    Home, Receiver, SECRET, Settings, UID, Webhook, config, gateway, reply, stderr, stdout,
};

/// A secret that signed nothing here.
const OTHER_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A webhook that the service sent, and a home with its headers, its body and its secret in files.
async fn sent() -> (Home, Webhook) {
    let (gateway, receiver) = (gateway(Habits::default()).await, Receiver::start().await);
    gateway.arrive(UID, reply("13900000001", "收到 https://a/b \"x\" 😀"));
    let base_url = gateway.base_url();
    let subscribers = [("crm", receiver.url.as_str())];
    let home = Home::new(&Settings {
        base_url: &base_url,
        subscribers: &subscribers,
        min_interval: "10m",
        ..Settings::default()
    });
    let service = home.serve();
    let webhook = receiver.wait_for(1).await.remove(0);
    assert_eq!(service.stop(), Some(0));
    let lines = webhook.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
    home.write("headers", &format!("POST /hooks/sms HTTP/1.1\r\n{}", lines.collect::<String>()));
    home.write_bytes("body", &webhook.body);
    home.write("secret", &format!("{SECRET}\n"));
    home.write("other", OTHER_SECRET);
    (home, webhook)
}

/// Runs `verify` with something on its standard input.
fn verify(home: &Home, arguments: &[&str], input: &[u8]) -> Output {
    verify_in(home, arguments, input, &[])
}

fn verify_in(home: &Home, arguments: &[&str], input: &[u8], variables: &[(&str, &str)]) -> Output {
    let mut command = home.command(&["verify"]);
    command.args(arguments).envs(variables.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // One that refuses its arguments does not read it.
    drop(child.stdin.take().unwrap().write_all(input));
    child.wait_with_output().unwrap()
}

/// What it says as JSON.
#[track_caller]
fn judged(home: &Home, arguments: &[&str], input: &[u8], expected: &str) -> Value {
    let output = verify(home, &[arguments, &["--json"]].concat(), input);
    let said: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(said["reason"], expected, "{said}");
    assert_eq!(said["holds"], expected == "holds", "{said}");
    let code = i32::from(expected != "holds");
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_service_sent_holds_however_it_is_given() {
    let (home, webhook) = sent().await;
    let header = |name: &str| webhook.headers[name].as_str();
    let three = [
        ["--id", header("webhook-id")],
        ["--timestamp", header("webhook-timestamp")],
        ["--signature", header("webhook-signature")],
    ]
    .concat();
    let files = ["--headers", "headers", "--body", "body"];
    for (arguments, input) in [
        ([&files[..], &["--secret-file", "secret"]].concat(), &b""[..]),
        ([&files[..], &["--secret-env", "MINE"]].concat(), b""),
        ([&files[..], &["--secret", SECRET]].concat(), b""),
        ([&files[..], &["--subscriber", "crm"]].concat(), b""),
        (files.to_vec(), b""),
        ([&three[..], &["--body", "body"]].concat(), b""),
        ([&three[..], &["--body", "-"]].concat(), &webhook.body),
        (three.clone(), &webhook.body),
        (vec!["--headers", "headers"], &webhook.body),
    ] {
        let output =
            verify_in(&home, &arguments, input, &[("MINE", SECRET), ("REPLYD_SECRET", SECRET)]);
        let (out, talk) = (stdout(&output), stderr(&output));
        assert_eq!(output.status.code(), Some(0), "{arguments:?}\n{out}{talk}");
        assert!(out.starts_with("The signature holds, by "), "{arguments:?}\n{out}");
        assert!(!out.contains(SECRET) && !talk.contains(SECRET), "{arguments:?}\n{out}{talk}");
        let warns = talk.contains("can see --secret");
        assert_eq!(warns, arguments.contains(&"--secret"), "{arguments:?}\n{talk}");
    }
    // One file with all of it, on the standard input.
    let head = std::fs::read(home.path("headers")).unwrap();
    let dump = [&head[..], b"\r\n", &webhook.body].concat();
    judged(&home, &["--headers", "-", "--subscriber", "crm"], &dump, "holds");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_hold_says_why_and_exits_1() {
    let (home, webhook) = sent().await;
    let text = std::str::from_utf8(&webhook.body).unwrap();
    let ours = ["--headers", "headers", "--secret-file", "secret"];
    judged(&home, &ours, text.as_bytes(), "holds");
    let json: Value = serde_json::from_str(text).unwrap();
    let pretty = serde_json::to_string_pretty(&json).unwrap();
    let escaped = text.replace('收', "\\u6536").replace('/', "\\/");
    for (body, changes) in [
        (format!("{text}\n"), &["line_end_removed"][..]),
        (format!("\u{feff}{text}"), &["mark_removed"]),
        (escaped, &["unescaped"]),
        (text.replace("\":", "\": "), &["compact"]),
        (pretty, &["keys_ordered"]),
    ] {
        let said = judged(&home, &ours, body.as_bytes(), "body_changed");
        assert_eq!(said["body_changes"], serde_json::json!(changes), "{said}");
    }
    judged(&home, &ours, text.replace("收到", "不行").as_bytes(), "no_match");
    judged(&home, &ours, b"", "no_match");
    let with = |further: &[&'static str]| [&ours[..], further, &["--body", "body"]].concat();
    judged(&home, &with(&["--id", "rpl_other"]), b"", "id_changed");
    judged(&home, &with(&["--timestamp", "yesterday"]), b"", "no_match");
    judged(&home, &with(&["--signature", "v1,AAAA"]), b"", "signature_malformed");
    judged(&home, &with(&["--signature", ""]), b"", "header_missing");
    let seconds: i64 = webhook.headers["webhook-timestamp"].parse().unwrap();
    for (at, reason) in [
        (seconds + 300, "holds"),
        (seconds - 300, "holds"),
        (seconds + 301, "clock"),
        (-1, "clock"),
    ] {
        let at = at.to_string();
        let said = judged(&home, &[&with(&[])[..], &["--at", &at]].concat(), b"", reason);
        let ahead = at.parse::<i64>().unwrap() - seconds;
        assert_eq!(said["clock_ahead_seconds"], ahead);
    }
    let other = ["--headers", "headers", "--body", "body", "--secret-file", "other"];
    judged(&home, &other, b"", "no_match");
    let said = judged(&home, &[&other[..], &["--secret-file", "secret"]].concat(), b"", "holds");
    assert_eq!(said["secret"], 2, "{said}");
    home.write("bare", SECRET.strip_prefix("whsec_").unwrap());
    let said = judged(
        &home,
        &["--headers", "headers", "--body", "body", "--secret-file", "bare"],
        b"",
        "secret",
    );
    assert!(said["explanation"][1].as_str().unwrap().contains("whsec_"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_speaks_the_locales_language_or_the_one_asked_for() {
    let (home, _) = sent().await;
    let ours = ["--headers", "headers", "--body", "body", "--subscriber", "crm"];
    let (zh, en) = ("签名有效（crm 的密钥）。\n", "The signature holds, by the secret of crm.\n");
    for (variables, further, expected) in [
        (&[][..], &[][..], en),
        (&[("LC_ALL", ""), ("LANG", "zh_CN.UTF-8")], &[], zh),
        (&[("LC_ALL", "zh_CN.UTF-8")], &[], zh),
        (&[("LC_ALL", "zh_CN.UTF-8")], &["--lang", "en"], en),
        (&[], &["--lang", "zh"], zh),
    ] {
        let output = verify_in(&home, &[&ours[..], further].concat(), b"", variables);
        assert_eq!(stdout(&output), expected, "{variables:?} {further:?}");
    }
}

#[test]
fn a_rotations_secrets_come_from_the_configuration() {
    let text =
        config(&Settings { subscribers: &[("crm", "http://127.0.0.1:9/")], ..Settings::default() });
    let both = format!("secret = [\"{OTHER_SECRET}\", \"{SECRET}\"]");
    let home = Home::with(&text.replace(&format!("secret = \"{SECRET}\""), &both));
    let known = [
        ["--id", "msg_p5jXN8AQM9LWM0D4loKWxJek"],
        ["--timestamp", "1614265330"],
        ["--signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="],
        ["--at", "1614265330"],
        ["--subscriber", "crm"],
    ]
    .concat();
    let said = judged(&home, &known, br#"{"test": 2432232314}"#, "holds");
    assert_eq!(said["secret"], 2);
    assert_eq!(said["secrets"], serde_json::json!(["secret 1 of crm", "secret 2 of crm"]));
    let said = judged(&home, &known, br#"{"test":2432232314}"#, "body_changed");
    assert_eq!(said["body_changes"], serde_json::json!(["spaced"]));
}

#[test]
fn what_cannot_be_judged_is_refused() {
    let home = Home::new(&Settings::default());
    home.write("headers", "webhook-id: a\n");
    home.write("large", &"a".repeat(1024 * 1024 + 1));
    let secret = ["--secret", SECRET];
    let signed = ["--headers", "headers"];
    let check = |arguments: &[&[&str]], code: i32, expected: &str| {
        let arguments = arguments.concat();
        let output = verify(&home, &arguments, b"{}");
        let talk = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{talk}");
        assert!(talk.contains(expected), "{arguments:?}\n{talk}");
        assert!(stdout(&output).is_empty(), "{arguments:?}");
    };
    check(&[&signed], 2, "no secret: give --secret-file");
    check(&[&secret], 2, "no headers: give --headers");
    check(&[&secret, &["--headers", "-", "--body", "-"]], 2, "cannot both be the standard input");
    check(&[&secret, &signed, &["--body", "large"]], 2, "large is larger than 1 MiB");
    check(&[&secret, &signed, &["--body", "absent"]], 66, "absent cannot be read: No such file");
    check(&[&secret, &["--headers", "absent"]], 66, "absent cannot be read");
    check(&[&signed, &["--secret-file", "absent"]], 66, "absent cannot be used: No such file");
    check(&[&signed, &["--secret-file", "large"]], 2, "larger than 65536 bytes");
    check(&[&signed, &["--secret-env", "REPLYD_TEST_NEVER_SET"]], 2, "is not set");
    check(
        &[&signed, &["--subscriber", "crm"]],
        66,
        "no subscriber \"crm\" in config.toml; there is none",
    );
    check(&[&signed, &["--subscriber", "crm", "--config", "absent"]], 78, "absent: cannot be read");
    check(&[&signed, &secret.repeat(17)], 2, "more than 16 secrets");
    check(&[&secret, &signed, &["--lang", "fr"]], 2, "invalid value");
    check(&[&secret, &signed, &["--at", "noon"]], 2, "invalid value");
}
