"""Offers, path payments, claimable balances, sponsorship and pools: each made, and then read from every collection in
which it has to stand, also from the other node.
"""

import time

from stellar_sdk import Asset, Claimant, Keypair, LiquidityPoolAsset, Price

from suite.harness import PATIENCE_SECONDS, builder, equal, execute, fund, other, refused, server, shown_by_other, test

issuer = Keypair.random()
maker = Keypair.random()
taker = Keypair.random()
poor = Keypair.random()
usd = Asset("USD", issuer.public_key)
eur = Asset("EUR", issuer.public_key)
shares = LiquidityPoolAsset(*sorted([eur, usd], key=lambda asset: asset.code))
known = {}


def records(call):
    return call.call()["_embedded"]["records"]


def types(call):
    return [record["type"] for record in records(call)]


@test("traders hold two currencies")
def open_market():
    for account in (issuer, maker, taker):
        fund(account)
    flags = builder(issuer).append_set_options_op(set_flags=10, home_domain="market.example")
    execute(flags, [issuer])
    for account in (maker, taker):
        trust = builder(account).append_change_trust_op(usd).append_change_trust_op(eur)
        execute(trust, [account])
    pay = builder(issuer).append_payment_op(taker.public_key, usd, "1000")
    pay.append_payment_op(maker.public_key, eur, "1000").append_payment_op(maker.public_key, usd, "500")
    equal(execute(pay, [issuer])["successful"], True, "successful")


@test("an offer stands in the book, on every node")
def offer():
    sell = builder(maker).append_manage_sell_offer_op(eur, usd, "100", Price(11, 10))
    sold = execute(sell, [maker])
    shown_by_other(sold["hash"])
    for source in (server, other):
        offers = records(source.offers().for_seller(maker.public_key))
        equal([(offer["amount"], offer["price"]) for offer in offers], [("100.0000000", "1.1000000")], "offers")
    known["offer"] = offers[0]["id"]
    equal(server.offers().offer(known["offer"]).call()["seller"], maker.public_key, "seller")
    equal(len(records(server.offers().for_account(maker.public_key))), 1, "offers of the account")
    equal(len(records(server.offers().for_selling(eur).for_buying(usd))), 1, "offers of the pair")
    book = server.orderbook(eur, usd).call()
    equal([(ask["price"], ask["amount"]) for ask in book["asks"]], [("1.1000000", "100.0000000")], "asks")


@test("offers are taken, and the trades listed")
def trade():
    take = builder(taker).append_manage_buy_offer_op(usd, eur, "50", "1.1")
    execute(take, [taker])
    for call in (
        server.trades().for_account(taker.public_key),
        server.trades().for_account(maker.public_key),
        server.trades().for_offer(known["offer"]),
        server.trades().for_asset_pair(eur, usd),
        server.trades().for_account(maker.public_key).for_trade_type("orderbook"),
    ):
        trades = records(call)
        equal([(trade["base_amount"], trade["counter_amount"]) for trade in trades], [("50.0000000", "55.0000000")], "trades")
    spans = records(server.trade_aggregations(eur, usd, 60_000))
    equal([(span["trade_count"], span["open"]) for span in spans], [("1", "1.1000000")], "aggregations")
    equal(types(server.effects().for_account(taker.public_key).order().limit(1)), ["trade"], "last effect")


@test("a passive offer waits, and is removed")
def passive():
    stand = builder(taker).append_create_passive_sell_offer_op(usd, Asset.native(), "1", "9")
    execute(stand, [taker])
    waiting = records(server.offers().for_seller(taker.public_key))
    equal(len(waiting), 1, "offers")
    remove = builder(taker).append_manage_sell_offer_op(usd, Asset.native(), "0", "9", int(waiting[0]["id"]))
    execute(remove, [taker])
    equal(records(server.offers().for_seller(taker.public_key)), [], "offers")


