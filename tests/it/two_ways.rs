//! Two ways: what a receiver answers a webhook with is sent to whoever wrote, at most once, within
//! rate and budget, and never in a loop.

use std::time::Duration;

use replyd::gateway::simulator::{Habits, Simulator};
use replyd::gateway::status::Status;

use crate::intake::count;
use crate::support::{
    Home, Receiver, Settings, UID, config, ends, execute, gateway, reply, subscriber, until,
};

const TO: &str = "13900000001";
const ANSWER: &str = r#"{"reply":"已收到，谢谢"}"#;

async fn a_gateway() -> Simulator {
    gateway(Habits { min_interval: Duration::ZERO, ..Habits::default() }).await
}

fn home(gateway: &Simulator, crm: &Receiver, further: &str) -> Home {
    let base_url = gateway.base_url();
    let text = config(&Settings { base_url: &base_url, ..Settings::default() });
    let keys = format!("allow_private = true\n{further}");
    Home::with(&(text + &subscriber("crm", &crm.url, &keys)))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_goes_out_once_to_whoever_wrote_whatever_is_replayed() {
    let (gateway, crm) = (a_gateway().await, Receiver::start().await);
    crm.answer_with(200, ANSWER);
    let home = home(&gateway, &crm, "allow_reply = true");
    let service = home.serve();
    gateway.arrive(UID, reply(TO, "1"));
    until("the answer", || gateway.sent().len() == 1).await;
    let sent = gateway.sent().remove(0).message;
    assert_eq!((sent.mobiles, sent.content.as_str()), (vec![TO.to_owned()], "已收到，谢谢"));
    let hour = crate::support::now().hour();
    for arguments in [&[][..], &["--as-new"]] {
        let hours = [hour.to_string(), "--yes".to_owned()];
        let mut command = vec!["replay", hours[0].as_str()];
        command.extend(arguments);
        ends(&home, &command, 0);
    }
    ends(&home, &["deliveries", "retry", "1"], 1);
    let open = "delivery WHERE state != 'delivered'";
    until("all webhooks", || crm.webhooks().len() >= 3 && count(&home, open) == 0).await;
    until("no answer under way", || count(&home, "message_call WHERE ended_ms IS NULL") == 0).await;
    assert_eq!(service.stop(), Some(0));
    assert_eq!((gateway.sent().len(), count(&home, "message")), (1, 1));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_out_unless_it_is_allowed() {
    let (gateway, crm) = (a_gateway().await, Receiver::start().await);
    crm.answer_with(200, ANSWER);
    let home = home(&gateway, &crm, "");
    gateway.arrive(UID, reply(TO, "1"));
    ends(&home, &["run", "--once"], 0);
    assert_eq!((crm.webhooks().len(), count(&home, "message")), (1, 0));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn budget_and_loop_withhold_what_is_too_much() {
    let (gateway, crm) = (a_gateway().await, Receiver::start().await);
    crm.answer_with(200, ANSWER);
    let home = home(&gateway, &crm, "allow_reply = true\nreply_budget = 8\nreply_rate = \"100/s\"");
    // One mobile gets five of seven answers; then the budget has three for five others.
    for number in 0..7 {
        gateway.arrive(UID, reply(TO, &format!("{number}")));
    }
    ends(&home, &["run", "--once"], 0);
    let withheld = "message_call WHERE state = 'withheld'";
    assert_eq!((gateway.sent().len(), count(&home, withheld)), (5, 2));
    for number in 2..7 {
        gateway.arrive(UID, reply(&format!("1390000000{number}"), "1"));
    }
    ends(&home, &["run", "--once"], 0);
    assert_eq!((gateway.sent().len(), count(&home, withheld)), (8, 4));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_beyond_the_rate_wait() {
    let (gateway, crm) = (a_gateway().await, Receiver::start().await);
    crm.answer_with(200, ANSWER);
    let home = home(&gateway, &crm, "allow_reply = true\nreply_rate = \"2/h\"");
    for number in 1..=4 {
        gateway.arrive(UID, reply(&format!("1390000000{number}"), "1"));
    }
    let service = home.serve();
    until("two answers", || gateway.sent().len() == 2).await;
    // The rate is looked at again every second.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(service.stop(), Some(0));
    let waiting = "message_call WHERE state = 'waiting'";
    assert_eq!((gateway.sent().len(), count(&home, waiting)), (2, 2));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_for_the_moment_waits_and_what_may_have_gone_out_does_not_go_again() {
    let (gateway, crm) = (a_gateway().await, Receiver::start().await);
    crm.answer_with(200, ANSWER);
    let home = home(&gateway, &crm, "allow_reply = true");
    gateway.arrive(UID, reply(TO, "1"));
    ends(&home, &["poll"], 66);
    // Read and delivered, and then refused.
    let states = |state: &str| count(&home, &format!("message_call WHERE state = '{state}'"));
    ends(&home, &["run", "--once"], 0);
    assert_eq!((states("accepted"), gateway.sent().len()), (1, 1));
    execute(&home, "UPDATE message_call SET state = 'waiting'");
    gateway.set_status(UID, Some(Status(107)));
    home.run(&["run", "--once"]);
    assert_eq!(states("waiting"), 1);
    gateway.set_status(UID, None);
    // An account that is refused is left alone, and the answer waits.
    execute(
        &home,
        "UPDATE account SET refusals = 1, refused_status = 101,
                            refused_until_ms = (unixepoch() + 3600) * 1000",
    );
    home.run(&["run", "--once"]);
    assert_eq!((states("waiting"), gateway.sent().len()), (1, 1));
    execute(
        &home,
        "UPDATE account SET refusals = 0, refused_status = NULL, refused_until_ms = NULL",
    );
    execute(&home, "UPDATE message_call SET state = 'sending', started_ms = 1");
    home.run(&["run", "--once"]);
    assert_eq!((states("unclear"), gateway.sent().len()), (1, 1));
    gateway.stop().await;
}
