//! How a read that was asked for by hand is told: in words, as JSON, and by the exit code.

use serde_json::{Map, Value, json};

use crate::cli::exit::Exit;
use crate::gateway::status::Status;
use crate::intake::reader::ReadResult;
use crate::store::read::{Ingested, Verdict};
use crate::time::UnixMs;

/// What a read came to.
pub(super) struct Told {
    pub(super) exit: Exit,
    /// Whether the gateway was asked.
    pub(super) asked: bool,
    pub(super) words: String,
    /// Without what was asked for: its command adds that.
    pub(super) json: Map<String, Value>,
}

/// Tells what became of a read. `brought` says in words, given the doubt if there is one, what a
/// read that was not refused brought; `refused` is the status for which an account is left alone.
pub(super) fn told(
    result: &ReadResult,
    now: UnixMs,
    refused: Option<Status>,
    brought: impl FnOnce(&Ingested, Option<String>) -> String,
) -> Told {
    match result {
        ReadResult::Done(ingested) => {
            let words = match ingested.verdict {
                Verdict::Proven => brought(ingested, None),
                Verdict::Doubtful(reason) => brought(ingested, Some(doubt(ingested, reason))),
                Verdict::Refused(reason) => {
                    format!("refused by the gateway ({reason}){}", status(ingested))
                }
            };
            let exit = ingested.pause.map_or_else(|| ingested.verdict.into(), |_| Exit::Refused);
            let json = json_of(ingested);
            Told { exit, asked: true, words, json }
        }
        ReadResult::NotNow(wait) => {
            let next = now.after(*wait).beijing();
            let why = refused.map_or_else(String::new, |status| {
                format!("the gateway refused the account with {status}; ")
            });
            let words =
                format!("not now: {why}the gateway may be asked again at {next} (Beijing time)");
            let mut told = Told { asked: false, ..plain(Exit::NotNow, "not_now", words) };
            told.json.insert("next_at".to_owned(), next.rfc3339().into());
            told
        }
        ReadResult::Abandoned => {
            let words = "not read: this machine was asleep; try again";
            Told { asked: false, ..plain(Exit::Failed, "abandoned", words) }
        }
        ReadResult::TakenElsewhere => {
            let words = "read and kept; the running service took the answer in";
            plain(Exit::Done, "taken_elsewhere", words)
        }
        ReadResult::NotTakenIn(reason) => {
            let words = format!("read and kept, but not taken in: {reason}");
            plain(Exit::Failed, "not_taken_in", words)
        }
    }
}

fn plain(exit: Exit, verdict: &str, words: impl Into<String>) -> Told {
    let json = Map::from_iter([("verdict".to_owned(), verdict.into())]);
    Told { exit, asked: true, words: words.into(), json }
}

fn doubt(ingested: &Ingested, reason: &str) -> String {
    let http = ingested.http_status.filter(|status| *status != 200);
    let http = http.map_or_else(String::new, |status| format!(", HTTP {status}"));
    let why = ingested.error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
    format!("doubtful ({reason}){}{http}{why}", status(ingested))
}

fn status(ingested: &Ingested) -> String {
    ingested.status.map_or_else(String::new, |status| format!(", status {status}"))
}

fn json_of(ingested: &Ingested) -> Map<String, Value> {
    let json = json!({
        "read": ingested.read.0,
        "verdict": ingested.verdict.as_str(),
        "reason": ingested.verdict.reason(),
        "status": ingested.status.map(|status| status.0),
        "http_status": ingested.http_status,
        "error": ingested.error,
        "records": ingested.records,
        "faults": ingested.faults,
        "new": ingested.new,
    });
    match json {
        Value::Object(json) => json,
        _ => Map::new(),
    }
}
