//! Every kind of wrong value, by its exact place and words.

use super::*;

/// Checks one line of `[store]`, `[server]` and the like, which then stands in line 2.
fn check_section(section: &str, line: &str, expected: &str) {
    check(&format!("{section}\n{line}\n{ACCOUNT}"), &[expected]);
}

/// Checks one line more of an account, which then stands in line 6.
fn check_account(line: &str, expected: &str) {
    check(&format!("{ACCOUNT}{line}\n"), &[&format!("6:{expected}")]);
}

/// Checks one line more of a subscriber, which then stands in line 5.
fn check_subscriber(line: &str, expected: &str) {
    check(&format!("{SUBSCRIBER}{line}\n{ACCOUNT}"), &[&format!("5:{expected}")]);
}

#[test]
fn of_store_server_and_log() {
    for (section, line, expected) in [
        ("[store]", "url = \"replyd.db\"", "2:7: store.url: must be sqlite:PATH"),
        ("[store]", "url = \"postgres://db\"", "2:7: store.url: must be sqlite:PATH"),
        ("[store]", "url = \"sqlite:\"", "2:7: store.url: names no file"),
        (
            "[store]",
            "url = \"sqlite::memory:\"",
            "2:7: store.url: must be a file: replies have to outlive the process",
        ),
        (
            "[store]",
            "url = \"sqlite:///var/r.db\"",
            "2:7: store.url: must be sqlite:PATH, without // before the path",
        ),
        (
            "[store]",
            "url = \"sqlite:r.db?mode=ro\"",
            "2:7: store.url: must be a path without options",
        ),
        ("[store]", "url = 5", "2:7: store.url: must be a string, not a whole number"),
        (
            "[store]",
            "id_key = \"fifteen bytes!!\"",
            "2:10: store.id_key: must be at least 16 bytes",
        ),
        (
            "[server]",
            "listen = \"localhost:8480\"",
            "2:10: server.listen: not an address and port like 127.0.0.1:8480",
        ),
        ("[server]", "listen = true", "2:10: server.listen: must be a string, not true or false"),
        (
            "[log]",
            "level = \"INFO\"",
            "2:9: log.level: must be \"error\" or \"warn\" or \"info\" or \"debug\" or \"trace\"",
        ),
        ("[log]", "format = \"xml\"", "2:10: log.format: must be \"text\" or \"json\""),
        ("log = 5", "", "1:7: log: must be the section [log]"),
        ("[store]", "retain = \"14d\"", "2:10: store.retain: must be the section [store.retain]"),
    ] {
        check_section(section, line, expected);
    }
    for (host, expected) in [
        ("http://a.example", "not a host name like replyd.example.com, without scheme and port"),
        ("a.example:8480", "not a host name like replyd.example.com, without scheme and port"),
        ("10.0.0.1", "must be a name: addresses are let in as they are"),
        ("短信.example", "must be written as clients send it: in ASCII"),
    ] {
        let expected = format!("2:10: server.hosts[0]: {expected}");
        check_section("[server]", &format!("hosts = [\"{host}\"]"), &expected);
    }
    for (listen, is_local) in [
        ("127.0.0.1:1", true),
        ("[::1]:1", true),
        ("[::ffff:127.0.0.1]:1", true),
        ("0.0.0.0:1", false),
        ("[::]:1", false),
        ("10.0.0.1:1", false),
        ("[::ffff:10.0.0.1]:1", false),
    ] {
        let text = format!("{ACCOUNT}[server]\nlisten = \"{listen}\"\nhosts = [\"Sms.Example\"]\n");
        let server = parse(&text).unwrap().server;
        assert_eq!((server.is_local(), server.hosts), (is_local, vec!["sms.example".to_owned()]));
    }
}

