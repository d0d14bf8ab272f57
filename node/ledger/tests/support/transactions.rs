//! Transactions under construction, operations, signer keys.

use std::sync::Arc;

use carat_types::hash::sha256;
use carat_types::transaction::{SignedTransaction, sign_hash, transaction_hash};
use carat_types::{Digest, SecretKey};
use stellar_xdr::*;

use super::{BASE_FEE, SEQUENCE, account_id, asset, id, key, network};

/// A transaction under construction; signed by its source unless signers are named.
#[derive(Clone, Debug)]
pub(crate) struct Tx {
    pub(crate) transaction: Transaction,
    source: String,
    signers: Option<Vec<String>>,
    extra: Vec<DecoratedSignature>,
    bump: Option<(String, i64, Vec<String>)>,
}

pub(crate) fn tx(source: &str) -> Tx {
    Tx {
        transaction: Transaction {
            source_account: id(source).into(),
            fee: BASE_FEE,
            seq_num: SequenceNumber(SEQUENCE + 1),
            cond: Preconditions::None,
            memo: Memo::None,
            operations: VecM::default(),
            ext: TransactionExt::V0,
        },
        source: source.to_owned(),
        signers: None,
        extra: Vec::new(),
        bump: None,
    }
}

impl Tx {
    /// Adds an operation of the source and its fee.
    pub(crate) fn op(self, body: OperationBody) -> Self {
        self.operation(None, body)
    }

    /// Adds an operation of another source.
    pub(crate) fn op_by(self, source: &str, body: OperationBody) -> Self {
        self.operation(Some(id(source).into()), body)
    }

    fn operation(mut self, source_account: Option<MuxedAccount>, body: OperationBody) -> Self {
        let mut operations = self.transaction.operations.to_vec();
        operations.push(Operation { source_account, body });
        self.transaction.fee = BASE_FEE * u32::try_from(operations.len()).expect("few");
        self.transaction.operations = operations.try_into().expect("at most 100");
        self
    }

    pub(crate) fn seq(mut self, offset: i64) -> Self {
        self.transaction.seq_num = SequenceNumber(SEQUENCE + offset);
        self
    }

    pub(crate) fn seq_is(mut self, sequence: i64) -> Self {
        self.transaction.seq_num = SequenceNumber(sequence);
        self
    }

    pub(crate) fn fee(mut self, fee: u32) -> Self {
        self.transaction.fee = fee;
        self
    }

    pub(crate) fn memo(mut self, text: &str) -> Self {
        self.transaction.memo = Memo::Text(text.as_bytes().try_into().expect("short"));
        self
    }

    pub(crate) fn time(mut self, min: u64, max: u64) -> Self {
        self.transaction.cond =
            Preconditions::Time(TimeBounds { min_time: TimePoint(min), max_time: TimePoint(max) });
        self
    }

    pub(crate) fn conditions(mut self, change: impl FnOnce(&mut PreconditionsV2)) -> Self {
        let mut conditions = PreconditionsV2 {
            time_bounds: None,
            ledger_bounds: None,
            min_seq_num: None,
            min_seq_age: Duration(0),
            min_seq_ledger_gap: 0,
            extra_signers: VecM::default(),
        };
        change(&mut conditions);
        self.transaction.cond = Preconditions::V2(conditions);
        self
    }

    pub(crate) fn muxed(mut self, number: u64) -> Self {
        let ed25519 = Uint256(id(&self.source).0);
        self.transaction.source_account =
            MuxedAccount::MuxedEd25519(MuxedAccountMed25519 { id: number, ed25519 });
        self
    }

    /// Names all signers.
    pub(crate) fn by(mut self, signers: &[&str]) -> Self {
        self.signers = Some(signers.iter().map(|name| (*name).to_owned()).collect());
        self
    }

    /// Adds a ready-made signature.
    pub(crate) fn plus(mut self, signature: DecoratedSignature) -> Self {
        self.extra.push(signature);
        self
    }

    /// Wraps it in a fee bump signed by the payer.
    pub(crate) fn bump(mut self, payer: &str, fee: i64) -> Self {
        self.bump = Some((payer.to_owned(), fee, vec![payer.to_owned()]));
        self
    }

