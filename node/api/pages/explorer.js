// The explorer: what happens now, and everything that can be looked up.

import { h, fill, section, table } from "./dom.js";
import { find, follow, records, Refused } from "./api.js";
import { amount, count, plural, short, time } from "./format.js";
import { connection } from "./link.js";
import { account, asset, facts, hashed, ledger, operation, transaction, when, word } from "./things.js";
import { receipt } from "./receipt.js";

export const title = "Explorer";
export const names = ["explorer", "search", "tx", "ledger", "account"];

/** Shows the page until `signal` says stop. */
export async function show(main, signal, name, argument) {
  const page = { search, tx, ledger: oneLedger, account: oneAccount }[name] ?? overview;
  fill(main, h("p", { class: "muted" }, "Looking…"));
  await page(main, signal, argument);
}

const missing = (main, what) => fill(main, h("div", { class: "state" }, h("h1", null, "Nothing found"), h("p", null, what)));

/** What happens now: the newest ledgers and operations, once a second. */
async function overview(main, signal) {
  const [ledgers, operations] = [h("div"), h("div")];
  fill(main, h("h1", null, "Explorer"), h("p", { class: "muted" }, "Search above for a ledger’s number, a transaction’s hash, an account, an asset’s code or a name such as alice*bank.example."),
    h("div", { class: "two wide-right" }, section("Ledgers", null, ledgers), section("Operations", null, operations)));
  let due = 0;
  const draw = async () => {
    due = 0;
    const [newest, done] = await Promise.all([records("/ledgers?order=desc&limit=15", signal), records("/operations?order=desc&limit=15&include_failed=true", signal)]);
    fill(ledgers, table("Newest ledgers", [["Ledger"], ["Closed"], ["Transactions", { num: true }]], newest.map((one) =>
      [ledger(one.sequence), time(one.closed_at).slice(11), count(one.successful_transaction_count + one.failed_transaction_count)])));
    fill(operations, table("Newest operations", [["Transaction"], ["Operation"]], done.map((op) => [transaction(op.transaction_hash), operation(op)])));
  };
  await draw();
  await follow("/ledgers?cursor=now&limit=200", signal, () => { due ||= setTimeout(() => draw().catch(() => {}), 1_000); }, connection);
}

/** Finds out what was meant, and goes there. */
async function search(main, signal, wanted) {
  document.querySelector("#search input").value = wanted;
  const go = (address) => location.replace(address);
  if (/^\d{1,3}(,?\d{3})*$|^\d+$/.test(wanted)) return go(`#/ledger/${wanted.replaceAll(",", "")}`);
  if (/^[0-9a-f]{64}$/i.test(wanted)) return go(`#/tx/${wanted.toLowerCase()}`);
  if (/^G[A-Z2-7]{55}$/.test(wanted)) return go(`#/account/${wanted}`);
  const pair = wanted.match(/^([A-Za-z0-9]{1,12})[:-](G[A-Z2-7]{55})$/);
  if (pair) return go(`#/asset/${pair[1]}:${pair[2]}`);
  if (/^(native|diam)$/i.test(wanted)) return go("#/asset/native");
  if (wanted.includes("*")) {
    const named = await find(`/federation?type=name&q=${encodeURIComponent(wanted)}`, signal);
    return named ? go(`#/account/${named.account_id}`) : missing(main, `This node’s bank knows nobody by the name ${wanted}.`);
  }
  if (/^[A-Za-z0-9]{1,12}$/.test(wanted)) {
    const codes = [...new Set([wanted, wanted.toUpperCase()])];
    const found = (await Promise.all(codes.map((one) => records(`/assets?asset_code=${one}&limit=50`, signal)))).flat();
    if (found.length === 1) return go(`#/asset/${word(found[0])}`);
    if (found.length > 1) {
      return fill(main, h("h1", null, `Assets called ${wanted}`), table("Assets", [["Asset"], ["Issuer"]], found.map((one) => [asset(word(one)), account(one.asset_issuer)])));
    }
  }
  missing(main, `“${wanted}” is no ledger’s number, transaction’s hash (64 hexadecimal digits), account (G…), name (alice*bank.example) or asset’s code.`);
}

async function tx(main, signal, hash) {
  const found = await find(`/transactions/${hash}`, signal);
  if (!found) return missing(main, "No transaction with this hash was applied here. A hash has 64 hexadecimal digits.");
  const [operations, effects] = await Promise.all([records(`/transactions/${hash}/operations?limit=100`, signal), records(`/transactions/${hash}/effects?limit=100`, signal)]).catch(withoutHistory);
  const proof = h("div");
  fill(main,
    h("p", { class: "crumb" }, "Transaction"),
    h("div", { class: `state ${found.successful ? "good" : "bad"}` },
      h("h1", null, found.successful ? "Settled" : "Failed", " in ledger ", ledger(found.ledger)), h("p", null, hashed(found.hash))),
    section(plural(found.operation_count, "operation"), found.successful ? null : "None of them took effect; the fee was charged.", h("ol", { class: "operations" }, operations.map((op) => h("li", null, operation(op))))),
    section("Receipt", "The proof of this outcome, for anybody who holds the genesis file.", proof),
    section("Details", null, facts([
      ["Applied", when(found.created_at)], ["Source", account(found.source_account)], ["Sequence number", found.source_account_sequence],
      ["Fee charged", `${amount(stroops(found.fee_charged))} DIAM of at most ${amount(stroops(found.max_fee))}`],
      found.fee_account !== found.source_account ? ["Fee paid by", account(found.fee_account)] : ["", null],
      ["Memo", found.memo_type === "none" ? null : `${found.memo ?? ""} (${found.memo_type})`], ["Signatures", count(found.signatures.length)],
      ["Valid after", found.preconditions?.timebounds?.min_time && found.preconditions.timebounds.min_time !== "0" ? time(new Date(found.preconditions.timebounds.min_time * 1000).toISOString()) : null],
      ["Valid before", found.preconditions?.timebounds?.max_time ? time(new Date(found.preconditions.timebounds.max_time * 1000).toISOString()) : null],
    ])),
    section("Effects", null, table("Effects", [["Account"], ["What"], ["Amount", { num: true }]], effects.map((one) => [account(one.account), one.type.replaceAll("_", " "), one.amount ? [amount(one.amount), " ", one.asset_type ? asset(word(one)) : ""] : one.starting_balance ? amount(one.starting_balance) : "–"]), { empty: "None." })),
    h("p", null, h("a", { href: `/transactions/${hash}` }, "JSON")));
  await receipt(proof, hash, signal);
}