@test("path payments deliver another currency")
def path_payments():
    send = builder(taker).append_path_payment_strict_send_op(maker.public_key, usd, "11", eur, "10", [])
    execute(send, [taker])
    receive = builder(taker).append_path_payment_strict_receive_op(maker.public_key, usd, "6", eur, "5", [])
    execute(receive, [taker])
    paid = records(server.payments().for_account(taker.public_key).order().limit(2))
    equal([record["type"] for record in paid], ["path_payment_strict_receive", "path_payment_strict_send"], "payments")
    equal([(paid[0]["amount"], paid[0]["source_amount"])], [("5.0000000", "5.5000000")], "strict receive")
    dear = builder(taker).append_path_payment_strict_send_op(maker.public_key, usd, "1", eur, "1", [])
    refused(lambda: execute(dear, [taker]), {"transaction": "tx_failed", "operations": ["op_under_dest_min"]})


@test("ways from one currency to another are found")
def paths():
    sent = records(server.strict_send_paths(usd, "1.1", [eur]))
    equal([(path["destination_amount"], path["path"]) for path in sent], [("1.0000000", [])], "strict send")
    received = records(server.strict_receive_paths(taker.public_key, eur, "1"))
    ways = [(path["source_asset_code"], path["source_amount"]) for path in received if path["source_asset_type"] != "native"]
    assert ("USD", "1.1000000") in ways, ways


@test("claimable balances are made, claimed, and clawed back")
def claimable():
    make = builder(taker)
    for amount in ("7", "8", "9"):
        make.append_create_claimable_balance_op(usd, amount, [Claimant(maker.public_key)])
    execute(make, [taker])
    waiting = records(server.claimable_balances().for_claimant(maker.public_key))
    equal(sorted(balance["amount"] for balance in waiting), ["7.0000000", "8.0000000", "9.0000000"], "balances")
    equal(len(records(server.claimable_balances().for_sponsor(taker.public_key))), 3, "balances by sponsor")
    equal(len(records(server.claimable_balances().for_asset(usd))), 3, "balances by asset")
    by_amount = {balance["amount"]: balance["id"] for balance in waiting}
    execute(builder(maker).append_claim_claimable_balance_op(by_amount["7.0000000"]), [maker])
    execute(builder(issuer).append_clawback_claimable_balance_op(by_amount["8.0000000"]), [issuer])
    left = records(server.claimable_balances().for_claimant(maker.public_key))
    equal([balance["amount"] for balance in left], ["9.0000000"], "what is left")
    one = server.claimable_balances().claimable_balance(by_amount["9.0000000"]).call()
    equal(one["claimants"][0]["predicate"], {"unconditional": True}, "predicate")
    done = types(server.operations().for_claimable_balance(by_amount["7.0000000"]))
    equal(done, ["create_claimable_balance", "claim_claimable_balance"], "operations of the balance")


@test("a pool takes deposits, trades, and pays out")
def pool():
    opened = builder(maker).append_change_trust_op(shares)
    opened.append_liquidity_pool_deposit_op(shares.liquidity_pool_id, "100", "100", "0.5", "2")
    execute(opened, [maker])
    execute(builder(taker).append_path_payment_strict_send_op(maker.public_key, usd, "1", eur, "0.9", []), [taker])
    execute(builder(maker).append_liquidity_pool_withdraw_op(shares.liquidity_pool_id, "10", "0", "0"), [maker])
    one = server.liquidity_pools().liquidity_pool(shares.liquidity_pool_id).call()
    equal((one["total_shares"], one["total_trustlines"]), ("90.0000000", "1"), "pool")
    equal(len(records(server.liquidity_pools().for_account(maker.public_key))), 1, "pools of the account")
    equal(len(records(server.liquidity_pools().for_reserves([eur, usd]))), 1, "pools of the reserves")
    equal(len(records(server.trades().for_liquidity_pool(shares.liquidity_pool_id))), 1, "trades of the pool")
    done = types(server.effects().for_liquidity_pool(shares.liquidity_pool_id).order(desc=False))
    expected = ["liquidity_pool_created", "liquidity_pool_deposited", "liquidity_pool_trade", "liquidity_pool_withdrew"]
    equal(done, expected, "effects of the pool")
    equal(len(records(server.operations().for_liquidity_pool(shares.liquidity_pool_id))), 4, "operations of the pool")


