//! The document that describes the API: OpenAPI 3.1, made of the list of operations and of the types
//! that are answered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use axum::body::Bytes;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::operation::{Answer, Method, Operation, Taken, of};
use super::parameter::Parameter;
use super::problem::{Code, PROBLEM_JSON, ProblemBody};

/// Where the document is.
pub(super) const PATH: &str = "/api/v1/openapi.json";

pub(super) static OPERATIONS: [Operation; 1] = [Operation {
    id: "openapi",
    path: PATH,
    about: "This document",
    scope: None,
    answers: &[Answer {
        status: 200,
        about: "An OpenAPI 3.1 document.",
        media: "application/json",
        describe: of::<Map<String, Value>>,
    }],
    act: |_| Box::pin(async { Ok(answer()) }),
    ..Operation::LOOK
}];

/// What it is about, as it stands in the document.
const ABOUT: &str = "Replies to SMS as replyd keeps them, their deliveries to subscribers, and sending. \
Every path but this document's needs a bearer token, also on the machine itself. Unknown query parameters and \
fields are refused; keys of answers are always there, null where unknown, and later versions only add. \
See docs/api.md.";

/// The events that subscribers are told of, with the schema of each.
const EVENTS: [(&str, &str); 11] = [
    ("reply.received", include_str!("../../../docs/schemas/reply.received.json")),
    ("account.login_failed", include_str!("../../../docs/schemas/account.login_failed.json")),
    ("account.recovered", include_str!("../../../docs/schemas/account.recovered.json")),
    ("account.second_reader", include_str!("../../../docs/schemas/account.second_reader.json")),
    ("gap.opened", include_str!("../../../docs/schemas/gap.opened.json")),
    ("gap.closed", include_str!("../../../docs/schemas/gap.closed.json")),
    ("record.unparsed", include_str!("../../../docs/schemas/record.unparsed.json")),
    ("subscriber.failing", include_str!("../../../docs/schemas/subscriber.failing.json")),
    ("subscriber.disabled", include_str!("../../../docs/schemas/subscriber.disabled.json")),
    ("subscriber.test", include_str!("../../../docs/schemas/subscriber.test.json")),
    ("balance.low", include_str!("../../../docs/schemas/balance.low.json")),
];

/// It never changes while the service runs.
static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(document().to_string()));

fn answer() -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "public, max-age=300")];
    (headers, DOCUMENT.clone()).into_response()
}

fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.for_serialize().into_generator();
    let mut paths = Map::new();
    for operation in super::operations() {
        let method = match operation.method {
            Method::Get => "get",
            Method::Post => "post",
        };
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(method.to_owned(), describe(operation, &mut generator));
        }
    }
    let problem = generator.subschema_for::<ProblemBody>();
    let mut schemas = generator.take_definitions(true);
    name_codes(&mut schemas);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "replyd",
            "version": "1",
            "summary": "SMS replies, kept and delivered",
            "description": ABOUT,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }],
        "paths": paths,
        "webhooks": webhooks(),
        "components": {
            "schemas": schemas,
            "responses": { "Problem": {
                "description": "What is wrong, and what to do.",
                "content": { PROBLEM_JSON: { "schema": problem } },
            } },
            "securitySchemes": { "token": {
                "type": "http",
                "scheme": "bearer",
                "description": "A token of `replyd token new`. Its scopes are read, replay and admin; none includes another.",
            } },
        },
    })
}

/// The codes are a list that only grows.
fn name_codes(schemas: &mut Map<String, Value>) {
    let words: Vec<&str> = Code::ALL.iter().map(|code| code.facts().word).collect();
    let code =
        schemas.get_mut("Problem").and_then(|problem| problem.pointer_mut("/properties/code"));
    if let Some(code) = code.and_then(Value::as_object_mut) {
        code.insert("examples".to_owned(), json!(words));
    }
}