const stroops = (text) => (Number(text) / 1e7).toFixed(7);

/** A node that keeps no history shows the transaction alone. */
function withoutHistory(error) {
  if (error instanceof Refused && error.status === 404) return [[], []];
  throw error;
}

async function oneLedger(main, signal, sequence) {
  const found = await find(`/ledgers/${sequence}`, signal);
  if (!found) return missing(main, `There is no closed ledger ${sequence} here.`);
  const applied = await records(`/ledgers/${sequence}/transactions?limit=200&include_failed=true`, signal);
  const number = Number(sequence);
  fill(main,
    h("p", { class: "crumb" }, "Ledger"), h("h1", null, count(number)),
    h("p", null, number > 1 && h("a", { href: `#/ledger/${number - 1}`, rel: "prev" }, "‹ before"), " ", h("a", { href: `#/ledger/${number + 1}`, rel: "next" }, "after ›")),
    facts([["Closed", when(found.closed_at)], ["Hash", hashed(found.hash)], ["Before", found.prev_hash && hashed(found.prev_hash)],
      ["Transactions", `${count(found.successful_transaction_count)} settled, ${count(found.failed_transaction_count)} failed`], ["Operations", count(found.operation_count)],
      ["Coins", `${amount(found.total_coins)} DIAM, of these ${amount(found.fee_pool)} in the fee pool`], ["Rules", `protocol ${found.protocol_version}`]]),
    section("Transactions", applied.length === 200 ? "The first 200." : null, table("Transactions", [["Transaction"], ["Source"], ["Operations", { num: true }], ["Outcome"]], applied.map((one) =>
      [transaction(one.hash), account(one.source_account), count(one.operation_count), one.successful ? h("span", { class: "good" }, "settled") : h("span", { class: "bad" }, "failed")]), { empty: "None: a heartbeat." })),
    h("p", null, h("a", { href: `/ledgers/${sequence}` }, "JSON")));
}

async function oneAccount(main, signal, id) {
  const found = await find(`/accounts/${id}`, signal);
  if (!found) return missing(main, "There is no such account now; it may have been merged into another.");
  const operations = h("div");
  const draw = async () => {
    const done = await records(`/accounts/${id}/operations?order=desc&limit=25&include_failed=true`, signal).catch((error) => withoutHistory(error)[0]);
    fill(operations, table("Operations", [["When"], ["Transaction"], ["Operation"]], done.map((op) => [time(op.created_at), transaction(op.transaction_hash), operation(op)])));
  };
  const top = h("div");
  const head = (now) => fill(top,
    section("Balances", null, table("Balances", [["Asset"], ["Balance", { num: true }], ["In offers", { num: true, help: "Selling liabilities" }], ["Limit", { num: true }]], now.balances.map((one) => {
      const pool = one.asset_type === "liquidity_pool_shares";
      return [pool ? h("span", { class: "mono", title: one.liquidity_pool_id }, `pool ${short(one.liquidity_pool_id)}`) : asset(word(one)), amount(one.balance), pool ? "–" : amount(one.selling_liabilities ?? "0"), one.limit ? amount(one.limit) : "–"];
    }))),
    section("Signers", `Thresholds: low ${now.thresholds.low_threshold}, medium ${now.thresholds.med_threshold}, high ${now.thresholds.high_threshold}.`,
      table("Signers", [["Key"], ["Weight", { num: true }]], now.signers.map((one) => [h("span", { class: "mono", title: one.key }, short(one.key)), one.weight]))));
  head(found);
  fill(main, h("p", { class: "crumb" }, "Account"), h("h1", { class: "long" }, hashed(id)),
    facts([["Sequence number", found.sequence], ["Home domain", found.home_domain || null], ["Entries", count(found.subentry_count)],
      ["Flags", Object.entries(found.flags).filter(([, on]) => on).map(([flag]) => flag.replaceAll("_", " ")).join(", ") || null]]),
    top, section("Operations", "The newest 25, live.", operations), h("p", null, h("a", { href: `/accounts/${id}` }, "JSON")));
  await draw();
  await follow(`/accounts/${id}?limit=200`, signal, (now) => { head(now); draw().catch(() => {}); }, connection);
}