#[test]
fn of_what_is_retained() {
    for (line, expected) in [
        ("bodies = \"23h\"", "2:10: store.retain.bodies: must be from 1d to 36500d"),
        (
            "attempts = 30",
            "2:12: store.retain.attempts: must be a duration like \"10m\", not a whole number",
        ),
        ("tombstones = \"89d\"", "2:14: store.retain.tombstones: must be from 90d to 36500d"),
        (
            "tombstones = \"364d\"",
            "2:14: store.retain.tombstones: must be at least replies, which is 365d",
        ),
        (
            "replies = \"401d\"",
            "2:11: store.retain.replies: must be at most tombstones, which is 400d",
        ),
        ("bodys = \"1d\"", "2:1: store.retain.bodys: unknown key; did you mean bodies?"),
    ] {
        check_section("[store.retain]", line, expected);
    }
    check_section(
        "[store]",
        "retain = { bodies = \"14d\", replys = \"1d\" }",
        "2:28: store.retain.replys: unknown key; did you mean replies?",
    );
}

#[test]
fn of_accounts() {
    for (line, expected) in [
        (
            "schedule = \"*/10 * * * *\"",
            "12: account \"main\": schedule: has 5 fields, not the 6 of `second minute hour day \
             month weekday`",
        ),
        (
            "schedule = \"0 61 * * * *\"",
            "12: account \"main\": schedule: its minute is not a cron field",
        ),
        ("schedule = \"0 0 0 31 2 *\"", "12: account \"main\": schedule: never occurs"),
        (
            "min_interval = \"599999ms\"",
            "16: account \"main\": min_interval: must be at least 10m: the provider forbids \
             reading more often",
        ),
        ("min_interval = \"8d\"", "16: account \"main\": min_interval: must be from 1ms to 7d"),
        (
            "min_interval = 600",
            "16: account \"main\": min_interval: must be a duration like \"10m\", not a whole number",
        ),
        (
            "timeout = \"5 m\"",
            "11: account \"main\": timeout: not a duration like 500ms, 15s, 10m, 24h or 7d",
        ),
        ("timeout = \"0ms\"", "11: account \"main\": timeout: must be from 1ms to 1h"),
        ("timeout = \"3601s\"", "11: account \"main\": timeout: must be from 1ms to 1h"),
        ("read = \"hours\"", "8: account \"main\": read: must be \"plain\" or \"hour\""),
        (
            "reconcile = \"daily\"",
            "13: account \"main\": reconcile: must be \"nightly\" or \"hourly\" or \"off\"",
        ),
        ("recover = \"32d\"", "11: account \"main\": recover: must be from 0ms to 31d"),
        (
            "proxy = \"ftp://proxy\"",
            "9: account \"main\": proxy: must be an http:// or socks5:// URL",
        ),
        ("number = \"+1068\"", "10: account \"main\": number: must be at most 32 digits"),
        ("charset = \"GBK\"", "11: account \"main\": charset: must be \"gbk\" or \"utf-8\""),
        ("charset = []", "11: account \"main\": charset: must be a string, not a list"),
        (
            "password_scheme = \"sha1\"",
            "19: account \"main\": password_scheme: must be \"md5\" or \"md5-with-uid\"",
        ),
        (
            "password_md5 = \"fa246d0262c3925617b0c72bb20eeb1d\"",
            "16: account \"main\": password_md5: stands beside password: give only one",
        ),
    ] {
        check_account(line, expected);
    }
}