fn describe(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let parameters: Vec<Value> =
        [("path", operation.place), ("query", operation.query), ("header", operation.headers)]
            .into_iter()
            .flat_map(|(place, parameters)| parameters.iter().map(move |one| parameter(one, place)))
            .collect();
    let mut responses: BTreeMap<String, Value> = problems(operation);
    for answer in operation.answers {
        let schema = (answer.describe)(generator);
        let content = json!({ answer.media: { "schema": schema } });
        let response = json!({ "description": answer.about, "content": content });
        responses.insert(answer.status.to_string(), response);
    }
    let scope = operation.scope.map(|scope| format!("Needs the scope `{}`.", scope.as_str()));
    let more: Vec<&str> = [operation.more, scope.as_deref().unwrap_or_default()]
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect();
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.about,
        "description": more.join(" "),
        "parameters": parameters,
        "responses": responses,
    });
    if let Some(fields) = described.as_object_mut() {
        match operation.scope {
            Some(scope) => drop(fields.insert("x-scope".to_owned(), json!(scope.as_str()))),
            None => drop(fields.insert("security".to_owned(), json!([]))),
        }
        if let Taken::Json(describe) = operation.body {
            let schema = describe(generator);
            let body = json!({ "required": true, "content": { "application/json": { "schema": schema } } });
            fields.insert("requestBody".to_owned(), body);
        }
    }
    described
}

fn parameter(parameter: &Parameter, place: &str) -> Value {
    let schema = parameter.kind.schema();
    let schema = match parameter.many {
        true => json!({ "type": "array", "items": schema }),
        false => schema,
    };
    json!({
        "name": parameter.name,
        "in": place,
        "required": place == "path",
        "description": parameter.about,
        "schema": schema,
    })
}

/// The problems of an operation, by status, with the codes of each.
fn problems(operation: &Operation) -> BTreeMap<String, Value> {
    let mut by_status: BTreeMap<u16, BTreeSet<&str>> = BTreeMap::new();
    for code in operation.codes() {
        let facts = code.facts();
        by_status.entry(facts.status).or_default().insert(facts.word);
    }
    let described = |(status, words): (u16, BTreeSet<&str>)| {
        let words: Vec<&str> = words.into_iter().collect();
        let problem = json!({
            "description": format!("A problem: {}.", words.join(", ")),
            "content": { PROBLEM_JSON: { "schema": { "$ref": "#/components/schemas/Problem" } } },
        });
        (status.to_string(), problem)
    };
    by_status.into_iter().map(described).collect()
}

/// What is sent to subscribers, by the schemas that receivers have too.
fn webhooks() -> Value {
    let webhook = |(name, schema): (&str, &str)| {
        let schema: Value = serde_json::from_str(schema).unwrap_or_default();
        let described = json!({ "post": {
            "summary": name,
            "description": "Signed by Standard Webhooks; see README.md.",
            "security": [],
            "requestBody": { "required": true, "content": { "application/json": { "schema": schema } } },
            "responses": { "2XX": { "description": "It was taken." } },
        } });
        (name.to_owned(), described)
    };
    Value::Object(EVENTS.into_iter().map(webhook).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventType, TEST_TYPE};

    #[test]
    fn every_event_is_a_webhook_and_no_other() {
        let types = EventType::WORDS.into_iter().map(|(word, _)| word).chain([TEST_TYPE]);
        let named: BTreeSet<&str> = EVENTS.iter().map(|(name, _)| *name).collect();
        assert_eq!(types.collect::<BTreeSet<&str>>(), named);
        let webhooks = webhooks();
        assert!(named.iter().all(|name| webhooks[*name]["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"].is_object()));
    }

    #[test]
    fn every_operation_is_described_once_and_refers_to_what_is_there() {
        let document = document();
        let ids: Vec<&str> = super::super::operations().map(|operation| operation.id).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
        let text = document.to_string();
        for reference in text.split("\"$ref\":\"").skip(1).filter_map(|rest| rest.split('"').next())
        {
            let at = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(at).is_some(), "{reference}");
        }
        for operation in super::super::operations() {
            assert!(
                !operation.about.is_empty() && !operation.answers.is_empty(),
                "{}",
                operation.id
            );
            let in_path = operation.path.matches('{').count();
            assert_eq!(in_path, operation.place.len(), "{}", operation.path);
            assert!(
                operation
                    .place
                    .iter()
                    .all(|one| operation.path.contains(&format!("{{{}}}", one.name)))
            );
        }
    }
}
