//! Deliveries that fail, wait or must not be made: each subscriber by itself.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::time::Duration;

use replyd::gateway::simulator::{Habits, Simulator};

use crate::intake::count;
use crate::support::{
    Home, Receiver, SECRET, Settings, UID, config, ends, gateway, query, reply, stderr, until,
};

/// A second secret, while the first is rotated out.
const NEXT_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn settings<'a>(base_url: &'a str, subscribers: &'a [(&'a str, &'a str)]) -> Settings<'a> {
    Settings { base_url, subscribers, min_interval: "300ms", ..Settings::default() }
}

async fn a_gateway() -> Simulator {
    gateway(Habits { min_interval: Duration::from_millis(300), ..Habits::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_delivery_is_tried_again_with_the_same_bytes_and_signed_anew() {
    let (gateway, receiver) = (a_gateway().await, Receiver::start().await);
    receiver.answer_next(&[500, 404, 400, 503]);
    let base_url = gateway.base_url();
    let subscribers = [("crm", receiver.url.as_str())];
    // Waits of a second: the next attempt falls into another one.
    let text = config(&settings(&base_url, &subscribers)).replace("\"50ms\"", "\"50ms\", \"1s\"");
    let home = Home::with(&text);
    gateway.arrive(UID, reply("13900000001", "收到"));
    let service = home.serve();
    let webhooks = receiver.wait_for(5).await;
    until("the delivery to end", || count(&home, "delivery WHERE state = 'delivered'") == 1).await;
    assert_eq!(service.stop(), Some(0));
    for (webhook, attempt) in webhooks.iter().zip(1..) {
        assert_eq!(webhook.id(), webhooks[0].id());
        assert_eq!(webhook.body, webhooks[0].body);
        assert_eq!(webhook.headers["replyd-attempt"], attempt.to_string());
        assert_eq!(webhook.headers["replyd-trigger"], "auto");
        webhook.verify(SECRET);
    }
    let header = |webhook: usize, name: &str| webhooks[webhook].headers[name].clone();
    let seconds = |webhook| header(webhook, "webhook-timestamp").parse::<i64>().unwrap();
    assert!(seconds(4) > seconds(1), "the timestamp is not the attempt's");
    assert_ne!(header(4, "webhook-signature"), header(1, "webhook-signature"));
    assert_eq!(count(&home, "attempt"), 5);
    assert_eq!(receiver.webhooks().len(), 5, "told again after a success");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_asks_for_a_wait_is_given_it_whatever_its_failure() {
    let (gateway, receiver) = (a_gateway().await, Receiver::start().await);
    receiver.answer_next(&[429, 500]);
    receiver.ask_to_wait("2");
    let base_url = gateway.base_url();
    let subscribers = [("crm", receiver.url.as_str())];
    // Waits of 50 ms, if nothing is asked for.
    let home = Home::new(&settings(&base_url, &subscribers));
    gateway.arrive(UID, reply("13900000001", "收到"));
    let service = home.serve();
    receiver.wait_for(3).await;
    until("the delivery to end", || count(&home, "delivery WHERE state = 'delivered'") == 1).await;
    assert_eq!(service.stop(), Some(0));
    let asked = "attempt WHERE number <= 2 AND next LIKE '%\"wait_ms\":2000,\"asked\":true%'";
    assert_eq!(count(&home, asked), 2);
    let ended = "SELECT min(next.started_ms - former.started_ms - former.duration_ms)
                 FROM attempt AS former JOIN attempt AS next ON next.number = former.number + 1";
    let least: i64 = query(&home, ended);
    // Two clocks are read one after the other: a millisecond may fall between them.
    assert!(least >= 1_990, "an attempt after {least} ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_takes_no_longer_than_its_timeout() {
    let (gateway, receiver) = (a_gateway().await, Receiver::start().await);
    receiver.take(Duration::from_mins(1));
    let base_url = gateway.base_url();
    let subscribers = [("crm", receiver.url.as_str())];
    let subscriber = "allow_private = true\ntimeout = \"1s\"";
    let home = Home::new(&Settings { subscriber, ..settings(&base_url, &subscribers) });
    gateway.arrive(UID, reply("13900000001", "收到"));
    ends(&home, &["run", "--once"], 1);
    let trouble = r#"{"kind":"timeout","phase":"answer","within_ms":1000}"#;
    assert_eq!(query::<String>(&home, "SELECT trouble FROM attempt"), trouble);
    let took: i64 = query(&home, "SELECT duration_ms FROM attempt");
    assert!((1_000..30_000).contains(&took), "{took} ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_subscriber_delays_nobody_else() {
    // The one is not there, the other takes every request and never answers.
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    let hanging = format!("http://{}/", hanging.local_addr().unwrap());
    let gone = {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/", gone.local_addr().unwrap())
    };
    let (gateway, receiver) = (a_gateway().await, Receiver::start().await);
    let base_url = gateway.base_url();
    let subscribers =
        [("a-hanging", hanging.as_str()), ("b-gone", &gone), ("crm", receiver.url.as_str())];
    let home = Home::new(&Settings {
        // Longer than any test waits: a shared queue would stand still.
        subscriber: "allow_private = true\ntimeout = \"5m\"\nconcurrency = 2",
        ..settings(&base_url, &subscribers)
    });
    for number in 0..30 {
        gateway.arrive(UID, reply("13900000001", &format!("{number}")));
    }
    let service = home.serve();
    receiver.wait_for(30).await;
    until("30 deliveries", || count(&home, "delivery WHERE state = 'delivered'") == 30).await;
    let open = "delivery WHERE state = 'waiting' AND subscriber =";
    assert_eq!(count(&home, &format!("{open} 'a-hanging'")), 30);
    assert_eq!(count(&home, &format!("{open} 'b-gone'")), 30);
    // A stop would wait for the attempts that hang.
    service.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_neither_followed_nor_a_success() {
    let (gateway, receiver) = (a_gateway().await, Receiver::start().await);
    receiver.answer_next(&[301, 302, 307, 308]);
    let base_url = gateway.base_url();
    let subscribers = [("crm", receiver.url.as_str())];
    let home = Home::new(&settings(&base_url, &subscribers));
    gateway.arrive(UID, reply("13900000001", "收到"));
    let service = home.serve();
    receiver.wait_for(5).await;
    assert_eq!(service.stop(), Some(0));
    assert_eq!(receiver.followed(), 0);
    assert_eq!(
        count(
            &home,
            "attempt WHERE http_status BETWEEN 300 AND 399 AND trouble LIKE '%\"status\":3%'"
        ),
        4
    );
    assert!(home.log().contains("redirect"), "{}", home.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inside_address_is_refused_unless_it_is_allowed() {
    let gateway = a_gateway().await;
    let base_url = gateway.base_url();
    for host in ["127.0.0.1", "2130706433", "[::ffff:127.0.0.1]"] {
        let url = format!("http://{host}:1/");
        let subscribers = [("crm", url.as_str())];
        let settings =
            Settings { subscriber: "allow_http = true", ..settings(&base_url, &subscribers) };
        let output = Home::new(&settings).run(&["check"]);
        assert_eq!(output.status.code(), Some(78), "{url}");
        assert!(stderr(&output).contains("url: is an inside address"), "{}", stderr(&output));
    }
    // A name is judged when it is resolved.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
    let subscribers = [("crm", url.as_str())];
    let refused = Settings { subscriber: "allow_http = true", ..settings(&base_url, &subscribers) };
    let home = Home::new(&refused);
    ends(&home, &["check"], 0);
    gateway.arrive(UID, reply("13900000001", "收到"));
    let service = home.serve();
    until("two attempts", || {
        home.path("replyd.db").exists() && home.log().matches("not delivered").count() >= 2
    })
    .await;
    assert_eq!(service.stop(), Some(0));
    let (attempts, of_them) = (
        count(&home, "attempt"),
        count(&home, "attempt WHERE trouble LIKE '%\"inside\"%' AND address IS NULL"),
    );
    assert_eq!(attempts, of_them);
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "it connected");
    // The same name is reached where that is allowed.
    home.configure(&Settings { subscriber: "allow_private = true", ..refused });
    let service = home.serve();
    until("a connection", || listener.accept().is_ok()).await;
    service.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_ones_own_are_sent_and_each_secret_signs() {
    let (gateway, receiver) = (a_gateway().await, Receiver::start().await);
    let base_url = gateway.base_url();
    let subscribers = [("crm", receiver.url.as_str())];
    let text = config(&Settings {
        subscriber: "allow_private = true\nheaders = { Authorization = \"Bearer word\", x-tenant = { env = \"REPLYD_TEST_TENANT\" } }",
        ..settings(&base_url, &subscribers)
    });
    let both = format!("secret = [\"{NEXT_SECRET}\", \"{SECRET}\"]");
    let home = Home::with(&text.replace(&format!("secret = \"{SECRET}\""), &both));
    gateway.arrive(UID, reply("13900000001", "收到"));
    let mut command = home.command(&["run"]);
    command.env("REPLYD_TEST_TENANT", "four");
    let service = home.spawn(command);
    let webhooks = receiver.wait_for(1).await;
    assert_eq!(service.stop(), Some(0));
    let webhook = &webhooks[0];
    assert_eq!(webhook.headers["authorization"], "Bearer word");
    assert_eq!(webhook.headers["x-tenant"], "four");
    let signatures: Vec<&str> = webhook.headers["webhook-signature"].split(' ').collect();
    assert_eq!(signatures.len(), 2);
    assert_ne!(signatures[0], signatures[1]);
    for (secret, signature) in [NEXT_SECRET, SECRET].into_iter().zip(signatures) {
        webhook.verify(secret);
        let mut alone = webhook.clone();
        alone.headers.insert("webhook-signature".to_owned(), signature.to_owned());
        alone.verify(secret);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_subscribers_deliveries_wait_until_it_is_enabled() {
    let (gateway, crm, erp) = (a_gateway().await, Receiver::start().await, Receiver::start().await);
    let base_url = gateway.base_url();
    let subscribers = [("crm", crm.url.as_str()), ("erp", erp.url.as_str())];
    let enabled = config(&settings(&base_url, &subscribers));
    let home = Home::with(&(enabled.clone() + "enabled = false\n"));
    for text in ["a", "b"] {
        gateway.arrive(UID, reply("13900000001", text));
    }
    let service = home.serve();
    crm.wait_for(2).await;
    until("crm's deliveries", || count(&home, "delivery WHERE state = 'delivered'") == 2).await;
    assert_eq!(service.stop(), Some(0));
    let waiting = "delivery WHERE subscriber = 'erp' AND state = 'waiting' AND attempts = 0";
    assert_eq!(count(&home, waiting), 2);
    assert!(erp.webhooks().is_empty());
    home.write("config.toml", &enabled);
    let service = home.serve();
    erp.wait_for(2).await;
    until("erp's deliveries", || count(&home, "delivery WHERE state = 'delivered'") == 4).await;
    assert_eq!(service.stop(), Some(0));
    assert_eq!(crate::intake::told(&erp), ["a", "b"]);
    assert_eq!((crm.webhooks().len(), erp.webhooks().len()), (2, 2));
    let distinct: i64 = query(&home, "SELECT count(DISTINCT event_seq) FROM delivery");
    assert_eq!(distinct, 2);
}
