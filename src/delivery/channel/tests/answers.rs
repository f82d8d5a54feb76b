//! What is sent, and what of the answer is kept.

use super::*;

#[tokio::test]
async fn a_request_is_sent_as_it_was_given() {
    let server = Server::answering(OK).await;
    let url = format!("{}hooks/%E4?key=1&b=%20", server.url());
    let config = subscriber(&url, "headers = { X-Tenant = \"four\", accept = \"text/plain\" }");
    let channel = channel(&config, &Lab::local());
    let headers = [("content-type", "application/json".into()), ("webhook-id", "rpl_1".into())];
    let exchange = channel.post(headers, "{\"text\":\"收到\"}".to_owned(), LONG).await;
    assert_eq!((exchange.http_status, exchange.trouble), (Some(200), None));
    assert_eq!(exchange.answer, b"ok");
    let expected = format!(
        "POST /hooks/%E4?key=1&b=%20 HTTP/1.1\r\nhost: {}\r\nuser-agent: replyd/{}\r\naccept: \
         text/plain\r\nx-tenant: four\r\ncontent-type: application/json\r\nwebhook-id: rpl_1\r\n\
         content-length: 17\r\n\r\n{{\"text\":\"收到\"}}",
        server.address,
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(server.requests(), [expected]);
}

#[test]
fn the_port_is_named_where_it_is_not_the_schemes_own() {
    for (url, expected) in [
        ("http://crm.example.com:80/", "crm.example.com"),
        ("https://crm.example.com:443/", "crm.example.com"),
        ("https://crm.example.com:80/", "crm.example.com:80"),
        ("http://[::1]:8080/", "[::1]:8080"),
        ("http://bücher.example.com/", "xn--bcher-kva.example.com"),
    ] {
        let channel = channel(&subscriber(url, ""), &Lab::local());
        assert_eq!(channel.headers[header::HOST], expected, "{url}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Server::answering(OK).await;
        let head = format!("HTTP/1.1 {status} Moved\r\nLocation: {}", elsewhere.url());
        let server = Server::answering(format!("{head}\r\nContent-Length: 0\r\n\r\n")).await;
        let exchange = post(&channel(&subscriber(&server.url(), ""), &Lab::local())).await;
        assert_eq!((exchange.http_status, exchange.trouble), (Some(status), None));
        assert_eq!((server.requests().len(), elsewhere.connections()), (1, 0));
    }
}

#[tokio::test]
async fn a_long_answer_is_cut_and_the_rest_never_read() {
    const LENGTH: usize = 64 * 1024 * 1024;
    let server = Server::start(|mut visit| async move {
        visit.request().await;
        visit.say(&format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n")).await;
        let piece = [b'x'; 64 * 1024];
        while visit.stream.write_all(&piece).await.is_ok() {
            let written = visit.seen.bytes_written.fetch_add(piece.len(), Ordering::SeqCst);
            assert!(written < LENGTH, "all of it was read");
        }
        visit.seen.ends.fetch_add(1, Ordering::SeqCst);
    })
    .await;
    let channel = channel(&subscriber(&server.url(), ""), &Lab::local());
    let exchange = post(&channel).await;
    assert_eq!((exchange.http_status, exchange.trouble), (Some(200), None));
    assert_eq!(exchange.answer, [b'x'; ANSWER_BYTES_MAX]);
    assert_eq!(channel.pool.standing(), 0, "the connection is kept");
    until("the end of the connection", || server.ends() == 1).await;
    // What the system's own buffers took, before the connection was gone.
    let written = server.seen.bytes_written.load(Ordering::SeqCst);
    assert!(written < LENGTH / 2, "{written} bytes were taken");
}

#[tokio::test]
async fn an_answer_of_just_the_limit_is_whole() {
    let body = "x".repeat(ANSWER_BYTES_MAX);
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {ANSWER_BYTES_MAX}\r\n\r\n");
    let server = Server::answering(head + &body).await;
    let channel = channel(&subscriber(&server.url(), ""), &Lab::local());
    assert_eq!(post(&channel).await.answer, body.as_bytes());
    assert_eq!(channel.pool.standing(), 1);
}

#[tokio::test]
async fn an_answer_counts_whatever_becomes_of_its_body() {
    const HEAD: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n";
    // It never ends.
    let server = Server::start(|mut visit| async move {
        visit.request().await;
        visit.say(HEAD).await;
        visit.wait().await;
    })
    .await;
    let channel_to = |server: &Server| channel(&subscriber(&server.url(), ""), &Lab::local());
    let never = channel_to(&server);
    let exchange = never.post([], "{}", SHORT).await;
    assert_eq!((exchange.http_status, exchange.trouble), (Some(200), None));
    assert_eq!(exchange.answer, b"ok");
    until("the end of the connection", || server.ends() == 1).await;
    // It breaks.
    let server = Server::start(|mut visit| async move {
        visit.request().await;
        visit.say(HEAD).await;
    })
    .await;
    let exchange = post(&channel_to(&server)).await;
    assert_eq!((exchange.http_status, exchange.trouble), (Some(200), None));
    assert_eq!(exchange.answer, b"ok");
    // It is not what its head says.
    let server = Server::answering(HEAD.to_owned() + "nonsense\r\n").await;
    let exchange = post(&channel_to(&server)).await;
    assert_eq!((exchange.http_status, exchange.trouble), (Some(200), None));
}

#[tokio::test]
async fn what_a_receiver_asks_for_is_handed_on() {
    let server = Server::answering(
        "HTTP/1.1 503 Busy\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n\
         Webhook-Delivery: abort-message\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nbusy",
    )
    .await;
    let exchange = post(&channel(&subscriber(&server.url(), ""), &Lab::local())).await;
    assert_eq!((exchange.http_status, exchange.trouble), (Some(503), None));
    assert_eq!(exchange.retry_after.as_deref(), Some("Fri, 31 Dec 1999 23:59:59 GMT"));
    assert_eq!(exchange.webhook_delivery.as_deref(), Some("abort-message"));
    assert_eq!(exchange.answer, b"busy", "it was unpacked");
}

#[tokio::test]
async fn a_sloppy_head_is_read() {
    let server = Server::answering(
        "HTTP/1.1 200 OK\r\nX-Sign : 1\r\nno colon\r\nX-\u{e9}: 1\r\nContent-Length: 2\r\n\r\nok",
    )
    .await;
    let exchange = post(&channel(&subscriber(&server.url(), ""), &Lab::local())).await;
    assert_eq!((exchange.http_status, exchange.trouble), (Some(200), None));
    assert_eq!(exchange.answer, b"ok");
}
