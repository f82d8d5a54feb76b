//! What the house keeps to, beyond what compiler and linter see: imports point down only, and
//! what belongs to one room stands in that room.
//!
//! The sources are read as text, without their comments and `#[cfg(test)]` parts. Every rule is
//! shown to fail on a planted violation.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects is to panic, in its helpers too"
)]

use std::path::Path;

use code::Code;

#[path = "tidy/code.rs"]
mod code;

/// Each room's storey. A room may use those below it, not its neighbours on the same one.
const RANKS: &[(&str, u8)] = &[
    ("language", 0),
    ("template", 0),
    ("time", 0),
    ("tls", 0),
    ("clock", 1),
    ("metrics", 1),
    ("pulse", 2),
    ("reply", 2),
    ("event", 3),
    ("route", 4),
    ("gateway", 5),
    ("store", 6),
    ("config", 6),
    ("intake", 7),
    ("delivery", 7),
    ("sending", 8),
    ("shape", 9),
    ("server", 10),
    ("schedule", 10),
    ("app", 11),
    ("cli", 12),
    ("lib", 13),
    ("main", 13),
];
/// The core: bytes and times go in, decisions come out. A trailing slash names a folder.
const PURE: &[&str] = &[
    "language.rs",
    "template.rs",
    "time.rs",
    "time/",
    "reply.rs",
    "event/",
    "route/",
    "gateway/charset.rs",
    "gateway/rx.rs",
    "gateway/rx/",
    "gateway/mm.rs",
    "gateway/status.rs",
    "gateway/tx.rs",
    "intake/plan.rs",
    "intake/verdict.rs",
    "intake/count.rs",
    "intake/hours.rs",
    "intake/ingest/",
    "intake/standing.rs",
    "intake/suspicion.rs",
    "delivery/sign.rs",
    "delivery/notices.rs",
    "delivery/retry.rs",
    "delivery/explain.rs",
    "delivery/fallback.rs",
    "delivery/diagnosis/",
    "delivery/pace.rs",
    "delivery/standing.rs",
    "delivery/waiting.rs",
    "delivery/target/",
    "delivery/messages.rs",
    "delivery/channel/certificate.rs",
    "sending/limits.rs",
    "sending/plan.rs",
    "app/changes.rs",
    "server/api/auth.rs",
    "server/api/host.rs",
    "server/api/limits.rs",
    "server/api/page.rs",
    "server/api/parameter.rs",
    "cli/coverage/grid.rs",
    "cli/replies/csv.rs",
    "cli/doctor/finding.rs",
    "cli/init/template.rs",
    "cli/sim/customers.rs",
    "cli/verify/headers.rs",
];
/// What the core must not use.
const IMPURE: [&str; 5] = ["tracing", "tokio", "std::fs", "std::net", "crate::clock::Clock"];
/// Those who speak HTTP themselves: to subscribers, and with clients.
const HTTP: &str = "delivery/channel/ server/connection.rs";
/// Libraries that these places alone may use.
const OWNED: [(&str, &str); 7] = [
    ("tokio_cron_scheduler", "schedule.rs"),
    ("rusqlite", "store/"),
    ("rustls_platform_verifier", "tls.rs"),
    ("hyper", HTTP),
    ("hyper_util", HTTP),
    ("tokio_rustls", "delivery/channel/"),
    ("prometheus_client", "metrics/"),
];
/// How statements of SQL begin.
const SQL: [&str; 7] =
    ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "CREATE TABLE", "PRAGMA ", "BEGIN IMMEDIATE"];
const PRINTS: [&str; 5] = ["println", "eprintln", "print", "eprint", "dbg"];
/// Past this a file wants to be a folder.
const LINES_MAX: usize = 600;

/// A source file: its path below `src/`, and its text.
struct Source {
    path: String,
    text: String,
}

#[test]
fn src_is_tidy() {
    let mut sources = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    collect(&root, &root, &mut sources);
    assert!(sources.iter().any(|source| source.path == "store/sqlite/engine.rs"), "src not found");
    for pure in PURE {
        assert!(sources.iter().any(|source| is_at(&source.path, pure)), "{pure} is not there");
    }
    let violations: Vec<String> = sources.iter().flat_map(violations).collect();
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

fn collect(root: &Path, folder: &Path, sources: &mut Vec<Source>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            sources.push(Source { path, text });
        }
    }
}