#[test]
fn of_logins_and_gateways() {
    for (from, to, expected) in [
        ("uid = \"9999\"", "uid = \"\"", "4:7: account \"main\": uid: is empty"),
        (
            "uid = \"9999\"",
            "uid = 9999",
            "4:7: account \"main\": uid: must be a string, not a whole number",
        ),
        (
            "\"http://http.c123.com\"",
            "\"http.c123.com\"",
            "3:12: account \"main\": base_url: not a URL like http://http.c123.com",
        ),
        (
            "password = \"word\"",
            "",
            "1:1: account \"main\": password: missing: give it or password_md5",
        ),
        ("\"word\"", "\"\"", "5:12: account \"main\": password: is empty"),
        ("\"word\"", "{ env = \"EMPTY\" }", "5:12: account \"main\": password: is empty"),
        (
            "\"word\"",
            "{ env = \"NO_SUCH\" }",
            "5:12: account \"main\": password: the environment variable NO_SUCH is not set",
        ),
        (
            "\"word\"",
            "{ env = \"hunter2\" }",
            "5:12: account \"main\": password: the environment variable it names is not set",
        ),
        (
            "\"word\"",
            "{ file = \"hunter2\" }",
            "5:12: account \"main\": password: its file cannot be used: entity not found",
        ),
        (
            "\"word\"",
            "{ envv = \"X\" }",
            "5:12: account \"main\": password: must be a string, { env = \"NAME\" } or { file = \"PATH\" }",
        ),
        (
            "\"word\"",
            "{ env = \"X\", file = \"y\" }",
            "5:12: account \"main\": password: must be a string, { env = \"NAME\" } or { file = \"PATH\" }",
        ),
        (
            "\"word\"",
            "12345678",
            "5:12: account \"main\": password: must be a string, { env = \"NAME\" } or { file = \"PATH\" }",
        ),
        (
            "password = \"word\"",
            "password_md5 = \"fa246d0262c3925617b0c72bb20eeb1\"",
            "5:16: account \"main\": password_md5: must be 32 hex digits",
        ),
        (
            "password = \"word\"",
            "password_md5 = \"fa246d0262c3925617b0c72bb20eeb1g\"",
            "5:16: account \"main\": password_md5: must be 32 hex digits",
        ),
        (
            "password = \"word\"",
            "password_scheme = \"md5-with-uid\"\npassword_md5 = \"fa246d0262c3925617b0c72bb20eeb1d\"",
            "5:19: account \"main\": password_scheme: must be \"md5\" where password_md5 is given",
        ),
    ] {
        check(&ACCOUNT.replace(from, to), &[expected]);
    }
}

