//! A store that is full or shared, a gateway that refuses or is away.

use std::time::Duration;

use replyd::clock::Clock;
use replyd::gateway::simulator::{Asked, Fault, Habits, Options, Simulator};
use replyd::gateway::status::Status;

use crate::intake::{RECOVER, count, habits, stage, told};
use crate::support::{
    Home, PATIENCE, Receiver, Settings, UID, ends, gateway, now, query, reply, until,
};

/// How long a test watches that nothing is asked: a service that asks does so every second.
const WATCHED: Duration = Duration::from_secs(4);

/// Bytes by which the store may still grow: enough to start, and for a few reads.
const ROOM: u64 = 128 * 1024;

/// Watches a gateway on which nothing may be asked.
async fn is_left_alone(gateway: &Simulator, why: &str) {
    let before = gateway.requests();
    tokio::time::sleep(WATCHED).await;
    assert_eq!(gateway.requests(), before, "asked {why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_services_on_one_store_never_read_too_early_and_double_nothing() {
    let (gateway, receiver, home) = stage(habits(), RECOVER).await;
    let running = |count| home.log().matches("replyd runs").count() == count;
    let first = home.serve();
    until("the first service", || running(1)).await;
    let services = [first, home.serve()];
    until("the second service", || running(2)).await;
    gateway.fault_next(Fault::CloseWithoutReading);
    let mut texts = Vec::new();
    for number in 10..50 {
        let text = format!("reply {number}");
        gateway.arrive(UID, reply("13900000001", &text));
        texts.push(text);
        if number % 10 == 0 {
            // Spread over several reads.
            let asked = gateway.requests().len();
            until("another read", || gateway.requests().len() > asked).await;
        }
    }
    until("all replies", || told(&receiver).len() >= texts.len()).await;
    let asked = gateway.requests().len();
    until("more reads", || gateway.requests().len() > asked + 3).await;
    for service in services {
        assert_eq!(service.stop(), Some(0));
    }
    assert_eq!(told(&receiver), texts);
    assert_eq!(count(&home, "reply"), 40);
    assert_eq!(gateway.early_reads(), 0);
    assert_eq!(count(&home, "read WHERE state NOT IN ('ingested', 'abandoned')"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_reading_before_the_request_and_loses_nothing() {
    let (gateway, receiver) = (
        gateway(Habits { min_interval: Duration::from_millis(50), ..Habits::default() }).await,
        Receiver::start().await,
    );
    let home = Home::new(&Settings {
        base_url: &gateway.base_url(),
        subscribers: &[("crm", &receiver.url)],
        timeout: "1s",
        account: RECOVER,
        ..Settings::default()
    });
    ends(&home, &["run", "--once"], 0);
    // No file may grow much past what the largest of the store has now.
    let sizes = std::fs::read_dir(home.path(".")).unwrap();
    let largest = sizes.map(|file| file.unwrap().metadata().unwrap().len()).max().unwrap();
    let service = home.serve_with_files_of((largest + ROOM) / 512);
    let mut arrived = 0;
    let mut customers = || {
        for _ in 0..5 {
            arrived += 1;
            gateway.arrive(UID, reply("13900000001", &format!("{arrived} {}", "字".repeat(100))));
        }
        // Whichever write is the first to fail: one before a request, or an answer's own.
        let log = home.log();
        log.contains("reading waits") || log.contains("an answer is not on disk yet")
    };
    until("the disk to be full", &mut customers).await;
    let log = home.log();
    assert!(log.contains("the store cannot be written"), "{log}");
    gateway.arrive(UID, reply("13900000002", "last"));
    is_left_alone(&gateway, "with a store that cannot be written").await;
    assert!(gateway.waiting(UID) > 0, "the box was emptied");
    // An answer that could not be kept may hold a stop up.
    service.kill();
    let service = home.serve();
    let expected = gateway.ledger().len();
    let ids = || {
        query::<i64>(
            &home,
            "SELECT count(DISTINCT event_seq) FROM delivery WHERE state = 'delivered'",
        )
    };
    until("all replies", || usize::try_from(ids()).unwrap() == expected).await;
    assert_eq!(service.stop(), Some(0));
    let mut texts = told(&receiver);
    texts.dedup();
    assert_eq!(texts.len(), expected);
    assert_eq!(count(&home, "reply"), i64::try_from(expected).unwrap());
    assert_eq!(gateway.early_reads(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_asked_while_another_process_holds_the_store() {
    let (gateway, receiver, home) = stage(habits(), RECOVER).await;
    let service = home.serve();
    until("a read", || !gateway.requests().is_empty()).await;
    let holder = rusqlite::Connection::open(home.path("replyd.db")).unwrap();
    holder.busy_timeout(PATIENCE).unwrap();
    let between_two_reads = || {
        holder.execute_batch("BEGIN IMMEDIATE").unwrap();
        let open = "SELECT count(*) FROM read WHERE state IN ('started', 'received')";
        let is_between = holder.query_row(open, [], |row| row.get::<_, i64>(0)).unwrap() == 0;
        if !is_between {
            holder.execute_batch("ROLLBACK").unwrap();
        }
        is_between
    };
    until("a moment between two reads", between_two_reads).await;
    let asked = gateway.requests();
    gateway.arrive(UID, reply("13900000001", "waits"));
    until("it to be told", || home.log().contains("reading waits")).await;
    assert!(home.log().contains("busy with another process"), "{}", home.log());
    assert_eq!(gateway.requests(), asked, "asked what could not be kept");
    holder.execute_batch("ROLLBACK").unwrap();
    receiver.wait_for(1).await;
    until("it to be over", || home.log().contains("the store is well again")).await;
    assert_eq!(service.stop(), Some(0));
    assert_eq!((told(&receiver), gateway.early_reads()), (vec!["waits".to_owned()], 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_login_is_tried_once_until_it_changes() {
    let (gateway, receiver, home) = stage(habits(), RECOVER).await;
    // Owed hours and due reads pile up behind it.
    gateway.fault_next(Fault::CloseWithoutReading);
    let service = home.serve();
    until("an owed hour", || gateway.requests().iter().any(|read| read.asked != Asked::Plain))
        .await;
    gateway.set_status(UID, Some(Status::LOGIN_FAILED));
    gateway.arrive(UID, reply("13900000001", "waits"));
    let refused = || {
        let requests = gateway.requests();
        requests.iter().filter(|read| read.status == Some(Status::LOGIN_FAILED)).count()
    };
    until("the refusal", || home.log().contains("the gateway refused the account")).await;
    is_left_alone(&gateway, "after a refused login").await;
    assert_eq!(service.stop(), Some(0));
    assert_eq!(refused(), 1);
    // Neither does another start try it again.
    let service = home.serve();
    is_left_alone(&gateway, "at the next start").await;
    assert_eq!(service.stop(), Some(0));
    // Another password is tried at once: a wrong one here.
    let config = std::fs::read_to_string(home.path("config.toml")).unwrap();
    home.write("config.toml", &config.replace("fa246d0262c3925617b0c72bb20eeb1d", &"0".repeat(32)));
    let service = home.serve();
    until("the other password", || refused() == 2).await;
    assert_eq!(service.stop(), Some(0));
    // And the right one.
    gateway.set_status(UID, None);
    home.write("config.toml", &config);
    let service = home.serve();
    receiver.wait_for(1).await;
    assert_eq!(service.stop(), Some(0));
    assert_eq!((refused(), told(&receiver)), (2, vec!["waits".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_away_is_waited_for() {
    let receiver = Receiver::start().await;
    let away = gateway(habits()).await;
    let address = away.address();
    away.stop().await;
    let home = Home::new(&Settings {
        base_url: &format!("http://{address}"),
        subscribers: &[("crm", &receiver.url)],
        min_interval: "300ms",
        account: RECOVER,
        ..Settings::default()
    });
    let mut service = home.serve();
    let failed = || home.log().matches("never_answered").count() >= 3;
    until("three reads that failed", failed).await;
    assert!(service.is_running(), "{}", home.log());
    let options = Options { address, habits: habits(), ..Options::default() };
    let back = Simulator::start(options, Clock::system()).await.unwrap();
    back.arrive(UID, reply("13900000001", &format!("{}", now())));
    receiver.wait_for(1).await;
    assert_eq!(service.stop(), Some(0));
    assert_eq!(back.early_reads(), 0);
}
