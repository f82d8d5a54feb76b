//! Tokens: made, listed, revoked, and what each allows.

use super::{Client, client, idle, token};
use crate::recovery::address;
use crate::support::{Home, Settings, ends, query, stderr, stdout, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_shown_once_kept_as_a_digest_and_worthless_when_revoked_or_expired() {
    let (home, service, all) = idle().await;
    let made = token(&home, "crm", &["read"]);
    let digits = made.strip_prefix("rpt_").unwrap();
    assert!(digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()), "{made}");
    for file in ["replyd.db", "replyd.db-wal"] {
        let bytes = std::fs::read(home.path(file)).unwrap_or_default();
        assert!(!bytes.windows(64).any(|window| window == digits.as_bytes()), "{file}");
    }
    let crm = Client { token: Some(made.clone()), ..all.clone() };
    assert_eq!(crm.ask("GET", "/api/v1/replies", &[], b"").status, 200);
    let listed = ends(&home, &["token", "list"], 0);
    assert!(listed.contains("crm") && !listed.contains(digits), "{listed}");
    until("its use", || {
        query::<i64>(&home, "SELECT count(*) FROM token WHERE name = 'crm' AND used_ms > 0") == 1
    })
    .await;
    ends(&home, &["token", "new", "--name", "crm", "--scope", "read"], 2);
    for life in ["0s", "36501d", "tomorrow"] {
        ends(&home, &["token", "new", "--name", "odd", "--scope", "read", "--expires", life], 2);
    }
    ends(&home, &["token", "revoke", "crm"], 0);
    ends(&home, &["token", "revoke", "crm"], 66);
    let answer = crm.ask("GET", "/api/v1/replies", &[], b"");
    assert_eq!((answer.status, answer.code()), (401, "token_invalid".to_owned()));
    assert_eq!(
        answer.header("www-authenticate"),
        Some(r#"Bearer realm="replyd", error="invalid_token""#)
    );
    let short =
        ends(&home, &["token", "new", "--name", "short", "--scope", "read", "--expires", "1ms"], 0);
    let short = Client { token: Some(short.trim().to_owned()), ..all.clone() };
    assert_eq!(short.refused("/api/v1/replies"), (401, "token_expired".to_owned()));
    let states = ends(&home, &["token", "list", "--json"], 0);
    for state in ["\"valid\"", "\"expired\"", "\"revoked\""] {
        assert!(states.contains(state), "{states}");
    }
    assert!(!home.log().contains(digits), "{}", home.log());
    assert_eq!(service.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_allows_what_its_scopes_say_and_nothing_without_one() {
    let (home, service, all) = idle().await;
    let nobody = Client { token: None, ..all.clone() };
    let admin = Client { token: Some(token(&home, "admin", &["admin"])), ..all.clone() };
    for path in ["/api/v1/replies", "/api/v1/nothing", "/", "/favicon.ico"] {
        assert_eq!(nobody.refused(path), (401, "token_missing".to_owned()), "{path}");
    }
    assert_eq!(admin.refused("/api/v1/replies"), (403, "scope_missing".to_owned()));
    for wrong in ["rpt_", "Basic", &format!("rpt_{}", "0".repeat(64)), &"x".repeat(5_000)] {
        let wrong = Client { token: Some(wrong.to_owned()), ..all.clone() };
        assert_eq!(wrong.refused("/api/v1/replies"), (401, "token_invalid".to_owned()));
    }
    for path in ["/livez", "/readyz", "/metrics"] {
        let came = nobody.raw(
            format!("GET {path} HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n")
                .as_bytes(),
        );
        assert!(came.starts_with(b"HTTP/1.1 200"), "{path}");
    }
    assert_eq!(service.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_other_machines_reach_it_it_starts_with_a_token_only() {
    let home = Home::new(&Settings { schedule: "0 0 0 1 1 *", ..Settings::default() });
    let config = std::fs::read_to_string(home.path("config.toml")).unwrap();
    home.write("config.toml", &config.replace("127.0.0.1:0", "0.0.0.0:0"));
    let refused = home.run(&["run"]);
    assert_eq!(refused.status.code(), Some(78), "{}", stdout(&refused));
    assert!(
        stderr(&refused).contains("replyd token new --name NAME --scope read"),
        "{}",
        stderr(&refused)
    );
    let checked = home.run(&["check"]);
    assert_eq!(checked.status.code(), Some(0));
    assert!(stderr(&checked).contains("note: server.listen"), "{}", stderr(&checked));
    ends(&home, &["token", "new", "--name", "old", "--scope", "read", "--expires", "1ms"], 0);
    assert_eq!(home.run(&["run"]).status.code(), Some(78));
    token(&home, "crm", &["read"]);
    let service = home.serve();
    until("the address", || address(&home).is_some()).await;
    let mut api = client(&home).await;
    api.address.set_ip([127, 0, 0, 1].into());
    assert_eq!(api.ask("GET", "/api/v1/replies", &[], b"").status, 200);
    assert_eq!(service.stop(), Some(0));
}
