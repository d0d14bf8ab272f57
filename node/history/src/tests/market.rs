//! A small market for tests: each operation that makes or changes entries, once, in a chain of its own.
//!
//! Key 1 issues USD and EUR, 2 and 3 trade, 2 pays for the entries of 4. Key 0 stands for the root account.

use carat_types::SecretKey;
use carat_types::builder::asset::issued;
use carat_types::builder::claimable::{
    before, both, claim_claimable_balance, clawback_claimable_balance, create_claimable_balance, from,
};
use carat_types::builder::market::{
    create_passive_sell_offer, manage_buy_offer, manage_sell_offer, path_payment_strict_receive,
    path_payment_strict_send,
};
use carat_types::builder::operation::{
    Options, account_merge, allow_trust, by, change_trust, clawback, create_account, manage_data, payment,
    set_options, set_trustline_flags,
};
use stellar_xdr::{
    Asset, AssetCode, AssetCode4, BeginSponsoringFutureReservesOp, ChangeTrustAsset, ChangeTrustOp,
    ClaimPredicate, ClaimableBalanceId, LedgerKey, LedgerKeyTrustLine,
    LiquidityPoolConstantProductParameters, LiquidityPoolDepositOp, LiquidityPoolParameters,
    LiquidityPoolWithdrawOp, Operation, OperationBody, OperationResult, OperationResultTr, PoolId, Price,
    RevokeSponsorshipOp, SignerKey, TransactionEnvelope, TransactionResultResult, TrustLineAsset, Uint256,
};

use super::chain::{COIN, Chain, key};

/// A key by its number; 0 is the root account's.
fn signer(chain: &Chain, number: u8) -> SecretKey {
    if number == 0 { chain.root.clone() } else { key(number) }
}

/// A transaction of the first signer.
pub(crate) fn signed(chain: &Chain, signers: &[u8], operations: Vec<Operation>) -> TransactionEnvelope {
    let keys: Vec<SecretKey> = signers.iter().map(|number| signer(chain, *number)).collect();
    let keys: Vec<&SecretKey> = keys.iter().collect();
    chain.builder(keys[0], operations).sign(&chain.network_id, &keys).expect("well-formed")
}

pub(crate) fn usd() -> Asset {
    issued("USD", key(1).public().into()).expect("a code")
}

pub(crate) fn eur() -> Asset {
    issued("EUR", key(1).public().into()).expect("a code")
}

pub(crate) fn pool_id() -> PoolId {
    carat_ledger::liquidity_pool::id_of_pair(&eur(), &usd())
}

fn price(n: i32, d: i32) -> Price {
    Price { n, d }
}

fn plain(body: OperationBody) -> Operation {
    Operation { source_account: None, body }
}

fn trust_pool(limit: i64) -> Operation {
    let pool = LiquidityPoolConstantProductParameters { asset_a: eur(), asset_b: usd(), fee: 30 };
    let line = ChangeTrustAsset::PoolShare(LiquidityPoolParameters::LiquidityPoolConstantProduct(pool));
    plain(OperationBody::ChangeTrust(ChangeTrustOp { line, limit }))
}

fn deposit(most: i64) -> Operation {
    plain(OperationBody::LiquidityPoolDeposit(LiquidityPoolDepositOp {
        liquidity_pool_id: pool_id(),
        max_amount_a: most,
        max_amount_b: most,
        min_price: price(1, 2),
        max_price: price(2, 1),
    }))
}

fn withdraw(amount: i64) -> Operation {
    plain(OperationBody::LiquidityPoolWithdraw(LiquidityPoolWithdrawOp {
        liquidity_pool_id: pool_id(),
        amount,
        min_amount_a: 1,
        min_amount_b: 1,
    }))
}

/// What `operations` of another key add is paid for by key 2.
fn sponsored(other: u8, operations: Vec<Operation>) -> Vec<Operation> {
    let begin = BeginSponsoringFutureReservesOp { sponsored_id: key(other).public().into() };
    let mut all = vec![plain(OperationBody::BeginSponsoringFutureReserves(begin))];
    all.extend(operations);
    all.push(by(key(other).public(), plain(OperationBody::EndSponsoringFutureReserves)));
    all
}

fn revoke_trustline_sponsorship() -> Operation {
    let Asset::CreditAlphanum4(asset) = usd() else { panic!("four letters") };
    let line = LedgerKeyTrustLine {
        account_id: key(4).public().into(),
        asset: TrustLineAsset::CreditAlphanum4(asset),
    };
    plain(OperationBody::RevokeSponsorship(RevokeSponsorshipOp::LedgerEntry(LedgerKey::Trustline(line))))
}

