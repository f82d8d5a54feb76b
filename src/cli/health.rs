//! `replyd health`: asks the running service whether it lives and is ready, as a container's
//! health check does where there is no other client.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::cli::exit::{Exit, Failure};
use crate::cli::output;
use crate::config::{Config, Secrets};
use crate::delivery::target;

/// A service on this machine that has not answered by then does not answer. Supervisors wait at
/// least as long.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Its answers are some reasons; more is some other server's.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;
/// How many headers an answer may have.
const HEADERS_MAX: usize = 32;

/// Arguments of `health`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// Only whether it lives, by /livez; else whether it is ready, by /readyz
    #[arg(long)]
    live: bool,
    /// Where it listens [default: server.listen of the configuration]
    #[arg(long, value_name = "ADDRESS")]
    address: Option<SocketAddr>,
    /// Print the answer's JSON as it is
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
A gateway or a receiver that is down leaves the service ready: a restart would mend nothing. What
is wrong with those, `replyd doctor` tells. It needs no secrets.

Examples:
  replyd health
  replyd health --live                           for the health check of a container
  replyd health --address 127.0.0.1:8480 --json

Exit codes: 0 it is well, 1 it is not, and why is printed, 69 it does not answer, 78 configuration.";

/// Asks, and prints what the answer says.
pub(super) async fn health(path: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    let address = match arguments.address {
        Some(address) => address,
        None => configured(path)?,
    };
    let asked = if arguments.live { "/livez" } else { "/readyz" };
    let answer = timeout(ANSWER_MAX, ask(address, asked))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let (status, body) = answer.map_err(|error| {
        let message = format!("replyd: no answer of a service at {address}: {error}");
        Failure::new(Exit::Unreachable, message)
    })?;
    match arguments.json {
        true => output::json(&body),
        false => lines(&body).iter().for_each(|line| output::data(line)),
    }
    Ok(if status == 200 { Exit::Done } else { Exit::Failed })
}

/// Where the service of this configuration can be asked from here.
fn configured(path: &Path) -> Result<SocketAddr, Failure> {
    let mut address = Config::load(path, Secrets::Skip, target::formats())?.server.listen;
    if address.port() == 0 {
        return Err(Failure::usage(
            "server.listen takes any free port; the service's log says which: name it by --address",
        ));
    }
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    Ok(address)
}

/// One request, and its answer's status and body.
async fn ask(address: SocketAddr, path: &str) -> io::Result<(u16, Value)> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
    parse(&answer).ok_or_else(|| io::Error::other("what answers there is no replyd"))
}

fn parse(answer: &[u8]) -> Option<(u16, Value)> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = head.parse(answer).ok()? else { return None };
    let body: Value = serde_json::from_slice(answer.get(length..)?).ok()?;
    body.get("status")?;
    Some((head.code?, body))
}

/// What the answer says: its state, and each reason in a line.
fn lines(body: &Value) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::String(text) => output::escaped(text),
        other => other.to_string(),
    };
    let state = body.get("status").map(text).unwrap_or_default().replace('_', " ");
    let reasons = body.get("reasons").and_then(Value::as_array).into_iter().flatten();
    let reasons = reasons.map(|reason| format!("  {}", text(reason)));
    std::iter::once(state).chain(reasons).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_of_the_service_is_one() {
        let ready =
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"status\":\"ready\"}";
        assert_eq!(parse(ready).map(|(status, body)| (status, lines(&body))).unwrap().0, 200);
        for strange in [
            &b""[..],
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\n\r\n{}",
            b"220 mail.example.com\r\n\r\n{\"status\":\"ready\"}",
        ] {
            assert!(parse(strange).is_none(), "{}", strange.escape_ascii());
        }
    }

    #[test]
    fn each_reason_is_a_line() {
        let body =
            serde_json::json!({ "status": "not_ready", "reasons": ["store: full", {"a": 1}] });
        assert_eq!(lines(&body), ["not ready", "  store: full", r#"  {"a":1}"#]);
    }
}
