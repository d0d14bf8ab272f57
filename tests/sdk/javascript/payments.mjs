// Accounts, payments, signers, fee bumps, streams, and what is refused. Two nodes are used: what is submitted to the one
// must be readable from the other.

import {
  balanceOf, build, equal, execute, networkPassphrase, other, PATIENCE_MS, refused, restartOther, sdk, server,
  shownByOther, test,
} from "./harness.mjs";

const { Asset, Keypair, Memo, NotFoundError, Operation, TransactionBuilder } = sdk;

const anchor = Keypair.random();
const alice = Keypair.random();
const bob = Keypair.random();
const joint = Keypair.random();
const officers = [Keypair.random(), Keypair.random()];
const eur = new Asset("EUR", anchor.publicKey());

const pay = (destination, amount, asset = eur) => Operation.payment({ destination: destination.publicKey(), asset, amount });

await test("root names the network", async () => {
  const root = await server.root();
  equal(root.network_passphrase, networkPassphrase, "network_passphrase");
});

await test("friendbot gives coins, and the account loads", async () => {
  await server.friendbot(anchor.publicKey()).call();
  const account = await server.loadAccount(anchor.publicKey());
  equal(account.accountId(), anchor.publicKey(), "account id");
  if (!(Number(await balanceOf(server, anchor, Asset.native())) > 100)) throw new Error("no coins");
});

await test("accounts are created", async () => {
  const create = (account) => Operation.createAccount({ destination: account.publicKey(), startingBalance: "100.0000001" });
  const created = await execute(anchor, [alice, bob, joint].map(create));
  equal(created.successful, true, "successful");
  equal(await balanceOf(server, alice, Asset.native()), "100.0000001", "balance");
});

await test("trustlines are set", async () => {
  for (const account of [alice, bob, joint]) {
    await execute(account, [Operation.changeTrust({ asset: eur, limit: "5000" })]);
  }
  equal(await balanceOf(server, alice, eur), "0.0000000", "balance");
});

await test("an asset is issued and paid, and another node shows it", async () => {
  await execute(anchor, [pay(alice, "1000"), pay(joint, "500")]);
  const paid = await execute(alice, [pay(bob, "12.3456789")], { memo: Memo.text("rent") });
  const shown = await shownByOther(paid.hash);
  equal([shown.successful, shown.memo, shown.ledger_attr], [true, "rent", paid.ledger], "transaction");
  equal(await balanceOf(other, bob, eur), "12.3456789", "balance of bob");
  equal(await balanceOf(other, alice, eur), "987.6543211", "balance of alice");
});

await test("a payment shows up in the histories", async () => {
  const payments = await server.payments().forAccount(bob.publicKey()).order("desc").limit(1).call();
  equal([payments.records[0].type, payments.records[0].amount], ["payment", "12.3456789"], "payment");
  const operations = await server.operations().forAccount(bob.publicKey()).order("asc").limit(5).call();
  equal(operations.records.map((record) => record.type), ["create_account", "change_trust", "payment"], "operations");
  const transactions = await server.transactions().forAccount(bob.publicKey()).order("asc").limit(5).call();
  equal(transactions.records.length, 3, "transactions");
  const ledger = await server.ledgers().order("desc").limit(1).call();
  if (!(ledger.records[0].sequence > 1)) throw new Error("no ledger");
});

await test("two of three signatures move money", async () => {
  const signer = (key) => Operation.setOptions({ signer: { ed25519PublicKey: key.publicKey(), weight: 1 } });
  const thresholds = Operation.setOptions({ masterWeight: 1, lowThreshold: 2, medThreshold: 2, highThreshold: 2 });
  await execute(joint, [...officers.map(signer), thresholds]);
  const paid = await execute(joint, [pay(bob, "7")], { signers: officers });
  equal(paid.successful, true, "successful");
  const account = await server.loadAccount(joint.publicKey());
  equal([account.signers.length, account.thresholds.med_threshold], [3, 2], "signers and threshold");
});

await test("a fee bump lets another pay", async () => {
  const before = await balanceOf(server, alice, Asset.native());
  const inner = await build(alice, [pay(bob, "1")]);
  inner.sign(alice);
  const outer = TransactionBuilder.buildFeeBumpTransaction(anchor, "400", inner, networkPassphrase);
  outer.sign(anchor);
  const paid = await server.submitTransaction(outer);
  equal(paid.successful, true, "successful");
  equal(await balanceOf(server, alice, Asset.native()), before, "native balance of alice");
  const shown = await server.transactions().transaction(paid.hash).call();
  equal(shown.fee_account, anchor.publicKey(), "fee account");
});

