// Offers, path payments, claimable balances, sponsorship and pools: each made, and then read from every collection in
// which it has to stand, also from the other node.

import { equal, execute, other, PATIENCE_MS, refused, sdk, server, shownByOther, test } from "./harness.mjs";

const { Asset, Claimant, getLiquidityPoolId, Keypair, LiquidityPoolAsset, LiquidityPoolFeeV18, Operation } = sdk;

const issuer = Keypair.random();
const maker = Keypair.random();
const taker = Keypair.random();
const poor = Keypair.random();
const usd = new Asset("USD", issuer.publicKey());
const eur = new Asset("EUR", issuer.publicKey());
const shares = new LiquidityPoolAsset(eur, usd, LiquidityPoolFeeV18);
// A Buffer in the older library, plain bytes in the newer.
const pool = Buffer.from(getLiquidityPoolId("constant_product", shares.getLiquidityPoolParameters())).toString("hex");
const known = {};

const records = async (call) => (await call.call()).records;
const types = async (call) => (await records(call)).map((record) => record.type);
const swap = (amount, least) =>
  Operation.pathPaymentStrictSend({
    sendAsset: usd, sendAmount: amount, destination: maker.publicKey(), destAsset: eur, destMin: least, path: [],
  });

await test("traders hold two currencies", async () => {
  for (const account of [issuer, maker, taker]) await server.friendbot(account.publicKey()).call();
  await execute(issuer, [Operation.setOptions({ setFlags: 10, homeDomain: "market.example" })]);
  for (const account of [maker, taker]) {
    await execute(account, [usd, eur].map((asset) => Operation.changeTrust({ asset })));
  }
  const pay = (account, asset, amount) => Operation.payment({ destination: account.publicKey(), asset, amount });
  const paid = await execute(issuer, [pay(taker, usd, "1000"), pay(maker, eur, "1000"), pay(maker, usd, "500")]);
  equal(paid.successful, true, "successful");
});

await test("an offer stands in the book, on every node", async () => {
  const sell = Operation.manageSellOffer({ selling: eur, buying: usd, amount: "100", price: { n: 11, d: 10 } });
  const sold = await execute(maker, [sell]);
  known.offer = sold.offerResults[0].currentOffer.offerId;
  await shownByOther(sold.hash);
  for (const source of [server, other]) {
    const offers = await records(source.offers().seller(maker.publicKey()));
    equal(offers.map((offer) => [offer.amount, offer.price]), [["100.0000000", "1.1000000"]], "offers");
  }
  equal((await server.offers().offer(known.offer).call()).seller, maker.publicKey(), "seller");
  equal((await records(server.offers().forAccount(maker.publicKey()))).length, 1, "offers of the account");
  equal((await records(server.offers().selling(eur).buying(usd))).length, 1, "offers of the pair");
  const book = await server.orderbook(eur, usd).call();
  equal(book.asks.map((ask) => [ask.price, ask.amount]), [["1.1000000", "100.0000000"]], "asks");
});

await test("offers are taken, and the trades listed", async () => {
  await execute(taker, [Operation.manageBuyOffer({ selling: usd, buying: eur, buyAmount: "50", price: "1.1" })]);
  for (const call of [
    server.trades().forAccount(taker.publicKey()),
    server.trades().forAccount(maker.publicKey()),
    server.trades().forOffer(known.offer),
    server.trades().forAssetPair(eur, usd),
    server.trades().forType("orderbook").forAccount(maker.publicKey()),
  ]) {
    const trades = (await records(call)).map((trade) => [trade.base_amount, trade.counter_amount]);
    equal(trades, [["50.0000000", "55.0000000"]], "trades");
  }
  const spans = await records(server.tradeAggregation(eur, usd, 0, Date.now() + 600_000, 60_000, 0));
  equal(spans.map((span) => [String(span.trade_count), span.open]), [["1", "1.1000000"]], "aggregations");
  equal(await types(server.effects().forAccount(taker.publicKey()).order("desc").limit(1)), ["trade"], "last effect");
});

