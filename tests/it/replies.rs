//! `replies list`, `show` and `export`: what was kept, as somebody looks at it, in files and pipes.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;

use replyd::gateway::simulator::{Habits, NewReply, Simulator};
use serde_json::{Value, json};

use crate::intake::count;
use crate::support::{
    Home, Receiver, Settings, UID, config, ends, execute, gateway, query, stderr, stdout,
};

const NUMBER: &str = "1068112227282";
const HOSTILE: &str = "\u{1b}[2J\u{1b}]0;x\u{7}\u{202e}再见\r\n";
const FORMULA: &str = " \"=HYPERLINK(\"http://x\";\"=1\")";

struct Stage {
    gateway: Simulator,
    home: Home,
    _receiver: Receiver,
}

fn at(mobile: &str, text: &str, time: &str) -> NewReply {
    NewReply::text(mobile, text, time.parse().unwrap(), &format!("{NUMBER}01"))
}

/// A home that kept five replies, of which the receiver did not take the first written.
async fn stage() -> Stage {
    let habits = Habits { min_interval: Duration::ZERO, ..Habits::default() };
    let (gateway, receiver) = (gateway(habits).await, Receiver::start().await);
    receiver.answer_next(&[500]);
    let text = config(&Settings {
        base_url: &gateway.base_url(),
        subscribers: &[("crm", &receiver.url)],
        account: &format!("number = \"{NUMBER}\""),
        min_interval: "10m",
        subscriber: "allow_private = true\nconcurrency = 1",
        ..Settings::default()
    });
    let home = Home::with(&text.replace("retry = [\"50ms\"]", "retry = [\"1h\"]"));
    gateway.arrive(UID, at("13900000001", "退订 TD", "2008-05-27 12:00:00"));
    gateway.arrive(UID, at("8613900000002", FORMULA, "2008-05-27 12:00:01"));
    gateway.arrive(UID, at("+85291234567", HOSTILE, "2008-05-27 13:00:00"));
    let broken =
        NewReply { content: b"ab\xff".to_vec(), ..at("13900000003", "", "2008-05-28 09:00:00") };
    gateway.arrive(UID, broken);
    gateway.arrive(UID, at("13900000002", "a,b\nc", "2008-05-28 09:00:01"));
    ends(&home, &["run", "--once"], 1);
    assert_eq!(count(&home, "reply"), 5);
    Stage { gateway, home, _receiver: receiver }
}

