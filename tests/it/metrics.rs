//! `/metrics` of a running service: what happened is counted, and nothing personal is in it.

use std::time::Duration;

use replyd::gateway::simulator::Habits;

use crate::recovery::{address, get};
use crate::support::{Home, Receiver, Settings, UID, gateway, reply, until};

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
        r#"replyd_deliveries{subscriber="crm",state="waiting"} 0"#,
        r#"replyd_subscriber_disabled{subscriber="crm"} 0"#,
        r#"replyd_hours_owed{account="main"} "#,
        r#"replyd_balance_messages{account="main"} 22348"#,
        r#"replyd_reads_total{account="main",kind="plain",outcome="proven"} "#,
        r#"replyd_last_good_read_timestamp_seconds{account="main"} 1"#,
        "replyd_store_size_bytes ",
        "# EOF",
    ];
    until("the counts", || {
        let shown = shown();
        expected.iter().all(|line| shown.lines().any(|found| found.starts_with(line)))
    })
    .await;
    let shown = shown();
    assert!(shown.contains("application/openmetrics-text"), "{shown}");
    for personal in ["13900000001", "1390000", "退订", "hooks/sms", "whsec_"] {
        assert!(!shown.contains(personal), "{personal}");
    }
    assert_eq!(service.stop(), Some(0));
    gateway.stop().await;
}
