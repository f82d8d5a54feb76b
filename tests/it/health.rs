//! `replyd health`: what a supervisor is told, by exit code and in words.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use serde_json::Value;

use crate::recovery::address;
use crate::support::{Home, Settings, ends, stderr, until};

/// The home's service, asked where it listens.
fn asked(home: &Home, arguments: &[&str], expected: i32) -> String {
    let address = address(home).unwrap().to_string();
    ends(home, &[&["health", "--address", &address], arguments].concat(), expected)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_service_lives_and_is_ready_whatever_the_gateway_does() {
    // Nobody answers at this gateway.
    let home = Home::new(&Settings::default());
    let service = home.serve();
    until("the service", || address(&home).is_some()).await;
    assert_eq!(asked(&home, &["--live"], 0), "live\n");
    until("ready", || asked(&home, &[], 0) == "ready\n").await;
    let json: Value = serde_json::from_str(&asked(&home, &["--json"], 0)).unwrap();
    assert_eq!(json["status"], "ready");
    assert_eq!(service.stop(), Some(0));
}

#[test]
fn who_does_not_answer_is_not_reached() {
    let home = Home::new(&Settings::default());
    // Port 0 is of the configuration; where the service is, only its log knows.
    assert!(stderr(&home.run(&["health"])).contains("--address"));
    ends(&home, &["health"], 2);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = listener.local_addr().unwrap().to_string();
    let other = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 512];
        let length = stream.read(&mut request).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nit works").unwrap();
        String::from_utf8(request[..length].to_vec()).unwrap()
    });
    let output = home.run(&["health", "--address", &free]);
    assert_eq!(output.status.code(), Some(69), "another server is taken for the service");
    assert!(stderr(&output).contains("no replyd"), "{}", stderr(&output));
    assert!(other.join().unwrap().starts_with("GET /readyz HTTP/1.1\r\n"));
    // Now nobody listens there.
    ends(&home, &["health", "--address", &free, "--live"], 69);
}

#[test]
fn the_configuration_names_the_address_and_needs_no_secrets() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml.example"));
    let home = Home::with(&text.unwrap().replace(":8480", &format!(":{port}")));
    let output = home.run(&["health"]);
    assert_eq!(output.status.code(), Some(69), "{}", stderr(&output));
    assert!(stderr(&output).contains(&format!("127.0.0.1:{port}")), "{}", stderr(&output));
}
