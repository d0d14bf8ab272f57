//! The ledger header that clients of the wire format see, derived from the last slot of its ledger.
//!
//! **Source**: consensus specification, section 11, "One header".

use carat_types::Digest;
use carat_types::hash::sha256;
use stellar_xdr::{Hash, LedgerHeader, LedgerHeaderExt, StellarValue, StellarValueExt, TimePoint, VecM};

use crate::record::Position;

/// The header of the ledger that `position` has come to the end of.
pub fn derive(position: &Position) -> LedgerHeader {
    let roots: Vec<&[u8]> = position.outcomes_roots.iter().map(|root| root.0.as_slice()).collect();
    let totals = &position.totals;
    LedgerHeader {
        ledger_version: totals.protocol_version,
        previous_ledger_hash: hash(position.previous_hash),
        scp_value: StellarValue {
            tx_set_hash: hash(position.prefix),
            close_time: TimePoint(position.time_ms / 1_000),
            upgrades: VecM::default(),
            ext: StellarValueExt::Basic,
        },
        tx_set_result_hash: hash(sha256(&roots)),
        bucket_list_hash: hash(position.state_root),
        ledger_seq: position.ledger,
        total_coins: totals.total_coins,
        fee_pool: totals.fee_pool,
        inflation_seq: 0,
        id_pool: totals.id_pool,
        base_fee: totals.base_fee,
        base_reserve: totals.base_reserve,
        max_tx_set_size: totals.max_operations,
        skip_list: [hash(Digest::ZERO), hash(Digest::ZERO), hash(Digest::ZERO), hash(Digest::ZERO)],
        ext: LedgerHeaderExt::V0,
    }
}

fn hash(digest: Digest) -> Hash {
    Hash(digest.0)
}
