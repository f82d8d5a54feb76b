//! A live stream of events, by SSE.
//!
//! A stream goes through the stored events by their numbers, which are the ids that it sends. So a
//! client that comes back with the last one it had misses nothing and gets nothing twice, whoever was
//! restarted meanwhile; and an event that another process stored is found as any. What wakes a stream
//! only says that it is worth looking.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use http_body_util::channel::{Channel, Sender};
use tokio::sync::OwnedSemaphorePermit;
use tracing::{debug, warn};

use super::Api;
use super::ask::Ask;
use super::deliveries::TYPES;
use super::limits::STREAM_WAIT;
use super::operation::{Answer, Operation, of};
use super::parameter::{Kind, many, one};
use super::problem::{Code, Problem};
use crate::event::{TEST_TYPE, Told};
use crate::store::error::StoreError;
use crate::store::events::EventRow;

/// How long a stream is silent at most: less than the minute after which proxies give up.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// The least time between two looks into the store, however much is written there.
const LOOK_REST: Duration = Duration::from_millis(100);
/// How long a client may take nothing: then it is left, and may come back where it was.
const STALL_MAX: Duration = Duration::from_secs(30);
/// Events that are ready for a client which has not taken them yet.
const READY_MAX: usize = 16;
/// How soon a client is to come back, in milliseconds.
const RETRY_MS: u64 = 2_000;
const LAST_EVENT_ID: &str = "last-event-id";

pub(super) static OPERATIONS: [Operation; 1] = [Operation {
    id: "stream_events",
    path: "/api/v1/events",
    about: "Follow events as they are stored",
    more: "Server-sent events: `id` is a position, `event` the type, `data` the JSON that subscribers get, with \
           whole numbers. With Last-Event-ID, or `after`, it goes on behind that position; with `after=0` from the \
           first event that is kept; else with what comes from now on. Test messages come only where their type is \
           named. A line that begins with a colon comes every 15 seconds.",
    query: &[
        many("type", Kind::Word(&TYPES), "Only events of this type."),
        one("account", Kind::Name, "Only about this account."),
        one("after", Kind::Place, "Behind this position, where there is no Last-Event-ID."),
    ],
    headers: &[one(LAST_EVENT_ID, Kind::Place, "The `id` of the last event that you have.")],
    answers: &[Answer {
        status: 200,
        about: "A stream that ends when the service does, or the token is worthless.",
        media: "text/event-stream",
        describe: of::<String>,
    }],
    problems: &[Code::NameUnknown, Code::PositionUnknown, Code::StreamsTaken],
    act: |ask| Box::pin(stream(ask)),
    ..Operation::LOOK
}];

async fn stream(ask: Ask) -> Result<Response, Problem> {
    let account = ask.text("account");
    super::require_account(&ask, account.as_deref()).await?;
    let newest = ask.store().newest_event().await?;
    let after = ask.header(LAST_EVENT_ID).and_then(|text| text.parse().ok());
    let position = after.or(ask.value("after")).unwrap_or(newest);
    if position > newest {
        let detail = "the store is older than this position: a backup was restored";
        return Err(Problem::new(Code::PositionUnknown, detail));
    }
    let place = Arc::clone(&ask.api.streams).try_acquire_owned().map_err(|_| {
        Problem::new(Code::StreamsTaken, "as many streams are open as there may be")
            .again_after(STREAM_WAIT)
    })?;
    let (sender, body) = Channel::<Bytes, Infallible>::new(READY_MAX);
    let follow = Follow {
        types: ask.values("type", |word| Some(word.to_owned())),
        account,
        token: ask.grant.as_ref().map_or(0, |grant| grant.id),
        api: Arc::clone(&ask.api),
        sender,
        position,
        told: position,
    };
    ask.api.acts.spawn(follow.run(place));
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")];
    Ok((headers, Body::new(body)).into_response())
}

/// One client that follows.
struct Follow {
    api: Arc<Api>,
    sender: Sender<Bytes, Infallible>,
    /// Only these types; none named means all but tests.
    types: Vec<String>,
    account: Option<String>,
    token: i64,
    /// Up to where the events were looked at.
    position: i64,
    /// The last position that the client was told.
    told: i64,
}

