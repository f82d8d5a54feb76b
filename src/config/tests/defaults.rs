//! What keys mean, what they are when left out, and that the example says so.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::*;

/// Every field of a configuration, secrets too. A new field does not compile until it is here.
fn rendered(config: &Config) -> String {
    let Config { path, store, server, log, accounts, subscribers } = config;
    let StoreConfig { path: store_path, id_key, retain, backup_before_upgrade } = store;
    let id_key = id_key.as_ref().map(|key| *key.as_bytes());
    let mut text = format!("{path:?} {store_path:?} {id_key:?} {server:?} {log:?}\n");
    writeln!(text, "{retain:?} {backup_before_upgrade}").unwrap();
    for account in accounts {
        let AccountConfig {
            name,
            base_url,
            uid,
            pwd,
            schedule,
            min_interval,
            timeout,
            proxy,
            number,
            charset,
            recover,
            read,
            reconcile,
            balance_low,
        } = account;
        writeln!(text, "{name:?} {base_url} {uid:?} {} {schedule}", pwd.expose_secret()).unwrap();
        writeln!(text, "{min_interval:?} {timeout:?} {proxy:?} {number:?} {charset:?} {recover:?}")
            .unwrap();
        writeln!(text, "{read:?} {reconcile:?} {balance_low}").unwrap();
    }
    for subscriber in subscribers {
        let SubscriberConfig {
            name,
            url,
            secrets,
            format,
            product,
            accounts,
            events,
            filter,
            since,
            mask,
            retry,
            give_up,
            disable_after,
            timeout,
            concurrency,
            rate_limit,
            order,
            fallback,
            quiet_hours,
            headers,
            proxy,
            enabled,
            hold_suspect,
            answers,
            allow_private,
            allow_http,
        } = subscriber;
        let keys: Vec<String> = secrets.iter().map(|secret| hex::encode(secret.key())).collect();
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| (name, value.expose_secret())).collect();
        writeln!(text, "{name:?} {url} {keys:?} {format:?} {product:?} {accounts:?} {events:?}")
            .unwrap();
        writeln!(text, "{retry:?} {give_up:?} {timeout:?} {concurrency} {headers:?}").unwrap();
        let filter = serde_json::to_string(filter).unwrap();
        writeln!(
            text,
            "{filter} {since:?} {mask} {disable_after:?} {rate_limit:?} {order:?} {quiet_hours:?}"
        )
        .unwrap();
        writeln!(
            text,
            "{proxy:?} {fallback:?} {enabled} {hold_suspect} {allow_private} {allow_http} {answers:?}"
        )
        .unwrap();
    }
    text
}

#[test]
fn the_example_is_the_defaults() {
    let required = r#"
        [[account]]
        name = "main"
        base_url = "http://http.c123.com"
        uid = "9999"
        password = { env = "REPLYD_PASSWORD" }
        [[subscriber]]
        name = "crm"
        url = "https://crm.example.com/hooks/sms"
        secret = { env = "REPLYD_CRM_SECRET" }
    "#;
    let (example, minimal) = (parse(EXAMPLE).unwrap(), parse(required).unwrap());
    assert_eq!(rendered(&example), rendered(&minimal));
}

#[test]
fn the_defaults_are_these() {
    let expected = r#""etc/config.toml" "etc/replyd.db" None ServerConfig { listen: 127.0.0.1:8480, hosts: [] } LogConfig { level: Info, format: Text }
RetainConfig { bodies: 1209600s, attempts: 2592000s, replies: 31536000s, tombstones: 34560000s } true
"main" http://http.c123.com/ "9999" c47d187067c6cf953245f128b5fde62a 50 5-59/10 * * * *
600s 300s None None Gbk 86400s
Plain Nightly 0
"crm" https://crm.example.com/hooks/sms ["31f290f6bf06298aab4f08d43c3f082cf648a362da2da4b0"] standard ProductConfig { has_secret: false, options: [], lang: Zh, has_template: false } [] [ReplyReceived]
[5s, 300s, 1800s, 7200s, 18000s, 36000s, 50400s, 72000s, 86400s] 604800s 15s 8 []
{"from":[],"content":null,"gateway":[],"extension":[]} None false 432000s None Mobile None
None None true false false false None
"#;
    assert_eq!(rendered(&parse(EXAMPLE).unwrap()), expected);
}