await test("a passive offer waits, and is removed", async () => {
  const coins = Asset.native();
  await execute(taker, [Operation.createPassiveSellOffer({ selling: usd, buying: coins, amount: "1", price: "9" })]);
  const waiting = await records(server.offers().seller(taker.publicKey()));
  equal(waiting.length, 1, "offers");
  const offerId = waiting[0].id;
  await execute(taker, [Operation.manageSellOffer({ selling: usd, buying: coins, amount: "0", price: "9", offerId })]);
  equal(await records(server.offers().seller(taker.publicKey())), [], "offers");
});

await test("path payments deliver another currency", async () => {
  await execute(taker, [swap("11", "10")]);
  await execute(taker, [
    Operation.pathPaymentStrictReceive({
      sendAsset: usd, sendMax: "6", destination: maker.publicKey(), destAsset: eur, destAmount: "5", path: [],
    }),
  ]);
  const paid = await records(server.payments().forAccount(taker.publicKey()).order("desc").limit(2));
  equal(paid.map((record) => record.type), ["path_payment_strict_receive", "path_payment_strict_send"], "payments");
  equal([paid[0].amount, paid[0].source_amount], ["5.0000000", "5.5000000"], "strict receive");
  const codes = { transaction: "tx_failed", operations: ["op_under_dest_min"] };
  await refused(() => execute(taker, [swap("1", "1")]), codes);
});

await test("ways from one currency to another are found", async () => {
  const sent = await records(server.strictSendPaths(usd, "1.1", [eur]));
  equal(sent.map((path) => [path.destination_amount, path.path]), [["1.0000000", []]], "strict send");
  const received = await records(server.strictReceivePaths(taker.publicKey(), eur, "1"));
  const ways = received.filter((path) => path.source_asset_code === "USD").map((path) => path.source_amount);
  equal(ways, ["1.1000000"], "strict receive");
});

await test("claimable balances are made, claimed, and clawed back", async () => {
  const claimants = [new Claimant(maker.publicKey())];
  const make = (amount) => Operation.createClaimableBalance({ asset: usd, amount, claimants });
  await execute(taker, ["7", "8", "9"].map(make));
  const waiting = await records(server.claimableBalances().claimant(maker.publicKey()));
  equal(waiting.map((balance) => balance.amount).sort(), ["7.0000000", "8.0000000", "9.0000000"], "balances");
  equal((await records(server.claimableBalances().sponsor(taker.publicKey()))).length, 3, "balances by sponsor");
  equal((await records(server.claimableBalances().asset(usd))).length, 3, "balances by asset");
  const id = (amount) => waiting.find((balance) => balance.amount === amount).id;
  await execute(maker, [Operation.claimClaimableBalance({ balanceId: id("7.0000000") })]);
  await execute(issuer, [Operation.clawbackClaimableBalance({ balanceId: id("8.0000000") })]);
  const left = await records(server.claimableBalances().claimant(maker.publicKey()));
  equal(left.map((balance) => balance.amount), ["9.0000000"], "what is left");
  const one = await server.claimableBalances().claimableBalance(id("9.0000000")).call();
  equal(one.claimants[0].predicate, { unconditional: true }, "predicate");
  const done = await types(server.operations().forClaimableBalance(id("7.0000000")).order("asc"));
  equal(done, ["create_claimable_balance", "claim_claimable_balance"], "operations of the balance");
});

await test("a pool takes deposits, trades, and pays out", async () => {
  const deposit = Operation.liquidityPoolDeposit({
    liquidityPoolId: pool, maxAmountA: "100", maxAmountB: "100", minPrice: "0.5", maxPrice: "2",
  });
  await execute(maker, [Operation.changeTrust({ asset: shares }), deposit]);
  await execute(taker, [swap("1", "0.9")]);
  const withdraw = { liquidityPoolId: pool, amount: "10", minAmountA: "0", minAmountB: "0" };
  await execute(maker, [Operation.liquidityPoolWithdraw(withdraw)]);
  const one = await server.liquidityPools().liquidityPoolId(pool).call();
  equal([one.total_shares, String(one.total_trustlines)], ["90.0000000", "1"], "pool");
  equal((await records(server.liquidityPools().forAccount(maker.publicKey()))).length, 1, "pools of the account");
  equal((await records(server.liquidityPools().forAssets(eur, usd))).length, 1, "pools of the reserves");
  equal((await records(server.trades().forLiquidityPool(pool))).length, 1, "trades of the pool");
  const done = await types(server.effects().forLiquidityPool(pool).order("asc"));
  const expected = ["created", "deposited", "trade", "withdrew"].map((name) => `liquidity_pool_${name}`);
  equal(done, expected, "effects of the pool");
  equal((await records(server.operations().forLiquidityPool(pool))).length, 4, "operations of the pool");
});

