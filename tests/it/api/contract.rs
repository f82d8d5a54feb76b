//! The document that the service gives of itself, and answers held to it.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::{Value, json};

use super::{Answer, Client};

pub(crate) const PATH: &str = "/api/v1/openapi.json";

/// The document, with the schemas that were needed of it so far.
struct Book {
    document: Value,
    schemas: Schemas,
    compiled: HashMap<String, SchemaIndex>,
}

static BOOK: LazyLock<Mutex<Option<Book>>> = LazyLock::new(Mutex::default);

/// The document.
pub(crate) fn document(client: &Client) -> Value {
    let mut book = BOOK.lock().unwrap();
    book.get_or_insert_with(|| load(client)).document.clone()
}

fn load(client: &Client) -> Book {
    let nobody = Client { token: None, ..client.clone() };
    let answer = nobody.ask("GET", PATH, &[], b"");
    assert_eq!(answer.status, 200, "{}", answer.json());
    let mut document = answer.json();
    // What a client may rely on is that keys are there; here none may be there that is not named.
    let schemas = document["components"]["schemas"].as_object_mut().unwrap();
    for schema in schemas.values_mut() {
        if schema["properties"].is_object() && schema.get("additionalProperties").is_none() {
            schema["additionalProperties"] = json!(false);
        }
    }
    Book { document, schemas: Schemas::new(), compiled: HashMap::new() }
}

/// The template of the path that was asked for, and what the document says of it.
pub(crate) fn operation<'a>(
    document: &'a Value,
    method: &str,
    path: &str,
) -> Option<(&'a str, &'a Value)> {
    let path = path.split('?').next().unwrap();
    let fits = |template: &str| {
        let (wanted, parts): (Vec<_>, Vec<_>) =
            (template.split('/').collect(), path.split('/').collect());
        wanted.len() == parts.len()
            && wanted
                .iter()
                .zip(parts)
                .all(|(wanted, part)| wanted.starts_with('{') || *wanted == part)
    };
    let (template, methods) = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(template, _)| fits(template))
        .min_by_key(|(template, _)| template.matches('{').count())?;
    Some((template, methods.get(method.to_ascii_lowercase())?))
}

/// Fails where an answer is not as the document says.
pub(crate) fn hold(client: &Client, method: &str, path: &str, answer: &Answer) {
    let mut book = BOOK.lock().unwrap_or_else(|broken| broken.into_inner());
    let book = book.get_or_insert_with(|| load(client));
    let media = answer.header("content-type").unwrap_or_default().to_owned();
    let said =
        || format!("{method} {path}: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
    assert!(answer.status < 500 || answer.status == 503, "{}", said());
    let pointer = match operation(&book.document, method, path) {
        Some((template, operation)) => {
            let content = &operation["responses"][answer.status.to_string()]["content"];
            assert!(content[&media].is_object(), "{} is not documented as {media}", said());
            let status = answer.status;
            let (template, media) = (escaped(template), escaped(&media));
            let method = method.to_ascii_lowercase();
            format!("/paths/{template}/{method}/responses/{status}/content/{media}/schema")
        }
        // What is at no path, or by no method, is a problem as any.
        None => "/components/schemas/Problem".to_owned(),
    };
    if media == "text/event-stream" || media == "application/octet-stream" {
        return;
    }
    let index = match book.compiled.get(&pointer) {
        Some(index) => *index,
        None => {
            let mut compiler = Compiler::new();
            compiler.enable_format_assertions();
            compiler.add_resource("file:///openapi.json", book.document.clone()).unwrap();
            let place =
                format!("file:///openapi.json#{}", pointer.replace('{', "%7B").replace('}', "%7D"));
            let index = compiler.compile(&place, &mut book.schemas).unwrap();
            book.compiled.insert(pointer.clone(), index);
            index
        }
    };
    let json = answer.json();
    let held = book.schemas.validate(&json, index);
    assert!(held.is_ok(), "{}: {:#}", said(), held.unwrap_err());
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{}", said());
}

fn escaped(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_one_and_needs_no_token() {
    let (_home, service, client) = super::idle().await;
    let document = document(&client);
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(service.stop(), Some(0));
}
