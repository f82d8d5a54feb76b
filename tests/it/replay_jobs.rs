//! Replays as jobs: whoever is killed or ended when, the rest is done, and nothing twice.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::process::Stdio;

use replyd::gateway::simulator::{Habits, Simulator};
use serde_json::{Value, json};

use crate::support::{
    Home, Receiver, SECRET, Settings, Webhook, ends, execute, gateway, query, stderr, stdout, until,
};

/// All replies of these tests are of this hour.
const HOUR: &str = "2008-05-27_12";

struct Stage {
    _gateway: Simulator,
    crm: Receiver,
    home: Home,
}

/// A store with so many replies that nobody was told yet.
async fn stage(replies: usize) -> Stage {
    let (gateway, crm) = (gateway(Habits::default()).await, Receiver::start().await);
    let home = Home::new(&Settings {
        base_url: &gateway.base_url(),
        subscribers: &[("crm", &crm.url)],
        min_interval: "10m",
        ..Settings::default()
    });
    ends(&home, &["run", "--once"], 0);
    // 2008-05-27 12:00:00 in Beijing, and two replies a second.
    let rows = format!(
        "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {replies})
         INSERT INTO reply (id, identity, occurrence, account, mobile, replied_at, content, gateway, read_id, kept_ms)
         SELECT printf('rpl_%032x', x), x, 1, 'main', printf('139%08d', x), 1211860800 + x / 2, 'a', '1069', 1, 0 FROM n;
         INSERT INTO event (id, type, body, mobile, replied_at)
         SELECT id, 'reply.received', json_object('type', 'reply.received', 'timestamp', '2008-05-27T12:00:00+08:00',
             'data', json_object('id', id, 'account', account, 'from', mobile, 'content', content,
                 'replied_at', '2008-05-27T12:00:00+08:00', 'gateway', gateway, 'occurrence', occurrence,
                 'lossy', json('false'), 'suspect', NULL, 'extension', NULL, 'in_reply_to', NULL)),
             mobile, replied_at
         FROM reply;"
    );
    execute(&home, &rows.replace("x, 1, 'main'", "CAST(x AS BLOB), 1, 'main'"));
    Stage { _gateway: gateway, crm, home }
}

/// From when on so many replies were looked at, whoever carries a replay out does this first.
fn plant(home: &Home, looked_at: usize, first: &str) {
    execute(
        home,
        &format!(
            "CREATE TRIGGER planted BEFORE UPDATE OF looked_at ON replay_job WHEN new.looked_at > {looked_at}
             BEGIN {first}; END"
        ),
    );
}

fn uproot(home: &Home) {
    execute(home, "DROP TRIGGER planted");
}

/// What takes hours.
const FOR_EVER: &str = "SELECT count(*) FROM reply AS a, reply AS b, reply AS c";
/// What takes some tenths of a second.
const FOR_A_WHILE: &str =
    "SELECT count(*) FROM reply AS a, reply AS b, reply AS c WHERE c.seq <= 8";

fn looked_at(home: &Home) -> i64 {
    query(home, "SELECT coalesce(max(looked_at), 0) FROM replay_job")
}

fn made(home: &Home) -> i64 {
    query(home, "SELECT count(*) FROM delivery")
}

fn job(home: &Home, arguments: &[&str]) -> Value {
    let arguments = [&["replay"], arguments, &["--json"]].concat();
    serde_json::from_str(&ends(home, &arguments, 0)).unwrap()
}

