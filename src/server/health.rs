//! `/livez` and `/readyz`, for those who watch over processes.
//!
//! Ready means that the store answers. The gateway and the subscribers are not asked: an outage
//! of theirs must never restart us.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::json;

use super::Seen;

pub(super) fn routes() -> Router<Seen> {
    Router::new().route("/livez", get(live)).route("/readyz", get(ready))
}

async fn live() -> impl IntoResponse {
    respond(StatusCode::OK, &json!({ "status": "live" }))
}

async fn ready(State(seen): State<Seen>) -> impl IntoResponse {
    match seen.store.ping().await {
        Ok(()) => respond(StatusCode::OK, &json!({ "status": "ready" })),
        Err(error) => {
            let body = json!({ "status": "not_ready", "reasons": [format!("store: {error}")] });
            respond(StatusCode::SERVICE_UNAVAILABLE, &body)
        }
    }
}

fn respond(status: StatusCode, body: &serde_json::Value) -> impl IntoResponse + use<> {
    (status, [(CONTENT_TYPE, "application/json")], body.to_string())
}
