//! Answers that are wrong, broken or odd: what is kept of them, and that nothing is lost.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Bytes;
use replyd::gateway::simulator::{Ending, Fault, Habits, NewReply, Simulator};

use crate::support::{
    Home, Receiver, SECRET, Settings, UID, Webhook, gateway, now, query, reply, until,
};

/// As long as any client takes to follow a redirect on this machine, and longer.
const INTERVAL: Duration = Duration::from_millis(300);

/// As far back as a test's replies go.
pub(crate) const RECOVER: &str = "recover = \"1h\"";
/// What the account logs in with.
const PWD: &str = "fa246d0262c3925617b0c72bb20eeb1d";

/// A gateway, a receiver, and a home that knows both.
pub(crate) async fn stage(habits: Habits, account: &str) -> (Simulator, Receiver, Home) {
    let (gateway, receiver) = (gateway(habits).await, Receiver::start().await);
    let interval = format!("{}ms", habits.min_interval.as_millis());
    let home = Home::new(&Settings {
        base_url: &gateway.base_url(),
        subscribers: &[("crm", &receiver.url)],
        min_interval: &interval,
        account,
        ..Settings::default()
    });
    (gateway, receiver, home)
}

pub(crate) fn habits() -> Habits {
    Habits { min_interval: INTERVAL, ..Habits::default() }
}

/// What the receiver was told, sorted.
pub(crate) fn told(receiver: &Receiver) -> Vec<String> {
    let mut texts: Vec<String> =
        receiver.webhooks().iter().map(|webhook| webhook.field("content")).collect();
    texts.sort();
    texts
}

/// Counts rows by what stands behind `SELECT count(*) FROM`.
pub(crate) fn count(home: &Home, rows: &str) -> i64 {
    query(home, &format!("SELECT count(*) FROM {rows}"))
}

fn literal(bytes: &[u8]) -> String {
    format!("x'{}'", hex::encode(bytes))
}

