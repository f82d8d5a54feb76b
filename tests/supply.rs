//! What the service is made of, as Cargo.lock has it: only crates of the registry, each in one
//! version but for those that are named in `deny.toml` or are of other systems, and none that is
//! banned there.
//!
//! `cargo deny check licenses bans sources` looks at more, such as licences; this is what holds on
//! every machine without it.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects is to panic, in its helpers too"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use toml::{Table, Value};

/// Crates of which Cargo.lock has several versions, because it is of all systems and of what tests
/// are made of, and which the service on Linux has not.
const OF_OTHERS: &[&str] = &["base64", "r-efi", "windows-sys"];

fn read(name: &str) -> Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(path).unwrap().parse().unwrap()
}

/// The crates that a list of `deny.toml` names, without versions.
fn listed(rules: &Table, list: &str) -> BTreeSet<String> {
    let name = |entry: &Value| {
        let entry = entry["crate"].as_str().unwrap();
        entry.split('@').next().unwrap().to_owned()
    };
    rules["bans"][list].as_array().unwrap().iter().map(name).collect()
}

/// All that is wrong with a lock file.
fn violations(lock: &Table, rules: &Table) -> Vec<String> {
    let (banned, skipped) = (listed(rules, "deny"), listed(rules, "skip"));
    let mut versions: BTreeMap<&str, usize> = BTreeMap::new();
    let mut found = Vec::new();
    let mut registry = None;
    for package in lock["package"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        if name == env!("CARGO_PKG_NAME") {
            continue;
        }
        *versions.entry(name).or_default() += 1;
        let source = package.get("source").and_then(Value::as_str);
        // All come from one registry, whichever cargo is set to.
        let is_registrys = source.is_some_and(|source| {
            source.starts_with("registry+") && *registry.get_or_insert(source) == source
        });
        if !is_registrys || package.get("checksum").is_none() {
            found.push(format!("{name} comes from {source:?}"));
        }
        if banned.contains(name) {
            found.push(format!("{name} is banned"));
        }
    }
    let several = versions.into_iter().filter(|(name, count)| {
        *count > 1 && !skipped.contains(*name) && !OF_OTHERS.contains(name)
    });
    found.extend(several.map(|(name, count)| format!("{name} is there in {count} versions")));
    found
}

#[test]
fn the_lock_file_holds_to_the_rules() {
    assert_eq!(violations(&read("Cargo.lock"), &read("deny.toml")), [""; 0]);
}

#[test]
fn what_is_not_to_be_is_found() {
    let lock: Table = "[[package]]\nname = \"openssl-sys\"\nversion = \"1.0.0\"\nsource = \"registry+https://index.example.com\"\nchecksum = \"0\"\n\
         [[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"registry+https://index.example.com\"\nchecksum = \"0\"\n\
         [[package]]\nname = \"a\"\nversion = \"2.0.0\"\nsource = \"git+https://example.com/a\"\n\
         [[package]]\nname = \"b\"\nversion = \"1.0.0\"\nsource = \"registry+https://elsewhere.example.com\"\nchecksum = \"0\"\n\
         [[package]]\nname = \"replyd\"\nversion = \"1.0.0\"\n"
        .parse()
    .unwrap();
    let expected = [
        "openssl-sys is banned",
        "a comes from Some(\"git+https://example.com/a\")",
        "b comes from Some(\"registry+https://elsewhere.example.com\")",
        "a is there in 2 versions",
    ];
    assert_eq!(violations(&lock, &read("deny.toml")), expected);
}

/// Every dependency names its version, and those whose defaults bring what is not wanted leave them
/// out.
#[test]
fn dependencies_are_named_by_version_and_bring_no_unwanted_defaults() {
    let manifest = read("Cargo.toml");
    for section in ["dependencies", "dev-dependencies"] {
        for (name, dependency) in manifest[section].as_table().unwrap() {
            let part = |key: &str| dependency.get(key);
            let version = dependency.as_str().or_else(|| part("version").and_then(Value::as_str));
            assert!(version.is_some_and(|version| !version.contains('*')), "{name}: {version:?}");
            assert!(part("git").or(part("path")).is_none(), "{name} is not of the registry");
        }
    }
    let of = |name: &str| {
        let dependency = &manifest["dependencies"][name];
        assert_eq!(dependency["default-features"].as_bool(), Some(false), "{name}");
        let features = dependency["features"].as_array().unwrap().iter();
        features.map(|feature| feature.as_str().unwrap().to_owned()).collect::<BTreeSet<_>>()
    };
    for rule in read("deny.toml")["bans"]["features"].as_array().unwrap() {
        let name = rule["crate"].as_str().unwrap();
        let denied = rule["deny"].as_array().unwrap().iter().map(|one| one.as_str().unwrap());
        let wanted = of(name);
        for denied in denied {
            assert!(!wanted.contains(denied), "{name}: {denied}");
        }
    }
    assert_eq!(manifest["lints"]["rust"]["unsafe_code"].as_str(), Some("forbid"));
}