await test("one account pays for the entries of another, and stops", async () => {
  const source = poor.publicKey();
  const sponsored = [
    Operation.beginSponsoringFutureReserves({ sponsoredId: source }),
    Operation.createAccount({ destination: source, startingBalance: "10" }),
    Operation.changeTrust({ asset: usd, source }),
    Operation.endSponsoringFutureReserves({ source }),
  ];
  await execute(taker, sponsored, { signers: [taker, poor] });
  const account = await server.loadAccount(source);
  equal([account.sponsor, account.num_sponsored], [taker.publicKey(), 3], "sponsor");
  equal((await records(server.accounts().sponsor(taker.publicKey()))).length, 1, "sponsored accounts");
  await execute(taker, [Operation.revokeTrustlineSponsorship({ account: source, asset: usd })]);
  equal((await server.loadAccount(source)).num_sponsored, 2, "entries paid for");
  const last = await types(server.effects().forAccount(source).order("desc").limit(1));
  equal(last, ["trustline_sponsorship_removed"], "effect");
});

await test("assets and their holders are listed with figures", async () => {
  const listed = await records(server.assets().forIssuer(issuer.publicKey()));
  equal(listed.map((asset) => asset.asset_code).sort(), ["EUR", "USD"], "codes");
  const [one] = await records(server.assets().forCode("USD").forIssuer(issuer.publicKey()));
  const figures = [one.accounts.authorized, one.num_claimable_balances, one.num_liquidity_pools];
  equal(figures, [3, 1, 1], "figures");
  equal((await records(server.accounts().forAsset(usd))).length, 3, "holders");
  equal((await records(server.accounts().forSigner(poor.publicKey()))).length, 1, "accounts by signer");
});

await test("failed operations and their transactions are shown on request", async () => {
  const call = () => server.operations().forAccount(taker.publicKey()).order("desc").limit(50);
  const without = (await records(call())).length;
  const shown = await records(call().includeFailed(true).join("transactions"));
  equal(shown.length > without, true, "more with failed ones");
  equal([...new Set(shown.map((record) => record.transaction_successful))].sort(), [false, true], "success");
});

await test("pages of effects lead through everything, forwards and backwards", async () => {
  const walk = async (order) => {
    const seen = [];
    let page = await server.effects().forAccount(taker.publicKey()).order(order).limit(3).call();
    for (; page.records.length > 0; page = await page.next()) seen.push(...page.records.map((record) => record.id));
    return seen;
  };
  const [forwards, backwards] = [await walk("asc"), await walk("desc")];
  equal(forwards, backwards.reverse(), "both directions");
  equal(new Set(forwards).size, forwards.length, "each once");
});

await test("trades are streamed, each once", async () => {
  const [last] = await records(server.trades().forAccount(taker.publicKey()).order("desc").limit(1));
  const seen = [];
  await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${seen.length} trades came`)), PATIENCE_MS);
    const close = server.trades().forAccount(taker.publicKey()).cursor(last.paging_token).stream({
      onmessage: (trade) => {
        seen.push(trade.id);
        if (seen.length < 2) return;
        clearTimeout(timer);
        close();
        resolve();
      },
    });
    (async () => {
      for (let count = 0; count < 2; count += 1) await execute(taker, [swap("1", "0.5")]);
    })().catch(reject);
  });
  equal(new Set(seen).size, 2, "trades");
});
