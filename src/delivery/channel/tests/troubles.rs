//! What goes wrong, told apart, with how far it came.

use super::*;

/// Where nothing listens.
async fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// Takes connections, reads what comes, and never says a word.
async fn silent() -> Server {
    Server::start(Visit::wait).await
}

/// The parts that have a time: resolve, connect, TLS and first byte.
fn timed(exchange: &Exchange) -> [bool; 4] {
    let Timings { resolve, connect, tls, first_byte } = exchange.timings;
    [resolve, connect, tls, first_byte].map(|took| took.is_some())
}

#[tokio::test]
async fn every_part_is_timed() {
    let server = Server::encrypted().await;
    let exchange = post(&channel(&subscriber(&server.named("https"), ""), &Lab::local())).await;
    assert_eq!((exchange.http_status, exchange.trouble), (Some(200), None));
    let Timings { resolve, connect, tls, first_byte } = exchange.timings;
    for took in [resolve, connect, tls, first_byte] {
        assert!(took.unwrap() > Duration::ZERO && took.unwrap() < LONG, "{took:?}");
    }
    assert_eq!(exchange.address, Some(server.address));
    // An address is not resolved, and plain HTTP not encrypted.
    let server = Server::answering(OK).await;
    let exchange = post(&channel(&subscriber(&server.url(), ""), &Lab::local())).await;
    assert_eq!(timed(&exchange), [false, true, false, true]);
}

#[tokio::test]
async fn an_address_is_encrypted_to_by_its_own_name() {
    let server = Server::encrypted().await;
    let url = format!("https://{}/", server.address);
    let exchange = post(&channel(&subscriber(&url, ""), &Lab::local())).await;
    assert_eq!(timed(&exchange), [false, true, true, true]);
    assert_eq!((exchange.http_status, exchange.trouble), (Some(200), None));
}

#[tokio::test]
async fn a_name_that_leads_nowhere_is_told() {
    let config = subscriber(&format!("https://{NAME}/"), "");
    let network = Lab::answering([Vec::new()]);
    let exchange = post(&channel(&config, &network)).await;
    assert_eq!(exchange.trouble, Some(Trouble::Resolve { detail: "it has no address".to_owned() }));
    assert_eq!((timed(&exchange), exchange.address), ([true, false, false, false], None));
    assert!(network.dialed().is_empty());
}

#[tokio::test]
async fn a_refused_connection_is_told_with_its_address() {
    let address = nowhere().await;
    let config = subscriber(&format!("http://{NAME}:{}/", address.port()), "");
    let exchange = post(&channel(&config, &Lab::local())).await;
    let Some(Trouble::Connect { detail }) = &exchange.trouble else {
        panic!("{:?}", exchange.trouble)
    };
    assert!(detail.contains("refused"), "{detail}");
    assert_eq!(exchange.address, Some(address));
    assert_eq!(timed(&exchange), [true, true, false, false]);
}

