//! The effects of each operation, by the names and numbers that clients know.

use super::{Api, address, key};

/// Who did what to whom, a line for each effect: the account's key and the effect's type; a blank line between
/// transactions.
async fn effects(api: &Api) -> String {
    let mut lines = Vec::new();
    for transaction in api.get("/transactions?limit=200").await.records() {
        let hash = transaction["hash"].as_str().expect("text");
        for effect in api.get(&format!("/transactions/{hash}/effects?limit=200")).await.records() {
            let account = effect["account"].as_str().expect("text");
            let number = (1..=5).find(|number| address(key(*number).public()) == account).unwrap_or(0);
            let number_of_type = effect["type_i"].as_u64().expect("a number");
            lines.push(format!("{number} {} {number_of_type}", effect["type"].as_str().expect("text")));
        }
        lines.push(String::new());
    }
    lines.join("\n")
}

#[tokio::test]
async fn each_operation_has_the_effects_that_clients_expect() {
    let expected = include_str!("effects.txt");
    let seen = effects(&Api::market()).await;
    assert_eq!(seen.trim(), expected.trim(), "seen:\n{seen}");
}