/// Everything that is wrong with a file.
fn violations(source: &Source) -> Vec<String> {
    let path = source.path.as_str();
    let mut found = Vec::new();
    let lines = source.text.lines().count();
    if lines > LINES_MAX {
        found.push(format!("{lines} lines, more than {LINES_MAX}"));
    }
    if !is_test_file(path) {
        let code = Code::new(&source.text);
        if !source.text.starts_with("//!") {
            found.push("does not begin with //!".to_owned());
        }
        found.extend(imports(path, &code));
        found.extend(strangers(path, &code));
        if is_pure(path) {
            found.extend(impurities(path, &code));
        }
    }
    found.into_iter().map(|what| format!("src/{path}: {what}")).collect()
}

fn is_at(path: &str, place: &str) -> bool {
    path == place || place.ends_with('/') && path.starts_with(place)
}

/// A file that is a `#[cfg(test)]` module of its own.
fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.ends_with("_tests.rs") || path.contains("/tests/")
}

fn is_pure(path: &str) -> bool {
    PURE.iter().any(|pure| is_at(path, pure))
}

fn room(path: &str) -> &str {
    path.split('/').next().unwrap().trim_end_matches(".rs")
}

fn rank(room: &str) -> Option<u8> {
    RANKS.iter().find(|(name, _)| *name == room).map(|(_, rank)| *rank)
}

/// Imports that do not point down.
fn imports(path: &str, code: &Code) -> Vec<String> {
    let own = room(path);
    let Some(own_rank) = rank(own) else {
        return vec![format!("the room {own:?} has no rank in tests/tidy.rs")];
    };
    let mut found = Vec::new();
    for used in code.paths(path) {
        let Some(other) = used.strip_prefix("crate::").and_then(|rest| rest.split("::").next())
        else {
            continue;
        };
        match rank(other) {
            Some(rank) if rank < own_rank || other == own => {}
            Some(_) => found.push(format!("{own} uses {used}, which is not below it")),
            None => found.push(format!("the room of {used} has no rank in tests/tidy.rs")),
        }
    }
    found
}

/// What belongs to another room, or nowhere.
fn strangers(path: &str, code: &Code) -> Vec<String> {
    let mut found = Vec::new();
    let sql = SQL.iter().filter(|_| !is_at(path, "store/"));
    found.extend(sql.filter(|sql| code.text.contains(**sql)).map(|sql| format!("SQL: {sql:?}")));
    let paths = code.paths(path);
    for (library, owner) in
        OWNED.iter().filter(|(_, owners)| !owners.split(' ').any(|owner| is_at(path, owner)))
    {
        let used = paths.iter().filter(|used| used.split("::").next() == Some(library));
        found.extend(used.map(|used| format!("{used} belongs to {owner} alone")));
    }
    let prints = PRINTS.iter().filter(|name| code.words().any(|word| word == format!("{name}!")));
    found.extend(prints.map(|name| format!("{name}!: write by cli/output.rs")));
    found
}

/// What the core must not hold.
fn impurities(path: &str, code: &Code) -> Vec<String> {
    let paths = code.paths(path);
    let uses = |what: &&str| {
        paths.iter().any(|used| used == *what || used.starts_with(&format!("{what}::")))
    };
    let mut found: Vec<&str> = IMPURE.into_iter().filter(uses).collect();
    if code.words().any(|word| word == "async") {
        found.push("async");
    }
    found.into_iter().map(|what| format!("{what} in a pure file")).collect()
}

/// Plants code in a file and says what is found: nothing, or something that names this.
fn check(path: &str, code: &str, expected: Option<&str>) {
    let source = Source { path: path.to_owned(), text: format!("//! A file.\n{code}\n") };
    let found = violations(&source);
    match expected {
        None => assert!(found.is_empty(), "{path}: {code:?}: {found:?}"),
        Some(expected) => assert!(
            found.len() == 1 && found[0].contains(expected),
            "{path}: {code:?}: {found:?}, not {expected:?}"
        ),
    }
}

