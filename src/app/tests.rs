use std::path::Path;

use super::*;
use crate::config::Secrets;
use crate::gateway::charset::Charset;
use crate::gateway::client::{Ending, Received};
use crate::store::read::{Begin, ReadRequest};

fn config(folder: &Path, account: &str, password: &str) -> Config {
    let text = format!(
        "[[account]]\nname = \"{account}\"\nbase_url = \"http://127.0.0.1:9\"\nuid = \"9999\"\npassword = \"{password}\"\n"
    );
    Config::parse(&text, &folder.join("config.toml"), (&Secrets::Skip, &[])).unwrap()
}

fn request(account: &str) -> ReadRequest {
    let (timeout, min_interval) = (Duration::from_mins(5), Duration::from_mins(10));
    ReadRequest {
        account: account.to_owned(),
        hour: None,
        charset: Charset::Gbk,
        timeout,
        min_interval,
        room: 0,
    }
}

#[tokio::test]
async fn what_was_read_for_an_account_that_is_gone_is_taken_in() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let before = App::build(config(folder.path(), "former", "a"), clock.clone()).await.unwrap();
    let Begin::Begun(read) = before.store.begin_read(request("former"), clock.now()).await.unwrap()
    else {
        panic!("the slot of a new account is free")
    };
    let body = b"100{&}13900000001||TD||2026-11-22 09:59:58||1069".to_vec();
    let received =
        Received { http_status: Some(200), ending: Ending::Announced, body, error: None };
    before.store.finish_read(read, received, clock.now(), Duration::from_mins(10)).await.unwrap();
    // It died here, and its account got another name.
    let after = App::build(config(folder.path(), "latter", "a"), clock.clone()).await.unwrap();
    assert_eq!(after.store.figures().await.unwrap().replies, 1);
    // The gateway knows it by its login, so the wait goes on.
    let begun = after.store.begin_read(request("latter"), clock.now()).await.unwrap();
    assert!(matches!(begun, Begin::Busy(_)), "{begun:?}");
    // And under the former name again, even with another password.
    let again = App::build(config(folder.path(), "former", "b"), clock.clone()).await.unwrap();
    let begun = again.store.begin_read(request("former"), clock.now()).await.unwrap();
    assert!(matches!(begun, Begin::Busy(_)), "{begun:?}");
    let mut other = config(folder.path(), "another", "b");
    other.accounts[0].uid = "9998".to_owned();
    let other = App::build(other, clock.clone()).await.unwrap();
    let begun = other.store.begin_read(request("another"), clock.now()).await.unwrap();
    assert!(matches!(begun, Begin::Begun(_)), "{begun:?}");
}

#[tokio::test]
async fn another_id_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let with = |password: &str, key: Option<&[u8]>| {
        let mut config = config(folder.path(), "main", password);
        config.store.id_key = key.map(IdKey::from_secret);
        App::build(config, clock.clone())
    };
    with("a", None).await.unwrap();
    // The key was derived at first use and stays, whatever the password becomes.
    with("b", None).await.unwrap();
    let error = with("b", Some(b"sixteen bytes ok")).await.err().map(|error| error.to_string());
    assert!(error.as_ref().is_some_and(|error| error.contains("store.id_key")), "{error:?}");
}

/// A store of many old replies, each delivered.
async fn crowded(folder: &Path, replies: i64) -> App {
    let app = App::build(config(folder, "main", "a"), Clock::system()).await.unwrap();
    let Begin::Begun(_) = app.store.begin_read(request("main"), app.clock.now()).await.unwrap()
    else {
        panic!("the slot of a new account is free")
    };
    app.store
        .execute(&format!(
            "INSERT INTO subscriber (name, route, enabled) VALUES ('crm', '', 1);
             WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {replies})
             INSERT INTO reply (seq, id, identity, occurrence, account, mobile, replied_at, content, gateway, read_id, kept_ms)
                 SELECT n, 'rpl_' || n, CAST(n AS BLOB), 1, 'main', '13900000001', 0, 'TD', '', 1, n FROM number;
             INSERT INTO event (seq, id, type, body) SELECT seq, id, 'reply.received', '' FROM reply;
             INSERT INTO delivery (subscriber, event_seq, trigger, state, created_ms, due_ms)
                 SELECT 'crm', seq, 'auto', 'delivered', 0, 0 FROM event;"
        ))
        .await;
    app
}

#[tokio::test]
async fn reads_and_deliveries_get_through_while_much_is_let_go() {
    const REPLIES: i64 = 3_000;
    let folder = tempfile::tempdir().unwrap();
    let app = crowded(folder.path(), REPLIES).await;
    let (store, clock) = (app.store.clone(), app.clock.clone());
    let letting_go = tokio::spawn(async move {
        retention::look(&store, &clock, crate::config::RetainConfig::default()).await;
    });
    while app.store.count("reply").await == REPLIES {
        assert!(!letting_go.is_finished(), "nothing was let go");
    }
    app.store.mend_times(app.clock.unix()).await.unwrap();
    assert!(app.store.count("reply").await > 0, "an act had to wait for all of it");
    letting_go.await.unwrap();
    for rows in ["reply", "event WHERE type != 'none'", "delivery"] {
        assert_eq!(app.store.count(rows).await, 0, "{rows}");
    }
}