/// The keys of the example, also those that are commented out, with their sections. One of
/// `inline` stands as a table in a line of the section that it is in.
fn example_keys(inline: &BTreeSet<&str>) -> BTreeSet<(String, String)> {
    let mut section = String::new();
    let mut keys = BTreeSet::new();
    for line in EXAMPLE.lines() {
        let line = line.strip_prefix("# ").unwrap_or(line);
        if line.starts_with('[') {
            section = line.to_owned();
        } else if let Some((key, _)) = line.split_once(" = ")
            && !key.contains(' ')
        {
            keys.insert((section.clone(), key.to_owned()));
            let within = format!("[{}.{key}]", section.trim_matches(['[', ']']));
            if inline.contains(within.as_str()) {
                let (line, _) = DeTable::parse_recoverable(line);
                let inner = line.get_ref()[key].get_ref().as_table().unwrap().keys();
                keys.extend(inner.map(|inner| (within.clone(), inner.get_ref().to_string())));
            }
        }
    }
    keys
}

#[test]
fn the_example_has_every_key_that_is_read_and_no_other() {
    let (document, _) = DeTable::parse_recoverable(EXAMPLE);
    let mut report = Report::new(EXAMPLE);
    let given = (&Secrets::Skip as &dyn SecretSource, target::formats());
    read(document.get_ref(), &mut report, Path::new("config.toml"), given).unwrap();
    // A section within another is asked for like a key of it, and stands as a header.
    let is_header = |section: &str, key: &str| {
        let header = format!("{}.{key}]", section.trim_end_matches(']'));
        report.asked().iter().any(|(section, _)| *section == header)
    };
    let sections = report
        .asked()
        .iter()
        .filter(|(section, key)| !section.is_empty() && !is_header(section, key));
    let read: BTreeSet<_> =
        sections.map(|(section, key)| ((*section).to_owned(), (*key).to_owned())).collect();
    let inline = report.asked().iter().map(|(section, _)| *section);
    let inline = inline.filter(|section| !EXAMPLE.contains(section)).collect();
    assert_eq!(example_keys(&inline), read);
}

#[test]
fn no_subscriber_is_needed() {
    let config = parse(ACCOUNT).unwrap();
    assert_eq!((config.accounts.len(), config.subscribers.len()), (1, 0));
}

#[test]
fn every_key_can_be_set() {
    let config = parse(
        r#"
        [store]
        url = "sqlite:/var/lib/replyd/r.db"
        id_key = { file = "id.key" }
        retain = { bodies = "1d", attempts = "48h", replies = "90d", tombstones = "90d" }
        backup_before_upgrade = false
        [server]
        listen = "[::1]:0"
        hosts = ["sms.example.com"]
        [log]
        level = "trace"
        format = "json"
        [[account]]
        name = "A.b_c-1"
        base_url = "https://sms.example.com/api/"
        uid = "test"
        password = { file = "/run/password" }
        password_scheme = "md5-with-uid"
        schedule = "0 0 * * * *"
        min_interval = "20m"
        timeout = "1ms"
        proxy = "socks5://user:word@proxy:1080"
        number = "1068"
        charset = "utf-8"
        recover = "0s"
        read = "hour"
        reconcile = "hourly"
        balance_low = 500
        [[account]]
        name = "sim"
        base_url = "http://127.0.0.1:9"
        uid = "1"
        password_md5 = "FA246D0262C3925617B0C72BB20EEB1D"
        min_interval = "1s"
        number = "1069"
        [[subscriber]]
        name = "crm"
        url = "http://10.0.0.1:8080/hook?key=1"
        secret = [{ file = "crm.secret" }, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]
        lang = "en"
        accounts = ["sim"]
        match = { from = ["139*", "138*"], content = "退订|TD", gateway = "*00", extension = "8?" }
        since = "24h"
        mask = true
        retry = ["1ms", "7d"]
        give_up = "1h"
        disable_after = "1ms"
        rate_limit = "20/min"
        order = "none"
        quiet_hours = "22:00-08:00"
        fallback = ""
        timeout = "5m"
        concurrency = 0x40
        headers = { X-B = "2", authorization = { env = "REPLYD_PASSWORD" } }
        proxy = "http://proxy:3128"
        enabled = false
        hold_suspect = true
        allow_reply = true
        reply_rate = "3/s"
        reply_budget = 7
        allow_private = true
        "#,
    )
    .unwrap();
    let expected = r#""etc/config.toml" "/var/lib/replyd/r.db" Some(ID) ServerConfig { listen: [::1]:0, hosts: ["sms.example.com"] } LogConfig { level: Trace, format: Json }
RetainConfig { bodies: 86400s, attempts: 172800s, replies: 7776000s, tombstones: 7776000s } false
"A.b_c-1" https://sms.example.com/api "test" b9887c5ebb23ebb294acab183ecf0769 0 0 * * * *
1200s 1ms PROXY1 Some("1068") Utf8 0ns
Hour Hourly 500
"sim" http://127.0.0.1:9/ "1" fa246d0262c3925617b0c72bb20eeb1d SPREAD
1s 300s None Some("1069") Gbk 86400s
Plain Nightly 0
"crm" http://10.0.0.1:8080/hook?key=1 ["31f290f6bf06298aab4f08d43c3f082cf648a362da2da4b0", "000000000000000000000000000000000000000000000000"] standard ProductConfig { has_secret: false, options: [], lang: En, has_template: false } ["sim"] [ReplyReceived]
[1ms, 604800s] 3600s 300s 64 [("authorization", "word"), ("x-b", "2")]
{"from":["139*","138*"],"content":"退订|TD","gateway":["*00"],"extension":["8?"]} Some(86400s) true 1ms Some(RateLimit { count: 20, per: 60s }) None Some(QuietHours { from: 1320, to: 480 })
PROXY2 None false true true false Some(AnswerLimits { rate: RateLimit { count: 3, per: 1s }, budget: 7 })
"#;
    let id_key = IdKey::from_secret(b"sixteen bytes ok");
    let [one, two] = [&config.accounts[0].proxy, &config.subscribers[0].proxy];
    let urls = [one, two].map(|url| url.as_ref().unwrap().as_str().to_owned());
    assert_eq!(urls, ["socks5://user:word@proxy:1080", "http://proxy:3128/"]);
    let expected = expected
        .replace("ID", &format!("{:?}", id_key.as_bytes()))
        .replace("SPREAD", &Cron::spread("sim").unwrap().to_string())
        .replace("PROXY1", &format!("{one:?}"))
        .replace("PROXY2", &format!("{two:?}"));
    assert_eq!(rendered(&config), expected);
}