#[test]
fn imports_that_point_up_are_found() {
    check("store/mod.rs", "use crate::time::UnixMs;", None);
    check("store/mod.rs", "use crate::store::slot::Slot;", None);
    check("store/mod.rs", "use crate::delivery::sign;", Some("store uses crate::delivery::sign"));
    check("time.rs", "use crate::{tls};", Some("time uses crate::tls"));
    check("intake/plan.rs", "use crate::{clock, delivery};", Some("uses crate::delivery"));
    check("delivery/retry.rs", "fn f() { crate::intake::plan::g() }", Some("uses crate::intake"));
    check("config/mod.rs", "use crate::gateway::charset::Charset;", None);
    check("config/mod.rs", "use crate::store::Store;", Some("config uses crate::store::Store"));
    check("schedule.rs", "use super::app::App;", Some("schedule uses crate::app::App"));
    check("app.rs", "use crate::cli::Exit;", Some("app uses crate::cli::Exit"));
    check("main.rs", "use replyd::cli::Exit;", None);
    check("cli/run.rs", "use crate::cellar::Wine;", Some("crate::cellar::Wine has no rank"));
    check("cellar.rs", "", Some("\"cellar\" has no rank"));
    check("time.rs", "#[cfg(test)]\nmod tests { use crate::cli::Exit; }", None);
    check("time.rs", "/// Not [`crate::cli`].\nfn f() {}", None);
}

#[test]
fn what_belongs_elsewhere_is_found() {
    check("store/sqlite/reads.rs", r#"const A: &str = "SELECT id FROM read";"#, None);
    check("app.rs", r#"const A: &str = "SELECT id FROM read";"#, Some("SQL"));
    check("cli/run.rs", r#"const A: &str = "DELETE FROM read";"#, Some("SQL"));
    check("store/sqlite/engine.rs", "use rusqlite::Connection;", None);
    check("app.rs", "use rusqlite::Connection;", Some("belongs to store/ alone"));
    check("schedule.rs", "use tokio_cron_scheduler::{Job, JobScheduler};", None);
    check("app.rs", "use tokio_cron_scheduler::Job;", Some("belongs to schedule.rs alone"));
    check("delivery/channel/pool.rs", "use hyper::Request;", None);
    check("server/connection.rs", "use hyper::Request;", None);
    check(
        "delivery/sender.rs",
        "use hyper::Request;",
        Some("belongs to delivery/channel/ server/connection.rs alone"),
    );
    check("app.rs", "fn f() { println!(\"x\") }", Some("println!"));
    check("app.rs", "fn f() { std::eprintln!(\"x\") }", Some("eprintln!"));
    check("app.rs", "fn f() { writeln!(out, \"println!\") }", None);
}

#[test]
fn impure_code_in_the_core_is_found() {
    check("intake/plan.rs", "use crate::clock::Moment;", None);
    for (code, expected) in [
        ("use crate::clock::{Clock, Moment};", "crate::clock::Clock"),
        ("fn f(clock: &crate::clock::Clock) {}", "crate::clock::Clock"),
        ("async fn f() {}", "async"),
        ("use tracing::warn;", "tracing"),
        ("fn f() { tokio::spawn(g()) }", "tokio"),
        ("use std::{fs, path::Path};", "std::fs"),
        ("use std::net::IpAddr;", "std::net"),
    ] {
        check("intake/plan.rs", code, Some(&format!("{expected} in a pure file")));
        check("delivery/target/webhook.rs", code, Some(expected));
        check("cli/run.rs", code, None);
    }
}

#[test]
fn long_and_undocumented_files_are_found() {
    let of = |path: &str, text: String| violations(&Source { path: path.to_owned(), text });
    let long = |lines: usize| format!("//! A file.\n{}", "\n".repeat(lines - 1));
    assert_eq!(of("app.rs", long(LINES_MAX)), Vec::<String>::new());
    assert_eq!(of("app.rs", long(LINES_MAX + 1)), ["src/app.rs: 601 lines, more than 600"]);
    assert_eq!(of("app.rs", "use a;\n".to_owned()), ["src/app.rs: does not begin with //!"]);
    assert_eq!(of("intake/ingest/tests.rs", "use super::*;\n".to_owned()), Vec::<String>::new());
}