#[test]
fn of_subscribers() {
    for (line, expected) in [
        (
            "format = \"slak\"",
            "10: subscriber \"crm\": format: did you mean \"slack\"? It must be \"standard\" or \"dingtalk\" or \"feishu\" or \"wecom\" or \"slack\" or \"discord\" or \"teams\" or \"telegram\" or \"chatwoot\" or \"template\" or \"mattermost\" or \"serverchan\" or \"pushplus\" or \"bark\" or \"ntfy\" or \"gotify\" or \"apprise\"",
        ),
        (
            "options = { chat_id = \"1\" }",
            "23: subscriber \"crm\": options: are for chat products: format = \"standard\" has none",
        ),
        ("options = 7", "11: subscriber \"crm\": options: must be a table, not a whole number"),
        ("lang = \"fr\"", "8: subscriber \"crm\": lang: must be \"zh\" or \"en\""),
        (
            "accounts = [\"mian\"]",
            "13: subscriber \"crm\": accounts[0]: no [[account]] has the name \"mian\"; did you mean \"main\"?",
        ),
        (
            "accounts = [\"main\", \"other\"]",
            "21: subscriber \"crm\": accounts[1]: no [[account]] has the name \"other\"",
        ),
        ("accounts = \"main\"", "12: subscriber \"crm\": accounts: must be a list, not a string"),
        (
            "events = []",
            "10: subscriber \"crm\": events: may be empty only where the subscriber is another's fallback",
        ),
        (
            "events = [\"reply\"]",
            "11: subscriber \"crm\": events[0]: must be \"reply.received\" or \"account.login_failed\" or \"account.recovered\" or \"account.second_reader\" or \"gap.opened\" or \"gap.closed\" or \"record.unparsed\" or \"subscriber.failing\" or \"subscriber.disabled\" or \"balance.low\"",
        ),
        (
            "match = { from = \"139*\", contnt = \"x\" }",
            "26: subscriber \"crm\": match.contnt: unknown key; did you mean content?",
        ),
        (
            "match = \"139*\"",
            "9: subscriber \"crm\": match: must be the section [subscriber.match]",
        ),
        (
            "match = { content = \"a(b\" }",
            "21: subscriber \"crm\": match.content: not a regular expression like 退订|TD: unclosed group",
        ),
        (
            "match = { gateway = [\"*00\", \"\"] }",
            "29: subscriber \"crm\": match.gateway[1]: must be a pattern of 1 to 64 characters like 139* or *00?",
        ),
        (
            "match = { extension = \"8?\" }",
            "9: subscriber \"crm\": match: asks for an extension, but none of its accounts has a number that one could follow",
        ),
        (
            "match = { extension = 8 }",
            "23: subscriber \"crm\": match.extension: must be a string, not a whole number",
        ),
        (
            "content = \"TD\"",
            "1: subscriber \"crm\": content: unknown key here; it belongs in [subscriber.match]",
        ),
        (
            "since = \"24\"",
            "9: subscriber \"crm\": since: not a duration like 500ms, 15s, 10m, 24h or 7d",
        ),
        ("since = \"366d\"", "9: subscriber \"crm\": since: must be from 1ms to 365d"),
        ("mask = \"yes\"", "8: subscriber \"crm\": mask: must be true or false, not a string"),
        ("order = \"from\"", "9: subscriber \"crm\": order: must be \"mobile\" or \"none\""),
        (
            "quiet_hours = \"22-8\"",
            "15: subscriber \"crm\": quiet_hours: not a span of the day like 22:00-08:00",
        ),
        (
            "rate_limit = \"100\"",
            "14: subscriber \"crm\": rate_limit: not a rate like 100/s, 20/min or 1000/h",
        ),
        (
            "rate_limit = 100",
            "14: subscriber \"crm\": rate_limit: must be a string, not a whole number",
        ),
        (
            "disable_after = \"0s\"",
            "17: subscriber \"crm\": disable_after: must be from 1ms to 365d",
        ),
        ("retry = []", "9: subscriber \"crm\": retry: must have 1 to 20 entries"),
        ("retry = [\"5s\", \"8d\"]", "16: subscriber \"crm\": retry[1]: must be from 1ms to 7d"),
        ("give_up = \"0s\"", "11: subscriber \"crm\": give_up: must be from 1ms to 365d"),
        ("timeout = \"301s\"", "11: subscriber \"crm\": timeout: must be from 1ms to 5m"),
        ("concurrency = 0", "15: subscriber \"crm\": concurrency: must be from 1 to 64"),
        ("concurrency = 65", "15: subscriber \"crm\": concurrency: must be from 1 to 64"),
        ("concurrency = -1", "15: subscriber \"crm\": concurrency: must be from 1 to 64"),
        (
            "concurrency = 1.5",
            "15: subscriber \"crm\": concurrency: must be a whole number, not a fraction",
        ),
        (
            "enabled = \"yes\"",
            "11: subscriber \"crm\": enabled: must be true or false, not a string",
        ),
        (
            "proxy = \"http://a/b\"",
            "9: subscriber \"crm\": proxy: must be only scheme, host and port, perhaps with a login",
        ),
        ("headers = 5", "11: subscriber \"crm\": headers: must be a table, not a whole number"),
        (
            "headers = { \"a b\" = \"1\" }",
            "21: subscriber \"crm\": headers: has a key that is not a header's name",
        ),
        (
            "headers = { Host = \"a\" }",
            "20: subscriber \"crm\": headers.host: is reserved: replyd sets it",
        ),
        (
            "headers = { webhook-id = \"a\" }",
            "26: subscriber \"crm\": headers.webhook-id: is reserved: replyd sets it",
        ),
        (
            "headers = { Replyd-X = \"a\" }",
            "24: subscriber \"crm\": headers.replyd-x: is reserved: replyd sets it",
        ),
        (
            "headers = { X-A = \"1\", x-a = \"2\" }",
            "30: subscriber \"crm\": headers.x-a: stands twice: the case of a header's name does not count",
        ),
        (
            "headers = { x-a = \"a\\nb\" }",
            "19: subscriber \"crm\": headers.x-a: must be at most 8 KiB of printable ASCII",
        ),
        ("headers = { x-a = \"\" }", "19: subscriber \"crm\": headers.x-a: is empty"),
    ] {
        check_subscriber(line, expected);
    }
}

