//! `send` and `balance` on the real binary: what the gateway gets, what is told, and how they end.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use replyd::gateway::charset::Charset;
use replyd::gateway::simulator::{Habits, Simulator};
use replyd::gateway::status::Status;
use serde_json::{Value, json};

use crate::intake::count;
use crate::support::{
    Home, Receiver, Settings, UID, config, ends, execute, gateway, query, reply, stderr, stdout,
    until,
};

const TO: &str = "13900000001";

async fn a_gateway() -> Simulator {
    gateway(Habits { min_interval: Duration::ZERO, ..Habits::default() }).await
}

fn home(gateway: &Simulator) -> Home {
    at(&gateway.base_url(), "")
}

fn at(base_url: &str, account: &str) -> Home {
    Home::with(&config(&Settings { base_url, account, ..Settings::default() }))
}

/// A gateway that answers every request with these bytes, or closes where there are none; it says
/// how many came.
pub(crate) fn answering(answer: &'static [u8]) -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (came, requests) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(100) {
            let mut stream = stream.unwrap();
            let mut head = vec![0; 65_536];
            let read = stream.read(&mut head).unwrap();
            drop(came.send(String::from_utf8_lossy(&head[..read]).into_owned()));
            drop(stream.write_all(answer));
        }
    });
    (url, requests)
}