fn answer(http_status: u16, content_type: &str, body: &[u8]) -> Fault {
    Fault::Answer { http_status, content_type: content_type.to_owned(), body: body.to_vec() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_of_this_protocol_is_kept_byte_for_byte_and_makes_no_reply() {
    let (gateway, receiver, home) = stage(habits(), RECOVER).await;
    let strangers: [(u16, &[u8], &str); 4] = [
        (200, b"<html>\xff 13900000009||a||2026-11-22 10:00:00||1069\r\n", "not_protocol"),
        (200, b" {\"code\":100,\"data\":\"13900000009\"} ", "not_protocol"),
        (302, b"<a href=\"/\">moved</a>", "http_status"),
        (502, b"<html><body>502 Bad Gateway</body></html>", "http_status"),
    ];
    for (http_status, body, _) in strangers {
        gateway.fault_next(answer(http_status, "text/html", body));
    }
    gateway.arrive(UID, reply("13900000001", "one"));
    gateway.arrive(UID, reply("13900000002", "two"));
    let service = home.serve();
    receiver.wait_for(2).await;
    until("every stranger's answer", || gateway.requests().len() > strangers.len()).await;
    assert_eq!(service.stop(), Some(0));
    for (http_status, body, reason) in strangers {
        let kept = format!(
            "read WHERE http_status = {http_status} AND body = {} AND verdict = 'doubtful'
             AND reason = '{reason}' AND replies_new = 0",
            literal(body)
        );
        assert_eq!(count(&home, &kept), 1, "{kept}");
        assert!(home.log().contains(reason), "{}", home.log());
    }
    assert_eq!(told(&receiver), ["one", "two"]);
    assert_eq!(count(&home, "reply"), 2);
    assert_eq!(gateway.early_reads(), 0, "a redirect was followed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_record_costs_its_neighbours_nothing_and_is_kept() {
    let (gateway, receiver, home) = stage(habits(), RECOVER).await;
    let time = now();
    let (no_number, no_date) =
        (format!("nobody||b||{time}||1069"), "13900000004||d||2026-02-30 10:00:00||1069");
    let body = format!(
        "100{{&}}13900000001||a||{time}||1069{{&}}{no_number}{{&}}13900000003||c||{time}||1069{{&}}\
         {no_date}{{&}}13900000005||e||{time}||1069"
    );
    gateway.fault_next(answer(200, "text/plain; charset=gbk", body.as_bytes()));
    let service = home.serve();
    receiver.wait_for(3).await;
    until("it to be told", || home.log().contains("the answer holds what is no record")).await;
    assert_eq!(service.stop(), Some(0));
    assert_eq!(told(&receiver), ["a", "c", "e"]);
    assert_eq!(count(&home, "fault"), 2);
    for (kind, bytes) in [("no_number", no_number.as_str()), ("no_such_date", no_date)] {
        let bytes = literal(bytes.as_bytes());
        assert_eq!(count(&home, &format!("fault WHERE kind = '{kind}' AND bytes = {bytes}")), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_in_utf_8_is_asked_and_read_so() {
    let habits = Habits { honours_encode: true, ..habits() };
    let (gateway, receiver, home) = stage(habits, "charset = \"utf-8\"").await;
    let texts = ["a{&}b||c", "好的，收到", "谢谢😀"];
    for text in texts {
        gateway.arrive(UID, reply("13900000001", text));
    }
    let service = home.serve();
    let webhooks = receiver.wait_for(texts.len()).await;
    assert_eq!(service.stop(), Some(0));
    assert_eq!(told(&receiver), texts);
    assert!(webhooks.iter().all(|webhook| webhook.json()["data"]["lossy"] == false));
    assert_eq!(
        count(&home, "read WHERE charset = 'utf-8' AND verdict = 'proven'"),
        count(&home, "read")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_character_that_was_cut_arrives_as_u_fffd_and_marked() {
    let (gateway, receiver, home) = stage(habits(), "").await;
    let cut = b"\xd6\xd0\xc4".to_vec();
    let lossy = NewReply { content: cut.clone(), ..reply("13900000001", "") };
    gateway.arrive(UID, lossy);
    gateway.arrive(UID, reply("13900000002", "和珅"));
    let service = home.serve();
    let webhooks = receiver.wait_for(2).await;
    assert_eq!(service.stop(), Some(0));
    assert_eq!(told(&receiver), ["中\u{fffd}", "和珅"]);
    for webhook in webhooks {
        let is_cut = webhook.field("from") == "13900000001";
        assert_eq!(webhook.json()["data"]["lossy"], is_cut);
    }
    let kept = format!("reply WHERE content_raw = {}", literal(&cut));
    assert_eq!(count(&home, &kept), 1, "its bytes are not kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_for_a_read_under_way_and_keeps_what_came() {
    for (fault, ending) in [
        (Fault::Dribble { piece: 1, pause: Duration::from_millis(10) }, "announced"),
        (Fault::Stall { after: 40, for_real: Duration::from_millis(800) }, "cut"),
    ] {
        let (gateway, receiver, home) = stage(habits(), RECOVER).await;
        gateway.arrive(UID, reply("13900000001", "one"));
        gateway.fault_next(fault);
        let service = home.serve();
        until("the request", || gateway.requests().len() == 1).await;
        assert_eq!(gateway.requests()[0].ending, Ending::Open, "nothing is under way");
        assert_eq!(service.stop(), Some(0));
        assert_ne!(gateway.requests()[0].ending, Ending::Open, "the stop did not wait");
        let body = "read WHERE state = 'ingested' AND length(body) > 30 AND ending =";
        assert_eq!(count(&home, &format!("{body} '{ending}'")), 1, "{}", home.log());
        let service = home.serve();
        receiver.wait_for(1).await;
        assert_eq!(service.stop(), Some(0));
        assert_eq!(told(&receiver), ["one"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_loss_of_the_store_a_re_read_gives_the_same_ids() {
    let (gateway, receiver, home) = stage(habits(), RECOVER).await;
    let twice = reply("13900000001", "twice");
    for reply in [twice.clone(), twice, reply("13900000002", "once")] {
        gateway.arrive(UID, reply);
    }
    let service = home.serve();
    receiver.wait_for(3).await;
    assert_eq!(service.stop(), Some(0));
    for file in ["replyd.db", "replyd.db-wal", "replyd.db-shm"] {
        drop(std::fs::remove_file(home.path(file)));
    }
    assert!(!home.path("replyd.db").exists());
    // The box is empty; a first read that breaks owes the hours before it.
    gateway.fault_next(Fault::CloseWithoutReading);
    let service = home.serve();
    let webhooks = receiver.wait_for(6).await;
    assert_eq!(service.stop(), Some(0));
    let told = |webhooks: &[Webhook]| -> BTreeMap<String, Bytes> {
        webhooks.iter().map(|webhook| (webhook.id().to_owned(), webhook.body.clone())).collect()
    };
    let (before, after) = webhooks.split_at(3);
    assert_eq!(told(before).len(), 3);
    assert_eq!(told(before), told(after));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_and_nothing_personal_is_logged_or_kept_in_errors() {
    let (gateway, receiver, home) = stage(habits(), RECOVER).await;
    for fault in [Fault::CutBody { after: 30 }, Fault::CloseWithoutReading, Fault::NoLength] {
        gateway.fault_next(fault);
    }
    receiver.answer_next(&[500]);
    gateway.arrive(UID, reply("13900000001", "privatewords"));
    let mut command = home.command(&["run"]);
    command.env("RUST_LOG", "trace");
    let service = home.spawn(command);
    receiver.wait_for(2).await;
    assert_eq!(service.stop(), Some(0));
    let log = home.log();
    assert!(log.contains("not delivered") && log.contains("doubtful"), "{log}");
    for hidden in [PWD, SECRET, "13900000001", "privatewords"] {
        let shown = log.lines().find(|line| line.contains(hidden));
        assert_eq!(shown, None, "{hidden} is in the log");
    }
    // What is kept of an error goes into reports.
    assert!(count(&home, "read WHERE error IS NOT NULL") >= 2);
    assert_eq!(count(&home, "read WHERE error LIKE '%pwd%' OR error LIKE '%/rx%'"), 0);
}