#[test]
fn of_a_subscribers_url_and_secret() {
    for (from, to, expected) in [
        (
            "https://",
            "http://",
            "3:7: subscriber \"crm\": url: is plain http, which needs allow_http = true",
        ),
        (
            "crm.example.com",
            "2130706433",
            "3:7: subscriber \"crm\": url: is an inside address, which needs allow_private = true",
        ),
        (
            &format!("\"{SIGNING}\""),
            "\"whsec_\"",
            "4:10: subscriber \"crm\": secret: must hold 24 to 64 bytes, not 0",
        ),
        (
            &format!("\"{SIGNING}\""),
            "\"hunter2\"",
            "4:10: subscriber \"crm\": secret: must begin with whsec_",
        ),
        (
            &format!("\"{SIGNING}\""),
            "[]",
            "4:10: subscriber \"crm\": secret: must have 1 to 5 entries",
        ),
        (
            &format!("\"{SIGNING}\""),
            "[5]",
            "4:11: subscriber \"crm\": secret[0]: must be a string, { env = \"NAME\" } or { file = \"PATH\" }",
        ),
        (&format!("secret = \"{SIGNING}\""), "", "1:1: subscriber \"crm\": secret: missing"),
    ] {
        check(&format!("{}\n{ACCOUNT}", SUBSCRIBER.replace(from, to)), &[expected]);
    }
}

#[test]
fn of_chat_products() {
    let product = |keys: &str| format!("[[subscriber]]\nname = \"crm\"\n{keys}\n{ACCOUNT}");
    for (keys, expected) in [
        (
            "format = \"dingtalk\"\nurl = \"https://oapi.dingtalk.com/robot/send?access_token=CANARY\"",
            None,
        ),
        (
            "format = \"dingtalk\"\nurl = { env = \"REPLYD_PASSWORD\" }",
            Some("4:7: subscriber \"crm\": url: not a URL like https://crm.example.com/hooks/sms"),
        ),
        (
            "format = \"dingtalk\"\nurl = \"https://oapi.dingtalk.com/robot/send\"",
            Some(
                "4:7: subscriber \"crm\": url: has no access_token: copy the robot's whole Webhook URL",
            ),
        ),
        (
            "format = \"wecom\"\nurl = \"https://qyapi.weixin.qq.com/cgi-bin/webhook/send?k=1\"",
            Some("4:7: subscriber \"crm\": url: has no key: copy the robot's whole Webhook URL"),
        ),
        (
            "format = \"telegram\"\nurl = \"https://api.telegram.org\"",
            Some(
                "1:1: subscriber \"crm\": options.chat_id: missing\n\
                 4:7: subscriber \"crm\": url: is not …/botTOKEN/sendMessage: give that, or the token as secret",
            ),
        ),
        (
            "format = \"telegram\"\nurl = \"https://api.telegram.org\"\nsecret = \"1:A\"\noptions = { chat = -100 }",
            Some(
                "1:1: subscriber \"crm\": options.chat_id: missing\n\
                 6:20: subscriber \"crm\": options: unknown key; did you mean chat_id?",
            ),
        ),
        (
            "format = \"telegram\"\nurl = \"https://api.telegram.org\"\nsecret = \"1:A\"\noptions = { chat_id = -100 }",
            None,
        ),
        (
            "format = \"slack\"\nurl = \"https://hooks.slack.com/services/a/b/c\"\noptions = { hunter2 = 1 }",
            Some(
                "5:23: subscriber \"crm\": options: unknown key: format = \"slack\" has no options",
            ),
        ),
    ] {
        let expected: Vec<&str> = expected.into_iter().flat_map(str::lines).collect();
        check(&product(keys), &expected);
    }
}