    pub(crate) fn bump_by(mut self, payer: &str, fee: i64, signers: &[&str]) -> Self {
        self.bump = Some((payer.to_owned(), fee, signers.iter().map(|name| (*name).to_owned()).collect()));
        self
    }

    pub(crate) fn inner_hash(&self) -> Digest {
        transaction_hash(&network(), &TransactionEnvelope::from(self.transaction.clone()))
    }

    pub(crate) fn envelope(&self) -> TransactionEnvelope {
        let own = [self.source.clone()];
        let signers = self.signers.as_deref().unwrap_or(&own);
        let hash = self.inner_hash();
        let mut signatures: Vec<_> = signers.iter().map(|name| sign_hash(&key(name), &hash)).collect();
        signatures.extend(self.extra.iter().cloned());
        let signatures = signatures.try_into().expect("at most 20");
        let inner = TransactionV1Envelope { tx: self.transaction.clone(), signatures };
        let Some((payer, fee, signers)) = &self.bump else { return TransactionEnvelope::Tx(inner) };
        let mut envelope = TransactionEnvelope::from(FeeBumpTransaction {
            fee_source: id(payer).into(),
            fee: *fee,
            inner_tx: FeeBumpTransactionInnerTx::Tx(inner),
            ext: FeeBumpTransactionExt::V0,
        });
        let keys: Vec<SecretKey> = signers.iter().map(|name| key(name)).collect();
        let keys: Vec<&SecretKey> = keys.iter().collect();
        carat_types::transaction::sign_envelope(&network(), &mut envelope, &keys).expect("room");
        envelope
    }

    pub(crate) fn signed(&self) -> Arc<SignedTransaction> {
        Arc::new(SignedTransaction::from_envelope(&network(), self.envelope()).expect("short"))
    }
}

// Operations.

pub(crate) fn pay(to: &str, amount: i64, of: &str) -> OperationBody {
    OperationBody::Payment(PaymentOp { destination: id(to).into(), asset: asset(of), amount })
}

pub(crate) fn create(name: &str, starting_balance: i64) -> OperationBody {
    OperationBody::CreateAccount(CreateAccountOp { destination: account_id(name), starting_balance })
}

pub(crate) fn trust(of: &str, limit: i64) -> OperationBody {
    let line = match asset(of) {
        Asset::Native => ChangeTrustAsset::Native,
        Asset::CreditAlphanum4(code) => ChangeTrustAsset::CreditAlphanum4(code),
        Asset::CreditAlphanum12(code) => ChangeTrustAsset::CreditAlphanum12(code),
    };
    OperationBody::ChangeTrust(ChangeTrustOp { line, limit })
}

pub(crate) fn options(change: impl FnOnce(&mut SetOptionsOp)) -> OperationBody {
    let mut op = SetOptionsOp {
        inflation_dest: None,
        clear_flags: None,
        set_flags: None,
        master_weight: None,
        low_threshold: None,
        med_threshold: None,
        high_threshold: None,
        home_domain: None,
        signer: None,
    };
    change(&mut op);
    OperationBody::SetOptions(op)
}

pub(crate) fn set_signer(key: SignerKey, weight: u32) -> OperationBody {
    options(|op| op.signer = Some(Signer { key, weight }))
}

pub(crate) fn allow(holder: &str, code: [u8; 4], authorize: u32) -> OperationBody {
    let asset = AssetCode::CreditAlphanum4(AssetCode4(code));
    OperationBody::AllowTrust(AllowTrustOp { trustor: account_id(holder), asset, authorize })
}

pub(crate) fn line_flags(holder: &str, of: &str, set_flags: u32, clear_flags: u32) -> OperationBody {
    let (trustor, asset) = (account_id(holder), asset(of));
    OperationBody::SetTrustLineFlags(SetTrustLineFlagsOp { trustor, asset, clear_flags, set_flags })
}

pub(crate) fn clawback(from: &str, amount: i64, of: &str) -> OperationBody {
    OperationBody::Clawback(ClawbackOp { asset: asset(of), from: id(from).into(), amount })
}

pub(crate) fn merge(into: &str) -> OperationBody {
    OperationBody::AccountMerge(id(into).into())
}

pub(crate) fn data(name: &str, value: Option<&str>) -> OperationBody {
    let data_value = value.map(|value| DataValue(value.as_bytes().try_into().expect("short")));
    OperationBody::ManageData(ManageDataOp { data_name: string64(name), data_value })
}

