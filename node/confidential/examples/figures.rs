//! What proofs cost on this machine: proving, checking alone, checking in batches, and sizes.
//!
//! Figures are the processor's time of one thread, not the clock's, so that a busy machine changes them little: caches
//! and hyper-threads are still shared.

use std::io::{self, Write};

use carat_confidential::discrete_log::Table;
use carat_confidential::elgamal::{Pair, Sealed};
use carat_confidential::prover::{self, OwnBalance};
use carat_confidential::rand_core::{CryptoRng, Error, RngCore};
use carat_confidential::{Claim, Context, DecryptionKey, Recipient, batch};
use carat_types::codec::Encode;
use carat_types::hash::sha256;
use carat_types::{Digest, PublicKey};

/// Distinct transfers; larger batches repeat them, which costs the same.
const DISTINCT: u64 = 64;
const ROUNDS: usize = 9;

/// Repeatable figures want repeatable randomness: a hash of a counter.
struct Counter(u64);

impl RngCore for Counter {
    fn next_u32(&mut self) -> u32 {
        u32::try_from(self.next_u64() >> 32).unwrap_or_default()
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(32) {
            self.0 = self.0.wrapping_add(1);
            let block = sha256(&[b"figures", &self.0.to_le_bytes()]);
            chunk.iter_mut().zip(block.0).for_each(|(to, from)| *to = from);
        }
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(out);
        Ok(())
    }
}

impl CryptoRng for Counter {}

/// Processor time of this thread. **Units**: microseconds.
fn processor_time() -> io::Result<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = text.split_whitespace().next().and_then(|it| it.parse::<f64>().ok());
    nanoseconds
        .map(|it| it / 1_000.0)
        .ok_or_else(|| io::Error::other("no time in /proc/thread-self/schedstat"))
}

/// The median time of one of `count` in a round.
fn median(count: usize, mut round: impl FnMut()) -> io::Result<f64> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let before = processor_time()?;
        round();
        times.push((processor_time()? - before) / count as f64);
    }
    times.sort_by(f64::total_cmp);
    Ok(times.get(ROUNDS / 2).copied().unwrap_or_default())
}

fn transfers(auditors: usize, rng: &mut Counter) -> Result<(Vec<Claim>, f64), Box<dyn std::error::Error>> {
    let owner = DecryptionKey::random(rng);
    let recipient_key = DecryptionKey::random(rng).public();
    let keys: Vec<_> = (0..auditors).map(|_| DecryptionKey::random(rng).public()).collect();
    let balance = 1 << 50;
    let own =
        OwnBalance { key: &owner, slot: Sealed::public(balance, auditors).slot, chunks: Pair::of(balance) };
    let mut claims = Vec::new();
    let before = processor_time()?;
    for number in 0..DISTINCT {
        let context = Context {
            network: Digest([1; 32]),
            source: PublicKey([2; 32]),
            sequence: i64::try_from(number)?,
            operation_index: 0,
            account: PublicKey([2; 32]),
            asset: Digest([3; 32]),
            lane: 0,
            version: number,
            key_epoch: 0,
            auditor_epoch: 0,
            payload: Digest::ZERO,
        };
        let recipient = Recipient { account: PublicKey([4; 32]), lane: 0, key_epoch: 0 };
        let amount = 1_000_000_000 + number;
        claims.push(prover::transfer(context, (recipient, recipient_key), &keys, own, amount, rng)?);
    }
    Ok((claims, (processor_time()? - before) / DISTINCT as f64))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = io::stdout().lock();
    let mut rng = Counter(0);
    writeln!(out, "microseconds of processor time, medians of {ROUNDS}; one thread")?;
    for auditors in [1, 2] {
        let (claims, proving) = transfers(auditors, &mut rng)?;
        let first = claims.first().ok_or("no transfer")?;
        let Claim::Transfer(transfer) = first else { return Err("not a transfer".into()) };
        let (wire, whole) = (transfer.wire_size(), first.to_bytes().len());
        writeln!(
            out,
            "transfer, {auditors} auditor(s): {wire} bytes on the wire, {whole} with keys and context"
        )?;
        writeln!(out, "  prove               {proving:>9.0}")?;
        for size in [1_usize, 4, 16, 64, 256] {
            let batch: Vec<&Claim> = claims.iter().cycle().take(size).collect();
            let mut valid = true;
            let rounds = 16_usize.div_ceil(size);
            let time = median(size * rounds, || {
                (0..rounds).for_each(|_| valid &= batch::verify(&batch).is_ok());
            })?;
            if !valid {
                return Err("an honest transfer was refused".into());
            }
            writeln!(out, "  check, batch of {size:>3} {time:>9.0}")?;
        }
    }
    let before = processor_time()?;
    let table = Table::new(20);
    writeln!(out, "table of 2^20 steps   {:>9.0}", processor_time()? - before)?;
    let key = DecryptionKey::random(&mut rng);
    let slot = Sealed::public(u64::from(u32::MAX) << 32, 1).slot;
    let time = median(1, || {
        let _ = key.open(&slot, &table);
    })?;
    writeln!(out, "open, the worst amount{time:>9.0}")?;
    Ok(())
}
