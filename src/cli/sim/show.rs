//! What the simulated gateway prints of each thing that happens: one line, without the password.

use serde_json::{Map, Value, json};

use crate::cli::output;
use crate::cli::table::visible;
use crate::gateway::charset::Charset;
use crate::gateway::simulator::{
    Asked, Call, Ending, LedgerReply, ReadRequest, Sent, SimulatorEvent,
};
use crate::gateway::status::Status;
use crate::reply::Mobile;
use crate::time::UnixMs;

/// So much of what a client names is shown: paths and accounts that it makes up.
const NAME_MAX: usize = 64;

/// How things that happen are shown.
pub(super) struct Show {
    pub(super) json: bool,
    /// Whether full numbers, and texts that were sent, are shown.
    pub(super) content: bool,
}

impl Show {
    /// Shows what happened. `now` is the time of what has none of its own.
    pub(super) fn event(&self, event: &SimulatorEvent, now: UnixMs) {
        let (at, what, words, facts) = match event {
            SimulatorEvent::Arrived { reply, .. } => {
                (now, "reply", self.reply_in_words(reply), self.reply(reply))
            }
            SimulatorEvent::Read(read) => (read.at, "rx", read_in_words(read), of_read(read)),
            SimulatorEvent::Sent(sent) => {
                (sent.at, "tx", self.sent_in_words(sent), self.sent(sent))
            }
            SimulatorEvent::Called(call) => (call.at, "call", call_in_words(call), of_call(call)),
        };
        if self.json {
            let mut all = Map::new();
            all.insert("at".to_owned(), json!(at.beijing().rfc3339()));
            all.insert("what".to_owned(), json!(what));
            if let Value::Object(facts) = facts {
                all.extend(facts);
            }
            output::json(&Value::Object(all));
        } else {
            let at = at.beijing().to_string();
            let time = at.split(' ').next_back().unwrap_or_default();
            output::data(&format!("{time}  {}", visible_words(&words)));
        }
    }

    fn number(&self, number: &str) -> String {
        match Mobile::parse(number) {
            _ if self.content => number.to_owned(),
            Some(mobile) => mobile.to_string(),
            None => "****".to_owned(),
        }
    }

    fn reply_in_words(&self, reply: &LedgerReply) -> [String; 2] {
        let text = Charset::Gbk.decode(&reply.content).text;
        ["reply".to_owned(), format!("{} writes \"{text}\"", self.number(&reply.mobile))]
    }

    fn reply(&self, reply: &LedgerReply) -> Value {
        json!({
            "uid": reply.uid,
            "from": self.number(&reply.mobile),
            "content": Charset::Gbk.decode(&reply.content).text,
            "gateway": reply.gateway,
        })
    }

    fn sent_in_words(&self, sent: &Sent) -> [String; 2] {
        let message = &sent.message;
        let numbers = output::count(message.mobiles.len(), "number", "numbers");
        let at = message.send_at.map(|at| format!(", to go out at {at}")).unwrap_or_default();
        let letters = output::count(message.content.chars().count(), "character", "characters");
        let content =
            if self.content { format!(": \"{}\"", message.content) } else { String::new() };
        let words = format!("{}: accepted, to {numbers}, {letters}{at}{content}", name(&sent.uid));
        ["/tx".to_owned(), words]
    }

    fn sent(&self, sent: &Sent) -> Value {
        let message = &sent.message;
        let mut facts = json!({
            "uid": name(&sent.uid),
            "numbers": message.mobiles.len(),
            "letters": message.content.chars().count(),
            "send_at": message.send_at.map(|at| at.rfc3339()),
            "mid": message.mid,
        });
        if let (true, Some(facts)) = (self.content, facts.as_object_mut()) {
            facts.insert("mobiles".to_owned(), json!(message.mobiles));
            facts.insert("content".to_owned(), json!(message.content));
        }
        facts
    }
}

