//! `replyd listen`: a receiver on this machine that verifies webhooks and explains what it sees.

mod desk;
mod show;

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::ALLOW;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::cli::exit::{Exit, Failure};
use crate::cli::receiving::header;
use crate::cli::spoken::Spoken;
use crate::cli::table::visible;
use crate::cli::{given, output, signals};
use crate::clock::Clock;
use crate::config::WebhookSecret;
use crate::delivery::diagnosis::{Question, diagnose};
use crate::language::Language;
use desk::{Answers, Desk, Request, Tally, Webhook};
use show::Show;

/// The largest body that is taken: a webhook is a thousandth of it.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// How long a body may take to come in.
const BODY_TIME_MAX: Duration = Duration::from_secs(30);
/// How long answers may take to go out when the command ends.
const DRAIN_MAX: Duration = Duration::from_secs(2);
/// So many webhooks may wait to be shown; further ones are answered later.
const WAITING_MAX: usize = 64;
/// So much of a path is shown.
const PATH_MAX: usize = 200;

/// Arguments of `listen`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// Where to listen; port 0 takes a free one and says which
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
    /// Answer verified webhooks with this, or with --fail those that are to fail
    #[arg(long, value_name = "STATUS", value_parser = clap::value_parser!(u16).range(200..=599))]
    status: Option<u16>,
    /// Let the first COUNT verified webhooks fail, with 503 or --status
    #[arg(long, value_name = "COUNT")]
    fail: Option<u64>,
    /// End after so many webhooks
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Show full numbers and what was typed, too
    #[arg(long)]
    content: bool,
    /// Print one JSON object per webhook
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    spoken: Spoken,
    #[command(flatten)]
    secrets: given::Arguments,
}

const AFTER_HELP: &str = "\
Answers: 204 or --status, 401 where a signature does not hold, 409 to known ids with other bytes.
The subscriber needs `url = \"http://127.0.0.1:8000/\"` (any path will do) and `allow_private = true`.

Examples:
  replyd listen --subscriber crm --content      with the secrets of the configuration
  replyd listen --secret-file crm.secret --fail 3 --count 4 --json

Exit codes: 0 every webhook was verified, 1 one was not, 2 usage, 66 not found, 78 configuration.";

/// Listens until Ctrl-C, or until there were enough webhooks.
pub(super) async fn listen(config: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    let language = arguments.spoken.language();
    let given = arguments.secrets.fetch(config, language)?;
    for (secret, name) in given.secrets.iter().zip(&given.names) {
        WebhookSecret::parse(secret.expose_secret())
            .map_err(|error| Failure::usage(format_args!("{name}: {error}")))?;
    }
    let ended = signals::ended().context("cannot listen for signals")?;
    let (listener, address) = bind(arguments.listen).await?;
    let (sender, mut webhooks) = mpsc::channel(WAITING_MAX);
    let answers = Answers::new(arguments.status, arguments.fail);
    let receiver = Receiver {
        secrets: given.secrets,
        desk: Mutex::new(Desk::new(answers, arguments.count)),
        webhooks: sender,
        language,
    };
    let stop = CancellationToken::new();
    let serving = tokio::spawn(serve(listener, Arc::new(receiver), stop.clone()));
    output::talk(&language.pick(
        format!("正在监听 http://{address}/，任何路径均可；Ctrl-C 结束"),
        format!("listening on http://{address}/, on any path; Ctrl-C ends"),
    ));
    let Arguments { content, json, .. } = *arguments;
    let show = Show { language, names: given.names, content, json };
    let mut tally = Tally::default();
    let showing = async {
        while arguments.count != Some(tally.webhooks)
            && let Some(webhook) = webhooks.recv().await
        {
            tally.count(&webhook);
            show.webhook(&webhook);
        }
    };
    tokio::select! {
        () = showing => {}
        () = ended => {}
    }
    // Whoever still waits to be shown is not answered: it will be told again.
    drop(webhooks);
    stop.cancel();
    serving.await.context("the receiver panicked")?;
    show.summary(&tally);
    Ok(if tally.is_good() { Exit::Done } else { Exit::Failed })
}

async fn bind(address: SocketAddr) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("cannot listen on {address}"))?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

async fn serve(listener: TcpListener, receiver: Arc<Receiver>, stop: CancellationToken) {
    let router = Router::new().fallback(receive).with_state(receiver);
    let serving =
        axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
    tokio::select! {
        // An error of the listener ends it, and with it the command.
        _ = serving.into_future() => {}
        () = async { stop.cancelled().await; tokio::time::sleep(DRAIN_MAX).await } => {}
    }
}

/// Takes requests, several at once.
struct Receiver {
    secrets: Vec<SecretString>,
    desk: Mutex<Desk>,
    webhooks: mpsc::Sender<Webhook>,
    language: Language,
}

async fn receive(
    State(receiver): State<Arc<Receiver>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    if method != Method::POST {
        receiver.other(&method, &uri, StatusCode::METHOD_NOT_ALLOWED);
        return (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "POST")]).into_response();
    }
    let reading = axum::body::to_bytes(body, BODY_BYTES_MAX);
    let body = match tokio::time::timeout(BODY_TIME_MAX, reading).await {
        Ok(Ok(body)) => body.to_vec(),
        Ok(Err(_)) => {
            receiver.other(&method, &uri, StatusCode::PAYLOAD_TOO_LARGE);
            return StatusCode::PAYLOAD_TOO_LARGE.into_response();
        }
        Err(_) => {
            receiver.other(&method, &uri, StatusCode::REQUEST_TIMEOUT);
            return StatusCode::REQUEST_TIMEOUT.into_response();
        }
    };
    // To look for the reason may take a moment, in which others are served.
    let judging = tokio::task::spawn_blocking(move || {
        let webhook = receiver.judge(&headers, body);
        (receiver, webhook)
    });
    let Ok((receiver, Some(webhook))) = judging.await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let answer = StatusCode::from_u16(webhook.answer).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match receiver.webhooks.send(webhook).await {
        Ok(()) => answer.into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

impl Receiver {
    fn judge(&self, headers: &HeaderMap, body: Vec<u8>) -> Option<Webhook> {
        let at = Clock::system().unix();
        let owned = |name| header(headers, name).map(str::to_owned);
        let diagnosis = diagnose(&Question {
            secrets: &self.secrets,
            id: header(headers, "webhook-id"),
            timestamp: header(headers, "webhook-timestamp"),
            signature: header(headers, "webhook-signature"),
            body: &body,
            now: at.seconds(),
        });
        let request = Request {
            id: owned("webhook-id"),
            attempt: owned("replyd-attempt"),
            trigger: owned("replyd-trigger"),
            body,
            at,
        };
        let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        desk.take(request, diagnosis)
    }

    /// Tells of a request that is no webhook.
    fn other(&self, method: &Method, uri: &Uri, status: StatusCode) {
        let path: String = uri.path().chars().take(PATH_MAX).collect();
        let (request, status) = (visible(&format!("{method} {path}")), status.as_u16());
        let why = match status {
            405 => self.language.pick("不是 Webhook：须用 POST", "no webhook, which is a POST"),
            413 => self
                .language
                .pick("正文超过 1 MiB 或中断", "the body is larger than 1 MiB, or broke off"),
            _ => self.language.pick("正文迟迟没有传完", "the body did not come to its end in time"),
        };
        output::talk(&format!("{request} → {status}: {why}"));
    }
}
