//! What watches the service from outside is true of it: alert rules and dashboard ask for what a
//! scrape holds, every alert has its runbook, and the commands there are commands.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clap::CommandFactory as _;
use replyd::cli::Arguments;
use replyd::gateway::simulator::Habits;
use yaml_rust2::{Yaml, YamlLoader};

use crate::help::words;
use crate::metrics::scraped;
use crate::support::{
    Home, Receiver, Settings, UID, config, execute, gateway, reply, subscriber, until,
};

/// A file of the repository.
pub(crate) fn file(path: &str) -> String {
    let read = std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR")));
    read.map_err(|error| format!("{path}: {error}")).unwrap()
}

/// The documents of a YAML file.
pub(crate) fn yaml(path: &str) -> Vec<Yaml> {
    YamlLoader::load_from_str(&file(path)).map_err(|error| format!("{path}: {error}")).unwrap()
}

const RULES: &str = "deploy/prometheus/replyd.rules.yml";
const MANUALS: [&str; 2] = ["docs/operate.md", "docs/operate.zh-CN.md"];

struct Alert {
    name: String,
    expr: String,
    rule: Yaml,
}

fn alerts() -> Vec<Alert> {
    let rules = yaml(RULES)[0]["groups"][0]["rules"].clone().into_vec().unwrap();
    let alert = |rule: Yaml| Alert {
        name: rule["alert"].as_str().unwrap().to_owned(),
        expr: rule["expr"].as_str().unwrap().to_owned(),
        rule,
    };
    rules.into_iter().map(alert).collect()
}

fn is_of_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// What a selector says of a label: its name, the operator, the value.
type Matcher = (String, String, String);

/// The metrics of an expression, each with what its selector says of labels.
fn selectors(expr: &str) -> Vec<(String, Vec<Matcher>)> {
    let mut found = Vec::new();
    let mut rest = expr;
    while let Some(start) = rest.find(is_of_name) {
        let word: String = rest[start..].chars().take_while(|letter| is_of_name(*letter)).collect();
        rest = &rest[start + word.len()..];
        if !["replyd_", "process_"].iter().any(|prefix| word.starts_with(prefix)) {
            continue;
        }
        let mut labels = Vec::new();
        if let Some(inner) = rest.strip_prefix('{') {
            let (inner, behind) = inner.split_once('}').unwrap();
            rest = behind;
            for matcher in inner.split(',') {
                let name: String =
                    matcher.trim().chars().take_while(|letter| is_of_name(*letter)).collect();
                let (operator, value) = matcher.trim()[name.len()..].split_once('"').unwrap();
                labels.push((name, operator.to_owned(), value.trim_end_matches('"').to_owned()));
            }
        }
        found.push((word, labels));
    }
    found
}

/// What a scrape shows: the names of samples that can be there, and the labels of those that are.
#[derive(Default)]
struct Scrape {
    names: BTreeSet<String>,
    labels: BTreeMap<String, BTreeSet<String>>,
    values: BTreeSet<(String, String, String)>,
}

impl Scrape {
    fn parse(text: &str) -> Self {
        let mut scrape = Self::default();
        for line in text.lines() {
            if let Some(declared) = line.strip_prefix("# TYPE ") {
                let (name, kind) = declared.split_once(' ').unwrap();
                let ends: &[&str] = match kind {
                    "counter" => &["_total"],
                    "histogram" => &["_bucket", "_sum", "_count"],
                    "info" => &["_info"],
                    _ => &[""],
                };
                scrape.names.extend(ends.iter().map(|end| format!("{name}{end}")));
            } else if let Some((name, rest)) = line.split_once('{')
                && !name.starts_with('#')
            {
                let (labels, _) = rest.split_once('}').unwrap();
                let all = scrape.labels.entry(name.to_owned()).or_default();
                for label in labels.split("\",") {
                    let (label, value) = label.split_once("=\"").unwrap();
                    all.insert(label.to_owned());
                    let value = value.trim_end_matches('"').to_owned();
                    scrape.values.insert((name.to_owned(), label.to_owned(), value));
                }
            }
        }
        scrape
    }

    /// Whether the metric is there, with these labels. `job` and `instance` are given by whoever
    /// scrapes.
    fn check(&self, expr: &str) {
        let found = selectors(expr);
        for (name, matchers) in &found {
            assert!(self.names.contains(name), "{name} of {expr} is not in a scrape");
            let Some(known) = self.labels.get(name) else { continue };
            for (label, operator, value) in matchers {
                let is_target = ["job", "instance"].contains(&label.as_str());
                assert!(is_target || known.contains(label), "{name} has no {label}: {expr}");
                let sample = (name.clone(), label.clone(), value.clone());
                let is_there = is_target || operator != "=" || self.values.contains(&sample);
                assert!(is_there, "{name} has no {label}={value:?}: {expr}");
            }
        }
    }