#[test]
fn a_product_brings_its_pace() {
    let config = |more: &str| {
        let text = format!(
            "{ACCOUNT}[[subscriber]]\nname = \"crm\"\nformat = \"wecom\"\n\
             url = \"https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=1\"\n{more}"
        );
        parse(&text).unwrap().subscribers.remove(0)
    };
    let rate = |more| config(more).rate_limit.map(|rate| rate.to_string());
    assert_eq!(rate("").as_deref(), Some("20 in 1m"));
    assert_eq!(rate("rate_limit = \"5/min\"").as_deref(), Some("5 in 1m"));
    assert_eq!(rate("rate_limit = \"\""), None);
    assert_eq!(config("").concurrency, 1);
    assert!(config("").secrets.is_empty() && config("").product.secret.is_none());
    // Its URL is a secret, and so is all that it has.
    let text = "format = \"telegram\"\nurl = \"https://t.example/botCANARY/sendMessage?CANARY=CANARY\"\n\
                secret = \"CANARY\"\noptions = { chat_id = \"CANARY\" }";
    let text = format!("{ACCOUNT}[[subscriber]]\nname = \"crm\"\n{text}");
    let subscriber = parse(&text).unwrap().subscribers.remove(0);
    let seen = format!("{subscriber:?} {:?}", subscriber.shown());
    assert!(!seen.contains("CANARY") && seen.contains("https://t.example/…"), "{seen}");
}

#[test]
fn of_templates() {
    let own = |keys: &str| {
        format!(
            "[[subscriber]]\nname = \"crm\"\nformat = \"template\"\nurl = \"https://a.example/\"\n{keys}\n{ACCOUNT}"
        )
    };
    for (keys, expected) in [
        ("template = '{\"text\": \"{{ text }}\"}'", None),
        ("template = '{{ from }}: {{ content }}'\nsuccess = { text = \"ok\" }", None),
        (
            "template = 'a={{ options.a }}'\noptions = { a = \"1\" }\nheaders = { Content-Type = \"application/x-www-form-urlencoded\" }\nsuccess = { json = \"/code\", equals = 0 }",
            None,
        ),
        ("", Some("1:1: subscriber \"crm\": template: missing: it is the body that is sent")),
        (
            "template = '{{ form }}'",
            Some(
                "5:12: subscriber \"crm\": template: asks for a field that there is not; did you mean {{ from }}?",
            ),
        ),
        (
            "template = '{{ from'",
            Some("5:12: subscriber \"crm\": template: has {{ without }} behind it"),
        ),
        (
            "template = '{\"text\": {{ text }}}'",
            Some(
                "5:12: subscriber \"crm\": template: is no JSON where its fields are filled in: put each in quotes",
            ),
        ),
        (
            "template = 'a'\nsuccess = { json = \"code\", equals = 0 }",
            Some("6:20: subscriber \"crm\": success.json: must be a place like /errcode"),
        ),
        (
            "template = 'a'\nsuccess = { json = \"/code\" }",
            Some("6:11: subscriber \"crm\": success.equals: and json go together"),
        ),
        (
            "template = 'a'\nsuccess = { json = \"/code\", equals = 0, text = \"ok\" }",
            Some(
                "6:48: subscriber \"crm\": success.text: and json are two ways to say it: give one",
            ),
        ),
    ] {
        let expected: Vec<&str> = expected.into_iter().collect();
        check(&own(keys), &expected);
    }
    let chat = own("template = '{{ from }} {{ secret }}'\nsuccess = { text = \"ok\" }")
        .replace("\"template\"", "\"slack\"")
        .replace("a.example/", "a.example/b");
    check(
        &chat,
        &[
            "5:12: subscriber \"crm\": template: asks for a secret, which nobody in the chat is to see",
            "6:11: subscriber \"crm\": success: is for format = \"template\"",
        ],
    );
    let standard = format!("{SUBSCRIBER}template = 'a'\n{ACCOUNT}");
    check(
        &standard,
        &["5:12: subscriber \"crm\": template: is for chat products and format = \"template\""],
    );
}
