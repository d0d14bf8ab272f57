//! Golden bytes of keys and values: what is stored today must be readable for ever.

use carat_types::accountability::{Accountability, Conviction, Offence};
use carat_types::{Digest, Epoch, Slot, ValidatorId};
use stellar_xdr::{AlphaNum4, AssetCode4};

use super::*;
use crate::entry::{StateValue, Totals};

const ID: PublicKey = PublicKey([0xab; 32]);

fn euro() -> Asset {
    Asset::CreditAlphanum4(AlphaNum4 { asset_code: AssetCode4(*b"EUR\0"), issuer: ID.into() })
}

#[test]
fn key_bytes_are_as_recorded_and_read_back() {
    let id = "ab".repeat(32);
    let table = [
        (StateKey::account(&ID), format!("00000000 00000000 {id}")),
        (
            StateKey::trustline(&ID, &euro()),
            format!("00000001 00000000 {id} 00000001 45555200 00000000 {id}"),
        ),
        (
            StateKey::data(&ID, &String64("pay".try_into().expect("short"))),
            format!("00000003 00000000 {id} 00000003 70617900"),
        ),
        (StateKey::Totals, "000003e8".to_owned()),
        (StateKey::Supply(euro()), format!("000003e9 00000001 45555200 00000000 {id}")),
        (StateKey::Member(ID), format!("000003ea 00000000 {id}")),
        (StateKey::Creator(ID), format!("000003eb 00000000 {id}")),
        (StateKey::Accountability, "000003f1".to_owned()),
    ];
    for (key, golden) in table {
        assert_eq!(hex(&key.to_bytes()), golden.replace(' ', ""), "{key:?}");
        assert_eq!(StateKey::from_bytes(&key.to_bytes()).expect("our bytes"), key);
    }
}

#[test]
fn value_bytes_are_as_recorded_and_read_back() {
    let totals = Totals {
        total_coins: 1_000_000_000_000_000_000,
        fee_pool: 2,
        id_pool: 3,
        base_fee: 100,
        base_reserve: 5,
        max_transactions: 4_000,
        max_operations: 8_000,
        protocol_version: 28,
        flags: 3,
    };
    let id = "ab".repeat(32);
    let convicted = Conviction {
        epoch: Epoch(1),
        validator: ValidatorId(2),
        key: ID,
        offence: Offence::E5,
        slot: Some(Slot(9)),
        evidence: Digest([0xcd; 32]),
        recorded: Slot(10),
    };
    let accountability = format!(
        "00000000 00000001 00000001 0002 {id} 05 01 0000000000000009 {} 000000000000000a",
        "cd".repeat(32)
    );
    let table = [
        (
            StateKey::Totals,
            StateValue::Totals(totals),
            "0de0b6b3a7640000 0000000000000002 0000000000000003 00000064 00000005 00000fa0 00001f40 0000001c 00000003",
        ),
        (StateKey::Supply(euro()), StateValue::Supply(5), "00000000000000000000000000000005"),
        (StateKey::Member(ID), StateValue::Member, ""),
        (StateKey::Creator(ID), StateValue::Creator(ID), id.as_str()),
        (
            StateKey::Accountability,
            StateValue::Accountability(Box::new(Accountability {
                sets: Vec::new(),
                convictions: vec![convicted],
            })),
            accountability.as_str(),
        ),
    ];
    for (key, value, golden) in table {
        assert_eq!(hex(&value.to_bytes()), golden.replace(' ', ""), "{key:?}");
        assert_eq!(StateValue::from_bytes(&key, &value.to_bytes()).expect("our bytes"), value);
        let mut longer = value.to_bytes();
        longer.push(0);
        assert!(matches!(StateValue::from_bytes(&key, &longer), Err(StateError::Corrupt { .. })), "{key:?}");
    }
}

#[test]
fn key_bytes_of_nothing_known_refused() {
    let mut trailing = StateKey::account(&ID).to_bytes();
    trailing.push(0);
    let unknown_kind = 1004_u32.to_be_bytes().to_vec();
    let totals_and_more = [KIND_TOTALS.to_be_bytes().as_slice(), &[0]].concat();
    let cut = StateKey::Supply(euro()).to_bytes()[..20].to_vec();
    // A contract's key with a flag of 2^24; found by the fuzzer.
    let flag = "0000000600000000000000000000000100000000000000000000fd0007000000000000000000000001000000000000000100000000000000";
    let flag = (0..flag.len()).step_by(2).map(|at| u8::from_str_radix(&flag[at..at + 2], 16).expect("hex"));
    for bytes in [Vec::new(), vec![0, 0, 3], trailing, unknown_kind, totals_and_more, cut, flag.collect()] {
        assert!(matches!(StateKey::from_bytes(&bytes), Err(StateError::Corrupt { .. })), "{}", hex(&bytes));
    }
}