fn sent_as_json(home: &Home, arguments: &[&str], exit: i32) -> Value {
    let arguments: Vec<&str> = ["send", "--json"].iter().chain(arguments).copied().collect();
    serde_json::from_str(&ends(home, &arguments, exit)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_goes_out_once_to_each_number_in_the_charset_that_can_say_it() {
    let gateway = a_gateway().await;
    let home = home(&gateway);
    let out = ends(
        &home,
        &["send", "--lang", "en", "--to", "13900000001,+8613900000002,13900000001", "您好 a&b"],
        0,
    );
    assert!(
        out.contains("accepted for 2 of 2 numbers by main, in 1 call, 6 characters as GBK: msg_"),
        "{out}"
    );
    let told =
        sent_as_json(&home, &["--to", TO, "--mid", "00", "--at", "2099-12-01 09:30", "好😀"], 0);
    assert_eq!(
        (&told["charset"], &told["accepted"], &told["at"], &told["calls"]),
        (
            &json!("utf-8"),
            &json!(1),
            &json!("2099-12-01T09:30:00+08:00"),
            &json!([{ "numbers": 1, "state": "accepted", "status": 100, "error": null, "to": null }])
        )
    );
    let sent = gateway.sent();
    let mobiles: Vec<&str> = sent[0].message.mobiles.iter().map(|mobile| mobile.as_str()).collect();
    assert_eq!(
        (mobiles, sent[0].message.content.as_str()),
        (vec!["13900000001", "13900000002"], "您好 a&b")
    );
    assert_eq!(
        (sent[1].message.content.as_str(), sent[1].message.mid.as_deref()),
        ("好😀", Some("00"))
    );
    assert_eq!(
        (count(&home, "message"), count(&home, "message_call WHERE state = 'accepted'")),
        (2, 2)
    );
    assert_eq!(
        query::<String>(&home, "SELECT charset FROM message WHERE seq = 1"),
        Charset::Gbk.as_str()
    );
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_go_out_in_calls_and_a_wrong_number_stops_all_of_it_before() {
    let gateway = a_gateway().await;
    let home = home(&gateway);
    let numbers: Vec<String> = (0..4_500).map(|number| format!("139{number:08}")).collect();
    home.write("numbers.txt", &numbers.join("\r\n"));
    let file = home.path("numbers.txt").display().to_string();
    let told = sent_as_json(&home, &["--dry-run", "--to-file", &file, "好"], 0);
    assert_eq!(
        (&told["id"], &told["numbers"], &told["calls"][2]["numbers"]),
        (&Value::Null, &json!(4500), &json!(500))
    );
    assert_eq!(gateway.sent().len(), 0);
    ends(&home, &["send", "--to-file", &file, "--to", "123", "好"], 2);
    ends(&home, &["send", "好"], 2);
    ends(&home, &["send", "--to", TO, ""], 2);
    ends(&home, &["send", "--to", TO, "--at", "2020-01-01 00:00", "好"], 2);
    ends(&home, &["send", "--to-file", "/nonexistent", "好"], 66);
    ends(&home, &["send", "--to", TO, "--account", "other", "好"], 66);
    assert_eq!(gateway.sent().len(), 0);
    assert_eq!(sent_as_json(&home, &["--to-file", &file, "好"], 0)["accepted"], 4500);
    let sizes: Vec<usize> = gateway.sent().iter().map(|sent| sent.message.mobiles.len()).collect();
    assert_eq!(sizes, [2_000, 2_000, 500]);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_gateway_refuses_is_said_with_its_number_and_what_to_do() {
    let gateway = a_gateway().await;
    let home = home(&gateway);
    for (status, exit, words) in [
        (101, 77, "101 验证失败"),
        (109, 77, "109 账号冻结"),
        (102, 1, "102 短信不足"),
        (107, 75, "107 频率过快"),
        (104, 1, "104 非法字符"),
    ] {
        gateway.set_status(UID, Some(Status(status)));
        let output = home.run(&["send", "--lang", "zh", "--to", TO, "好"]);
        forget_refusal(&home);
        assert_eq!(output.status.code(), Some(exit), "{status}: {}", stderr(&output));
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
        let told = sent_as_json(&home, &["--to", TO, "好"], exit);
        assert_eq!(
            (&told["calls"][0]["status"], &told["calls"][0]["to"]),
            (&json!(status), &json!([TO]))
        );
        forget_refusal(&home);
    }
    assert_eq!(count(&home, "message_call WHERE state = 'refused'"), 10);
    gateway.stop().await;
}

/// Lets the account be called again.
pub(crate) fn forget_refusal(home: &Home) {
    execute(
        home,
        "UPDATE account SET refused_status = NULL, refused_until_ms = NULL, refusals = 0",
    );
}

#[test]
fn a_refused_account_is_left_alone_by_every_command_until_its_login_changes() {
    for (answer, code, first, later) in [
        (&b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n101"[..], 101, 77, 77),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n114", 114, 77, 75),
    ] {
        let (url, requests) = answering(answer);
        let home = at(&url, "");
        let send = ["send", "--lang", "en", "--to", TO, "好"];
        ends(&home, &send, first);
        assert_eq!(requests.try_iter().count(), 1);
        let balance = ["balance", "--lang", "en"];
        for command in [&send[..], &balance] {
            let output = home.run(command);
            assert_eq!(output.status.code(), Some(later), "{}", stderr(&output));
            let said = format!("refused the account with {code}");
            let told = stderr(&output);
            assert!(told.contains(&said) && told.contains("left alone until 20"), "{told}");
        }
        home.run(&["doctor"]);
        home.run(&["run", "--once"]);
        assert_eq!(requests.try_iter().count(), 0, "it was called all the same");
        assert_eq!(count(&home, "message_call"), 1);
        // When it is time to, one call of /mm asks in place of what is wanted.
        if code == 101 {
            execute(&home, "UPDATE account SET refused_until_ms = 1");
            ends(&home, &send, later);
            let asked: Vec<String> = requests.try_iter().collect();
            assert!(asked.len() == 1 && asked[0].starts_with("GET /mm/"), "{asked:?}");
        }
        let text = std::fs::read_to_string(home.path("config.toml")).unwrap();
        home.write("config.toml", &text.replace("uid = \"9999\"", "uid = \"9998\""));
        ends(&home, &send, first);
        assert_eq!(requests.try_iter().count(), 1);
    }
}

#[test]
fn a_balance_that_is_refused_counts_as_a_refusal() {
    let (url, requests) = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n109");
    let home = at(&url, "balance_low = 10");
    // The read is refused, and nobody looks what is left.
    home.run(&["run", "--once"]);
    assert_eq!(requests.try_iter().count(), 1);
    forget_refusal(&home);
    ends(&home, &["balance"], 77);
    assert_eq!(requests.try_iter().count(), 1);
    assert_eq!(query::<i64>(&home, "SELECT refused_status FROM account"), 109);
    ends(&home, &["balance"], 77);
    // A lock is one too.
    execute(&home, "UPDATE account SET refused_status = NULL");
    ends(&home, &["balance"], 75);
    execute(&home, "UPDATE account SET balance_looked_ms = NULL");
    home.run(&["run", "--once"]);
    assert_eq!(requests.try_iter().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_been_sent_is_not_sent_again() {
    for (answer, state, exit) in [
        (&b""[..], "unclear", 1),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n10", "unclear", 1),
        (b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 5\r\n\r\noops!", "unclear", 1),
        (b"HTTP/1.1 302 Found\r\nlocation: /tx/\r\ncontent-length: 0\r\n\r\n", "unclear", 1),
    ] {
        let (url, requests) = answering(answer);
        let home = at(&url, "");
        let told = sent_as_json(&home, &["--to", TO, "好"], exit);
        assert_eq!(told["calls"][0]["state"], state, "{told}");
        let request = requests.try_iter().collect::<Vec<_>>();
        assert_eq!(request.len(), 1, "asked again");
        assert!(request[0].starts_with("POST /tx/ HTTP/1.1"), "{request:?}");
        assert_eq!(count(&home, &format!("message_call WHERE state = '{state}'")), 1);
    }
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let home = at(&format!("http://{gone}"), "");
    assert_eq!(sent_as_json(&home, &["--to", TO, "好"], 69)["calls"][0]["state"], "unsent");
    assert_eq!(count(&home, "message_call WHERE state = 'unsent'"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_names_the_message_that_it_answers_and_nothing_personal_is_logged() {
    let (gateway, crm) = (a_gateway().await, Receiver::start().await);
    let base_url = gateway.base_url();
    let home = Home::new(&Settings {
        base_url: &base_url,
        subscribers: &[("crm", &crm.url)],
        ..Settings::default()
    });
    let told = sent_as_json(&home, &["--to", TO, "回复1确认"], 0);
    let service = home.serve();
    gateway.arrive(UID, reply(TO, "1"));
    gateway.arrive(UID, reply("13900000002", "1"));
    let webhooks = crm.wait_for(2).await;
    let answered: Vec<&Value> = webhooks.iter().map(|_| &told["id"]).collect();
    let of = |from: &str| {
        let webhook = webhooks.iter().find(|webhook| webhook.field("from") == from).unwrap();
        webhook.json()["data"]["in_reply_to"].clone()
    };
    assert_eq!((&of(TO), of("13900000002")), (answered[0], Value::Null));
    assert_eq!(service.stop(), Some(0));
    let output = home.run(&["send", "--to", TO, "回复1确认"]);
    assert!(!stderr(&output).contains(TO) && !stdout(&output).contains(TO));
    assert!(
        stderr(&output).contains("INFO sent account=\"main\" message_seq=2"),
        "{}",
        stderr(&output)
    );
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balance_is_told_and_why_it_cannot_be() {
    let gateway = a_gateway().await;
    let home = home(&gateway);
    assert_eq!(ends(&home, &["balance", "--lang", "en"], 0), "main: 22348 messages left\n");
    ends(&home, &["send", "--to", TO, "好"], 0);
    let told: Value =
        serde_json::from_str(&ends(&home, &["balance", "--sent", "--json"], 0)).unwrap();
    assert_eq!(told, json!({ "account": "main", "sent": 1, "status": 100, "error": null }));
    ends(&home, &["balance", "--account", "other"], 66);
    gateway.set_status(UID, Some(Status(101)));
    let output = home.run(&["balance", "--lang", "en"]);
    assert_eq!(output.status.code(), Some(77));
    assert!(
        stderr(&output).contains("main: 101 login failed. check uid, password"),
        "{}",
        stderr(&output)
    );
    let (url, _requests) = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>");
    ends(&at(&url, ""), &["balance"], 1);
    let (url, _requests) = answering(b"");
    ends(&at(&url, ""), &["balance"], 69);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn few_messages_left_are_told_once_until_there_were_enough_again() {
    let (gateway, crm) = (a_gateway().await, Receiver::start().await);
    let text = |threshold: u32| {
        let account = format!("balance_low = {threshold}");
        let base_url = gateway.base_url();
        let text =
            config(&Settings { base_url: &base_url, account: &account, ..Settings::default() });
        text + &crate::support::subscriber(
            "crm",
            &crm.url,
            "allow_private = true\nevents = [\"balance.low\"]",
        )
    };
    let home = Home::with(&text(30_000));
    let again = || {
        execute(&home, "UPDATE account SET balance_looked_ms = NULL");
        ends(&home, &["run", "--once"], 0);
    };
    ends(&home, &["run", "--once"], 0);
    // A look is an hour's at most, and what was told is not told again.
    ends(&home, &["run", "--once"], 0);
    again();
    let told = crm.wait_for(1).await;
    assert_eq!(
        (told.len(), &told[0].json()["data"]["balance"], &told[0].json()["data"]["threshold"]),
        (1, &json!(22_348), &json!(30_000))
    );
    home.write("config.toml", &text(20_000));
    again();
    home.write("config.toml", &text(30_000));
    again();
    until("another", || crm.webhooks().len() == 2).await;
    assert_eq!(query::<i64>(&home, "SELECT balance FROM account"), 22_348);
    gateway.stop().await;
}
