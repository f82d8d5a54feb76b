//! Requests that are made of the document itself, right ones and wrong ones, thrown at every
//! operation: each answer must be as the document says, and none an error of the server.
//!
//! `REPLYD_TEST_CONTRACT` says how many at each operation; what is random prints its seed, which
//! `REPLYD_TEST_SEED` repeats.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::strategy::{Strategy, ValueTree as _};
use proptest::string::string_regex;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use replyd::gateway::simulator::Habits;
use serde_json::{Map, Value, json};

use super::{Client, client, contract, token};
use crate::chance::{self, Dice};
use crate::support::{Home, Receiver, Settings, UID, gateway, query, reply, until};

/// Requests at each operation, in CI.
const REQUESTS: usize = 25;

/// So many may be asked at once with one token, well below its limit of 200.
const REQUESTS_OF_A_TOKEN: usize = 100;
/// How deep a made body goes.
const DEPTH_MAX: usize = 4;

/// What is made by chance.
struct Maker<'a> {
    document: &'a Value,
    dice: Dice,
    runner: TestRunner,
    /// What there is: names and ids by which something is found.
    there: Vec<String>,
}

impl Maker<'_> {
    fn one_in(&mut self, count: u64) -> bool {
        self.dice.below(count) == 0
    }

    /// A string of this pattern.
    fn of_pattern(&mut self, pattern: &str) -> String {
        let strategy = string_regex(pattern.trim_matches(['^', '$'])).unwrap();
        strategy.new_tree(&mut self.runner).unwrap().current()
    }

    /// Something that is there, or could be anything.
    fn hostile(&mut self) -> String {
        let texts = [
            "",
            " ",
            "0",
            "-1",
            "null",
            "true",
            "%00",
            "../../etc/passwd",
            "' OR 1=1 --",
            "\u{0}",
            "\u{202e}好\u{1b}[2J",
            "9223372036854775807",
            "9223372036854775808",
            "1e400",
            "NaN",
            "{}",
            "[]",
            "\"",
            "😀",
        ];
        match self.dice.below(4) {
            0 => "a".repeat(3_000),
            1 => proptest::string::string_regex(".{0,40}")
                .unwrap()
                .new_tree(&mut self.runner)
                .unwrap()
                .current(),
            _ => texts[usize::try_from(self.dice.below(texts.len() as u64)).unwrap()].to_owned(),
        }
    }

    /// A value that the schema allows, as far as a schema says.
    fn value(&mut self, schema: &Value, depth: usize) -> Value {
        if let Some(reference) = schema["$ref"].as_str() {
            let schema = self.document.pointer(reference.trim_start_matches('#')).unwrap();
            return self.value(schema, depth);
        }
        for several in ["anyOf", "oneOf"] {
            if let Some(schemas) = schema[several].as_array() {
                let schema = self.choose(schemas).clone();
                return self.value(&schema, depth);
            }
        }
        if let Some(words) = schema["enum"].as_array() {
            return self.choose(words).clone();
        }
        if !schema["const"].is_null() {
            return schema["const"].clone();
        }
        let of_type = match &schema["type"] {
            Value::Array(types) => self.choose(types).as_str().unwrap().to_owned(),
            of_type => of_type.as_str().unwrap_or("null").to_owned(),
        };
        match of_type.as_str() {
            "boolean" => json!(self.one_in(2)),
            "integer" => {
                let (least, most) = (
                    schema["minimum"].as_i64().unwrap_or(-5),
                    schema["maximum"].as_i64().unwrap_or(50),
                );
                let span = u64::try_from(most.saturating_sub(least)).unwrap_or(0).clamp(1, 1_000);
                json!(least.saturating_add_unsigned(self.dice.below(span)))
            }
            "string" => match schema["pattern"].as_str() {
                _ if !self.there.is_empty() && self.one_in(3) => {
                    let there = self.there.clone();
                    json!(there[usize::try_from(self.dice.below(there.len() as u64)).unwrap()])
                }
                Some(pattern) => json!(self.of_pattern(pattern)),
                None => json!(self.of_pattern("[a-z好]{1,12}")),
            },
            "array" => {
                let count = self.dice.below(3);
                let least = schema["minItems"].as_u64().unwrap_or(0);
                (0..count.max(least)).map(|_| self.value(&schema["items"], depth + 1)).collect()
            }
            "object" if depth < DEPTH_MAX => self.object(schema, depth),
            _ => Value::Null,
        }
    }

    fn object(&mut self, schema: &Value, depth: usize) -> Value {
        let needed: Vec<&str> = schema["required"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let mut fields = Map::new();
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            if needed.contains(&name.as_str()) || self.one_in(2) {
                fields.insert(name.clone(), self.value(schema, depth + 1));
            }
        }
        Value::Object(fields)
    }

    fn choose<'a>(&mut self, of: &'a [Value]) -> &'a Value {
        &of[usize::try_from(self.dice.below(of.len() as u64)).unwrap()]
    }

    /// The same with something wrong in it.
    fn spoilt(&mut self, mut body: Value) -> String {
        let fields = body.as_object_mut();
        match (self.dice.below(6), fields) {
            (0, Some(fields)) => {
                fields.insert("unknown".to_owned(), json!(1));
            }
            (1, Some(fields)) => {
                let name = fields.keys().next().cloned().unwrap_or_default();
                fields.remove(&name);
            }
            (2 | 3, Some(fields)) => {
                let names: Vec<String> = fields.keys().cloned().collect();
                let values = [
                    Value::Null,
                    json!(-1),
                    json!(1.5),
                    json!([[[]]]),
                    json!({ "a": {} }),
                    json!(self.hostile()),
                ];
                let value = self.choose(&values).clone();
                if let Some(name) = names.first() {
                    fields.insert(name.clone(), value);
                }
            }
            (4, _) => return self.hostile(),
            _ => return "[".repeat(5_000),
        }
        body.to_string()
    }

    /// Asks an operation something, rightly or wrongly.
    fn ask(&mut self, api: &Client, template: &str, method: &str, operation: &Value) -> u16 {
        let is_wrong = self.one_in(2);
        let (mut path, mut query, mut headers) = (template.to_owned(), Vec::new(), Vec::new());
        for parameter in operation["parameters"].as_array().unwrap() {
            let (name, place) =
                (parameter["name"].as_str().unwrap(), parameter["in"].as_str().unwrap());
            if place != "path" && self.one_in(2) {
                continue;
            }
            let schema = &parameter["schema"];
            let schema = if schema["type"] == "array" { &schema["items"] } else { schema };
            let value = match self.value(schema, 0) {
                Value::String(text) => text,
                other => other.to_string(),
            };
            let value = if is_wrong && self.one_in(3) { self.hostile() } else { value };
            let encoded = utf8_percent_encode(&value, NON_ALPHANUMERIC).to_string();
            match place {
                // An empty part would be another path.
                "path" => {
                    path = path.replace(
                        &format!("{{{name}}}"),
                        if encoded.is_empty() { "%00" } else { &encoded },
                    )
                }
                "query" => query.push(format!("{name}={encoded}")),
                // With a control character it would not be HTTP: such a request never
                // comes to the API, and its answer has no body.
                _ => headers.push((
                    name.to_owned(),
                    value
                        .chars()
                        .filter(|letter| !letter.is_ascii_control())
                        .take(500)
                        .collect::<String>(),
                )),
            }
        }
        if is_wrong && self.one_in(4) {
            query.push("unknown=1".to_owned());
        }
        let path = if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) };
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        let body = match schema.is_object() {
            false => String::new(),
            true => {
                let body = self.value(schema, 0);
                if is_wrong { self.spoilt(body) } else { body.to_string() }
            }
        };
        if is_wrong && self.one_in(5) {
            headers.push(("content-type".to_owned(), "text/plain".to_owned()));
        }
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        // A stream has no end to wait for.
        let method = if template.ends_with("/events") { "HEAD" } else { method };
        let answer = api.ask(&method.to_ascii_uppercase(), &path, &headers, body.as_bytes());
        assert!(
            answer.status < 500,
            "{method} {path} {body}: {}",
            String::from_utf8_lossy(&answer.body)
        );
        answer.status
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_asked_the_answer_is_as_the_document_says() {
    let requests = chance::size("REPLYD_TEST_CONTRACT", REQUESTS);
    let seed = chance::seed();
    let repeat = format!(
        "REPLYD_TEST_SEED={seed} REPLYD_TEST_CONTRACT={requests} cargo test --test it -- api::generated"
    );
    let gateway = gateway(Habits { min_interval: Duration::ZERO, ..Habits::default() }).await;
    let crm = Receiver::start().await;
    let base_url = gateway.base_url();
    let home = Home::new(&Settings {
        base_url: &base_url,
        subscribers: &[("crm", &crm.url)],
        ..Settings::default()
    });
    let service = home.serve();
    let mut api = client(&home).await;
    gateway.arrive(UID, reply("13900000001", "退订"));
    crm.wait_for(1).await;
    until("a read", || query::<i64>(&home, "SELECT count(*) FROM read") > 0).await;
    let document = contract::document(&api);
    let mut words = [0; 32];
    words[..8].copy_from_slice(&seed.to_be_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &words);
    let mut maker = Maker {
        document: &document,
        dice: Dice::new(seed),
        runner: TestRunner::new_with_rng(Config::default(), rng),
        there: ["main", "crm", "1", "13900000001", &query::<String>(&home, "SELECT id FROM reply")]
            .map(str::to_owned)
            .into(),
    };
    let scopes = ["read", "replay", "admin"];
    let (mut asked, mut good) = (0, 0);
    for (template, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            let told = std::panic::AssertUnwindSafe(|| {
                (0..requests)
                    .map(|number| {
                        // A token of its own, before the last one had to wait.
                        if number % REQUESTS_OF_A_TOKEN == 0 {
                            api.token = Some(token(&home, &format!("{name}-{number}"), &scopes));
                        }
                        maker.ask(&api, template, method, operation)
                    })
                    .collect::<Vec<u16>>()
            });
            let statuses = std::panic::catch_unwind(told);
            assert!(statuses.is_ok(), "again: {repeat}");
            let statuses = statuses.unwrap();
            asked += statuses.len();
            good += statuses.iter().filter(|status| **status < 300).count();
        }
    }
    chance::figure(
        "Requests made of the document",
        &format!("{asked} requests, seed {seed}"),
        &format!("{good} answered well, no server error"),
    );
    assert!(good * 10 > asked, "hardly any was right: {good} of {asked}; {repeat}");
    assert_eq!(service.stop(), Some(0));
    gateway.stop().await;
}