fn lines(out: &str) -> Vec<Value> {
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn list(home: &Home, arguments: &[&str]) -> Vec<Value> {
    lines(&ends(home, &[&["replies", "list", "--json"], arguments].concat(), 0))
}

/// The texts of what is listed, as they were typed.
fn texts(home: &Home, arguments: &[&str]) -> Vec<String> {
    let list = list(home, arguments);
    list.iter().map(|reply| reply["content"].as_str().unwrap().to_owned()).collect()
}

fn refused(home: &Home, arguments: &[&str], expected: i32, words: &str) {
    let output = home.run(&[&["replies"], arguments].concat());
    assert_eq!(output.status.code(), Some(expected), "{arguments:?} {}", stderr(&output));
    assert!(stderr(&output).contains(words), "{arguments:?} {}", stderr(&output));
    assert!(output.stdout.is_empty(), "{arguments:?} {}", stdout(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_are_listed_newest_first_by_all_that_is_known_of_them() {
    let Stage { home, .. } = stage().await;
    let broken = "ab\u{fffd}";
    let all = ["a,b\nc", broken, HOSTILE, FORMULA, "退订 TD"];
    assert_eq!(texts(&home, &[]), all);
    for (arguments, expected) in [
        (&["--account", "main", "--from", "2008-05-27", "--to", "2008-05-28"][..], &all[..]),
        (&["--mobile", "+8613900000002"], &["a,b\nc", FORMULA]),
        (&["--mobile", "1390000000"], &[]),
        (&["--text", "TD"], &["退订 TD"]),
        (&["--text", "td"], &[]),
        (&["--text", "%"], &[]),
        (&["--text", "\"=HY"], &[FORMULA]),
        (&["--from", "2008-05-27_13", "--to", "2008-05-27_13"], &[HOSTILE]),
        (&["--since", "2008-05-28"], &["a,b\nc", broken]),
        (&["--until", "2008-05-27_12"], &[FORMULA, "退订 TD"]),
        (&["--since", "24h"], &[]),
        (&["--state", "waiting"], &["退订 TD"]),
        (&["--state", "delivered", "--mobile", "13900000003"], &[broken]),
        (&["--state", "failed", "--state", "held"], &[]),
        (&["--limit", "2"], &["a,b\nc", broken]),
    ] {
        assert_eq!(texts(&home, arguments), expected, "{arguments:?}");
    }
    execute(&home, "UPDATE reply SET suspect = 'time_far' WHERE content = '退订 TD'");
    assert_eq!(texts(&home, &["--suspect"]), ["退订 TD"]);
    // Page by page, by the beginning of the last one's id.
    let (mut paged, mut after) = (Vec::new(), String::from("rpl_0000"));
    for _ in 0..3 {
        let page = match paged.len() {
            0 => list(&home, &["--limit", "2"]),
            _ => list(&home, &["--limit", "2", "--after", &after]),
        };
        after = page.last().unwrap()["id"].as_str().unwrap()[..16].to_owned();
        paged.extend(page.iter().map(|reply| reply["content"].as_str().unwrap().to_owned()));
    }
    assert_eq!(paged, all);
    assert_eq!(texts(&home, &["--after", &after]), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_masks_numbers_and_steers_no_terminal() {
    let Stage { home, .. } = stage().await;
    let table = ends(&home, &["replies", "list"], 0);
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(rows.len(), 6, "{table}");
    assert!(rows[0].starts_with("ID ") && rows[0].ends_with("TEXT"), "{table}");
    for (row, words) in [
        (1, &[r"a,b\nc", "139****0002", "2008-05-28 09:00:01", "main", "delivered"][..]),
        (3, &[r"\u{1b}[2J\u{1b}]0;x\u{7}\u{202e}再见\r\n", "+85****4567"]),
        (5, &["退订 TD", "139****0001", "waiting"]),
    ] {
        for word in words {
            assert!(rows[row].contains(word), "{word:?} is not in {}", rows[row]);
        }
    }
    let json = ends(&home, &["replies", "list", "--json"], 0);
    for out in [&table, &json] {
        assert!(out.chars().all(|letter| letter == '\n' || !letter.is_control()), "{out:?}");
        assert!(!out.contains('\u{202e}') && !out.contains("1390000"), "{out}");
    }
    assert!(ends(&home, &["replies", "list", "--numbers"], 0).contains("13900000003"));
    assert_eq!(list(&home, &["--numbers", "--text", "再见"])[0]["from"], "+85291234567");
    let reply = &list(&home, &["--text", "ab"])[0];
    let expected = json!({
        "id": reply["id"], "account": "main", "from": "139****0003", "content": "ab\u{fffd}",
        "replied_at": "2008-05-28T09:00:00+08:00", "gateway": "106811222728201", "occurrence": 1,
        "lossy": true, "suspect": reply["suspect"], "extension": "01", "in_reply_to": null,
        "content_raw": "6162ff", "kept_at": reply["kept_at"], "read": 1, "deliveries": { "delivered": 1 },
    });
    assert_eq!(reply, &expected);
    let more = home.run(&["replies", "list", "--limit", "2"]);
    assert!(stderr(&more).contains("there are more: --after rpl_"), "{}", stderr(&more));
    let all = home.run(&["replies", "list", "--limit", "5"]);
    assert!(stderr(&all).is_empty(), "{}", stderr(&all));
    let none = home.run(&["replies", "list", "--text", "nothing"]);
    assert!(none.status.success() && none.stdout.is_empty());
    assert_eq!(stderr(&none), "there is no such reply\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_is_shown_whole_with_its_read_its_events_and_its_deliveries() {
    let Stage { home, .. } = stage().await;
    ends(&home, &["replay", "2008-05-28_09", "--as-new"], 0);
    let id = list(&home, &["--text", "ab"])[0]["id"].as_str().unwrap().to_owned();
    let as_new: String = query(&home, &format!("SELECT id FROM event WHERE replay_of = '{id}'"));
    let shown = ends(&home, &["replies", "show", &id], 0);
    for words in [
        &format!("reply       {id}") as &str,
        "from        13900000003",
        "written     2008-05-28 09:00:00",
        "content     ab\u{fffd}",
        "bytes       6162ff",
        "gateway     106811222728201",
        "extension   01",
        "brought by  read 1 of ",
        "plain, proven",
        &format!("told as {id}"),
        &format!("told as {as_new}, as new"),
        "auto  delivered",
        "replay  waiting",
    ] {
        assert!(shown.contains(words), "{words:?} is not in\n{shown}");
    }
    for name in [&id[..12], &as_new, &as_new[..12]] {
        assert_eq!(ends(&home, &["replies", "show", name], 0), shown, "{name}");
    }
    let json = ends(&home, &["replies", "show", &id, "--json"], 0);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["reply"]["from"], "13900000003");
    assert_eq!((&json["read"]["read"], &json["read"]["verdict"]), (&json!(1), &json!("proven")));
    assert_eq!(json["events"][0]["body"]["data"]["id"], json!(id));
    assert_eq!(json["events"][1]["body"]["data"]["replay_of"], json!(id));
    assert_eq!(json["events"][0]["deliveries"][0]["state"], "delivered");
    let hostile = list(&home, &["--text", "再见"])[0]["id"].as_str().unwrap().to_owned();
    let shown = ends(&home, &["replies", "show", &hostile], 0);
    assert!(shown.contains(r"content     \u{1b}[2J\u{1b}]0;x\u{7}\u{202e}再见\r\n"), "{shown}");
    assert!(shown.chars().all(|letter| letter == '\n' || !letter.is_control()), "{shown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused() {
    let empty = Home::new(&Settings::default());
    for arguments in [&["list"][..], &["show", "rpl_0000"], &["export"]] {
        refused(&empty, arguments, 66, "no store at");
        assert!(!empty.path("replyd.db").exists(), "{arguments:?} made a store");
    }
    let Stage { home, .. } = stage().await;
    for (arguments, expected, words) in [
        (&["list", "--account", "nobody"][..], 66, "no account \"nobody\""),
        (&["export", "--account", "nobody"], 66, "no account \"nobody\""),
        (&["list", "--after", "rpl_ffff"], 66, "there is no reply rpl_ffff"),
        (&["show", "rpl_ffff"], 66, "there is no reply rpl_ffff"),
        (&["show", "rpn_ffff"], 66, "there is no reply rpn_ffff"),
        (&["show", "17"], 2, "not the id of a reply"),
        (&["list", "--limit", "0"], 2, "not in 1..=10000"),
        (&["list", "--mobile", "139*"], 2, "not a number"),
        (&["list", "--from", "yesterday"], 2, "a duration like 24h"),
        (&["list", "--state", "lost"], 2, "possible values: held, waiting"),
        (&["list", "--text", ""], 2, "value"),
        (&["export", "--bom"], 2, "--format csv"),
        (&["export", "--force"], 2, "--output"),
        (&["export", "--format", "xls"], 2, "possible values: ndjson, csv"),
        (&["export", "--output", "no/where"], 1, "no/where cannot be written"),
        (&[], 2, "Usage"),
    ] {
        refused(&home, arguments, expected, words);
    }
    execute(
        &home,
        "UPDATE reply SET id = 'rpl_abcd' || substr('0000000000000000000000000000', 1, 27) || seq",
    );
    refused(
        &home,
        &["show", "rpl_abcd"],
        2,
        "several replies begin with rpl_abcd, among them rpl_abcd0000",
    );
    for command in ["list", "show", "export"] {
        assert!(ends(&home, &["replies", command, "--help"], 0).contains("Examples:"), "{command}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_has_every_text_as_it_was_typed() {
    let Stage { gateway: _gateway, home, .. } = stage().await;
    let out = ends(&home, &["replies", "export"], 0);
    assert!(out.chars().all(|letter| letter == '\n' || !letter.is_control()), "{out:?}");
    let exported = lines(&out);
    let mut listed = list(&home, &["--numbers"]);
    listed.reverse();
    assert_eq!(exported, listed);
    assert_eq!(exported[2]["content"], HOSTILE);
    let some = ends(
        &home,
        &["replies", "export", "--json", "--mobile", "13900000003", "--since", "2008-05-28"],
        0,
    );
    assert_eq!(lines(&some), [exported[3].clone()]);
    assert_eq!(ends(&home, &["replies", "export", "--text", "nothing"], 0), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_for_spreadsheets_holds_neither_formulas_nor_numbers() {
    let Stage { home, .. } = stage().await;
    let out = ends(&home, &["replies", "export", "--format", "csv", "--bom"], 0);
    let out = out.strip_prefix('\u{feff}').unwrap();
    let rows: Vec<&str> = out.split_terminator("\r\n").collect();
    assert_eq!(
        rows[0],
        "id,account,from,content,replied_at,gateway,occurrence,lossy,suspect,extension,in_reply_to,content_raw,kept_at,\
         read,deliveries"
    );
    assert_eq!(rows.len(), 6);
    for (row, cells) in [
        (1, r#",main,"'13900000001","退订 TD","2008-05-27 12:00:00","'106811222728201",1,false,"#),
        (2, r#","'13900000002","' ""=HYPERLINK(""http://x"";'""=1"")","2008-05-27 12:00:01","#),
        (3, "\"'+85291234567\",\"\\u{1b}[2J\\u{1b}]0;x\\u{7}\\u{202e}再见\n\","),
        (4, ",ab\u{fffd},"),
        (4, ",\"'6162ff\","),
        (5, ",\"a,b\nc\","),
    ] {
        assert!(rows[row].contains(cells), "{cells} is not in {}", rows[row]);
    }
    let bare = ends(&home, &["replies", "export", "--format", "csv"], 0);
    assert_eq!(bare, out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_written_whole_and_never_over_another() {
    let Stage { home, .. } = stage().await;
    let expected = ends(&home, &["replies", "export"], 0);
    let output = home.run(&["replies", "export", "--output", "out.ndjson"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(output.stdout.is_empty());
    assert_eq!(stderr(&output), "5 replies written to out.ndjson\n");
    let path = home.path("out.ndjson");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    refused(
        &home,
        &["export", "-o", "out.ndjson", "--text", "TD"],
        2,
        "out.ndjson is there already: --force",
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
    ends(&home, &["replies", "export", "-o", "out.ndjson", "--text", "TD", "--force"], 0);
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1);
    let names = std::fs::read_dir(home.path(".")).unwrap().map(|entry| entry.unwrap().file_name());
    let left = names.filter(|name| name.to_str().unwrap().starts_with(".replyd-")).count();
    assert_eq!(left, 0, "something unfinished was left");
}

/// Fills a home's store with so many further replies of 1,500 letters.
fn fill(home: &Home, replies: usize) {
    execute(
        home,
        &format!(
            "PRAGMA synchronous = OFF;
             INSERT INTO reply (id, identity, occurrence, account, mobile, replied_at, content, gateway, read_id, kept_ms)
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {replies})
             SELECT 'rpl_' || lower(hex(randomblob(16))), randomblob(32), 1, 'main', '13900000009', 1300000000 + i,
                    printf('%.1500c', 'x'), '1068', 1, 1 FROM n;"
        ),
    );
}

/// The most memory that an export of everything took, in KiB, and how many lines it had.
fn peak_of_export(home: &Home) -> (u64, usize) {
    let mut command = home.command(&["replies", "export"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let (mut peak, mut count) = (0, 0);
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        assert!(line.unwrap().ends_with('}'));
        count += 1;
        if count % 100 == 0 {
            let status = std::fs::read_to_string(&status).unwrap_or_default();
            let words = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let most = words.and_then(|words| words.split_whitespace().next()?.parse().ok());
            peak = peak.max(most.unwrap_or(0));
        }
    }
    assert!(child.wait().unwrap().success());
    (peak, count)
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn an_export_takes_no_more_memory_for_more_replies() {
    let Stage { home, .. } = stage().await;
    let peaks = tokio::task::block_in_place(|| {
        fill(&home, 3_000);
        let (few, count) = peak_of_export(&home);
        assert_eq!(count, 3_005);
        fill(&home, 27_000);
        let (many, count) = peak_of_export(&home);
        assert_eq!(count, 30_005);
        (few, many)
    });
    // The further replies are 40 MB.
    assert!(peaks.0 > 0 && peaks.1 < peaks.0 + 12 * 1024, "{peaks:?} KiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_ends_an_export_quietly() {
    let Stage { home, .. } = stage().await;
    let output = tokio::task::block_in_place(|| {
        fill(&home, 3_000);
        let mut command = home.command(&["replies", "export"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        assert!(first.contains("rpl_"));
        child.wait_with_output().unwrap()
    });
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
}
