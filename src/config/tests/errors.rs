//! Errors of names, keys and the file as a whole, by their exact place and words.

use super::*;

#[test]
fn of_names() {
    let account = |name: &str| ACCOUNT.replace("\"main\"", name);
    let alphabet = "must be 1 to 64 characters of a-z A-Z 0-9 . _ -";
    for name in ["\"\"", "\"a b\"", "\"主\"", &format!("\"{}\"", "a".repeat(65))] {
        check(&account(name), &[&format!("2:8: account[0]: name: {alphabet}")]);
    }
    check(&account(&format!("\"{}\"", "a".repeat(64))), &[]);
    check(&ACCOUNT.replace("name = \"main\"\n", ""), &["1:1: account[0]: name: missing"]);
    let uid = |account: &str, uid: &str| account.replace("9999", uid);
    check(
        &format!("{ACCOUNT}{}{}", uid(&account("\"other\""), "1"), uid(ACCOUNT, "2")),
        &["12:8: account \"main\": name: is taken by the one of line 2"],
    );
    check(
        &format!("{ACCOUNT}{}", account("\"other\"")),
        &["9:7: account \"other\": uid: is read by another account here: both would empty one box"],
    );
    check(
        &format!("{ACCOUNT}{SUBSCRIBER}{SUBSCRIBER}"),
        &["11:8: subscriber \"crm\": name: is taken by the one of line 7"],
    );
}

#[test]
fn of_what_is_missing() {
    let none = " no [[account]]: there is nothing to read replies from";
    check("", &[none]);
    check(SUBSCRIBER, &[none]);
    check("account = []", &[none]);
    check("[account]\nname = \"main\"", &["1:1: account: must be written as [[account]]"]);
    check("account = [1]", &["1:11: account: must be written as [[account]]"]);
    check(
        "[[account]]\n[[subscriber]]",
        &[
            "1:1: account[0]: name: missing",
            "1:1: account[0]: base_url: missing",
            "1:1: account[0]: uid: missing",
            "1:1: account[0]: password: missing: give it or password_md5",
            "2:1: subscriber[0]: name: missing",
            "2:1: subscriber[0]: url: missing",
            "2:1: subscriber[0]: secret: missing",
        ],
    );
}

#[test]
fn of_unknown_keys() {
    for (line, expected) in [
        (
            "min_intervall = 1",
            "1: account \"main\": min_intervall: unknown key; did you mean min_interval?",
        ),
        ("tiemout = \"1s\"", "1: account \"main\": tiemout: unknown key; did you mean timeout?"),
        ("colour = 1", "1: account \"main\": colour: unknown key"),
        (
            "url = \"x\"",
            "1: account \"main\": url: unknown key here; it belongs in [[subscriber]] or [store]",
        ),
        ("listen = 1", "1: account \"main\": listen: unknown key here; it belongs in [server]"),
        ("\"a b\" = 1", "1: account \"main\": unknown key"),
        ("whsec_abc = 1", "1: account \"main\": unknown key"),
        ("dotted.key = 1", "1: account \"main\": dotted: unknown key"),
    ] {
        let text = format!("{ACCOUNT}{line}\n{SUBSCRIBER}");
        check(&text, &[&format!("6:{expected}")]);
    }
    check(&format!("lisen = 1\n{ACCOUNT}"), &["1:1: lisen: unknown key"]);
    check(&format!("[sever]\n{ACCOUNT}"), &["1:2: sever: unknown key; did you mean server?"]);
    check(&format!("[store]\npath = 1\n{ACCOUNT}"), &["2:1: store.path: unknown key"]);
    check(
        &format!("{ACCOUNT}balance_low = \"off\"\n"),
        &["6:15: account \"main\": balance_low: must be a whole number, not a string"],
    );
}

#[test]
fn all_at_once_in_the_order_of_the_file() {
    check(
        "[server]\nlisten = 8480\n[[subscriber]]\nname = \"crm\"\nurl = \"x\"\nretry = [\"1\", \"2s\", \"3\"]\n\
         [[account]]\nname = \"main\"\nuid = \"\"\nbase_url = \"http://a/\"\npasword = \"word\"\n[log]\nlevle = 1\n",
        &[
            "2:10: server.listen: must be a string, not a whole number",
            "3:1: subscriber \"crm\": secret: missing",
            "5:7: subscriber \"crm\": url: not a URL like https://crm.example.com/hooks/sms",
            "6:10: subscriber \"crm\": retry[0]: not a duration like 500ms, 15s, 10m, 24h or 7d",
            "6:21: subscriber \"crm\": retry[2]: not a duration like 500ms, 15s, 10m, 24h or 7d",
            "7:1: account \"main\": password: missing: give it or password_md5",
            "9:7: account \"main\": uid: is empty",
            "11:1: account \"main\": pasword: unknown key; did you mean password?",
            "13:1: log.levle: unknown key; did you mean level?",
        ],
    );
}

#[test]
fn only_a_gateway_on_this_machine_is_read_more_often() {
    for (host, is_allowed) in [
        ("http://127.0.0.1:8080", true),
        ("http://[::1]", true),
        ("http://localhost", true),
        ("http://10.0.0.1", false),
        ("http://localhost.example.com", false),
    ] {
        let text = ACCOUNT.replace("http://http.c123.com", host) + "min_interval = \"1ms\"\n";
        assert_eq!(parse(&text).is_ok(), is_allowed, "{host}");
    }
}

#[test]
fn too_many_are_counted() {
    let text = "x = 1\n".to_owned() + ACCOUNT;
    let keys: String = (0..150).map(|number| format!("key{number} = 1\n")).collect();
    let errors = parse(&(text + &keys)).unwrap_err();
    assert_eq!(errors.problems().len(), 100);
    assert!(errors.to_string().ends_with("\netc/config.toml: and 51 more"), "{errors}");
}

#[test]
fn of_the_file_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    let check = |expected: &str| {
        let error = Config::load(&path, Secrets::Skip, &[]).unwrap_err().to_string();
        assert_eq!(error, format!("{}{expected}", path.display()));
    };
    check(": cannot be read: No such file or directory (os error 2)");
    std::fs::write(&path, vec![b'#'; 1024 * 1024 + 1]).unwrap();
    check(": cannot be read: larger than 1048576 bytes");
    std::fs::write(&path, vec![b'#'; 1024 * 1024]).unwrap();
    check(": no [[account]]: there is nothing to read replies from");
    std::fs::write(&path, b"# fine\n# \xd6\xd0\n").unwrap();
    check(":2:3: not UTF-8: save the file as that");
}
