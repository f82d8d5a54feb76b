//! Files that are not TOML: what is still told of them, and what never is.

use super::*;

#[test]
fn what_is_not_toml_is_told_with_what_else_is_wrong() {
    check(
        "[[account]]\nname = \"main\nuid = \"\"\ntimeout = \"5\"\ntiemout = 1\n",
        &[
            "2:13: not TOML: invalid basic string, expected `\"`",
            "3:7: account \"main\": uid: is empty",
            "4:11: account \"main\": timeout: not a duration like 500ms, 15s, 10m, 24h or 7d",
            "5:1: account \"main\": tiemout: unknown key; did you mean timeout?",
        ],
    );
    check(
        "[store]\nurl = 5x\n[log]\nlevel = ,\n[server]\nlisten = 1\n",
        &[
            "2:7: not TOML: string values must be quoted, expected literal string",
            "4:9: not TOML: unexpected key or value, expected newline, `#`",
            "4:9: not TOML: string values must be quoted, expected literal string",
            "6:10: server.listen: must be a string, not a whole number",
        ],
    );
    check("[log]\nlevel = \"info\"\nlevel = \"warn\"\n", &["3:1: not TOML: duplicate key"]);
}

#[test]
fn what_a_broken_line_may_have_hidden_is_not_called_wrong() {
    check("[[account]]\nname\n", &["2:5: not TOML: key with no value, expected `=`"]);
    // The level stands at the top only because the header is broken.
    check("[log\nlevel = \"info\"\n", &["1:5: not TOML: unclosed table, expected `]`"]);
    check(
        &format!("{SUBSCRIBER}accounts = [\"main\"]\n[[account]\nname = \"main\"\n"),
        &["6:11: not TOML: unclosed array table, expected `]`"],
    );
}

/// Every way to break one character of a file whose secrets are all known: whatever the parser
/// makes of the rest, no piece of a secret is told.
#[test]
fn no_breakage_shows_a_secret() {
    let text = r#"
[store]
id_key = "CANARYCANARYCANARY"
[[account]]
name = "main"
base_url = "http://CANARY.example.com/?CANARY"
uid = "9999"
password = "CANARY"
password_md5 = { file = "CANARY" }
proxy = "http://CANARY:CANARY@CANARY:8080/?CANARY"
[[subscriber]]
name = "crm"
url = "https://CANARY:CANARY@crm.example.com/CANARY?CANARY=CANARY"
secret = ["whsec_CANARYCANARYCANARYCANARYCANARYCA==", { env = "whsec_CANARY" }]
match = { from = "CANARY*", content = "CANARY|(CANARY)" }
headers = { authorization = "Bearer CANARY=", "CANARY " = "CANARY" }
"#;
    let replacements =
        ["", "\"", "'", "=", "\n", " ", "#", "[", "]", "{", "}", ",", ".", "\\", "\"\"\"", "é"];
    for (at, old) in text.char_indices() {
        for new in replacements {
            for rest in [&text[at..], &text[at + old.len_utf8()..]] {
                let broken = format!("{}{new}{rest}", &text[..at]);
                let Err(errors) = parse(&broken) else { panic!("accepted:\n{broken}") };
                let shown = format!("{errors} {errors:?}").to_ascii_lowercase();
                assert!(!shown.contains("canar") && !shown.contains("anary"), "{shown}\n{broken}");
            }
        }
    }
}