pub(crate) fn bump_sequence(to: i64) -> OperationBody {
    OperationBody::BumpSequence(BumpSequenceOp { bump_to: SequenceNumber(to) })
}

fn price((n, d): (i32, i32)) -> Price {
    Price { n, d }
}

/// An offer of an amount at a price in what it buys; id 0 for a new one.
pub(crate) fn sell(id: i64, amount: i64, selling: &str, buying: &str, at: (i32, i32)) -> OperationBody {
    let (selling, buying) = (asset(selling), asset(buying));
    OperationBody::ManageSellOffer(ManageSellOfferOp {
        selling,
        buying,
        amount,
        price: price(at),
        offer_id: id,
    })
}

/// An offer to buy an amount at a price in what it sells.
pub(crate) fn buy(id: i64, buy_amount: i64, buying: &str, selling: &str, at: (i32, i32)) -> OperationBody {
    let (selling, buying) = (asset(selling), asset(buying));
    let price = price(at);
    OperationBody::ManageBuyOffer(ManageBuyOfferOp { selling, buying, buy_amount, price, offer_id: id })
}

pub(crate) fn passive(amount: i64, selling: &str, buying: &str, at: (i32, i32)) -> OperationBody {
    let (selling, buying) = (asset(selling), asset(buying));
    let price = price(at);
    OperationBody::CreatePassiveSellOffer(CreatePassiveSellOfferOp { selling, buying, amount, price })
}

fn assets(path: &[&str]) -> VecM<Asset, 5> {
    path.iter().map(|name| asset(name)).collect::<Vec<_>>().try_into().expect("at most five")
}

/// Delivers an amount; the path includes both ends.
pub(crate) fn deliver(to: &str, dest_amount: i64, send_max: i64, path: &[&str]) -> OperationBody {
    let [first, between @ .., last] = path else { panic!("a path has two ends") };
    OperationBody::PathPaymentStrictReceive(PathPaymentStrictReceiveOp {
        send_asset: asset(first),
        send_max,
        destination: id(to).into(),
        dest_asset: asset(last),
        dest_amount,
        path: assets(between),
    })
}

/// Spends an amount; the path includes both ends.
pub(crate) fn spend(to: &str, send_amount: i64, dest_min: i64, path: &[&str]) -> OperationBody {
    let [first, between @ .., last] = path else { panic!("a path has two ends") };
    OperationBody::PathPaymentStrictSend(PathPaymentStrictSendOp {
        send_asset: asset(first),
        send_amount,
        destination: id(to).into(),
        dest_asset: asset(last),
        dest_min,
        path: assets(between),
    })
}

pub(crate) fn set_aside(amount: i64, of: &str, claimants: &[(&str, ClaimPredicate)]) -> OperationBody {
    let claimants: Vec<_> = claimants
        .iter()
        .map(|(name, predicate)| {
            let (destination, predicate) = (account_id(name), predicate.clone());
            Claimant::ClaimantTypeV0(ClaimantV0 { destination, predicate })
        })
        .collect();
    let claimants = claimants.try_into().expect("at most ten");
    OperationBody::CreateClaimableBalance(CreateClaimableBalanceOp { asset: asset(of), amount, claimants })
}

/// The balance that the first operation of an account's first transaction sets aside.
pub(crate) fn balance_of(source: &str) -> ClaimableBalanceId {
    let origin = HashIdPreimage::OpId(HashIdPreimageOperationId {
        source_account: account_id(source),
        seq_num: SequenceNumber(SEQUENCE + 1),
        op_num: 0,
    });
    let origin = origin.to_xdr(Limits::none()).expect("short");
    ClaimableBalanceId::ClaimableBalanceIdTypeV0(Hash(sha256(&[&origin]).0))
}

pub(crate) fn claim(balance_id: ClaimableBalanceId) -> OperationBody {
    OperationBody::ClaimClaimableBalance(ClaimClaimableBalanceOp { balance_id })
}

pub(crate) fn clawback_balance(balance_id: ClaimableBalanceId) -> OperationBody {
    OperationBody::ClawbackClaimableBalance(ClawbackClaimableBalanceOp { balance_id })
}

