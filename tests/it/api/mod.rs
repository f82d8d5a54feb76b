//! The HTTP API of the real binary. Every answer that comes in here is held to the document that the
//! service gives of itself.

mod acts;
mod contract;
mod events;
mod gate;
mod generated;
mod messages;
mod replies;
mod tokens;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use crate::recovery::address;
use crate::support::{Home, PATIENCE, Service, Settings, ends, execute, until};

/// An answer as it came.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The word of the problem that it is.
    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Reads what came on a connection until it ended.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let header = |line: &str| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        };
        Some(Self { status, headers: lines.map(header).collect(), body: bytes[end + 4..].to_vec() })
    }
}

/// A client of the API.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    pub(crate) token: Option<String>,
}

impl Client {
    /// Sends these bytes and reads until the connection ends.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // Whoever refuses may close before all was sent.
        drop(stream.write_all(bytes));
        let mut came = Vec::new();
        drop(stream.read_to_end(&mut came));
        came
    }

    /// Makes a request, and holds the answer to the document.
    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "host") {
            head += &format!("host: {}\r\n", self.address);
        }
        if let Some(token) = &self.token {
            head += &format!("authorization: Bearer {token}\r\n");
        }
        if !body.is_empty() {
            head += &format!("content-length: {}\r\n", body.len());
            if !headers.iter().any(|(name, _)| *name == "content-type") {
                head += "content-type: application/json\r\n";
            }
        } else if method == "POST" {
            head += "content-length: 0\r\n";
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        let bytes = [head.as_bytes(), b"\r\n", body].concat();
        let came = self.raw(&bytes);
        let answer = Answer::read(&came);
        assert!(answer.is_some(), "{method} {path}: {:?}", String::from_utf8_lossy(&came));
        let answer = answer.unwrap();
        if path.split('?').next() != Some(contract::PATH) && method != "HEAD" {
            contract::hold(self, method, path, &answer);
        }
        answer
    }

    /// What is at a path; anything but a good answer fails.
    pub(crate) fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path, &[], b"");
        assert_eq!(answer.status, 200, "{path}: {}", answer.json());
        answer.json()
    }

    /// Status and code of an answer.
    pub(crate) fn refused(&self, path: &str) -> (u16, String) {
        let answer = self.ask("GET", path, &[], b"");
        (answer.status, answer.code())
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.ask("POST", path, &[], body.as_bytes())
    }
}

/// A new token of a home.
pub(crate) fn token(home: &Home, name: &str, scopes: &[&str]) -> String {
    let mut arguments = vec!["token", "new", "--name", name];
    scopes.iter().for_each(|scope| arguments.extend(["--scope", scope]));
    ends(home, &arguments, 0).trim().to_owned()
}

/// A client with a token of all scopes.
pub(crate) async fn client(home: &Home) -> Client {
    let token = token(home, "all", &["read", "replay", "admin"]);
    until("the address", || address(home).is_some()).await;
    Client { address: address(home).unwrap(), token: Some(token) }
}

/// A service that reads nothing, and a client of it.
pub(crate) async fn idle() -> (Home, Service, Client) {
    let home = Home::new(&Settings { schedule: "0 0 0 1 1 *", ..Settings::default() });
    let service = home.serve();
    let client = client(&home).await;
    (home, service, client)
}

/// Puts so many replies into a home's store, as the product would have.
pub(crate) fn fill(home: &Home, count: usize) {
    execute(
        home,
        &format!(
            "INSERT OR IGNORE INTO read (id, account, state, charset, started_ms, deadline_boot, deadline_boot_ms)
                 VALUES (900000, 'main', 'ingested', 'gbk', 1700000000000, 'a', 1);
             INSERT INTO reply (id, identity, occurrence, account, mobile, replied_at, content, gateway, read_id, kept_ms)
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
             SELECT 'rpl_' || lower(hex(randomblob(16))), randomblob(32), 1, 'main', '1390000' || printf('%04d', i % 1000),
                    1700000000 + i / 3, 'reply ' || i, '1068112227282', 900000, 1700000000000 + i FROM n;"
        ),
    );
}