#[tokio::test]
async fn what_cannot_be_encrypted_is_told() {
    let server = Server::start(|visit| async move {
        drop(acceptor().accept(visit.stream).await);
    })
    .await;
    let check = |exchange: Exchange, part: &str| {
        let Some(Trouble::Tls { detail }) = &exchange.trouble else {
            panic!("{:?}", exchange.trouble)
        };
        assert!(detail.contains(part), "{detail}");
        assert_eq!(exchange.address.map(|address| address.ip()), Some(server.address.ip()));
        assert_eq!(timed(&exchange), [true, true, true, false]);
    };
    // The system trusts no certificate that was made for a test.
    let config = subscriber(&server.named("https"), "");
    let tls = crate::tls::client_config().unwrap();
    let untrusting = Channel::with(&config, Some(Arc::new(tls)), Lab::local()).unwrap();
    check(post(&untrusting).await, "certificate");
    // It is another host's.
    let config = subscriber(&server.named("https").replace(NAME, "erp.example.com"), "");
    check(post(&channel(&config, &Lab::local())).await, "not valid for name");
    // It is no TLS.
    let plain = Server::start(|mut visit| async move { visit.say(OK).await }).await;
    let config = subscriber(&plain.named("https"), "");
    check(post(&channel(&config, &Lab::local())).await, "");
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_told_and_not_asked_for_again() {
    // It is gone once it has read the request.
    let server = Server::start(|mut visit| async move { drop(visit.request().await) }).await;
    let exchange = post(&channel(&subscriber(&server.url(), ""), &Lab::local())).await;
    assert!(matches!(exchange.trouble, Some(Trouble::Broken { .. })), "{:?}", exchange.trouble);
    assert_eq!((exchange.http_status, exchange.address), (None, Some(server.address)));
    assert_eq!(timed(&exchange), [false, true, false, true]);
    assert_eq!((server.requests().len(), server.connections()), (1, 1));
    // It speaks something else.
    let server = Server::answering("220 mail.example.com ESMTP\r\n\r\n").await;
    let exchange = post(&channel(&subscriber(&server.url(), ""), &Lab::local())).await;
    assert!(matches!(exchange.trouble, Some(Trouble::Broken { .. })), "{:?}", exchange.trouble);
    assert_eq!((server.requests().len(), server.connections()), (1, 1));
}

#[tokio::test]
async fn a_head_without_an_end_is_not_read_for_ever() {
    const LENGTH: usize = 64 * 1024 * 1024;
    let server = Server::start(|mut visit| async move {
        visit.request().await;
        visit.say("HTTP/1.1 200 OK\r\nx-line: ").await;
        let (piece, mut written) = ([b'x'; 64 * 1024], 0);
        while written < LENGTH && visit.stream.write_all(&piece).await.is_ok() {
            written += piece.len();
        }
        visit.seen.bytes_written.store(written, Ordering::SeqCst);
        visit.seen.ends.fetch_add(1, Ordering::SeqCst);
    })
    .await;
    let exchange = post(&channel(&subscriber(&server.url(), ""), &Lab::local())).await;
    assert!(matches!(exchange.trouble, Some(Trouble::Broken { .. })), "{:?}", exchange.trouble);
    until("the end of the connection", || server.ends() == 1).await;
    let written = server.seen.bytes_written.load(Ordering::SeqCst);
    assert!(written < LENGTH / 2, "{written} bytes were taken");
}

/// The part in which an attempt's time is over, and what is known of it by then.
async fn check_timeout(channel: &Channel, phase: Phase, times: [bool; 4], address: bool) {
    let exchange = channel.post([], "{}", SHORT).await;
    assert_eq!(exchange.trouble, Some(Trouble::Timeout { phase, within_ms: 15_000 }));
    assert_eq!((timed(&exchange), exchange.address.is_some()), (times, address), "{phase:?}");
    assert_eq!(exchange.http_status, None);
}

#[tokio::test]
async fn a_timeout_names_the_part_in_which_it_fell() {
    let resolving = async {
        let channel = channel(&subscriber(&format!("http://{NAME}/"), ""), &Lab::answering([]));
        check_timeout(&channel, Phase::Resolve, [true, false, false, false], false).await;
    };
    let connecting = async {
        let silent = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
        let network =
            Lab { silent: silent.clone(), answers: Mutex::new([silent].into()), ..Lab::default() };
        let channel = channel(&subscriber(&format!("http://{NAME}/"), ""), &Arc::new(network));
        check_timeout(&channel, Phase::Connect, [true, true, false, false], true).await;
    };
    let encrypting = async {
        let server = silent().await;
        let channel = channel(&subscriber(&server.named("https"), ""), &Lab::local());
        check_timeout(&channel, Phase::Tls, [true, true, true, false], true).await;
        until("the end of the connection", || server.ends() == 1).await;
    };
    let answering = async {
        let server = silent().await;
        let channel = channel(&subscriber(&server.named("http"), ""), &Lab::local());
        check_timeout(&channel, Phase::Answer, [true, true, false, true], true).await;
        until("the end of the connection", || server.ends() == 1).await;
    };
    tokio::join!(resolving, connecting, encrypting, answering);
}

#[tokio::test]
async fn a_silent_address_does_not_keep_the_next_from_being_tried() {
    let server = Server::answering(OK).await;
    let [silent, gone] = ["2606:4700::1", "8.8.8.8"].map(|ip| ip.parse::<IpAddr>().unwrap());
    let network = Lab {
        answers: Mutex::new([vec![silent, gone, server.address.ip()]].into()),
        silent: vec![silent],
        ..Lab::default()
    };
    let network = Arc::new(network);
    let exchange = post(&channel(&subscriber(&server.named("http"), ""), &network)).await;
    assert_eq!((exchange.http_status, exchange.trouble), (Some(200), None));
    assert_eq!(exchange.address, Some(server.address));
    let dialed: Vec<IpAddr> = network.dialed().iter().map(SocketAddr::ip).collect();
    assert_eq!(dialed, [silent, gone, server.address.ip()]);
}
