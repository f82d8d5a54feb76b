//! `/metrics`, for Prometheus.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::{Seen, process};
use crate::config::{AccountConfig, Config};
use crate::intake::plan;
use crate::intake::reader::ROOM;
use crate::metrics::{Gauges, ProcessGauges};
use crate::time::UnixMs;

/// What Prometheus asks for and reads.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The route of a process that serves since then.
pub(super) fn routes(started: UnixMs) -> Router<Seen> {
    let answer = move |seen: State<Seen>| metrics(seen, started);
    Router::new().route("/metrics", get(answer))
}

async fn metrics(State(seen): State<Seen>, started: UnixMs) -> Response {
    let process = ProcessGauges {
        started: started.seconds(),
        now: seen.clock.unix().seconds(),
        resident: process::resident(),
        open_files: process::open_files(),
    };
    match seen.store.gauges(ROOM, process).await {
        Ok(mut gauges) => {
            configured(&mut gauges, &seen.config.borrow(), started);
            ([(CONTENT_TYPE, OPEN_METRICS)], seen.metrics.render(&gauges)).into_response()
        }
        Err(error) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("store: {error}\n")).into_response()
        }
    }
}

/// Adds what the configuration wants of each account. One that was never read well was to be when
/// the process started.
fn configured(gauges: &mut Gauges, config: &Config, started: UnixMs) {
    for gauges in &mut gauges.accounts {
        let Some(account) = of(config, &gauges.account) else { continue };
        let due = gauges.last_good_read.map(|seconds| {
            let last = UnixMs(seconds.saturating_mul(1_000));
            plan::due_after(last, &account.schedule, account.min_interval)
        });
        // A service that was off could not read: it is late from its start on.
        gauges.read_due = Some(due.flatten().unwrap_or(started).max(started).seconds());
        gauges.balance_low = i64::try_from(account.balance_low).ok().filter(|low| *low > 0);
    }
}

fn of<'a>(config: &'a Config, name: &str) -> Option<&'a AccountConfig> {
    config.accounts.iter().find(|account| account.name == name)
}
