//! Who is not let in, and what a client may cost.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use super::{Answer, Client, idle};
use crate::support::PATIENCE;

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_not_meant_for_it_are_refused() {
    let (_home, service, api) = idle().await;
    for (headers, status, code) in [
        (&[("host", "evil.example")][..], 403, "host_refused"),
        (
            &[("host", "evil.example:8480"), ("origin", "http://evil.example:8480")],
            403,
            "host_refused",
        ),
        (&[("origin", "http://evil.example")], 403, "origin_refused"),
        (&[("origin", "null")], 403, "origin_refused"),
        (&[("sec-fetch-site", "cross-site")], 403, "origin_refused"),
        (&[("host", "localhost:1")], 200, ""),
        (&[("host", "[::1]")], 200, ""),
    ] {
        let answer = api.ask("GET", "/api/v1/replies", headers, b"");
        assert_eq!((answer.status, answer.code()), (status, code.to_owned()), "{headers:?}");
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    let token = api.token.clone().unwrap();
    let came = api.raw(
        format!("GET /api/v1/replies HTTP/1.0\r\nauthorization: Bearer {token}\r\n\r\n").as_bytes(),
    );
    assert_eq!(Answer::read(&came).unwrap().code(), "host_missing");
    let came = api.raw(
        format!("GET http://evil.example/api/v1/replies HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n")
            .as_bytes(),
    );
    assert_eq!(Answer::read(&came).unwrap().code(), "host_refused");
    let options =
        api.ask("OPTIONS", "/api/v1/replies", &[("access-control-request-method", "GET")], b"");
    assert_eq!(options.status, 405);
    assert_eq!(service.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests_are_told_when_to_come_again() {
    let (_home, service, api) = idle().await;
    let wrong = Client { token: Some("rpt_".to_owned()), ..api.clone() };
    let answers: Vec<Answer> =
        (0..30).map(|_| wrong.ask("GET", "/api/v1/replies", &[], b"")).collect();
    let limited: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert!((5..=10).contains(&limited.len()), "{}", limited.len());
    assert_eq!(limited[0].code(), "failures_limited");
    assert!(limited[0].header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
    // Who has a good token is let in from the same address.
    let mut limited = 0;
    let started = Instant::now();
    let mut asked = 0;
    while limited == 0 && started.elapsed() < PATIENCE {
        let requests = "GET /api/v1/openapi HTTP/1.1\r\nhost: a.localhost\r\n";
        let one = format!("{requests}authorization: Bearer {}\r\n\r\n", api.token.clone().unwrap());
        let last = format!(
            "{requests}connection: close\r\nauthorization: Bearer {}\r\n\r\n",
            api.token.clone().unwrap()
        );
        let came = api.raw(format!("{}{last}", one.repeat(399)).as_bytes());
        let came = String::from_utf8_lossy(&came).into_owned();
        asked += came.matches("HTTP/1.1 404").count();
        limited = came.matches("HTTP/1.1 429").count();
    }
    assert!(limited > 0 && asked >= 200, "{asked} {limited}");
    assert_eq!(service.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_comes_by_the_byte_is_not_waited_for_and_a_stop_waits_for_nobody() {
    let (_home, service, api) = idle().await;
    let mut slow = TcpStream::connect(api.address).unwrap();
    let silent = TcpStream::connect(api.address).unwrap();
    slow.write_all(b"GET /api/v1/replies HTTP/1.1\r\n").unwrap();
    for mut stream in [&slow, &silent] {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut came = Vec::new();
        stream.read_to_end(&mut came).unwrap();
        assert!(!came.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&came));
    }
    let mut half = TcpStream::connect(api.address).unwrap();
    half.write_all(b"GET /api/v1/replies HTTP/1.1\r\nhost: a").unwrap();
    assert_eq!(service.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_are_bounded() {
    let (_home, service, api) = idle().await;
    let long = "a".repeat(100_000);
    let many: String = (0..200).map(|number| format!("x-{number}: a\r\n")).collect();
    for head in [
        format!("GET /{long} HTTP/1.1\r\nhost: a\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nhost: a\r\nx: {long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nhost: a\r\n{many}\r\n"),
        "\u{0}\u{1}\r\n\r\n".to_owned(),
    ] {
        let came = api.raw(head.as_bytes());
        assert!(
            came.is_empty() || came.starts_with(b"HTTP/1.1 4"),
            "{}",
            String::from_utf8_lossy(&came)
        );
    }
    assert_eq!(service.stop(), Some(0));
}
