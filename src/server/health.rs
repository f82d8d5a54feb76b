//! `/livez` and `/readyz`, for those who watch over processes.
//!
//! Ready means that the store answers and that no task hangs. The gateway and the subscribers are
//! not asked: an outage of theirs must never restart us.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::{Value, json};

use super::Seen;

/// How long the store may take to answer. It is asked beside all its other work.
const STORE_ANSWER_MAX: Duration = Duration::from_secs(5);

pub(super) fn routes() -> Router<Seen> {
    Router::new().route("/livez", get(live)).route("/readyz", get(ready))
}

async fn live() -> impl IntoResponse {
    respond(StatusCode::OK, &json!({ "status": "live" }))
}

async fn ready(State(seen): State<Seen>) -> impl IntoResponse {
    let store = match tokio::time::timeout(STORE_ANSWER_MAX, seen.store.ping()).await {
        Ok(answered) => answered.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", STORE_ANSWER_MAX.as_secs())),
    };
    let (is_ready, body) = verdict(&store, &seen.pulses.alive());
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    respond(status, &body)
}

/// Whether it is ready, and what is said of it: every check, and the reasons where one fails.
fn verdict(store: &Result<(), String>, tasks: &[(String, bool)]) -> (bool, Value) {
    let mut reasons = Vec::new();
    if let Err(error) = store {
        reasons.push(format!("store: {error}"));
    }
    let hanging = tasks.iter().filter(|(_, is_alive)| !is_alive);
    reasons.extend(hanging.map(|(name, _)| format!("{name}: shows no sign of life")));
    let word = |is_well| if is_well { "ok" } else { "failed" };
    let mut checks = serde_json::Map::new();
    checks.insert("store".to_owned(), word(store.is_ok()).into());
    for (name, is_alive) in tasks {
        // Two have one name while one replaces the other.
        let is_well = *is_alive && checks.get(name).is_none_or(|other| other == word(true));
        checks.insert(name.clone(), word(is_well).into());
    }
    let is_ready = reasons.is_empty();
    let status = if is_ready { "ready" } else { "not_ready" };
    (is_ready, json!({ "status": status, "reasons": reasons, "checks": checks }))
}

fn respond(status: StatusCode, body: &Value) -> impl IntoResponse + use<> {
    (status, [(CONTENT_TYPE, "application/json")], body.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_a_store_that_answers_and_tasks_that_are_alive() {
        let task = |name: &str, is_alive| (name.to_owned(), is_alive);
        let broken = || Err("it is gone".to_owned());
        let table = [
            (Ok(()), vec![], true, vec![], json!({ "store": "ok" })),
            (broken(), vec![], false, vec!["store: it is gone"], json!({ "store": "failed" })),
            (
                Ok(()),
                vec![task("account main", true), task("subscriber crm", false)],
                false,
                vec!["subscriber crm: shows no sign of life"],
                json!({ "store": "ok", "account main": "ok", "subscriber crm": "failed" }),
            ),
            (
                Ok(()),
                vec![task("account main", false), task("account main", true)],
                false,
                vec!["account main: shows no sign of life"],
                json!({ "store": "ok", "account main": "failed" }),
            ),
        ];
        for (store, tasks, is_ready, reasons, checks) in table {
            let (found, body) = verdict(&store, &tasks);
            assert_eq!(found, is_ready, "{body}");
            assert_eq!(body["status"], if is_ready { "ready" } else { "not_ready" });
            assert_eq!(body["reasons"], json!(reasons));
            assert_eq!(body["checks"], checks);
        }
    }
}
