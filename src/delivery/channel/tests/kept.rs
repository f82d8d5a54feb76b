//! Connections that are kept for the next request.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_connection_is_used_again() {
    let server = Server::encrypted().await;
    let network = Lab::local();
    let channel = channel(&subscriber(&server.named("https"), ""), &network);
    assert!(post(&channel).await.timings.connect.is_some());
    for _ in 0..20 {
        let exchange = post(&channel).await;
        assert_eq!((exchange.http_status, exchange.trouble), (Some(200), None));
        assert_eq!(exchange.address, Some(server.address));
        let Timings { resolve, connect, tls, first_byte } = exchange.timings;
        assert_eq!((resolve, connect, tls), (None, None, None));
        assert!(first_byte.is_some());
    }
    assert_eq!((server.connections(), server.requests().len()), (1, 21));
    assert_eq!(network.resolved().len(), 1);
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_made_anew() {
    // Closes after each answer, without saying so.
    let server = Server::start(|mut visit| async move {
        visit.request().await;
        visit.say(OK).await;
    })
    .await;
    let channel = channel(&subscriber(&server.url(), ""), &Lab::local());
    for requests in 1..=3 {
        let exchange = post(&channel).await;
        assert_eq!((exchange.http_status, exchange.trouble), (Some(200), None));
        assert!(exchange.timings.connect.is_some());
        assert_eq!((server.connections(), server.requests().len()), (requests, requests));
        until("the end of the connection", || channel.pool.standing() == 0).await;
    }
}

#[tokio::test]
async fn a_request_that_a_kept_connection_took_is_not_sent_again() {
    let server = Server::start(|mut visit| async move {
        visit.request().await;
        visit.say(OK).await;
        visit.request().await;
    })
    .await;
    let channel = channel(&subscriber(&server.url(), ""), &Lab::local());
    assert_eq!(post(&channel).await.http_status, Some(200));
    let exchange = post(&channel).await;
    assert!(matches!(exchange.trouble, Some(Trouble::Broken { .. })), "{:?}", exchange.trouble);
    assert_eq!(exchange.address, Some(server.address));
    assert_eq!(exchange.timings.connect, None);
    assert_eq!((server.connections(), server.requests().len()), (1, 2));
}

#[tokio::test]
async fn a_timeout_on_a_kept_connection_is_told_with_its_address() {
    let server = Server::start(|mut visit| async move {
        visit.request().await;
        visit.say(OK).await;
        visit.wait().await;
    })
    .await;
    let channel = channel(&subscriber(&server.url(), ""), &Lab::local());
    assert_eq!(post(&channel).await.http_status, Some(200));
    let exchange = channel.post([], "{}", SHORT).await;
    assert!(matches!(exchange.trouble, Some(Trouble::Timeout { phase: Phase::Answer, .. })));
    assert_eq!(exchange.address, Some(server.address));
    assert_eq!((exchange.timings.connect, server.connections()), (None, 1));
    until("the end of the connection", || server.ends() == 1).await;
}

#[tokio::test]
async fn a_connection_that_is_to_close_is_not_kept() {
    for answer in [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ] {
        let server = Server::answering(answer).await;
        let channel = channel(&subscriber(&server.url(), ""), &Lab::local());
        assert_eq!(post(&channel).await.answer, b"ok");
        assert_eq!(channel.pool.standing(), 0, "{answer}");
        until("the end of the connection", || server.ends() == 1).await;
    }
}

#[tokio::test]
async fn no_more_are_kept_than_may_be_used_at_once() {
    let server = Server::start(|mut visit| async move {
        // An answer only when all are there.
        while visit.request().await.is_some() {
            let seen = Arc::clone(&visit.seen);
            until("all requests", || seen.requests.lock().unwrap().len() >= 3).await;
            visit.say(OK).await;
        }
    })
    .await;
    let channel = channel(&subscriber(&server.url(), "concurrency = 2"), &Lab::local());
    tokio::join!(post(&channel), post(&channel), post(&channel));
    assert_eq!((server.connections(), channel.pool.standing()), (3, 2));
    until("the end of one connection", || server.ends() == 1).await;
}

#[tokio::test]
async fn a_connection_that_nobody_uses_ends() {
    let server = Server::answering(OK).await;
    let mut channel = channel(&subscriber(&server.url(), ""), &Lab::local());
    channel.pool = Pool::new(1, Duration::from_millis(50));
    for connections in 1..=2 {
        assert_eq!(post(&channel).await.http_status, Some(200));
        until("the end of the connection", || server.ends() == connections).await;
        assert_eq!(server.connections(), connections);
    }
    // With the way itself all of its connections end.
    channel.pool = Pool::new(1, LONG);
    assert_eq!(post(&channel).await.http_status, Some(200));
    drop(channel);
    until("the end of the connection", || server.ends() == 3).await;
}
