//! `/openapi.json` against the routes, and its schemas against the answers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use carat_types::builder::operation::{create_account, payment};
use serde_json::{Map, Value, json};
use stellar_xdr::{Asset, Duration, LedgerBounds, PreconditionsV2, TimeBounds, TimePoint, VecM};

use super::{Api, COIN, address, collections, form, key};
use crate::openapi::parameters::PARAMETERS;
use crate::openapi::paths::{Answer, PATHS};
use crate::routes::ROUTES;

#[test]
fn every_route_is_described_and_nothing_else() {
    let routes = ROUTES.iter().flat_map(|route| route.methods.iter().map(|method| (route.path, *method)));
    let described = PATHS.iter().map(|described| (described.path, described.method));
    assert_eq!(described.collect::<BTreeSet<_>>(), routes.collect::<BTreeSet<_>>());
}

#[tokio::test]
async fn description_is_served_and_its_references_lead_somewhere() {
    let document = Api::new().get("/openapi.json").await.ok();
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|field| references(field, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in &found {
        let pointer = reference.strip_prefix('#').expect("within the document");
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    let used = |name: &String| found.contains(&format!("#/components/parameters/{name}"));
    let unused: Vec<String> =
        PARAMETERS.iter().map(|parameter| parameter.key()).filter(|key| !used(key)).collect();
    assert_eq!(unused, Vec::<String>::new(), "parameters that no route takes");
}

#[test]
fn every_path_of_the_description_that_clients_are_made_from_is_ours() {
    let Some(theirs) = super::openapi::description() else { return };
    let ours: BTreeSet<&str> = PATHS.iter().map(|described| described.path).collect();
    let theirs = theirs["paths"].as_object().expect("paths");
    assert!(theirs.len() > 40, "{}", theirs.len());
    for path in theirs.keys() {
        assert!(ours.contains(path.replace("transaction_hash", "hash").as_str()), "{path} is not described");
    }
}

/// Fields that only some records have, whatever the answers of these tests show.
const SOMETIMES: [&str; 4] = ["asset_code", "asset_issuer", "sponsor", "offer_id"];
/// Objects whose fields follow from what users do.
const FREE: [&str; 2] = ["predicate", "data"];

/// The schema of all `samples` together.
fn infer(name: &str, samples: &[&Value]) -> Value {
    let kind = |value: &Value| match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let kinds: BTreeSet<&str> = samples.iter().map(|sample| kind(sample)).collect();
    let mut schema = Map::new();
    if let [one] = kinds.iter().copied().collect::<Vec<_>>()[..] {
        schema.insert("type".into(), one.into());
    } else if !kinds.is_empty() {
        schema.insert("type".into(), json!(kinds));
    }
    if kinds.contains("array") {
        let items: Vec<&Value> = samples.iter().filter_map(|sample| sample.as_array()).flatten().collect();
        schema.insert("items".into(), infer(name, &items));
    }
    let objects: Vec<&Map<String, Value>> = samples.iter().filter_map(|sample| sample.as_object()).collect();
    if FREE.contains(&name) || objects.is_empty() {
        return Value::Object(schema);
    }
    let names: BTreeSet<&String> = objects.iter().flat_map(|object| object.keys()).collect();
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in names {
        let values: Vec<&Value> = objects.iter().filter_map(|object| object.get(field)).collect();
        if values.len() == objects.len() && !SOMETIMES.iter().any(|end| field.ends_with(end)) {
            required.push(field.clone());
        }
        properties.insert(field.clone(), infer(field, &values));
    }
    schema.insert("properties".into(), Value::Object(properties));
    if !required.is_empty() {
        schema.insert("required".into(), json!(required));
    }
    Value::Object(schema)
}

/// Answers, by the name of their schema.
struct Samples(BTreeMap<&'static str, Vec<Value>>);

impl Samples {
    fn add(&mut self, schema: &'static str, samples: impl IntoIterator<Item = Value>) {
        self.0.entry(schema).or_default().extend(samples);
    }

    /// What each described route answers, where it answers anything.
    async fn of_routes(&mut self, api: &Api, example: impl AsyncFn(&str) -> String) {
        for described in PATHS.iter().filter(|described| described.method == "GET") {
            if described.path == "/friendbot" {
                continue;
            }
            let path = example(described.path).await;
            let full = match described.answer {
                Answer::Page(_) => format!("{path}{}limit=200", if path.contains('?') { '&' } else { '?' }),
                _ => path,
            };
            let join = if described.query.iter().any(|group| group.contains(&"join")) {
                "join=transactions"
            } else {
                ""
            };
            let full = match join {
                "" => full,
                join => format!("{full}{}{join}", if full.contains('?') { '&' } else { '?' }),
            };
            let answer = api.get(&full).await;
            match described.answer {
                Answer::Page(schema) | Answer::Whole(schema) => self.add(schema, answer.records()),
                Answer::Object(schema) => self.add(schema, [answer.ok()]),
                _ => {}
            }
        }
    }
}

fn unconditional() -> PreconditionsV2 {
    PreconditionsV2 {
        time_bounds: None,
        ledger_bounds: None,
        min_seq_num: None,
        min_seq_age: Duration(0),
        min_seq_ledger_gap: 0,
        extra_signers: VecM::default(),
    }
}

async fn samples() -> Samples {
    let mut samples = Samples(BTreeMap::new());
    let market = Api::market();
    market.node.block(300, |chain| {
        let idle = create_account(key(6).public().into(), 100 * COIN);
        vec![chain.signed(&chain.root, vec![idle])]
    });
    // Conditions that say little, beside those of everyday that say all.
    for conditions in [
        PreconditionsV2 {
            ledger_bounds: Some(LedgerBounds { min_ledger: 0, max_ledger: 0 }),
            ..unconditional()
        },
        PreconditionsV2 {
            time_bounds: Some(TimeBounds { min_time: TimePoint(0), max_time: TimePoint(0) }),
            ..unconditional()
        },
    ] {
        market.node.block(1, |chain| {
            let pay = vec![payment(key(2).public(), Asset::Native, 1)];
            let built = chain.builder(&key(3), pay).preconditions(conditions);
            vec![built.sign(&chain.network_id, &[&key(3)]).expect("well-formed")]
        });
    }
    samples.of_routes(&market, async |route| collections::example(&market, route).await).await;
    let (everyday, _) = super::openapi::everyday().await;
    for (path, schema) in [
        ("/transactions?limit=200", "Transaction"),
        ("/operations?limit=200&join=transactions", "Operation"),
        ("/operations?limit=200", "Operation"),
        ("/effects?limit=200", "Effect"),
    ] {
        samples.add(schema, everyday.get(path).await.records());
    }
    let root = market.node.chain().root.public();
    for (api, account) in [1, 2, 3, 4, 6].map(|number| (&market, key(number).public())).into_iter().chain([
        (&market, root),
        (&everyday, key(1).public()),
        (&everyday, key(2).public()),
    ]) {
        samples.add("Account", [api.get(&format!("/accounts/{}", address(account))).await.ok()]);
    }
    let book = format!("/order_book?selling_asset_type=native&{}", collections::asset("buying_", "USD"));
    samples.add("OrderBook", [market.get(&book).await.ok()]);
    let absent = super::state_proofs::account_key(250);
    samples.add("StateProof", [market.get(&format!("/state_proofs/{absent}")).await.ok()]);
    samples.add("Activity", [market.get("/activity?asset=native").await.ok()]);
    let (pays, fails) = {
        let chain = market.node.chain();
        let pay = |amount| vec![payment(key(2).public(), Asset::Native, amount)];
        (chain.signed(&key(3), pay(1)), chain.signed(&key(3), pay(i64::MAX)))
    };
    let unsigned = {
        let chain = market.node.chain();
        chain.builder(&key(3), vec![payment(key(2).public(), Asset::Native, 1)]).build().expect("well-formed")
    };
    for envelope in [&pays, &pays, &unsigned] {
        let answer = market.post("/transactions_async", form(envelope)).await;
        samples.add("AsyncTransactionSubmissionResponse", [answer.json()]);
    }
    samples.add("Problem", [market.submit(&fails).await.json(), market.submit(&unsigned).await.json()]);
    for path in ["/nothing", "/ledgers/0", "/accounts", "/transactions_async"] {
        samples.add("Problem", [market.get(path).await.json()]);
    }
    samples.add("Problem", [market.post("/transactions", "tx=1").await.json()]);
    samples
}

#[tokio::test]
async fn schemas_are_those_of_the_answers() {
    let samples = samples().await;
    let inferred: Map<String, Value> = samples
        .0
        .iter()
        .map(|(name, samples)| ((*name).to_owned(), infer(name, &samples.iter().collect::<Vec<_>>())))
        .collect();
    let named = PATHS.iter().filter_map(|described| match described.answer {
        Answer::Object(schema) | Answer::Page(schema) | Answer::Whole(schema) => Some(schema),
        _ => None,
    });
    let named: BTreeSet<&str> = named.chain(["Problem", "AsyncTransactionSubmissionResponse"]).collect();
    assert_eq!(inferred.keys().map(String::as_str).collect::<BTreeSet<_>>(), named);
    let text = serde_json::to_string_pretty(&Value::Object(inferred)).expect("JSON") + "\n";
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/openapi/schemas.json");
    if std::env::var_os("CARAT_WRITE_SCHEMAS").is_some() {
        std::fs::write(&path, &text).expect("a file of this repository");
    }
    let committed = std::fs::read_to_string(&path).expect("a file of this repository");
    assert!(
        committed == text,
        "the answers have other fields than {} says; look at the difference with CARAT_WRITE_SCHEMAS=1 cargo test -p \
         carat-api schemas_are",
        path.display()
    );
}
