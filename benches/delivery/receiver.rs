//! A receiver that does nothing but answer, in a process of its own so that its work is not counted.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The argument that makes this program the receiver.
pub(crate) const ROLE: &str = "--receiver";
const ANSWER: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

/// The receiver's process. Dropped, it ends.
pub(crate) struct Receiver {
    child: Child,
    address: String,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg(ROLE)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Self { child, address: address.trim().to_owned() }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hooks/sms", self.address)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Answers 204 to every request, until it is ended.
pub(crate) fn serve() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(answer(stream));
        }
    });
}

async fn answer(mut stream: TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut bytes = Vec::with_capacity(16 * 1024);
    loop {
        let end = loop {
            if let Some(end) = request_end(&bytes) {
                break end;
            }
            if stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        };
        bytes.drain(..end);
        stream.write_all(ANSWER).await.ok()?;
    }
}

/// Where the first request ends, if it is all there.
fn request_end(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..head]).unwrap().to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")).unwrap();
    let end = head + length.trim().parse::<usize>().unwrap();
    (bytes.len() >= end).then_some(end)
}
