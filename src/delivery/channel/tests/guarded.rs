//! Inside addresses: not one connection, by whatever way they come.

use url::{Host, Url};

use super::*;
use crate::delivery::guard::{self, matrix};

/// A subscriber that may not stand inside, although its URL says so.
fn at(url: &str) -> SubscriberConfig {
    let mut config = subscriber("http://127.0.0.1/", "");
    config.url = Url::parse(url).unwrap();
    config.allow_private = false;
    config
}

fn ip(url: &Url) -> IpAddr {
    match url.host().unwrap() {
        Host::Ipv4(ip) => IpAddr::V4(ip),
        Host::Ipv6(ip) => IpAddr::V6(ip),
        Host::Domain(name) => panic!("{name} is a name"),
    }
}

fn is_inside(exchange: &Exchange, ip: IpAddr) -> bool {
    exchange.trouble == Some(Trouble::Inside { address: ip.to_string() })
        && exchange.address.is_none()
        && exchange.timings.connect.is_none()
}

#[tokio::test]
async fn not_one_connection_is_made_to_an_inside_address() {
    // Something listens on this machine, so that a connection would be made and counted.
    let server = Server::answering(OK).await;
    let port = server.address.port();
    let six = std::net::TcpListener::bind(("::1", port)).ok();
    let network = Lab::answering([]);
    let outside: IpAddr = "8.8.8.8".parse().unwrap();
    let (mut cases, mut listening) = (0, 0);
    for (host, inside) in matrix::hosts() {
        let config = at(&format!("http://{host}:{port}/hooks"));
        if !inside {
            // Nothing is sent to it here.
            assert_eq!(guard::vet_url(&config.url), Ok(()), "{host}");
            continue;
        }
        let ip = ip(&config.url);
        let exchange = post(&channel(&config, &network)).await;
        assert!(is_inside(&exchange, ip), "{host}: {:?}", exchange.trouble);
        cases += 1;
        listening += usize::from(ip == server.address.ip());
        // A name that leads there, and there among others.
        for answer in [vec![ip], vec![outside, ip]] {
            let names = Lab::answering([answer]);
            let config = at(&format!("http://{NAME}:{port}/hooks"));
            let exchange = post(&channel(&config, &names)).await;
            assert!(is_inside(&exchange, ip), "a name to {ip}: {:?}", exchange.trouble);
            assert_eq!((names.resolved().len(), names.dialed()), (1, Vec::new()), "{ip}");
            cases += 1;
        }
    }
    assert!(cases >= 600 && listening >= 10, "{cases} cases, {listening} of them listening");
    assert_eq!((network.dialed(), network.resolved()), (Vec::new(), Vec::new()));
    assert_eq!(server.connections(), 0);
    if let Some(six) = six {
        six.set_nonblocking(true).unwrap();
        assert_eq!(six.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
    // The same are reached where that is allowed: it was not for want of a server.
    for host in ["127.0.0.1", "2130706433", "[::ffff:127.0.0.1]"] {
        let mut config = at(&format!("http://{host}:{port}/"));
        config.allow_private = true;
        assert_eq!(post(&channel(&config, &network)).await.http_status, Some(200), "{host}");
    }
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn a_name_is_resolved_once_and_reached_where_it_was_vetted() {
    // Closes after each answer, so that each attempt needs a connection.
    let server = Server::start(|mut visit| async move {
        visit.request().await;
        visit.say(OK).await;
    })
    .await;
    let [outside, inside] = ["8.8.8.8", "127.0.0.1"].map(|ip| ip.parse::<IpAddr>().unwrap());
    // The second answer comes to whoever asks twice.
    let network = Arc::new(Lab {
        answers: Mutex::new([vec![outside], vec![inside], vec![outside]].into()),
        outside: Some(server.address),
        ..Lab::default()
    });
    let channel = channel(&at(&server.named("http")), &network);
    let reached = SocketAddr::new(outside, server.address.port());
    let exchange = post(&channel).await;
    assert_eq!((exchange.http_status, exchange.trouble), (Some(200), None));
    assert_eq!(exchange.address, Some(reached));
    assert_eq!((network.resolved().len(), network.dialed()), (1, vec![reached]));
    until("the end of the connection", || channel.pool.standing() == 0).await;
    let exchange = post(&channel).await;
    assert!(is_inside(&exchange, inside), "{:?}", exchange.trouble);
    assert_eq!((network.resolved().len(), network.dialed()), (2, vec![reached]));
    assert_eq!(server.connections(), 1);
    assert_eq!(post(&channel).await.http_status, Some(200));
    assert_eq!(network.resolved(), [NAME; 3]);
}

#[tokio::test]
async fn the_systems_own_answer_is_vetted() {
    let server = Server::answering(OK).await;
    let url = format!("http://localhost:{}/", server.address.port());
    let exchange = post(&Channel::new(&at(&url)).unwrap()).await;
    let Some(Trouble::Inside { address }) = exchange.trouble else {
        panic!("{:?}", exchange.trouble)
    };
    assert!(address.parse::<IpAddr>().unwrap().is_loopback(), "{address}");
    assert_eq!(server.connections(), 0);
    let mut config = at(&url);
    config.allow_private = true;
    let exchange = post(&Channel::new(&config).unwrap()).await;
    assert_eq!(exchange.http_status, Some(200), "{:?}", exchange.trouble);
}

#[tokio::test]
async fn an_inside_address_is_refused_also_through_a_proxy() {
    let proxy = Server::answering(OK).await;
    for scheme in ["http", "socks5"] {
        for host in ["10.0.0.1", "[::ffff:169.254.169.254]", "[64:ff9b::192.168.1.1]"] {
            let mut config = at(&format!("http://{host}/"));
            config.proxy = Some(Url::parse(&format!("{scheme}://{}", proxy.address)).unwrap());
            let exchange = post(&channel(&config, &Lab::answering([]))).await;
            assert!(is_inside(&exchange, ip(&config.url)), "{host}: {:?}", exchange.trouble);
        }
    }
    assert_eq!(proxy.connections(), 0);
}
