//! Proxies: what they are told, and what their refusals become.

use super::*;

/// `user:p@ss`, as Basic wants it.
const LOGIN: &str = "proxy-authorization: basic dxnlcjpwqhnz";

/// A proxy that connects everything to `target`, for whoever has the login, and keeps what it was
/// asked for.
async fn http_proxy(target: SocketAddr) -> Server {
    Server::start(move |mut visit| async move {
        let Some(head) = visit.head().await else { return };
        visit.seen.requests.lock().unwrap().push(head.clone());
        if !head.to_lowercase().contains(LOGIN) {
            return visit.say("HTTP/1.1 407 Login\r\nContent-Length: 0\r\n\r\n").await;
        }
        visit.say("HTTP/1.1 200 Connected\r\n\r\n").await;
        pass_on(visit, target).await;
    })
    .await
}

async fn pass_on(mut visit: Visit, target: SocketAddr) {
    let mut onward = TcpStream::connect(target).await.unwrap();
    drop(tokio::io::copy_bidirectional(&mut visit.stream, &mut onward).await);
}

/// A SOCKS 5 proxy (RFC 1928, RFC 1929) like that. It keeps what it was asked for in words.
async fn socks_proxy(target: SocketAddr) -> Server {
    Server::start(move |mut visit| async move {
        let mut bytes = [0; 512];
        async fn read<'a>(visit: &mut Visit, bytes: &'a mut [u8], length: usize) -> &'a [u8] {
            visit.stream.read_exact(&mut bytes[..length]).await.unwrap();
            &bytes[..length]
        }
        let methods = usize::from(read(&mut visit, &mut bytes, 2).await[1]);
        assert!(read(&mut visit, &mut bytes, methods).await.contains(&2), "it has no login");
        visit.stream.write_all(&[5, 2]).await.unwrap();
        let name = usize::from(read(&mut visit, &mut bytes, 2).await[1]);
        let mut login = read(&mut visit, &mut bytes, name).await.to_vec();
        let password = usize::from(read(&mut visit, &mut bytes, 1).await[0]);
        login.extend(read(&mut visit, &mut bytes, password).await);
        let is_right = login == b"userp@ss";
        visit.stream.write_all(&[1, u8::from(!is_right)]).await.unwrap();
        if !is_right {
            return;
        }
        let asked = read(&mut visit, &mut bytes, 4).await.to_vec();
        assert_eq!(asked[..3], [5, 1, 0]);
        let asked = match asked[3] {
            1 => {
                let ip = <[u8; 4]>::try_from(read(&mut visit, &mut bytes, 4).await).unwrap();
                IpAddr::from(ip)
            }
            4 => {
                let ip = <[u8; 16]>::try_from(read(&mut visit, &mut bytes, 16).await).unwrap();
                IpAddr::from(ip)
            }
            kind => panic!("it was asked for a name: {kind}"),
        };
        let port = read(&mut visit, &mut bytes, 2).await;
        let asked = SocketAddr::new(asked, u16::from_be_bytes([port[0], port[1]]));
        visit.seen.requests.lock().unwrap().push(asked.to_string());
        let refuses = asked.is_ipv6();
        visit.stream.write_all(&[5, u8::from(refuses), 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
        if !refuses {
            pass_on(visit, target).await;
        }
    })
    .await
}

fn through(url: &str, scheme: &str, login: &str, proxy: &Server) -> SubscriberConfig {
    subscriber(url, &format!("proxy = \"{scheme}://{login}{}\"", proxy.address))
}

#[tokio::test]
async fn an_http_proxy_is_asked_for_a_tunnel_to_the_name() {
    let server = Server::encrypted().await;
    let proxy = http_proxy(server.address).await;
    let mut config = through(&server.named("https"), "http", "user:p%40ss@", &proxy);
    config.allow_private = false;
    // Where the name leads to is the proxy's to find out.
    let network = Lab::answering([]);
    let channel = channel(&config, &network);
    let exchange = post(&channel).await;
    assert_eq!((exchange.http_status, exchange.trouble), (Some(200), None));
    assert_eq!(exchange.address, Some(proxy.address));
    assert!(exchange.timings.connect.is_some() && exchange.timings.tls.is_some());
    let (asked, port) = (proxy.requests().remove(0), server.address.port());
    assert!(asked.starts_with(&format!("CONNECT {NAME}:{port} HTTP/1.1\r\n")), "{asked}");
    let request = server.requests().remove(0);
    assert!(request.starts_with("POST / HTTP/1.1\r\n"), "{request}");
    assert!(!request.to_lowercase().contains("proxy-"), "{request}");
    assert!(network.resolved().is_empty());
    // The tunnel is kept like any connection.
    assert_eq!(post(&channel).await.timings.connect, None);
    assert_eq!((proxy.connections(), server.requests().len()), (1, 2));
}

