//! The stream of events: as it comes, and as it goes on.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use replyd::gateway::simulator::Habits;
use serde_json::Value;

use super::{Client, client, idle, token};
use crate::recovery::address;
use crate::support::{Home, PATIENCE, Settings, UID, ends, execute, gateway, query, reply, until};

/// An event as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Event {
    id: String,
    event: String,
    data: String,
}

/// A stream that is read as it comes.
struct Stream {
    connection: TcpStream,
    bytes: Vec<u8>,
    text: String,
    /// The last id that came, also without an event.
    id: String,
}

impl Stream {
    fn open(api: &Client, path: &str, last: Option<&str>) -> Self {
        let mut connection = TcpStream::connect(api.address).unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        let last = last.map(|id| format!("last-event-id: {id}\r\n")).unwrap_or_default();
        let token = api.token.clone().unwrap();
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\n{last}\r\n"
        );
        connection.write_all(head.as_bytes()).unwrap();
        let mut stream =
            Self { connection, bytes: Vec::new(), text: String::new(), id: String::new() };
        while !stream.bytes.windows(4).any(|window| window == b"\r\n\r\n") {
            assert!(stream.more(), "{}", String::from_utf8_lossy(&stream.bytes));
        }
        let end = stream.bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = String::from_utf8_lossy(&stream.bytes[..end]).into_owned();
        assert!(head.starts_with("HTTP/1.1 200") && head.contains("text/event-stream"), "{head}");
        stream.bytes.drain(..end + 4);
        // Where it begins.
        assert_eq!(stream.frame().unwrap(), Event::default());
        stream
    }

    fn more(&mut self) -> bool {
        let mut part = [0; 4096];
        let read = self.connection.read(&mut part).unwrap_or(0);
        self.bytes.extend_from_slice(&part[..read]);
        read > 0
    }

    /// The next frame; none where the stream ended.
    fn frame(&mut self) -> Option<Event> {
        while !self.text.contains("\n\n") {
            self.chunk()?;
        }
        let (frame, rest) =
            self.text.split_once("\n\n").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        self.text = rest;
        let mut event = Event::default();
        for line in frame.lines() {
            match line.split_once(": ").unwrap() {
                ("id", id) => self.id = id.to_owned(),
                ("event", name) => event.event = name.to_owned(),
                ("data", data) => event.data += data,
                _ => {}
            }
        }
        if !event.event.is_empty() {
            event.id.clone_from(&self.id);
        }
        Some(event)
    }

    fn chunk(&mut self) -> Option<()> {
        loop {
            let line = self.bytes.windows(2).position(|window| window == b"\r\n");
            if let Some(line) = line {
                let length =
                    usize::from_str_radix(std::str::from_utf8(&self.bytes[..line]).unwrap(), 16)
                        .unwrap();
                if length == 0 {
                    return None;
                }
                if self.bytes.len() >= line + 2 + length + 2 {
                    self.text +=
                        std::str::from_utf8(&self.bytes[line + 2..line + 2 + length]).unwrap();
                    self.bytes.drain(..line + 2 + length + 2);
                    return Some(());
                }
            }
            if !self.more() {
                return None;
            }
        }
    }

    /// The next event, behind whatever shows that the stream lives.
    fn event(&mut self) -> Event {
        loop {
            let event = self.frame().unwrap();
            if !event.event.is_empty() {
                return event;
            }
        }
    }

    /// Reads until it ends; whether that was at its end or in its middle.
    fn ends_well(mut self) -> bool {
        while self.frame().is_some() {}
        self.bytes.starts_with(b"0\r\n\r\n")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_as_they_are_stored_and_none_is_missed_or_doubled_across_a_restart() {
    let gateway = gateway(Habits { min_interval: Duration::ZERO, ..Habits::default() }).await;
    let base_url = gateway.base_url();
    let home = Home::new(&Settings { base_url: &base_url, ..Settings::default() });
    let service = home.serve();
    let api = client(&home).await;
    let mut stream = Stream::open(&api, "/api/v1/events?type=reply.received&account=main", None);
    let mut seen: Vec<Event> = Vec::new();
    for number in 0..3 {
        gateway.arrive(UID, reply(&format!("1390000000{number}"), "退订"));
        seen.push(stream.event());
    }
    let first: Value = serde_json::from_str(&seen[0].data).unwrap();
    assert_eq!(
        (&first["type"], &first["data"]["from"]),
        (&"reply.received".into(), &"13900000000".into())
    );
    assert_eq!(seen[0].event, "reply.received");
    // More come while nobody follows, before and after a restart.
    drop(stream);
    gateway.arrive(UID, reply("13900000003", "好"));
    until("the fourth", || query::<i64>(&home, "SELECT count(*) FROM reply") == 4).await;
    service.kill();
    std::fs::remove_file(home.path("log")).unwrap();
    let service = home.serve();
    until("the address", || address(&home).is_some()).await;
    let api = Client { address: address(&home).unwrap(), ..api };
    gateway.arrive(UID, reply("13900000004", "好"));
    let last = seen.last().unwrap().id.clone();
    let mut stream = Stream::open(&api, "/api/v1/events?type=reply.received&after=0", Some(&last));
    seen.extend([stream.event(), stream.event()]);
    let ids: String = query(
        &home,
        "SELECT group_concat(seq || ' ' || id, ',' ORDER BY seq) FROM event WHERE type = 'reply.received'",
    );
    let told: Vec<String> = seen
        .iter()
        .map(|event| {
            let json: Value = serde_json::from_str(&event.data).unwrap();
            format!("{} {}", event.id, json["data"]["id"].as_str().unwrap())
        })
        .collect();
    assert_eq!(told.join(","), ids);
    // All again, from the first.
    let mut all = Stream::open(&api, "/api/v1/events?after=0&type=reply.received", None);
    let again: Vec<Event> = (0..5).map(|_| all.event()).collect();
    assert_eq!(again, seen);
    assert_eq!(service.stop(), Some(0));
    assert!(stream.ends_well() && all.ends_well());
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_sees_what_another_process_stored_and_what_it_asked_for_only() {
    let (home, service, api) = idle().await;
    until("the account", || query::<i64>(&home, "SELECT count(*) FROM account") == 1).await;
    let mut all = Stream::open(&api, "/api/v1/events", None);
    let mut gaps = Stream::open(&api, "/api/v1/events?type=gap.opened&account=main", None);
    let put = |id: &str, event_type: &str, account: &str| {
        execute(
            &home,
            &format!(
                "INSERT INTO event (id, type, body) VALUES ('{id}', '{event_type}', '{{\"data\":{{\"account\":\"{account}\"}}}}')"
            ),
        );
    };
    put("evt_1", "subscriber.test", "main");
    put("evt_2", "gap.opened", "other");
    put("evt_3", "gap.opened", "main");
    put("evt_4", "gap.closed", "main");
    let told: Vec<String> = (0..3).map(|_| all.event().event).collect();
    assert_eq!(told, ["gap.opened", "gap.opened", "gap.closed"]);
    let newest: String = query(&home, "SELECT CAST(max(seq) - 1 AS TEXT) FROM event");
    assert_eq!(gaps.event().id, newest);
    for (path, status, code) in [
        ("/api/v1/events?type=lost", 400, "query_invalid"),
        ("/api/v1/events?account=other", 422, "name_unknown"),
        ("/api/v1/events?after=99999999", 409, "position_unknown"),
        ("/api/v1/events?after=x", 400, "query_invalid"),
    ] {
        assert_eq!(api.refused(path), (status, code.to_owned()), "{path}");
    }
    let wrong = api.ask("GET", "/api/v1/events", &[("last-event-id", "evt_1")], b"");
    assert_eq!(wrong.code(), "header_invalid");
    assert_eq!(service.stop(), Some(0));
    assert!(all.ends_well() && gaps.ends_well());
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_so_many_streams_and_one_ends_with_its_token() {
    let (home, service, api) = idle().await;
    let mine = Client { token: Some(token(&home, "mine", &["read"])), ..api.clone() };
    let stream = Stream::open(&mine, "/api/v1/events", None);
    let streams: Vec<Stream> =
        (0..31).map(|_| Stream::open(&api, "/api/v1/events", None)).collect();
    let more = api.ask("GET", "/api/v1/events", &[], b"");
    assert_eq!((more.status, more.code()), (429, "streams_taken".to_owned()));
    assert!(more.header("retry-after").is_some());
    // Whoever goes makes room.
    drop(streams);
    until("room", || {
        let came = api.raw(
            format!(
                "HEAD /api/v1/events HTTP/1.1\r\nhost: a.localhost\r\nconnection: close\r\nauthorization: Bearer {}\r\n\r\n",
                api.token.clone().unwrap()
            )
            .as_bytes(),
        );
        came.starts_with(b"HTTP/1.1 200")
    })
    .await;
    ends(&home, &["token", "revoke", "mine"], 0);
    assert!(stream.ends_well());
    assert_eq!(service.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_nothing_holds_up_nobody_and_can_come_back() {
    let (home, service, api) = idle().await;
    until("the account", || query::<i64>(&home, "SELECT count(*) FROM account") == 1).await;
    execute(
        &home,
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
         INSERT INTO event (id, type, body) SELECT 'evt_' || i, 'gap.opened', printf('{\"data\":{\"n\":\"%1000d\"}}', i) FROM n",
    );
    // It takes nothing of 20 MB.
    let mut slow = TcpStream::connect(api.address).unwrap();
    let token = api.token.clone().unwrap();
    slow.write_all(format!("GET /api/v1/events?after=0 HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\n\r\n").as_bytes())
        .unwrap();
    let mut quick = Stream::open(&api, "/api/v1/events?after=0", None);
    for number in 1..=20_000 {
        assert_eq!(quick.event().id, number.to_string());
    }
    drop(slow);
    let mut back = Stream::open(&api, "/api/v1/events", Some("19998"));
    assert_eq!((back.event().id.as_str(), back.event().id.as_str()), ("19999", "20000"));
    assert_eq!(service.stop(), Some(0));
}
