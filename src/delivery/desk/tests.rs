use std::path::Path;

use super::*;
use crate::clock::Clock;
use crate::config::{Config, Secrets};
use crate::store::delivery::Trigger;
use crate::store::turn::Standing;

const CONCURRENCY: usize = 8;

/// A desk whose subscriber takes nothing: its port is the one at which nobody listens.
fn desk() -> Desk {
    let text = "[[account]]\nname = \"main\"\nbase_url = \"http://127.0.0.1\"\nuid = \"1\"\npassword = \"word\"\n\
         [[subscriber]]\nname = \"crm\"\nurl = \"http://127.0.0.1:1/\"\nallow_private = true\n\
         secret = \"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"\n";
    let config = Config::parse(text, Path::new("config.toml"), (&Secrets::Read, &[])).unwrap();
    let sender = Sender::new(config.subscribers.into_iter().next().unwrap(), Clock::system());
    let limits = Limits { concurrency: CONCURRENCY, rate: None };
    Desk::new(Arc::new(sender.ok().unwrap()), limits)
}

fn claims(count: usize) -> Vec<Claim> {
    let claim = |delivery| Claim {
        delivery,
        lease: 1,
        event_id: "rpl_a".to_owned(),
        body: "{}".into(),
        trigger: Trigger::Auto,
        created: UnixMs(0),
        written: None,
        attempt: 1,
        alone: false,
        stands_in: None,
    };
    (1..).map(claim).take(count).collect()
}

/// Takes a turn's claims, and sends them all.
async fn send(desk: &mut Desk, count: usize) {
    let now = desk.now();
    let turned = Turned { claims: claims(count), next: None, standing: Standing::default() };
    desk.turned(turned, usize::MAX, (now, now));
    desk.start();
    desk.all_ended().await;
}

#[tokio::test]
async fn as_many_again_are_claimed_as_were_begun_and_no_more_than_the_limit() {
    let mut desk = desk();
    assert_eq!(desk.hand_over().room.new, CONCURRENCY);
    for (sent, room) in
        [(8, 16), (16, 32), (100, 200), (UNRECORDED_MAX, CLAIMS_MAX), (2, CONCURRENCY)]
    {
        send(&mut desk, sent).await;
        let handed = desk.hand_over();
        assert_eq!((handed.outcomes.len(), handed.room.new), (sent, room));
    }
}

#[tokio::test]
async fn what_was_claimed_too_long_ago_is_given_back_and_not_begun() {
    let mut desk = desk();
    let now = desk.now();
    let turned = Turned { claims: claims(3), next: None, standing: Standing::default() };
    let began = now.before(STARTED_WITHIN + Duration::from_secs(1));
    desk.turned(turned, usize::MAX, (began, now));
    desk.start();
    desk.all_ended().await;
    let handed = desk.hand_over();
    assert_eq!((handed.outcomes.len(), handed.returned.len()), (0, 3));
}

#[tokio::test]
async fn an_attempt_that_panics_takes_nothing_with_it() {
    let mut desk = desk();
    desk.replays_running = 1;
    desk.running.push(running(async { panic!("what nobody thought of") }, true));
    send(&mut desk, 3).await;
    assert_eq!((desk.replays_running, desk.failures, desk.outcomes.len()), (0, 4, 3));
}
