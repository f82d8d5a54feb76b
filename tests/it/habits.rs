//! What the provider's document leaves open must not matter: nothing is lost and nothing doubled
//! under any of the gateway's habits.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use replyd::clock::Clock;
use replyd::gateway::simulator::{
    Asked, Ending, Fault, Habits, NewAccount, Options, ReadRequest, Simulator,
};
use tokio::task::JoinSet;

use crate::intake::{RECOVER, count};
use crate::support::{Home, Receiver, Settings, UID, gateway, reply, until};

/// Habits that are tried at once: most of their time is waiting.
const AT_ONCE: usize = 9;
const INTERVAL: Duration = Duration::from_millis(500);
/// What the customers of one account write: 173 bytes of an answer.
const TEXTS: [&str; 3] = ["中文，再见", "好", "好"];

/// What becomes of the first answers, one for each account: they break before the status and in
/// it, in a character, in a date, at a record's edge, in the last gateway number; or they are
/// never given, or look whole and do not say so.
const FAULTS: [Fault; 9] = [
    Fault::CutBody { after: 0 },
    Fault::CutBody { after: 2 },
    Fault::CutBody { after: 20 },
    Fault::CutBody { after: 40 },
    Fault::CutBody { after: 65 },
    Fault::CutBody { after: 170 },
    Fault::CutChunked { after: 119 },
    Fault::CloseWithoutReading,
    Fault::NoLength,
];

/// Tries all habits, some at once.
async fn on_all_habits<F: Future<Output = ()> + Send + 'static>(holds: fn(Habits) -> F) {
    let (mut running, mut left) = (JoinSet::new(), Habits::all().into_iter());
    loop {
        while running.len() < AT_ONCE
            && let Some(habits) = left.next()
        {
            running.spawn(holds(Habits { min_interval: INTERVAL, ..habits }));
        }
        match running.join_next().await {
            Some(held) => held.unwrap(),
            None => return,
        }
    }
}

/// How many replies of each account and text the receiver knows, by their ids.
fn told(receiver: &Receiver) -> BTreeMap<(String, String), usize> {
    let ids: BTreeMap<String, (String, String)> = receiver
        .webhooks()
        .iter()
        .map(|webhook| {
            (webhook.id().to_owned(), (webhook.field("account"), webhook.field("content")))
        })
        .collect();
    let mut texts = BTreeMap::new();
    for text in ids.into_values() {
        *texts.entry(text).or_default() += 1;
    }
    texts
}

/// Waits until each account has had two more whole answers, so that what could be doubled was.
async fn read_on(gateway: &Simulator, uids: &[String]) {
    let seen = gateway.requests().len();
    until("two more reads of each account", || {
        let requests = gateway.requests();
        let whole: Vec<_> =
            requests.iter().skip(seen).filter(|read| read.ending == Ending::Whole).collect();
        uids.iter().all(|uid| whole.iter().filter(|read| read.uid == *uid).count() >= 2)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_broke_anywhere_is_recovered_and_doubles_nothing() {
    on_all_habits(recovers).await;
}

async fn recovers(habits: Habits) {
    let uids: Vec<String> = (0..FAULTS.len()).map(|number| format!("900{number}")).collect();
    let account = |uid: &String| NewAccount { uid: uid.clone(), ..NewAccount::example() };
    let accounts = uids.iter().map(account).collect();
    let options = Options { habits, accounts, ..Options::default() };
    let gateway = Simulator::start(options, Clock::system()).await.unwrap();
    let receiver = Receiver::start().await;
    let mut config = "[server]\nlisten = \"127.0.0.1:0\"\n".to_owned();
    for uid in &uids {
        let base_url = gateway.base_url();
        let pwd = NewAccount::example().pwd;
        write!(
            config,
            "[[account]]\nname = \"{uid}\"\nbase_url = \"{base_url}\"\nuid = \"{uid}\"\n\
             password_md5 = \"{pwd}\"\nschedule = \"* * * * * *\"\nmin_interval = \"500ms\"\n\
             {RECOVER}\n"
        )
        .unwrap();
        for text in TEXTS {
            gateway.arrive(uid, reply("13900000001", text));
        }
    }
    for fault in FAULTS {
        gateway.fault_next(fault);
    }
    let home = Home::with(&(config + &receiver.subscription("crm")));
    let service = home.serve();
    let mut expected = BTreeMap::new();
    for uid in &uids {
        for text in TEXTS {
            *expected.entry((uid.clone(), text.to_owned())).or_insert(0) += 1;
        }
    }
    until(&format!("all that broke, with {habits:?}"), || told(&receiver) == expected).await;
    read_on(&gateway, &uids).await;
    assert_eq!(service.stop(), Some(0));
    assert_eq!(told(&receiver), expected, "with {habits:?}");
    assert_eq!(count(&home, "reply"), i64::try_from(FAULTS.len() * TEXTS.len()).unwrap());
    assert_eq!(gateway.early_reads(), 0, "asked too early, with {habits:?}");
    let requests = gateway.requests();
    let broken = requests.iter().filter(|read| read.ending == Ending::Broken).count();
    assert!(broken > FAULTS.len() / 2, "only {broken} answers broke");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_words_twice_in_a_second_are_two_replies_however_often_they_are_read() {
    on_all_habits(counts).await;
}

async fn counts(habits: Habits) {
    let (gateway, receiver) = (gateway(habits).await, Receiver::start().await);
    let home = Home::new(&Settings {
        base_url: &gateway.base_url(),
        subscribers: &[("crm", &receiver.url)],
        min_interval: "500ms",
        account: RECOVER,
        ..Settings::default()
    });
    let twice = reply("13900000001", "好");
    gateway.arrive(UID, twice.clone());
    gateway.arrive(UID, twice.clone());
    let service = home.serve();
    receiver.wait_for(2).await;
    let is_plain = |read: &ReadRequest| read.asked == Asked::Plain;
    assert!(gateway.requests().iter().all(is_plain), "a plain read alone did not tell both");
    // An answer that never comes makes their hour be read again, where the third shows as well.
    gateway.fault_next(Fault::CloseWithoutReading);
    gateway.arrive(UID, reply("13900000002", "好"));
    receiver.wait_for(3).await;
    let hour = twice.replied_at.hour();
    let is_re_read = || {
        let requests = gateway.requests();
        let of_hour = |asked| asked == Asked::Hour(hour);
        requests.iter().any(|read| of_hour(read.asked) && read.ending == Ending::Whole)
    };
    until("their hour to be read", is_re_read).await;
    read_on(&gateway, &[UID.to_owned()]).await;
    assert_eq!(service.stop(), Some(0));
    let webhooks = receiver.webhooks();
    assert_eq!(webhooks.len(), 3, "with {habits:?}");
    let mut occurrences: Vec<(String, i64)> = webhooks
        .iter()
        .map(|webhook| {
            let occurrence = webhook.json()["data"]["occurrence"].as_i64().unwrap();
            (webhook.field("from"), occurrence)
        })
        .collect();
    occurrences.sort();
    let expected = [("13900000001", 1), ("13900000001", 2), ("13900000002", 1)];
    let expected = expected.map(|(mobile, occurrence)| (mobile.to_owned(), occurrence));
    assert_eq!(occurrences, expected, "with {habits:?}");
    assert_eq!(count(&home, "reply"), 3, "with {habits:?}");
    gateway.stop().await;
}
