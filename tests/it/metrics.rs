//! `/metrics` of a running service: what happened is counted, and nothing personal is in it.

use std::time::Duration;

use replyd::gateway::simulator::{Habits, NewReply};
use replyd::gateway::status::Status;

use crate::recovery::{address, get};
use crate::support::{Home, Receiver, Settings, UID, execute, gateway, now, reply, until};

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_counted_and_nothing_personal_is_shown() {
    let gateway = gateway(Habits { min_interval: Duration::ZERO, ..Habits::default() }).await;
    let crm = Receiver::start().await;
    crm.answer_next(&[503]);
    let base_url = gateway.base_url();
    let home = Home::new(&Settings {
        base_url: &base_url,
        subscribers: &[("crm", &crm.url)],
        account: "balance_low = 1",
        ..Settings::default()
    });
    let service = home.serve();
    gateway.arrive(UID, reply("13900000001", "退订"));
    crm.wait_for(2).await;
    let address = address(&home).unwrap();
    let shown = || get(address, "/metrics").unwrap_or_default();
    let expected = [
        r#"replyd_records_total{account="main",outcome="new"} 1"#,
        r#"replyd_attempts_total{subscriber="crm",outcome="retry"} 1"#,
        r#"replyd_attempts_total{subscriber="crm",outcome="delivered"} 1"#,
        r#"replyd_delivery_duration_seconds_count{subscriber="crm"} 1"#,
        r#"replyd_reply_duration_seconds_count{subscriber="crm"} 1"#,
        r#"replyd_deliveries{subscriber="crm",state="waiting"} 0"#,
        r#"replyd_subscriber_disabled{subscriber="crm"} 0"#,
        r#"replyd_hours_owed{account="main"} "#,
        r#"replyd_gap_hours{account="main"} 0"#,
        r#"replyd_balance_messages{account="main"} 22348"#,
        r#"replyd_balance_low_messages{account="main"} 1"#,
        r#"replyd_reads_total{account="main",kind="plain",outcome="proven"} "#,
        r#"replyd_last_good_read_timestamp_seconds{account="main"} 1"#,
        r#"replyd_read_due_timestamp_seconds{account="main"} 1"#,
        r#"replyd_lossy_replies_total{account="main"} 0"#,
        r#"replyd_suspect_replies_total{account="main"} 0"#,
        r#"replyd_hours_given_up_total{account="main"} 0"#,
        "replyd_store_size_bytes ",
        "replyd_store_log_size_bytes ",
        "replyd_store_disk_free_bytes ",
        "replyd_store_disk_needed_bytes 134217728",
        "replyd_time_seconds 1",
        "replyd_build_info{version=",
        "process_start_time_seconds 1",
        "# EOF",
    ];
    until("the counts", || missing(&shown(), &expected).is_empty()).await;
    let shown = shown();
    assert!(shown.contains("application/openmetrics-text"), "{shown}");
    for personal in ["13900000001", "1390000", "退订", "hooks/sms", "whsec_"] {
        assert!(!shown.contains(personal), "{personal}");
    }
    assert_eq!(service.stop(), Some(0));
    gateway.stop().await;
}

/// What the home's service shows; empty while it does not answer.
pub(crate) fn scraped(home: &Home) -> String {
    address(home).and_then(|address| get(address, "/metrics").ok()).unwrap_or_default()
}

/// The lines of which none begins so.
fn missing<'a>(shown: &str, expected: &[&'a str]) -> Vec<&'a str> {
    let is_there = |line: &&&str| !shown.lines().any(|found| found.starts_with(**line));
    expected.iter().filter(is_there).copied().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_counted_and_stands_there() {
    let gateway = gateway(Habits { min_interval: Duration::ZERO, ..Habits::default() }).await;
    let down = Receiver::start().await;
    down.answer_next(&[500; 1_000]);
    let base_url = gateway.base_url();
    let home = Home::new(&Settings {
        base_url: &base_url,
        subscribers: &[("down", &down.url)],
        account: r#"number = "10681122""#,
        ..Settings::default()
    });
    // Half a character; and a number that is not the account's.
    let mut broken = NewReply::text("13900000001", "好", now(), "1068112227282");
    broken.content.truncate(1);
    gateway.arrive(UID, broken);
    gateway.arrive(UID, NewReply::text("13900000002", "同意", now(), "1069001"));
    let service = home.serve();
    let mut expected = vec![
        r#"replyd_lossy_replies_total{account="main"} 1"#,
        r#"replyd_suspect_replies_total{account="main"} 1"#,
        r#"replyd_subscriber_failing_since_timestamp_seconds{subscriber="down"} 1"#,
        r#"replyd_deliveries{subscriber="down",state="waiting"} 2"#,
        r#"replyd_oldest_delivery_timestamp_seconds{subscriber="down"} 1"#,
        r#"replyd_refused_status{account="main"} 0"#,
    ];
    let shown = || scraped(&home);
    until("two replies and a failure", || missing(&shown(), &expected).is_empty()).await;
    gateway.set_status(UID, Some(Status::FROZEN));
    expected.push(r#"replyd_reads_total{account="main",kind="plain",outcome="refused"} 1"#);
    expected.retain(|line| !line.contains("refused_status"));
    expected.push(r#"replyd_refused_status{account="main"} 109"#);
    until("the refusal", || missing(&shown(), &expected).is_empty()).await;
    service.kill();
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_of_a_process_that_died_are_counted_by_the_next() {
    let home = Home::new(&Settings::default());
    let service = home.serve();
    until("a first start", || address(&home).is_some()).await;
    service.kill();
    // It had asked, and was never answered: past its deadline on whatever clock.
    execute(
        &home,
        "INSERT INTO read (account, state, charset, started_ms, deadline_boot, deadline_boot_ms)
         VALUES ('main', 'started', 'gbk', 1, 'another boot', 1)",
    );
    std::fs::remove_file(home.path("log")).unwrap();
    let service = home.serve();
    let line = r#"replyd_reads_total{account="main",kind="plain",outcome="doubtful"} "#;
    let shown = || scraped(&home);
    let gaps = r#"replyd_gap_hours{account="main"} "#;
    until("the read", || missing(&shown(), &[line, gaps]).is_empty()).await;
    let open = shown().lines().any(|found| found.starts_with(gaps) && !found.ends_with(" 0"));
    assert!(open, "a gap is open: {}", shown());
    service.kill();
}