@test("one account pays for the entries of another, and stops")
def sponsorship():
    sponsored = builder(taker).append_begin_sponsoring_future_reserves_op(poor.public_key)
    sponsored.append_create_account_op(poor.public_key, "10")
    sponsored.append_change_trust_op(usd, source=poor.public_key)
    sponsored.append_end_sponsoring_future_reserves_op(source=poor.public_key)
    execute(sponsored, [taker, poor])
    account = server.accounts().account_id(poor.public_key).call()
    equal((account["sponsor"], account["num_sponsored"]), (taker.public_key, 3), "sponsor")
    equal(len(records(server.accounts().for_sponsor(taker.public_key))), 1, "sponsored accounts")
    revoke = builder(taker).append_revoke_trustline_sponsorship_op(poor.public_key, usd)
    execute(revoke, [taker])
    equal(server.accounts().account_id(poor.public_key).call()["num_sponsored"], 2, "entries paid for")
    done = types(server.effects().for_account(poor.public_key).order().limit(1))
    equal(done, ["trustline_sponsorship_removed"], "effect")


@test("assets and their holders are listed with figures")
def assets():
    listed = records(server.assets().for_issuer(issuer.public_key))
    equal(sorted(asset["asset_code"] for asset in listed), ["EUR", "USD"], "codes")
    one = records(server.assets().for_code("USD").for_issuer(issuer.public_key))[0]
    equal(one["_links"]["toml"]["href"], "https://market.example/.well-known/stellar.toml", "toml")
    equal((one["accounts"]["authorized"], one["num_claimable_balances"], one["num_liquidity_pools"]), (3, 1, 1), "figures")
    equal(len(records(server.accounts().for_asset(usd))), 3, "holders")
    equal(len(records(server.accounts().for_signer(poor.public_key))), 1, "accounts by signer")


@test("failed operations and their transactions are shown on request")
def failed_and_joined():
    call = server.operations().for_account(taker.public_key).order().limit(50)
    without = len(records(call))
    shown = records(call.include_failed(True).join("transactions"))
    equal(len(shown) > without, True, "more with failed ones")
    assert all(record["transaction"]["hash"] == record["transaction_hash"] for record in shown)
    equal({record["transaction_successful"] for record in shown}, {True, False}, "success")


@test("pages of effects lead through everything, forwards and backwards")
def pages():
    def walk(desc):
        seen, call = [], server.effects().for_account(taker.public_key).order(desc=desc).limit(3)
        page = call.call()
        while page["_embedded"]["records"]:
            seen += [record["id"] for record in page["_embedded"]["records"]]
            page = call.next()
        return seen

    forwards, backwards = walk(False), walk(True)
    equal(forwards, list(reversed(backwards)), "both directions")
    equal(len(set(forwards)), len(forwards), "each once")


@test("trades are streamed, each once")
def stream_trades():
    last = records(server.trades().for_account(taker.public_key).order().limit(1))[0]["paging_token"]
    stream = server.trades().for_account(taker.public_key).cursor(last).stream()
    for _ in range(2):
        execute(builder(taker).append_path_payment_strict_send_op(maker.public_key, usd, "1", eur, "0.5", []), [taker])
    began, seen = time.monotonic(), []
    for trade in stream:
        seen.append(trade["id"])
        if len(seen) == 2 or time.monotonic() - began > PATIENCE_SECONDS:
            break
    equal(len(set(seen)), 2, "trades")