fn read_in_words(read: &ReadRequest) -> [String; 2] {
    let asked = match read.asked {
        Asked::Plain => "the box".to_owned(),
        Asked::Hour(hour) => format!("the hour {hour}"),
        Asked::BadHour => "an hour that is none".to_owned(),
    };
    let status = read.status.filter(|status| *status != Status::OK);
    let status = status.map(|status| format!(", {status}")).unwrap_or_default();
    let early = if read.early { ", TOO EARLY" } else { "" };
    let replies = output::count(read.handed_out, "reply", "replies");
    let ending = match read.ending {
        Ending::Broken => "; the answer BROKE on the way",
        Ending::Open | Ending::Whole => "",
    };
    let words = format!("{}: {asked}{early}{status}, {replies}{ending}", name(&read.uid));
    ["/rx".to_owned(), words]
}

fn of_read(read: &ReadRequest) -> Value {
    let (asked, hour) = match read.asked {
        Asked::Plain => ("plain", None),
        Asked::Hour(hour) => ("hour", Some(hour.to_string())),
        Asked::BadHour => ("bad_hour", None),
    };
    let ending = match read.ending {
        Ending::Open => "open",
        Ending::Whole => "whole",
        Ending::Broken => "broken",
    };
    json!({
        "uid": name(&read.uid),
        "asked": asked,
        "hour": hour,
        "early": read.early,
        "status": read.status.map(|status| status.0),
        "replies": read.handed_out,
        "ending": ending,
    })
}

fn call_in_words(call: &Call) -> [String; 2] {
    let answer = match call.status {
        Some(status) => status.to_string(),
        None => format!("HTTP {}: no call of this protocol", call.http_status),
    };
    let uid = if call.uid.is_empty() { String::new() } else { format!("{}: ", name(&call.uid)) };
    let path = if call.path.is_empty() { "?".to_owned() } else { name(&call.path) };
    [path, format!("{uid}{answer}")]
}

fn of_call(call: &Call) -> Value {
    json!({
        "path": name(&call.path),
        "uid": name(&call.uid),
        "status": call.status.map(|status| status.0),
        "http_status": call.http_status,
    })
}

/// What a client calls something, as far as it is shown.
fn name(text: &str) -> String {
    text.chars().take(NAME_MAX).collect()
}

/// What happened and its words, in a line that steers no terminal.
fn visible_words([what, words]: &[String; 2]) -> String {
    format!("{:<7} {}", visible(what), visible(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOW: Show = Show { json: false, content: false };

    fn read(asked: Asked, early: bool, status: Option<u16>, ending: Ending) -> ReadRequest {
        let (at, uid, status) = (UnixMs(0), "9999".to_owned(), status.map(Status));
        ReadRequest { at, uid, asked, early, handed_out: 2, status, ending }
    }

    #[test]
    fn each_read_is_one_line() {
        for (asked, early, status, ending, expected) in [
            (Asked::Plain, false, Some(100), Ending::Whole, "9999: the box, 2 replies"),
            (
                Asked::Plain,
                true,
                Some(107),
                Ending::Whole,
                "9999: the box, TOO EARLY, 107 (too frequent), 2 replies",
            ),
            (
                Asked::Hour("2008-05-27_12".parse().unwrap()),
                false,
                None,
                Ending::Broken,
                "9999: the hour 2008-05-27_12, 2 replies; the answer BROKE on the way",
            ),
        ] {
            assert_eq!(read_in_words(&read(asked, early, status, ending))[1], expected);
        }
    }

    #[test]
    fn what_comes_from_strangers_is_shown_and_not_obeyed() {
        let reply = LedgerReply {
            uid: "9999".into(),
            mobile: "13900000001".into(),
            content: b"a\x1b[2Jb\n".to_vec(),
            replied_at: UnixMs(0).beijing(),
            gateway: String::new(),
            handed_out: 0,
        };
        let shown = visible_words(&SHOW.reply_in_words(&reply));
        assert_eq!(shown, r#"reply   139****0001 writes "a\u{1b}[2Jb\n""#);
        let path = format!("/\u{1b}]0;x\u{7}{}", "y".repeat(1000));
        let call =
            Call { at: UnixMs(0), path, uid: "\u{202e}".into(), status: None, http_status: 404 };
        let shown = visible_words(&call_in_words(&call));
        assert!(shown.chars().all(output::is_seen) && shown.len() < 300, "{shown}");
    }
}
