//! `/openapi.json`: this interface described for programs, made of three tables.
//!
//! [`paths`] says what each route takes and gives, [`parameters`] what each parameter may be, and `schemas.json` which
//! fields the answers have. The last is not written by hand: a test infers it from answers and compares; so the fields
//! are those that there are. Another test compares the paths with the routes.

pub(crate) mod parameters;
pub(crate) mod paths;

use std::sync::OnceLock;

use serde_json::{Map, Value, json};

use crate::problem::Kind;
use parameters::{PARAMETERS, Parameter};
use paths::{Answer, Described, PATHS};

/// The fields of answers, by the names that [`Answer`] uses.
const SCHEMAS: &str = include_str!("openapi/schemas.json");

/// The description, made once.
pub(crate) fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| document().to_string())
}

/// The description.
pub(crate) fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for described in PATHS {
        let path = paths.entry(described.path).or_insert_with(|| json!({}));
        path[described.method.to_ascii_lowercase()] = operation(described);
    }
    let mut schemas: Map<String, Value> = serde_json::from_str(SCHEMAS).unwrap_or_default();
    schemas.insert("Link".into(), object(&[("href", json!({ "type": "string" }))], &["href"]));
    schemas.insert("SepError".into(), object(&[("error", json!({ "type": "string" }))], &["error"]));
    let parameters: Map<String, Value> =
        PARAMETERS.iter().map(|parameter| (parameter.key(), parameter.describe())).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Carat node",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The REST interface of a Carat validator, wire-compatible with Horizon's. Amounts are decimal \
                strings with seven places, 64-bit integers are strings. One node's word is never final: \
                /transactions/{hash}/receipt proves an outcome to whoever has the genesis file.",
        },
        "paths": paths,
        "components": { "schemas": schemas, "parameters": parameters },
    })
}

fn object(fields: &[(&str, Value)], required: &[&str]) -> Value {
    let properties: Map<String, Value> =
        fields.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn operation(described: &Described) -> Value {
    let in_path =
        described.path.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name);
    let in_path = in_path.map(|name| Parameter::key_of(name, true));
    let in_query =
        described.query.iter().flat_map(|group| group.iter()).map(|name| Parameter::key_of(name, false));
    let parameters: Vec<Value> = in_path
        .chain(in_query)
        .map(|key| json!({ "$ref": format!("#/components/parameters/{key}") }))
        .collect();
    let mut operation = json!({
        "summary": described.summary,
        "parameters": parameters,
        "responses": responses(described),
    });
    if let Some(form) = described.form {
        let schema = object(&[(form, json!({ "type": "string" }))], &[form]);
        operation["requestBody"] = json!({
            "required": true,
            "content": { "application/x-www-form-urlencoded": { "schema": schema } },
        });
    }
    operation
}

fn responses(described: &Described) -> Value {
    let mut responses = Map::new();
    let success = |content: Value| json!({ "description": "What was asked for", "content": content });
    match described.answer {
        Answer::Submitted => {
            for (status, description) in [("201", "Handed on"), ("409", "Handed on or applied before")] {
                let content = forms(described, &reference("AsyncTransactionSubmissionResponse"));
                responses.insert(status.into(), json!({ "description": description, "content": content }));
            }
        }
        _ => _ = responses.insert("200".into(), success(forms(described, &schema_of(described.answer)))),
    }
    let sep = matches!(described.answer, Answer::Sep | Answer::SepText);
    for kind in Kind::ALL {
        let status = kind.status().as_u16();
        let of_bodies = matches!(status, 413 | 415);
        if status == 405 || (of_bodies && described.method == "GET") {
            continue;
        }
        let problem = match described.answer {
            Answer::Submitted if matches!(status, 400 | 503) => json!({
                "application/problem+json": { "schema": reference("Problem") },
                "application/hal+json": { "schema": reference("AsyncTransactionSubmissionResponse") },
                "application/json": { "schema": reference("AsyncTransactionSubmissionResponse") },
            }),
            _ if sep => json!({ "application/json": { "schema": reference("SepError") } }),
            _ => json!({ "application/problem+json": { "schema": reference("Problem") } }),
        };
        let names = Kind::ALL.iter().filter(|other| other.status() == kind.status()).map(Kind::name);
        let description = names.collect::<Vec<_>>().join(", ");
        responses.insert(status.to_string(), json!({ "description": description, "content": problem }));
    }
    if sep {
        // The limits on requests stand before all routes, and answer with a problem.
        for status in ["429", "503", "504"] {
            responses[status]["content"]["application/problem+json"] =
                json!({ "schema": reference("Problem") });
        }
    }
    Value::Object(responses)
}

/// The forms in which a success comes.
fn forms(described: &Described, schema: &Value) -> Value {
    let mut forms = match described.answer {
        Answer::SepText => return json!({ "text/plain": { "schema": { "type": "string" } } }),
        Answer::Sep | Answer::Free => return json!({ "application/json": { "schema": schema } }),
        _ => {
            json!({ "application/hal+json": { "schema": schema }, "application/json": { "schema": schema } })
        }
    };
    let streams = crate::routes::ROUTES.iter().any(|route| route.path == described.path && route.streams);
    if streams && described.method == "GET" {
        forms["text/event-stream"] = json!({ "schema": { "type": "string" } });
    }
    match described.path {
        "/transactions" if described.method == "POST" => forms["application/octet-stream"] = binary(),
        "/transactions/{hash}/receipt" | "/state_proofs/{ledger_key}" => {
            forms["application/octet-stream"] = binary()
        }
        "/accounts/{account_id}/data/{key}" => forms["application/octet-stream"] = binary(),
        "/" => forms["text/html"] = json!({ "schema": { "type": "string" } }),
        _ => {}
    }
    forms
}

fn binary() -> Value {
    json!({ "schema": { "type": "string", "format": "binary" } })
}

fn schema_of(answer: Answer) -> Value {
    let records = |schema: &str| {
        let records = json!({ "type": "array", "items": reference(schema) });
        object(&[("records", records)], &["records"])
    };
    match answer {
        Answer::Object(schema) => reference(schema),
        Answer::Page(schema) => {
            let link = || reference("Link");
            let links = object(&[("self", link()), ("next", link()), ("prev", link())], &["self", "next"]);
            object(&[("_links", links), ("_embedded", records(schema))], &["_links", "_embedded"])
        }
        Answer::Whole(schema) => object(&[("_embedded", records(schema))], &["_embedded"]),
        Answer::Submitted => reference("AsyncTransactionSubmissionResponse"),
        Answer::Free | Answer::Sep => json!({ "type": "object" }),
        Answer::SepText => json!({ "type": "string" }),
    }
}