#[test]
fn debug_shows_no_secret() {
    let config = parse(
        r#"
        [store]
        id_key = "CANARY of 16 bytes"
        [[account]]
        name = "main"
        base_url = "http://http.c123.com"
        uid = "9999"
        password_md5 = "0123456789abcdef0123456789abcdef"
        proxy = "http://CANARY:CANARY@proxy"
        [[subscriber]]
        name = "crm"
        url = "https://crm.example.com/CANARY?key=CANARY"
        secret = "whsec_CANARYCANARYCANARYCANARYCANARYCA"
        headers = { authorization = "CANARY" }
        match = { from = "CANARY", content = "CANARY" }
        proxy = "socks5://CANARY:CANARY@proxy"
        "#,
    )
    .unwrap();
    let debug = format!("{config:?} {config:#?}");
    assert!(!debug.contains("CANARY") && !debug.contains("canary"), "{debug}");
    assert!(!debug.contains("0123456789abcdef"), "{debug}");
    assert!(!debug.contains(&hex::encode(config.subscribers[0].secrets[0].key())), "{debug}");
    assert!(debug.contains("https://crm.example.com/…"), "{debug}");
}

#[test]
fn without_secrets_placeholders_stand_in() {
    let text = r#"
        [store]
        id_key = { env = "NONE" }
        [[account]]
        name = "a"
        base_url = "http://http.c123.com"
        uid = "9999"
        password = { env = "NONE" }
        [[account]]
        name = "b"
        base_url = "http://http.c123.com"
        uid = "9998"
        password_md5 = { file = "/none" }
        [[subscriber]]
        name = "crm"
        url = "https://crm.example.com"
        secret = [{ env = "NONE" }, { file = "/none" }]
        headers = { authorization = { file = "/none" } }
    "#;
    let path = Path::new("config.toml");
    let config = Config::parse(text, path, (&Secrets::Skip, &[])).unwrap();
    assert_eq!(config.subscribers[0].secrets.len(), 2);
    // A literal is checked all the same.
    let text = text.replace(r#"{ env = "NONE" }, "#, r#""whsec_", "#);
    let error = Config::parse(&text, path, (&Secrets::Skip, &[])).unwrap_err().to_string();
    assert_eq!(
        error,
        "config.toml:17:19: subscriber \"crm\": secret[0]: must hold 24 to 64 bytes, not 0"
    );
}

#[test]
fn files_are_loaded_with_what_they_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    let text = format!("[store]\nid_key = {{ file = \"id.key\" }}\n{ACCOUNT}");
    std::fs::write(&path, text).unwrap();
    std::fs::write(folder.path().join("id.key"), "sixteen bytes ok\n").unwrap();
    let config = Config::load(&path, Secrets::Read, &[]).unwrap();
    assert_eq!(config.store.path, folder.path().join("replyd.db"));
    let expected = IdKey::from_secret(b"sixteen bytes ok");
    assert_eq!(config.store.id_key.unwrap().as_bytes(), expected.as_bytes());
}