await test("payments are streamed, each once", async () => {
  const last = await server.payments().forAccount(bob.publicKey()).order("desc").limit(1).call();
  const seen = [];
  let arrived;
  const all = new Promise((resolve, reject) => {
    arrived = resolve;
    setTimeout(() => reject(new Error(`only ${seen.length} of 3 came within ${PATIENCE_MS} ms`)), PATIENCE_MS).unref();
  });
  const close = server
    .payments()
    .forAccount(bob.publicKey())
    .cursor(last.records[0].paging_token)
    .stream({
      onmessage: (record) => {
        seen.push(record.transaction_hash);
        if (seen.length === 3) arrived();
      },
    });
  const sent = [];
  for (const amount of ["0.1", "0.2", "0.3"]) sent.push((await execute(alice, [pay(bob, amount)])).hash);
  try {
    await all;
  } finally {
    close();
  }
  equal(seen, sent, "streamed payments");
});

await test("a stream goes on through a restart of its node, each payment once", async () => {
  const { hash } = await execute(alice, [pay(bob, "0.4")]);
  await shownByOther(hash);
  const { records } = await other.payments().forTransaction(hash).call();
  const seen = [];
  let arrived;
  const all = new Promise((resolve, reject) => {
    arrived = resolve;
    setTimeout(() => reject(new Error(`only ${seen.length} of 4 came within ${2 * PATIENCE_MS} ms`)), 2 * PATIENCE_MS).unref();
  });
  const close = other
    .payments()
    .forAccount(bob.publicKey())
    .cursor(records[0].paging_token)
    .stream({
      onmessage: (record) => {
        seen.push(record.transaction_hash);
        if (seen.length === 4) arrived();
      },
    });
  const sent = [(await execute(alice, [pay(bob, "0.5")])).hash];
  const restarted = restartOther();
  for (const amount of ["0.6", "0.7"]) sent.push((await execute(alice, [pay(bob, amount)])).hash);
  await restarted;
  sent.push((await execute(alice, [pay(bob, "0.8")])).hash);
  try {
    await all;
  } finally {
    close();
  }
  equal(seen, sent, "streamed payments");
});

await test("a payment of too much fails: op_underfunded", () =>
  refused(() => execute(alice, [pay(bob, "4000")]), { transaction: "tx_failed", operations: ["op_underfunded"] }));

await test("a payment to a stranger of the asset fails: op_no_trust", async () => {
  const stranger = Keypair.random();
  await server.friendbot(stranger.publicKey()).call();
  await refused(() => execute(alice, [pay(stranger, "1")]), { transaction: "tx_failed", operations: ["op_no_trust"] });
});

await test("a second account of one address fails: op_already_exists", () =>
  refused(
    () => execute(alice, [Operation.createAccount({ destination: bob.publicKey(), startingBalance: "5" })]),
    { transaction: "tx_failed", operations: ["op_already_exists"] },
  ));

await test("one signature of three is refused: tx_bad_auth", () =>
  refused(() => execute(joint, [pay(bob, "1")], { signers: [officers[0]] }), { transaction: "tx_bad_auth" }));

await test("an old sequence number is refused: tx_bad_seq", async () => {
  const account = await server.loadAccount(alice.publicKey());
  await execute(alice, [pay(bob, "1")]);
  // Another amount: the same one within the same second would be the same transaction, which is answered again.
  await refused(() => execute(alice, [pay(bob, "2")], { account }), { transaction: "tx_bad_seq" });
});

await test("too small a fee is refused: tx_insufficient_fee", () =>
  refused(() => execute(alice, [pay(bob, "1")], { fee: "1" }), { transaction: "tx_insufficient_fee" }));

await test("the same bytes again give the same answer and move nothing", async () => {
  const transaction = await build(alice, [pay(bob, "1")]);
  transaction.sign(alice);
  const first = await server.submitTransaction(transaction);
  const balance = await balanceOf(server, bob, eur);
  const second = await other.submitTransaction(transaction);
  equal([second.hash, second.ledger], [first.hash, first.ledger], "answer");
  equal(await balanceOf(server, bob, eur), balance, "balance of bob");
});

await test("an account that is not there is not found", async () => {
  try {
    await server.loadAccount(Keypair.random().publicKey());
  } catch (error) {
    if (error instanceof NotFoundError) return;
    throw error;
  }
  throw new Error("it was found");
});