    /// Whether a label of a text's `{{ … }}` is one of the expression's first metric.
    fn check_label(&self, expr: &str, label: &str) {
        let Some((name, _)) = selectors(expr).into_iter().next() else { return };
        let known = self.labels.get(&name);
        assert!(known.is_none_or(|known| known.contains(label)), "{name} has no {label}: {expr}");
    }
}

/// The labels that a text's `{{ … }}` name.
fn labels_of(text: &str) -> Vec<String> {
    let fields = text.split("{{").skip(1).filter_map(|field| field.split("}}").next());
    let label = |field: &str| {
        let field = field.trim();
        field
            .strip_prefix("$labels.")
            .or((!field.contains('$')).then_some(field))
            .map(str::to_owned)
    };
    fields.filter_map(label).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_and_dashboard_ask_for_what_a_scrape_holds() {
    let gateway = gateway(Habits { min_interval: Duration::ZERO, ..Habits::default() }).await;
    let (crm, down) = (Receiver::start().await, Receiver::start().await);
    down.answer_next(&[500; 10_000]);
    let base_url = gateway.base_url();
    let settings = Settings {
        base_url: &base_url,
        subscribers: &[("crm", &crm.url)],
        account: "balance_low = 1",
        ..Settings::default()
    };
    let further = |further: &str| format!("allow_private = true\n{further}");
    let home = Home::with(
        &[
            config(&settings),
            subscriber("down", &down.url, &further("")),
            subscriber("hopeless", &down.url, &further("give_up = \"1s\"")),
            // Its fallback wants nothing for itself.
            subscriber("off", &down.url, &further("enabled = false\nfallback = \"duty\"")),
            subscriber("duty", &crm.url, &further("events = []")),
        ]
        .concat(),
    );
    gateway.arrive(UID, reply("13900000001", "好"));
    let service = home.serve();
    until("the account", || scraped(&home).contains("replyd_hours_owed{")).await;
    execute(&home, "UPDATE account SET second_reader_ms = 1000");
    let there = [
        r#"replyd_attempts_total{subscriber="crm",outcome="delivered"}"#,
        r#"replyd_attempts_total{subscriber="hopeless",outcome="failed"}"#,
        r#"replyd_oldest_delivery_timestamp_seconds{subscriber="down"}"#,
        r#"replyd_taken_over_deliveries_total{subscriber="off",fallback="duty"}"#,
        r#"replyd_second_reader_timestamp_seconds{account="main"} 1"#,
        "replyd_balance_messages{",
        "replyd_subscriber_failing_since_timestamp_seconds{",
    ];
    until("all kinds of samples", || {
        let shown = scraped(&home);
        there.iter().all(|sample| shown.contains(sample))
    })
    .await;
    let scrape = Scrape::parse(&scraped(&home));
    assert!(scrape.names.len() > 35 && scrape.labels.len() > 20, "{:?}", scrape.names);
    for Alert { name, expr, rule } in alerts() {
        assert!(name == "ReplydDown" || !selectors(&expr).is_empty(), "{expr}");
        scrape.check(&expr);
        for text in ["summary", "description"] {
            for label in labels_of(rule["annotations"][text].as_str().unwrap()) {
                scrape.check_label(&expr, &label);
            }
        }
    }
    let board: serde_json::Value =
        serde_json::from_str(&file("deploy/grafana/replyd.json")).unwrap();
    let panels = board["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array()).flatten();
    let mut asked = 0;
    for target in targets {
        let expr = target["expr"].as_str().unwrap();
        assert!(!selectors(expr).is_empty(), "{expr}");
        scrape.check(expr);
        for label in labels_of(target["legendFormat"].as_str().unwrap()) {
            if label != "instance" {
                scrape.check_label(expr, &label);
            }
        }
        asked += 1;
    }
    assert!(asked > 30, "{asked}");
    for variable in board["templating"]["list"].as_array().unwrap() {
        let query = variable["definition"].as_str().unwrap_or_default();
        scrape.check(query);
        let label = query.trim_end_matches(')').rsplit(", ").next().unwrap();
        if !query.is_empty() {
            scrape.check_label(query, label);
        }
    }
    // Every metric is of use to somebody: on the board, or in a rule.
    let used: String = [file("deploy/grafana/replyd.json"), file(RULES)].concat();
    for name in scrape.names.iter().filter(|name| name.starts_with("replyd_")) {
        let family = name.trim_end_matches("_sum").trim_end_matches("_count");
        assert!(used.contains(family), "{name} is shown nowhere");
    }
    service.kill();
    gateway.stop().await;
}

#[test]
fn panels_stand_beside_each_other() {
    let board: serde_json::Value =
        serde_json::from_str(&file("deploy/grafana/replyd.json")).unwrap();
    let (mut taken, mut ids) = (BTreeSet::new(), BTreeSet::new());
    for panel in board["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "two panels of one id");
        let place = |side| panel["gridPos"][side].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24, "{panel}");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(taken.insert((x, y)), "{} covers another", panel["title"]);
            }
        }
    }
}

