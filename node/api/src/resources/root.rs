//! The root document.

use carat_history::Position;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::format;
use crate::links::Links;
use crate::port::{Head, Network};

/// What a client learns first: which network this is and how far it is.
#[derive(Debug, Serialize)]
pub struct Root {
    #[serde(rename = "_links")]
    links: Map<String, Value>,
    horizon_version: String,
    core_version: String,
    ingest_latest_ledger: u32,
    history_latest_ledger: u32,
    history_latest_ledger_closed_at: String,
    history_elder_ledger: u32,
    core_latest_ledger: u32,
    network_passphrase: String,
    current_protocol_version: u32,
    supported_protocol_version: u32,
    core_supported_protocol_version: u32,
    /// Ours: hash of the genesis file, what receipts are verified against.
    chain_id: String,
}

impl Root {
    /// The document; `closed_ms` is when the last closed ledger closed.
    pub fn new(
        links: &Links,
        network: &Network,
        head: Head,
        index: Option<&Position>,
        closed_ms: u64,
    ) -> Self {
        Root {
            links: root_links(links, network.is_test),
            horizon_version: network.version.clone(),
            core_version: network.version.clone(),
            ingest_latest_ledger: index.map_or(0, |index| index.ledger),
            history_latest_ledger: index.map_or(0, |index| index.last_closed().unwrap_or(index.ledger)),
            history_latest_ledger_closed_at: format::time(closed_ms),
            history_elder_ledger: index.map_or(0, |index| index.first_ledger),
            core_latest_ledger: head.ledger,
            network_passphrase: network.passphrase.clone(),
            current_protocol_version: head.protocol,
            supported_protocol_version: network.supported_protocol,
            core_supported_protocol_version: network.supported_protocol,
            chain_id: network.chain_id.to_string(),
        }
    }
}

/// Where everything is. Links to what later stages bring are there already: clients only need their names.
fn root_links(links: &Links, is_test: bool) -> Map<String, Value> {
    const ASSET_PAIR: &str = "?base_asset_type={base_asset_type}&base_asset_code={base_asset_code}\
        &base_asset_issuer={base_asset_issuer}&counter_asset_type={counter_asset_type}\
        &counter_asset_code={counter_asset_code}&counter_asset_issuer={counter_asset_issuer}";
    let templates = [
        ("account", "/accounts/{account_id}".to_owned()),
        ("accounts", "/accounts{?signer,sponsor,asset,liquidity_pool,cursor,limit,order}".to_owned()),
        ("account_transactions", "/accounts/{account_id}/transactions{?cursor,limit,order}".to_owned()),
        ("assets", "/assets{?asset_code,asset_issuer,cursor,limit,order}".to_owned()),
        ("claimable_balances", "/claimable_balances{?asset,sponsor,claimant,cursor,limit,order}".to_owned()),
        ("effects", "/effects{?cursor,limit,order}".to_owned()),
        ("fee_stats", "/fee_stats".to_owned()),
        ("ledger", "/ledgers/{sequence}".to_owned()),
        ("ledgers", "/ledgers{?cursor,limit,order}".to_owned()),
        ("liquidity_pools", "/liquidity_pools{?reserves,account,cursor,limit,order}".to_owned()),
        ("offer", "/offers/{offer_id}".to_owned()),
        ("offers", "/offers{?selling,buying,seller,sponsor,cursor,limit,order}".to_owned()),
        ("operation", "/operations/{id}".to_owned()),
        ("operations", "/operations{?cursor,limit,order,include_failed}".to_owned()),
        (
            "order_book",
            "/order_book{?selling_asset_type,selling_asset_code,selling_asset_issuer,buying_asset_type,\
             buying_asset_code,buying_asset_issuer,limit}"
                .to_owned(),
        ),
        ("payments", "/payments{?cursor,limit,order,include_failed}".to_owned()),
        ("self", "/".to_owned()),
        (
            "strict_receive_paths",
            "/paths/strict-receive{?source_assets,source_account,destination_account,destination_asset_type,\
             destination_asset_issuer,destination_asset_code,destination_amount}"
                .to_owned(),
        ),
        (
            "strict_send_paths",
            "/paths/strict-send{?destination_account,destination_assets,source_asset_type,source_asset_issuer,\
             source_asset_code,source_amount}"
                .to_owned(),
        ),
        ("trade_aggregations", format!("/trade_aggregations{ASSET_PAIR}")),
        ("trades", format!("/trades{ASSET_PAIR}")),
        ("transaction", "/transactions/{hash}".to_owned()),
        ("transactions", "/transactions{?cursor,limit,order}".to_owned()),
        ("genesis", "/genesis".to_owned()),
        ("receipt", "/transactions/{hash}/receipt".to_owned()),
    ];
    let mut all: Map<String, Value> =
        templates.into_iter().map(|(name, path)| (name.to_owned(), json!(links.to(path)))).collect();
    if is_test {
        all.insert("friendbot".to_owned(), json!(links.to("/friendbot{?addr}")));
    }
    all
}