pub(crate) fn sponsor(name: &str) -> OperationBody {
    let sponsored_id = account_id(name);
    OperationBody::BeginSponsoringFutureReserves(BeginSponsoringFutureReservesOp { sponsored_id })
}

pub(crate) fn end_sponsoring() -> OperationBody {
    OperationBody::EndSponsoringFutureReserves
}

pub(crate) fn revoke(key: &carat_ledger::StateKey) -> OperationBody {
    let carat_ledger::StateKey::Ledger(key) = key else { panic!("no entry of the wire format") };
    OperationBody::RevokeSponsorship(RevokeSponsorshipOp::LedgerEntry(key.clone()))
}

pub(crate) fn revoke_signer(name: &str, signer_key: SignerKey) -> OperationBody {
    let account_id = account_id(name);
    OperationBody::RevokeSponsorship(RevokeSponsorshipOp::Signer(RevokeSponsorshipOpSigner {
        account_id,
        signer_key,
    }))
}

fn pool_parameters(a: &str, b: &str) -> LiquidityPoolConstantProductParameters {
    LiquidityPoolConstantProductParameters { asset_a: asset(a), asset_b: asset(b), fee: 30 }
}

pub(crate) fn pool(a: &str, b: &str) -> PoolId {
    carat_ledger::liquidity_pool::id_of(&pool_parameters(a, b))
}

/// A line of shares of a pool.
pub(crate) fn join(a: &str, b: &str, limit: i64) -> OperationBody {
    let pool = LiquidityPoolParameters::LiquidityPoolConstantProduct(pool_parameters(a, b));
    OperationBody::ChangeTrust(ChangeTrustOp { line: ChangeTrustAsset::PoolShare(pool), limit })
}

pub(crate) fn deposit(
    liquidity_pool_id: PoolId,
    (max_amount_a, max_amount_b): (i64, i64),
    least: (i32, i32),
    most: (i32, i32),
) -> OperationBody {
    OperationBody::LiquidityPoolDeposit(LiquidityPoolDepositOp {
        liquidity_pool_id,
        max_amount_a,
        max_amount_b,
        min_price: price(least),
        max_price: price(most),
    })
}

pub(crate) fn withdraw(liquidity_pool_id: PoolId, amount: i64, least: (i64, i64)) -> OperationBody {
    let (min_amount_a, min_amount_b) = least;
    OperationBody::LiquidityPoolWithdraw(LiquidityPoolWithdrawOp {
        liquidity_pool_id,
        amount,
        min_amount_a,
        min_amount_b,
    })
}

pub(crate) fn string64(text: &str) -> String64 {
    String64(text.as_bytes().try_into().expect("at most 64 characters"))
}

// Signer keys.

pub(crate) fn key_of(name: &str) -> SignerKey {
    SignerKey::Ed25519(Uint256(id(name).0))
}

pub(crate) fn hash_of(preimage: &[u8]) -> SignerKey {
    SignerKey::HashX(Uint256(sha256(&[preimage]).0))
}

pub(crate) fn pre_authorized(hash: Digest) -> SignerKey {
    SignerKey::PreAuthTx(Uint256(hash.0))
}

pub(crate) fn payload_of(name: &str, payload: &[u8]) -> SignerKey {
    SignerKey::Ed25519SignedPayload(SignerKeyEd25519SignedPayload {
        ed25519: Uint256(id(name).0),
        payload: payload.try_into().expect("at most 64 bytes"),
    })
}

pub(crate) fn preimage(preimage: &[u8]) -> DecoratedSignature {
    let hash = sha256(&[preimage]).0;
    DecoratedSignature {
        hint: SignatureHint(hash[28..].try_into().expect("four bytes")),
        signature: Signature(preimage.try_into().expect("at most 64 bytes")),
    }
}

pub(crate) fn payload_signature(name: &str, payload: &[u8]) -> DecoratedSignature {
    let mut hint = id(name).hint();
    let tail = &payload[payload.len().saturating_sub(4)..];
    hint.iter_mut().zip(tail).for_each(|(byte, with)| *byte ^= with);
    let signature = key(name).sign(payload).0.as_slice().try_into().expect("64 bytes");
    DecoratedSignature { hint: SignatureHint(hint), signature: Signature(signature) }
}