#[tokio::test]
async fn an_http_proxy_is_given_a_plain_request_whole() {
    let proxy = Server::answering(OK).await;
    let url = format!("http://{NAME}/hooks?key=1");
    let mut config = through(&url, "http", "user:p%40ss@", &proxy);
    config.allow_private = false;
    let exchange = post(&channel(&config, &Lab::answering([]))).await;
    assert_eq!((exchange.http_status, exchange.trouble), (Some(200), None));
    let request = proxy.requests().remove(0);
    assert!(request.starts_with(&format!("POST {url} HTTP/1.1\r\nhost: {NAME}\r\n")), "{request}");
    assert!(request.to_lowercase().contains(LOGIN), "{request}");
}

#[tokio::test]
async fn a_proxy_that_does_not_connect_is_told() {
    let check = |exchange: &Exchange, part: &str| {
        let Some(Trouble::Proxy { detail }) = &exchange.trouble else {
            panic!("{:?}", exchange.trouble)
        };
        assert!(detail.contains(part), "{detail}");
        assert!(!detail.contains("p@ss") && !detail.contains("p%40ss"), "{detail}");
        assert_eq!((exchange.timings.tls, exchange.timings.first_byte), (None, None));
    };
    let server = Server::encrypted().await;
    let url = server.named("https");
    let http = http_proxy(server.address).await;
    let wrong = through(&url, "http", "user:other@", &http);
    let exchange = post(&channel(&wrong, &Lab::local())).await;
    check(&exchange, "authorization");
    assert_eq!(exchange.address, Some(http.address));
    let socks = socks_proxy(server.address).await;
    let wrong = through(&url, "socks5", "user:other@", &socks);
    check(&post(&channel(&wrong, &Lab::local())).await, "credentials");
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for scheme in ["http", "socks5"] {
        let config = subscriber(&url, &format!("proxy = \"{scheme}://{gone}\""));
        let exchange = post(&channel(&config, &Lab::local())).await;
        check(&exchange, "cannot connect to it");
        assert_eq!(exchange.address, Some(gone));
    }
    let config = subscriber(&url, "proxy = \"http://proxy.example.com:8080\"");
    check(&post(&channel(&config, &Lab::answering([Vec::new()]))).await, "cannot be resolved");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_proxy_that_is_silent_uses_up_the_time_to_connect() {
    let silent = Server::start(Visit::wait).await;
    for scheme in ["http", "socks5"] {
        let config = through(&format!("https://{NAME}/"), scheme, "", &silent);
        let exchange = channel(&config, &Lab::local()).post([], "{}", SHORT).await;
        let Some(Trouble::Timeout { phase, .. }) = exchange.trouble else {
            panic!("{:?}", exchange.trouble)
        };
        assert_eq!(phase, Phase::Connect);
        assert!(exchange.timings.connect.is_some());
    }
}

#[tokio::test]
async fn a_socks_proxy_is_asked_for_what_was_vetted() {
    for scheme in ["http", "https"] {
        let server = match scheme {
            "http" => Server::answering(OK).await,
            _ => Server::encrypted().await,
        };
        let proxy = socks_proxy(server.address).await;
        let mut config = through(&server.named(scheme), "socks5", "user:p%40ss@", &proxy);
        config.allow_private = false;
        let [first, second] = ["2606:4700::1", "8.8.8.8"].map(|ip| ip.parse().unwrap());
        let inside = "10.0.0.1".parse().unwrap();
        let network = Lab::answering([vec![first, second], vec![first, inside]]);
        let channel = channel(&config, &network);
        let exchange = post(&channel).await;
        assert_eq!((exchange.http_status, exchange.trouble), (Some(200), None));
        let port = server.address.port();
        let [first, second] = [first, second].map(|ip| SocketAddr::new(ip, port));
        assert_eq!(proxy.requests(), [first, second].map(|address| address.to_string()));
        assert_eq!(exchange.address, Some(second));
        assert_eq!(server.connections(), 1);
        // The next time the name leads inside.
        drop(channel.pool.take());
        let exchange = post(&channel).await;
        assert_eq!(exchange.trouble, Some(Trouble::Inside { address: "10.0.0.1".to_owned() }));
        assert_eq!((proxy.requests().len(), network.resolved().len()), (2, 2));
    }
}