/// The balances that operation results name, in their order.
pub(crate) fn balances_of(result: &TransactionResultResult) -> Vec<ClaimableBalanceId> {
    let TransactionResultResult::TxSuccess(results) = result else { panic!("failed: {result:?}") };
    let id = |result: &OperationResult| match result {
        OperationResult::OpInner(OperationResultTr::CreateClaimableBalance(
            stellar_xdr::CreateClaimableBalanceResult::Success(id),
        )) => Some(id.clone()),
        _ => None,
    };
    results.iter().filter_map(id).collect()
}

/// Opens the market. `apply` executes a transaction of its first signer, which has to succeed, in a block of its own.
pub(crate) fn open(mut apply: impl FnMut(&[u8], Vec<Operation>) -> TransactionResultResult) {
    let account = |number: u8| key(number).public();
    let create = |number: u8| create_account(account(number).into(), 1_000 * COIN);
    let mut step = |signers: &[u8], operations| {
        let result = apply(signers, operations);
        assert!(matches!(result, TransactionResultResult::TxSuccess(_)), "{result:?}");
        result
    };
    step(&[0], vec![create(1), create(2), create(3)]);
    let options = Options::default().flags(2 | 8, 0).home_domain("bank.example").expect("short");
    step(&[1], vec![set_options(options)]);
    step(&[2], vec![manage_data("kept", Some(b"value")).expect("short")]);
    for holder in [2, 3] {
        step(&[holder], vec![change_trust(usd(), i64::MAX), change_trust(eur(), i64::MAX)]);
    }
    step(
        &[1],
        vec![
            payment(account(2), usd(), 1_000 * COIN),
            payment(account(3), eur(), 1_000 * COIN),
            payment(account(3), usd(), 500 * COIN),
        ],
    );
    // 3 offers 100 EUR at 1.1 USD; 2 takes 50 of them; then 2 offers coins for USD.
    step(&[3], vec![manage_sell_offer(eur(), usd(), 100 * COIN, price(11, 10), 0)]);
    step(&[2], vec![manage_sell_offer(usd(), eur(), 55 * COIN, price(10, 11), 0)]);
    step(&[2], vec![manage_buy_offer(Asset::Native, usd(), 10 * COIN, price(2, 1), 0)]);
    step(&[2], vec![create_passive_sell_offer(usd(), Asset::Native, COIN, price(9, 1))]);
    let send =
        path_payment_strict_send(account(3), (usd(), 11 * COIN), (eur(), 1), vec![]).expect("a short way");
    step(&[2], vec![send]);
    let receive = path_payment_strict_receive(account(3), (usd(), 9 * COIN), (eur(), 5 * COIN), vec![]);
    step(&[2], vec![receive.expect("a short way")]);
    // Three balances: one is claimed, one clawed back, one waits.
    let set_aside_if = |asset: Asset, amount: i64, condition: ClaimPredicate| {
        create_claimable_balance(asset, amount, vec![(account(3).into(), condition)]).expect("one claimant")
    };
    let set_aside = |asset, amount| set_aside_if(asset, amount, ClaimPredicate::Unconditional);
    let between = both(from(1), before(i64::MAX));
    let made =
        step(&[2], vec![set_aside(usd(), 7), set_aside(usd(), 8), set_aside_if(Asset::Native, 9, between)]);
    let made = balances_of(&made);
    step(&[3], vec![claim_claimable_balance(made[0].clone())]);
    step(&[1], vec![clawback_claimable_balance(made[1].clone()), clawback(account(2), usd(), COIN)]);
    // A pool at one for one, which is then the best price for EUR.
    step(&[3], vec![trust_pool(i64::MAX), deposit(100 * COIN)]);
    step(&[3], vec![withdraw(10 * COIN)]);
    let send = path_payment_strict_send(account(3), (usd(), COIN), (eur(), 1), vec![]).expect("a short way");
    step(&[2], vec![send]);
    let offer = by(account(3), manage_sell_offer(Asset::Native, eur(), COIN, price(5, 1), 0));
    step(&[2, 3], sponsored(3, vec![offer]));
    // 2 pays for everything that 4 has; then no longer for its line.
    let signer = SignerKey::HashX(Uint256([7; 32]));
    let opened = vec![
        create_account(account(4).into(), 100 * COIN),
        by(account(4), change_trust(usd(), 1_000)),
        by(account(4), manage_data("name", Some(b"value")).expect("short")),
        by(account(4), set_options(Options::default().signer(signer, 1))),
    ];
    step(&[2, 4], sponsored(4, opened));
    step(&[2], vec![revoke_trustline_sponsorship()]);
    step(&[1], vec![set_trustline_flags(account(4).into(), usd(), 0, 1)]);
    let code = AssetCode::CreditAlphanum4(AssetCode4(*b"USD\0"));
    step(&[1], vec![allow_trust(account(4).into(), code, 1)]);
    step(&[4], vec![manage_data("name", None).expect("short"), change_trust(usd(), 0)]);
    // 5 comes and goes.
    step(&[0], vec![create(5)]);
    step(&[5], vec![account_merge(account(2))]);
}
