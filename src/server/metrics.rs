//! `/metrics`, for Prometheus.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::Seen;

/// What Prometheus asks for and reads.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) fn routes() -> Router<Seen> {
    Router::new().route("/metrics", get(metrics))
}

async fn metrics(State(seen): State<Seen>) -> Response {
    match seen.store.gauges().await {
        Ok(gauges) => {
            ([(CONTENT_TYPE, OPEN_METRICS)], seen.metrics.render(&gauges)).into_response()
        }
        Err(error) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("store: {error}\n")).into_response()
        }
    }
}