/// The client has gone, takes nothing, or may not follow any more.
struct Ended;

impl Follow {
    /// Follows until the service stops or the client is to be left. Its place is free then.
    async fn run(mut self, _place: OwnedSemaphorePermit) {
        let stop = self.api.stop.clone();
        let ended = stop.run_until_cancelled(self.follow()).await;
        debug!(is_stopped = ended.is_none(), "a stream of events has ended");
    }

    async fn follow(&mut self) -> Result<(), Ended> {
        let mut changes = self.api.seen.store.changes();
        // A client that is cut off before the first event knows where it was all the same.
        self.send(format!("retry: {RETRY_MS}\nid: {}\n\n", self.position)).await?;
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        heartbeat.reset();
        loop {
            changes.mark_unchanged();
            match self.look().await? {
                // There is more at once.
                true => continue,
                false => tokio::time::sleep(LOOK_REST).await,
            }
            tokio::select! {
                changed = changes.changed() => changed.map_err(|_| Ended)?,
                _ = heartbeat.tick() => self.beat().await?,
            }
        }
    }

    /// Sends what is new. True where there is more.
    async fn look(&mut self) -> Result<bool, Ended> {
        let page = match self.api.seen.store.events_behind(self.position).await {
            Ok(page) => page,
            Err(StoreError::Closed) => return Err(Ended),
            Err(error) => {
                warn!(%error, "a stream of events waits for the store");
                return Ok(false);
            }
        };
        for row in &page.rows {
            if self.is_wanted(row) {
                self.send(frame(row)).await?;
                self.told = row.seq;
            }
            self.position = row.seq;
        }
        Ok(page.is_full)
    }

    fn is_wanted(&self, row: &EventRow) -> bool {
        let is_of_type = match self.types.as_slice() {
            [] => row.event_type != TEST_TYPE && TYPES.contains(&row.event_type.as_str()),
            types => types.contains(&row.event_type),
        };
        is_of_type
            && self
                .account
                .as_ref()
                .is_none_or(|name| Told::read(&row.body).account.as_ref() == Some(name))
    }

    /// Shows that the stream lives, and how far it has looked.
    async fn beat(&mut self) -> Result<(), Ended> {
        let now = self.api.seen.clock.unix();
        let is_valid = self.api.seen.store.is_token_valid(self.token, now).await;
        if !is_valid.unwrap_or(true) {
            debug!("a stream of events ends: its token is worthless");
            return Err(Ended);
        }
        let id = match self.told < self.position {
            true => format!("id: {}\n\n", self.position),
            false => String::new(),
        };
        self.told = self.position;
        self.send(format!(": still here\n\n{id}")).await
    }

    async fn send(&mut self, text: String) -> Result<(), Ended> {
        let sent = self.sender.send_data(Bytes::from(text));
        match tokio::time::timeout(STALL_MAX, sent).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Ended),
            Err(_) => {
                debug!("a stream of events ends: its client takes nothing");
                Err(Ended)
            }
        }
    }
}

fn frame(row: &EventRow) -> String {
    let mut frame = format!("id: {}\nevent: {}\n", row.seq, row.event_type);
    // A body is one line; were it several, each would be one of the data.
    for line in row.body.split(['\r', '\n']) {
        frame.push_str("data: ");
        frame.push_str(line);
        frame.push('\n');
    }
    frame.push('\n');
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventType;

    #[test]
    fn every_type_can_be_asked_for() {
        let words = EventType::WORDS.into_iter().map(|(word, _)| word).chain([TEST_TYPE]);
        assert_eq!(words.collect::<std::collections::BTreeSet<_>>(), TYPES.into_iter().collect());
    }

    #[test]
    fn a_body_never_ends_a_frame() {
        let row = EventRow {
            seq: 7,
            event_type: "gap.opened".to_owned(),
            body: "a\n\nid: 9\rb".to_owned(),
        };
        assert_eq!(
            frame(&row),
            "id: 7\nevent: gap.opened\ndata: a\ndata: \ndata: id: 9\ndata: b\n\n"
        );
    }
}
