use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::clock::Clock;
use crate::gateway::simulator::{Fault, Habits, NewAccount, NewReply, Options, Simulator};

const WITHIN: Duration = Duration::from_secs(20);

fn client(base_url: &str, charset: Charset) -> Client {
    let login = NewAccount::example();
    let access = Access {
        base_url: Url::parse(base_url).unwrap(),
        uid: login.uid,
        pwd: SecretString::from(login.pwd),
        charset,
        proxy: None,
    };
    Client::new(access).unwrap()
}

/// A gateway with one reply in its box, which breaks its next answer.
async fn broken(fault: Fault) -> Simulator {
    let habits = Habits { min_interval: Duration::ZERO, ..Habits::default() };
    let simulator =
        Simulator::start(Options { habits, ..Options::default() }, Clock::system()).await.unwrap();
    let time = "2008-05-27 12:10:11".parse().unwrap();
    simulator.arrive("9999", NewReply::text("13900000001", "好", time, "1069"));
    simulator.fault_next(fault);
    simulator
}

async fn check(
    fault: Fault,
    within: Duration,
    ending: Ending,
    body_bytes: std::ops::RangeInclusive<usize>,
) {
    let name = format!("{fault:?}");
    let simulator = broken(fault).await;
    let received =
        client(&simulator.base_url(), Charset::Gbk).rx(None, tokio::time::sleep(within)).await;
    assert_eq!(received.ending, ending, "{name}: {received:?}");
    assert!(body_bytes.contains(&received.body.len()), "{name}: {received:?}");
    assert_eq!(
        received.error.is_none(),
        matches!(ending, Ending::Announced | Ending::Connection),
        "{name}"
    );
    assert!(!format!("{received:?}").contains("pwd"), "the login is told: {received:?}");
    assert_eq!(simulator.requests().len(), 1, "{name}: asked more than once");
    simulator.stop().await;
}

#[tokio::test]
async fn every_ending_is_told_and_what_came_is_kept() {
    // 100{&}13900000001||..||2008-05-27 12:10:11||1069: 48 bytes.
    check(Fault::Chunked, WITHIN, Ending::Announced, 48..=48).await;
    check(Fault::Dribble { piece: 1, pause: Duration::ZERO }, WITHIN, Ending::Announced, 48..=48)
        .await;
    check(Fault::NoLength, WITHIN, Ending::Connection, 48..=48).await;
    check(Fault::CutBody { after: 20 }, WITHIN, Ending::Cut, 20..=20).await;
    check(Fault::CutChunked { after: 20 }, WITHIN, Ending::Cut, 20..=20).await;
    check(Fault::CloseWithoutReading, WITHIN, Ending::Unanswered, 0..=0).await;
    let stall = Fault::Stall { after: 20, for_real: WITHIN };
    check(stall, Duration::from_millis(300), Ending::TimedOut, 20..=20).await;
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let body = b"elsewhere".to_vec();
    let simulator =
        broken(Fault::Answer { http_status: 302, content_type: "text/html".into(), body }).await;
    let received =
        client(&simulator.base_url(), Charset::Gbk).rx(None, tokio::time::sleep(WITHIN)).await;
    assert_eq!((received.http_status, received.body.as_slice()), (Some(302), &b"elsewhere"[..]));
    assert_eq!(simulator.requests().len(), 1);
}

#[tokio::test]
async fn nobody_listening_is_unanswered() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let received = client(&format!("http://{address}"), Charset::Gbk)
        .rx(None, tokio::time::sleep(WITHIN))
        .await;
    assert_eq!((received.ending, received.http_status), (Ending::Unanswered, None));
    assert!(received.error.is_some_and(|error| !error.contains("uid") && !error.contains("pwd")));
}

/// Answers one request with these bytes and gives what was asked.
async fn ask_raw(answer: &'static str, path: &str, charset: Charset) -> (Received, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}{path}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(head).unwrap()
    });
    let hour = Some("2008-05-27_14".parse().unwrap());
    let received = client(&base_url, charset).rx(hour, tokio::time::sleep(WITHIN)).await;
    (received, serving.await.unwrap())
}

#[tokio::test]
async fn the_end_is_announced_by_the_head_alone() {
    for (head, ending) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 3", Ending::Announced),
        ("HTTP/1.0 200 OK\r\ncontent-length: 3", Ending::Announced),
        ("HTTP/1.0 200 OK", Ending::Connection),
        ("HTTP/1.1 200 OK", Ending::Connection),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: identity", Ending::Connection),
        ("HTTP/1.1 200 OK\r\ncontent-length: 4", Ending::Cut),
        ("HTTP/1.1 200 OK\r\nServer : x\r\nBad Header: y\r\ncontent-length: 3", Ending::Announced),
    ] {
        let answer: &'static str = Box::leak(format!("{head}\r\n\r\n100").into_boxed_str());
        let (received, _) = ask_raw(answer, "", Charset::Gbk).await;
        assert_eq!(
            (received.ending, received.body.as_slice()),
            (ending, &b"100"[..]),
            "{head}: {received:?}"
        );
    }
    let (received, _) = ask_raw("HTTP/1.1 204 No Content\r\n\r\n", "", Charset::Gbk).await;
    assert_eq!(received.ending, Ending::Announced);
}

#[tokio::test]
async fn the_request_is_the_protocols() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let (_, request) = ask_raw(answer, "", Charset::Gbk).await;
    let login = "uid=9999&pwd=fa246d0262c3925617b0c72bb20eeb1d";
    assert!(
        request.starts_with(&format!("GET /rx/?{login}&time=2008-05-27_14 HTTP/1.1\r\n")),
        "{request}"
    );
    let head = request.to_ascii_lowercase();
    assert!(
        head.contains("cache-control: no-store") && head.contains("connection: close"),
        "{request}"
    );
    assert!(!head.contains("accept-encoding"), "{request}");
    let (_, request) = ask_raw(answer, "/sms/", Charset::Utf8).await;
    assert!(
        request.starts_with(&format!("GET /sms/rx/?{login}&time=2008-05-27_14&encode=utf8 ")),
        "{request}"
    );
}
