//! Bugs that are planted to see them found: each file in `tests/bugs/` is one that a program of
//! this kind has had, or nearly. It is put into a copy of the sources, and the tests that it names
//! must fail there.
//!
//! Every bug is checked to still fit the sources. Six are planted each time, in one copy that is built
//! once; `REPLYD_TEST_BUGS=all` plants all of them, one by one, and `REPLYD_TEST_BUGS=NAME` one:
//! then the same tests must have succeeded in the copy before anything was planted.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that finds something else than it expects is to panic, in its helpers too"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

#[path = "proofs/figures.rs"]
mod figures;

/// Those that are planted each time, together, because a build takes long: of the parser, of how an
/// answer ends, of the counts, of the ids, of the slot, of the leases. Each is in a module whose own
/// tests find it and know nothing of the others.
const EACH_TIME: [&str; 6] = [
    "split_before_decoding",
    "end_assumed",
    "dedupe_by_set",
    "id_without_number",
    "slot_on_wall_clock",
    "lost_lease_goes_on",
];
/// What a copy of the package consists of: what is built of it, named in Cargo.toml, or read by its
/// tests.
const PACKAGE: [&str; 11] = [
    "src",
    "tests",
    "benches",
    "docs",
    "deploy",
    "examples",
    "Cargo.toml",
    "Cargo.lock",
    "config.toml.example",
    "README.md",
    "README.zh-CN.md",
];

/// A change to one place of the sources that makes a known mistake.
struct Bug {
    name: String,
    file: String,
    /// What is to fail: arguments of `cargo test`.
    tests: Vec<String>,
    was: String,
    is: String,
}

impl Bug {
    /// Reads a bug's file: `# ` lines of explanation, `file: `, `tests: `, then the lines that are
    /// replaced, each behind `- `, and those that replace them, each behind `+ `.
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("{}: no {name:?}", path.display())).trim().to_owned()
        };
        let side = |mark: char| -> String {
            let lines = text.lines().filter_map(|line| line.strip_prefix(mark));
            lines.map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line))).collect()
        };
        Self {
            name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
            file: field("file:"),
            tests: field("tests:").split_whitespace().map(str::to_owned).collect(),
            was: side('-'),
            is: side('+'),
        }
    }

    /// The file with the bug in it.
    fn plant(&self, source: &str) -> String {
        let places = source.matches(self.was.as_str()).count();
        assert!(!self.was.is_empty() && self.was != self.is, "{}: changes nothing", self.name);
        assert_eq!(places, 1, "{}: what it replaces must stand once in {}", self.name, self.file);
        source.replacen(&self.was, &self.is, 1)
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn bugs() -> Vec<Bug> {
    let entries = fs::read_dir(root().join("tests/bugs")).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| Bug::read(path)).collect()
}

#[test]
fn every_bug_fits_the_sources() {
    let bugs = bugs();
    assert!(bugs.len() >= 15, "{} bugs are too few", bugs.len());
    for bug in &bugs {
        bug.plant(&fs::read_to_string(root().join(&bug.file)).unwrap());
    }
    let of = |name| bugs.iter().find(|bug| bug.name == name).map(|bug| bug.file.as_str());
    let files: BTreeSet<&str> = EACH_TIME.into_iter().filter_map(of).collect();
    assert_eq!(files.len(), EACH_TIME.len(), "each is there, and is of a file of its own");
}

#[test]
fn planted_bugs_are_found() {
    let wanted = std::env::var("REPLYD_TEST_BUGS").unwrap_or_default();
    let is_wanted = |bug: &Bug| match wanted.as_str() {
        "" => EACH_TIME.contains(&bug.name.as_str()),
        "all" => true,
        name => bug.name == name,
    };
    let chosen: Vec<Bug> = bugs().into_iter().filter(is_wanted).collect();
    assert!(!chosen.is_empty(), "no bug is called {wanted:?}");
    // Always the same place, so that what is built there is built over, and does not pile up.
    let package = target().join("planted-bugs");
    if package.exists() {
        fs::remove_dir_all(&package).unwrap();
    }
    copy(&root(), &package);
    // In a usual run the same tests are run beside this one, over the sources themselves.
    if !wanted.is_empty() {
        control(&package, &chosen);
    }
    let at_once = if wanted.is_empty() { chosen.len() } else { 1 };
    let mut missed = Vec::new();
    for planted in chosen.chunks(at_once) {
        for bug in planted {
            let source = fs::read_to_string(root().join(&bug.file)).unwrap();
            fs::write(package.join(&bug.file), bug.plant(&source)).unwrap();
        }
        missed.extend(planted.iter().filter(|bug| !is_found(&package, bug)).map(|bug| &bug.name));
        for bug in planted {
            fs::copy(root().join(&bug.file), package.join(&bug.file)).unwrap();
        }
    }
    assert!(missed.is_empty(), "no test finds {missed:?}");
    let found = chosen.len();
    let size = format!("{found} bugs");
    let seen = format!("{found} found by the tests, which all succeed without");
    figures::tell("planted bugs", &size, &seen).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for name in PACKAGE {
        copy_all(&from.join(name), &to.join(name));
    }
}

fn copy_all(from: &Path, to: &Path) {
    if !from.is_dir() {
        if from.exists() {
            fs::copy(from, to).unwrap();
        }
        return;
    }
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        copy_all(&entry.path(), &to.join(entry.file_name()));
    }
}

/// Tests that fail without a bug find none: those of each bug must succeed where nothing is
/// planted, and be some.
fn control(package: &Path, chosen: &[Bug]) {
    let filters: BTreeSet<&[String]> = chosen.iter().map(|bug| bug.tests.as_slice()).collect();
    for filter in filters {
        let run = cargo_test(package, filter);
        let (out, talk) =
            (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
        let without = format!("{filter:?}, with nothing planted");
        assert!(run.status.success(), "{without}:\n{talk}\n{out}");
        assert!(passed(&out) > 0, "{without}: no test is called that\n{out}");
    }
}

/// How many tests passed, by what the test runner says at its end.
fn passed(out: &str) -> u32 {
    let results = out.lines().filter_map(|line| line.strip_prefix("test result: ok. "));
    results.map(|result| result.split_once(' ').unwrap().0.parse::<u32>().unwrap()).sum()
}

/// Whether the package builds and its tests fail. What does not build finds nothing: the bug is
/// then to be written anew.
fn is_found(package: &Path, bug: &Bug) -> bool {
    let target = bug.tests.iter().take_while(|argument| *argument != "--").cloned();
    let target: Vec<String> = target.chain(["--no-run".to_owned()]).collect();
    let built = cargo_test(package, &target);
    let words = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{} does not build:\n{words}", bug.name);
    !cargo_test(package, &bug.tests).status.success()
}

fn cargo_test(package: &Path, arguments: &[String]) -> Output {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(package).args(["test", "--locked", "--quiet"]);
    // What others depend on is built already, and one copy is enough of what is not.
    command.env("CARGO_TARGET_DIR", target()).env("REPLYD_TEST_SEEDS", "60");
    command.env_remove("REPLYD_FIGURES").args(arguments).output().unwrap()
}

fn target() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    // target/debug/deps/bugs-…
    own.ancestors().nth(3).unwrap().to_owned()
}