fn ids(webhooks: &[Webhook]) -> BTreeSet<String> {
    webhooks.iter().map(|webhook| webhook.id().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_is_killed_midway_is_finished_by_the_service_with_each_reply_once() {
    let Stage { crm, home, .. } = stage(2_800).await;
    plant(&home, 2_000, FOR_EVER);
    let replay = home.spawn(home.command(&["replay", HOUR]));
    // It hangs in the middle of a piece.
    until("the last piece before it", || looked_at(&home) == 2_000).await;
    replay.kill();
    assert_eq!((looked_at(&home), made(&home)), (2_000, 2_000));
    uproot(&home);
    // What it made would go out as any delivery does.
    execute(&home, "UPDATE delivery SET state = 'delivered'");
    let service = home.serve();
    until("the job's end", || looked_at(&home) == 2_800).await;
    let shown = job(&home, &["show", "1"]);
    assert_eq!((&shown["state"], &shown["deliveries"]), (&json!("done"), &json!({ "crm": 2_800 })));
    crm.wait_for(400).await;
    crm.wait_for(800).await;
    let delivered = "SELECT count(*) FROM delivery WHERE state = 'delivered'";
    until("the last outcome", || query::<i64>(&home, delivered) == 2_800).await;
    assert_eq!(service.stop(), Some(0));
    let told = "SELECT count(*) FROM (SELECT DISTINCT event_seq FROM delivery)";
    assert_eq!((query(&home, told), made(&home)), (2_800, 2_800));
    let webhooks = crm.webhooks();
    assert_eq!((ids(&webhooks).len(), webhooks.len()), (800, 800));
    assert!(webhooks.iter().all(|webhook| webhook.headers["replyd-trigger"] == "replay"));
    assert!(home.log().contains("a replay is done"), "{}", home.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_is_told_to_stop_says_who_goes_on_and_the_next_run_does() {
    let Stage { crm, home, _gateway: gateway } = stage(2_000).await;
    plant(&home, 500, FOR_A_WHILE);
    let mut command = home.command(&["replay", HOUR, "--json"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("a piece", || looked_at(&home) > 0).await;
    let id = child.id().to_string();
    let interrupt = std::process::Command::new("kill").args(["-s", "INT", &id]).status().unwrap();
    assert!(interrupt.success());
    let output = tokio::task::block_in_place(|| child.wait_with_output().unwrap());
    assert_eq!(output.status.code(), Some(75), "{}", stderr(&output));
    let left = looked_at(&home);
    assert!((500..2_000).contains(&left), "stopped at {left}");
    assert!(stderr(&output).contains("`replyd replay cancel 1` ends it"), "{}", stderr(&output));
    let told: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(told["jobs"], json!([{ "job": 1, "state": "running" }]));
    assert_eq!(told["deliveries"]["crm"], left);
    uproot(&home);
    // It was let go: nobody need wait for its lease. It goes on whether or not anything is sent.
    home.configure(&Settings {
        base_url: &gateway.base_url(),
        subscribers: &[("crm", &crm.url)],
        min_interval: "10m",
        subscriber: "allow_private = true\nenabled = false",
        ..Settings::default()
    });
    ends(&home, &["run", "--once"], 0);
    assert_eq!((job(&home, &["show", "1"])["state"].as_str(), made(&home)), (Some("done"), 2_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_is_cancelled_keeps_what_it_made_and_nobody_goes_on() {
    let Stage { home, .. } = stage(1_500).await;
    plant(&home, 500, "SELECT RAISE(ABORT, 'planted')");
    let output = home.run(&["replay", HOUR]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("The running service goes on with replay 1"));
    let running = job(&home, &["list"]);
    assert_eq!((&running["state"], &running["ended_at"]), (&json!("running"), &Value::Null));
    let out = ends(&home, &["replay", "cancel", "1"], 0);
    assert!(
        out.contains("500 of 1500 replies") && out.contains("500 deliveries that it made stay"),
        "{out}"
    );
    uproot(&home);
    let output = home.run(&["replay", "cancel", "1", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("it is cancelled"), "{}", stderr(&output));
    assert!(stdout(&output).contains(r#""looked_at":500"#), "{}", stdout(&output));
    for arguments in [["replay", "cancel", "2"], ["replay", "show", "2"]] {
        let output = home.run(&arguments);
        assert_eq!(output.status.code(), Some(66));
        assert!(stderr(&output).contains("there is no replay 2"), "{}", stderr(&output));
    }
    ends(&home, &["run", "--once"], 0);
    assert_eq!((looked_at(&home), made(&home)), (500, 500));
}

#[tokio::test(flavor = "multi_thread")]
async fn replays_are_listed_newest_first_and_the_same_one_twice_is_two() {
    let Stage { home, .. } = stage(3).await;
    assert!(stderr(&home.run(&["replay", "list"])).contains("nothing was replayed yet"));
    ends(&home, &["replay", HOUR], 0);
    ends(&home, &["replay", HOUR], 0);
    assert_eq!(made(&home), 6);
    let missing = [
        "replay",
        HOUR,
        "--to",
        "2008-05-27_13",
        "--account",
        "main",
        "--only",
        "missing",
        "--as-new",
    ];
    assert!(ends(&home, &missing, 0).contains("crm: 0 will be delivered again, as new,"));
    let lines = ends(&home, &["replay", "jobs", "--json", "--limit", "2"], 0);
    let jobs: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut newest = jobs[0].clone();
    for time in ["created_at", "ended_at"] {
        assert!(newest[time].take().as_str().unwrap().ends_with("+08:00"));
    }
    let expected = json!({
        "job": 3, "state": "done", "created_at": null, "ended_at": null, "hour": HOUR, "to": "2008-05-27_13",
        "account": "main", "only": "missing", "as_new": true, "refetched": false, "replies": 3, "looked_at": 3,
        "deliveries": { "crm": 0 },
    });
    assert_eq!((newest, jobs.len(), &jobs[1]["job"]), (expected, 2, &json!(2)));
    let table = ends(&home, &["replay", "list"], 0);
    assert_eq!(ends(&home, &["replay", "--config", "config.toml", "list"], 0), table);
    let line = table.lines().nth(1).unwrap();
    assert!(line.contains("account main, only missing, as new") && line.ends_with('0'), "{table}");
    assert_eq!(table.lines().count(), 4);
    let shown = ends(&home, &["replay", "show", "3"], 0);
    assert!(shown.contains("hours       2008-05-27_12 to 2008-05-27_13"), "{shown}");
    assert!(shown.contains("deliveries  0 to crm"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_told_as_new_have_an_id_of_their_own_and_name_the_reply() {
    let Stage { crm, home, .. } = stage(3).await;
    ends(&home, &["replay", HOUR], 0);
    ends(&home, &["replay", HOUR, "--as-new"], 0);
    ends(&home, &["run", "--once"], 0);
    let told = job(&home, &[HOUR, "--as-new"]);
    assert_eq!((&told["as_new"], &told["deliveries"]["crm"]), (&json!(true), &json!(3)));
    ends(&home, &["run", "--once"], 0);
    let webhooks = crm.webhooks();
    assert_eq!((webhooks.len(), ids(&webhooks).len()), (9, 9));
    let (new, former): (Vec<&Webhook>, Vec<&Webhook>) =
        webhooks.iter().partition(|webhook| webhook.id().starts_with("rpn_"));
    assert_eq!((new.len(), former.len()), (6, 3));
    for webhook in new {
        webhook.verify(SECRET);
        assert_eq!(webhook.field("id"), webhook.id());
        let reply = webhook.field("replay_of");
        let before = former.iter().find(|before| before.id() == reply).unwrap();
        let mut same = webhook.json();
        same["data"].as_object_mut().unwrap().remove("replay_of");
        same["data"]["id"] = json!(reply);
        assert_eq!(same, before.json());
        assert!(before.json()["data"].get("replay_of").is_none());
    }
    // A list shows whose they are.
    let listed = ends(&home, &["deliveries", "list", "--json", "--limit", "1"], 0);
    assert!(listed.contains("rpn_") && listed.contains("139****000"), "{listed}");
}

#[test]
fn the_help_of_replay_shows_both_of_its_ways() {
    let home = Home::with("");
    let help = ends(&home, &["replay", "--help"], 0);
    for words in
        ["replay [OPTIONS] <HOUR>", "replay <COMMAND>", "--as-new", "list", "show", "cancel"]
    {
        assert!(help.contains(words), "{words} is not in {help}");
    }
    for (arguments, words) in [
        (&["replay"][..], "<HOUR>"),
        (&["replay", "--as-new"], "<HOUR>"),
        (&["replay", "show"], "<JOB>"),
        (&["replay", "cancel", "0"], "0 is not in"),
        (&["replay", HOUR, "list"], "cannot be used with"),
        (&["replay", "list", "--limit", "0"], "0 is not in"),
    ] {
        let output = home.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(words), "{arguments:?}: {}", stderr(&output));
    }
}

/// A command whose talk goes to a terminal, and what that shows.
fn on_a_terminal(home: &Home, arguments: &[&str], term: &str) -> String {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
    let end = File::options().read(true).write(true).open(name).unwrap();
    let mut command = home.command(arguments);
    let mut child = command.env("TERM", term).stdout(Stdio::null()).stderr(end).spawn().unwrap();
    // This process's copy of the end that the command writes to: with it there would be no end.
    drop(command);
    let mut shown = Vec::new();
    // Linux calls it an error when the last writer has gone.
    drop(File::from(terminal).read_to_end(&mut shown));
    assert!(child.wait().unwrap().success(), "{}", String::from_utf8_lossy(&shown));
    String::from_utf8_lossy(&shown).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_replay_shows_on_a_terminal_how_far_it_is() {
    let Stage { home, .. } = stage(2_500).await;
    let shown = |arguments: &[&str], term| {
        tokio::task::block_in_place(|| on_a_terminal(&home, arguments, term))
    };
    assert_eq!(shown(&["replay", HOUR, "--dry-run"], "xterm"), "", "no bar for so short a work");
    plant(&home, 0, FOR_A_WHILE);
    let bar = shown(&["replay", HOUR], "xterm");
    assert!(bar.contains("/2,500") && bar.contains("/s") && bar.contains("left"), "{bar:?}");
    assert!(!bar.contains("\u{1b}[3"), "colour: {bar:?}");
    assert_eq!(shown(&["replay", HOUR], "dumb"), "");
}