#[test]
fn every_alert_has_a_severity_a_test_and_a_runbook() {
    let tests = file("deploy/prometheus/replyd.rules.test.yml");
    let alerts = alerts();
    assert!(alerts.len() >= 9, "{}", alerts.len());
    for Alert { name, rule, .. } in &alerts {
        let severity = rule["labels"]["severity"].as_str().unwrap();
        assert!(["critical", "warning"].contains(&severity), "{name}: {severity}");
        let (_, anchor) =
            rule["annotations"]["runbook_url"].as_str().unwrap().split_once('#').unwrap();
        assert_eq!(anchor, name.to_lowercase(), "{name}");
        for manual in MANUALS {
            let manual = file(manual);
            let section = format!("\n### {name}\n");
            assert_eq!(manual.matches(&section).count(), 1, "{name}");
            let (_, section) = manual.split_once(&section).unwrap();
            let lines = section.lines().skip(1).take_while(|line| line.starts_with("- **"));
            assert_eq!(lines.count(), 5, "{name} lacks what a runbook says");
        }
        let quiet = format!("alertname: {name}}}");
        assert!(tests.contains(&quiet), "nothing shows that {name} keeps quiet");
        let loud = format!("alertname: {name}\n        exp_alerts:");
        assert!(tests.contains(&loud), "nothing shows that {name} fires");
    }
    for manual in MANUALS {
        let sections = file(manual).matches("\n### ").count();
        assert_eq!(sections, alerts.len(), "{manual} has a runbook of an alert that is none");
    }
}

/// What a link to a heading is, as it is made of the heading's words.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = heading.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

#[test]
fn the_manuals_say_the_same_and_their_links_lead_somewhere() {
    let code = |text: &str| -> Vec<String> {
        let blocks = text.split("```").skip(1).step_by(2);
        // What stands behind a # is told in the reader's language.
        let words = |line: &str| line.split(" #").next().unwrap().trim_end().to_owned();
        let is_code = |line: &&str| !line.starts_with('#');
        blocks.flat_map(|block| block.lines().filter(is_code).map(words)).collect()
    };
    let (one, other) = (file(MANUALS[0]), file(MANUALS[1]));
    assert_eq!(code(&one), code(&other));
    for (name, text) in MANUALS.iter().zip([&one, &other]) {
        let headings: BTreeSet<String> =
            text.lines().filter(|line| line.starts_with('#')).map(anchor).collect();
        let links = text.split("](").skip(1).filter_map(|link| link.split(')').next());
        for link in links {
            match link.strip_prefix('#') {
                Some(link) => assert!(headings.contains(link), "{name}: #{link} leads nowhere"),
                None => drop(file(&format!("docs/{link}"))),
            }
        }
    }
}

#[test]
fn the_manuals_commands_are_commands() {
    for manual in MANUALS {
        let text = file(manual);
        let (mut commands, mut count) = (Vec::new(), 0);
        for (index, part) in text.split("```").enumerate() {
            // Every other part is a block of code.
            match index % 2 {
                1 => commands.extend(part.lines().map(|line| line.split(" -- ").last().unwrap())),
                _ => commands.extend(part.split('`')),
            }
        }
        for command in commands.into_iter().filter(|text| text.starts_with("replyd ")) {
            let (command, _) = command.split_once(" && ").unwrap_or((command, ""));
            let words = words(command).into_iter().map(|word| match word.as_str() {
                "ID" | "JOB" => "1".to_owned(),
                _ => word,
            });
            let parsed = Arguments::command().try_get_matches_from(words);
            parsed.unwrap_or_else(|error| panic!("{manual}: {command}: {error}"));
            count += 1;
        }
        assert!(count > 30, "{count} commands in {manual}");
    }
}
