//! Each row is needed: for each there is a cheat that only this row refuses. A verifier without it would take the cheat.

use super::*;
use crate::encoding::PointBytes;
use crate::generators::Generators;
use crate::linear;
use crate::relation::Relation;

/// Rows of a transfer with one auditor, in the order of its relation.
const ROWS: [&str; 14] = [
    "the owner's key",
    "conservation",
    "amount, low",
    "amount, high",
    "recipient's handle, low",
    "recipient's handle, high",
    "auditor's handle of the amount, low",
    "auditor's handle of the amount, high",
    "balance, low",
    "balance, high",
    "owner's handle, low",
    "owner's handle, high",
    "auditor's handle of the balance, low",
    "auditor's handle of the balance, high",
];

/// Places in the witness.
const SECRET: usize = 0;
const REST: usize = 1;
const BLINDINGS: [usize; 4] = [4, 5, 8, 9];

/// A transfer that breaks this row and no other.
fn cheat(row: usize) -> Cheat {
    let mut scene = Scene::new(11, 1, 1_000);
    let mut cheat = scene.cheat(600, if row == 1 { 401 } else { 400 });
    let moved = |point: &mut PointBytes| {
        *point = PointBytes::from(&(point.to_point("handle").expect("a point") + Generators::blinding()));
    };
    let (amount, balance) = (&mut cheat.transfer.amount, &mut cheat.transfer.balance);
    match row {
        // A thief who knows how the old balance was blinded spends it without its key.
        0 => {
            let secret = cheat.witness.secrets[SECRET];
            let high = Scalar::from(1_u64 << 32);
            let log_of_handles = (scene.blinding.low + high * scene.blinding.high) * secret.invert();
            cheat.witness.secrets[SECRET] = secret + Scalar::ONE;
            cheat.witness.secrets[REST] -= log_of_handles;
        }
        // One unit out of nothing.
        1 => (),
        // Handles that do not fit the commitment: nobody can read the amount.
        2 | 3 | 8 | 9 => {
            let (sealed, reader, at) = match row {
                2 => (amount, &scene.recipient, 0),
                3 => (amount, &scene.recipient, 1),
                8 => (balance, &scene.owner, 2),
                _ => (balance, &scene.owner, 3),
            };
            cheat.witness.secrets[BLINDINGS[at]] += Scalar::ONE;
            let shift = |handle: &mut PointBytes, key: &DecryptionKey| {
                let old = handle.to_point("handle").expect("a point");
                *handle = PointBytes::from(&(old + point(key.public())));
            };
            let pairs = [(&mut sealed.slot.handle, reader), (&mut sealed.auditors[0], &scene.auditors[0])];
            for (pair, key) in pairs {
                shift(if at % 2 == 0 { &mut pair.low } else { &mut pair.high }, key);
            }
        }
        4 => moved(&mut amount.slot.handle.low),
        5 => moved(&mut amount.slot.handle.high),
        6 => moved(&mut amount.auditors[0].low),
        7 => moved(&mut amount.auditors[0].high),
        10 => moved(&mut balance.slot.handle.low),
        11 => moved(&mut balance.slot.handle.high),
        12 => moved(&mut balance.auditors[0].low),
        13 => moved(&mut balance.auditors[0].high),
        _ => unreachable!("fourteen rows"),
    }
    cheat
}

/// Weights of which one is zero: a verifier that forgot this equation.
fn forgetful(forgotten: Option<usize>) -> impl FnMut() -> Scalar {
    let (mut rng, mut place) = (rng(6), 0);
    move || {
        let weight = if forgotten == Some(place) { Scalar::ZERO } else { Scalar::random(&mut rng) };
        place += 1;
        weight
    }
}

fn holds(claim: &Claim, forgotten: Option<usize>) -> bool {
    let statement = claim.statement().expect("fits");
    let mut transcript = new_transcript();
    statement.absorb(&mut transcript);
    holds_with(transcript, &statement, claim.proof(), &mut forgetful(forgotten))
}

#[test]
fn each_row_alone_refuses_a_cheat() {
    for (row, name) in ROWS.iter().enumerate() {
        let cheat = cheat(row);
        let statement = Claim::Transfer(Box::new(cheat.transfer.clone())).statement().expect("fits");
        let points = statement.decode().expect("points");
        let broken: Vec<usize> = (0..statement.relation.rows.len())
            .filter(|&row| {
                let rows = vec![statement.relation.rows[row].clone()];
                !linear::holds(&Relation { rows, ..Relation::default() }, &points, &cheat.witness.secrets)
            })
            .collect();
        assert_eq!(broken, [row], "the cheat of {name}");
        let claim = cheat.prove();
        assert!(claim.verify().is_err(), "{name}");
        assert!(holds(&claim, Some(row)), "{name}: a verifier without this row takes the cheat");
    }
}

/// The two equations of the range proof: chunks that are out of range, with all rows fulfilled.
#[test]
fn range_proof_alone_refuses_chunks_out_of_range() {
    for claim in super::forgery::out_of_range() {
        assert!(claim.verify().is_err());
        let statement = claim.statement().expect("fits");
        let rows = statement.relation.rows.len();
        let mut place = 0;
        let mut only_rows = || {
            place += 1;
            if place <= rows { Scalar::from(place as u64) } else { Scalar::ZERO }
        };
        let mut transcript = new_transcript();
        statement.absorb(&mut transcript);
        assert!(
            holds_with(transcript, &statement, claim.proof(), &mut only_rows),
            "all rows hold: it is the range proof that refuses"
        );
    }
}

#[test]
fn honest_transfer_holds_with_every_equation_and_without_any() {
    let claim = Scene::new(11, 1, 1_000).cheat(600, 400).prove();
    assert_eq!(claim.statement().expect("fits").relation.rows.len(), ROWS.len());
    assert!((0..16).all(|it| holds(&claim, Some(it))));
    assert!(holds(&claim, None));
}
