// How accounts, assets, transactions and operations are named and linked on all pages.

import { h } from "./dom.js";
import { amount, short, time } from "./format.js";

/** A button that copies an id. */
export function copy(id) {
  const button = h("button", { type: "button", class: "copy", "aria-label": `Copy ${id}`, title: "Copy" }, "copy");
  button.addEventListener("click", async () => {
    await navigator.clipboard?.writeText(id);
    button.textContent = "copied";
    setTimeout(() => (button.textContent = "copy"), 1_200);
  });
  return button;
}

export const account = (id) => h("a", { href: `#/account/${id}`, class: "mono", title: id }, short(id));
export const transaction = (hash, chars = 8) => h("a", { href: `#/tx/${hash}`, class: "mono", title: hash }, short(hash, chars, chars > 20 ? 0 : 4));
export const ledger = (sequence) => h("a", { href: `#/ledger/${sequence}` }, String(sequence).replace(/\B(?=(\d{3})+$)/g, ","));
export const hashed = (id) => h("span", { class: "whole" }, h("code", null, id), copy(id));

/** An asset in one word: "native", or code, colon, issuer. */
export function word(fields, prefix = "") {
  return fields[`${prefix}asset_type`] === "native" ? "native" : `${fields[`${prefix}asset_code`]}:${fields[`${prefix}asset_issuer`]}`;
}

export const code = (asset) => (asset === "native" ? "DIAM" : asset.split(":")[0]);
export const issuer = (asset) => (asset === "native" ? null : asset.split(":")[1]);
export const asset = (name) => h("a", { href: `#/asset/${encodeURIComponent(name)}`, title: issuer(name) ? `issued by ${issuer(name)}` : "the native coin" }, code(name));

/** An amount with its asset. */
export const money = (text, name) => h("span", { class: "money" }, amount(text), " ", asset(name));

/** The parameters that name an asset in three. */
export function typed(prefix, name) {
  if (name === "native") return `${prefix}asset_type=native`;
  const kind = code(name).length > 4 ? "credit_alphanum12" : "credit_alphanum4";
  return `${prefix}asset_type=${kind}&${prefix}asset_code=${code(name)}&${prefix}asset_issuer=${issuer(name)}`;
}

const is = (op) => word(op);
const sentences = {
  create_account: (op) => [account(op.funder), " creates ", account(op.account), " with ", money(op.starting_balance, "native")],
  payment: (op) => [account(op.from), " pays ", money(op.amount, is(op)), " to ", account(op.to)],
  path_payment_strict_send: (op) => [account(op.from), " pays ", money(op.source_amount, word(op, "source_")), " and ", account(op.to), " gets ", money(op.amount, is(op))],
  path_payment_strict_receive: (op) => [account(op.from), " pays ", money(op.source_amount, word(op, "source_")), " and ", account(op.to), " gets ", money(op.amount, is(op))],
  account_merge: (op) => [account(op.account), " is merged into ", account(op.into)],
  change_trust: (op) => [account(op.trustor), " trusts ", op.asset_type === "liquidity_pool_shares" ? "a pool" : asset(is(op)), " up to ", amount(op.limit)],
  allow_trust: (op) => [account(op.trustee), op.authorize ? " authorises " : " ends the authorisation of ", account(op.trustor), " for ", asset(is(op))],
  set_trust_line_flags: (op) => [account(op.source_account), " sets the authorisation of ", account(op.trustor), " for ", asset(is(op))],
  clawback: (op) => [account(op.source_account), " takes ", money(op.amount, is(op)), " back from ", account(op.from)],
  manage_sell_offer: (op) => offer(op, "offers to sell"),
  create_passive_sell_offer: (op) => offer(op, "offers, passively, to sell"),
  manage_buy_offer: (op) => [account(op.source_account), Number(op.amount) === 0 ? ` withdraws offer ${op.offer_id}` : [" offers to buy ", money(op.amount, word(op, "buying_")), " for ", asset(word(op, "selling_")), ` at ${op.price}`]],
  set_options: (op) => [account(op.source_account), " sets options of its account"],
  manage_data: (op) => [account(op.source_account), op.value === null ? " deletes " : " sets ", "the data entry ", h("code", null, op.name)],
  bump_sequence: (op) => [account(op.source_account), ` moves its sequence number to ${op.bump_to}`],
  create_claimable_balance: (op) => [account(op.source_account), " sets aside ", money(op.amount, op.asset), " to be claimed"],
  claim_claimable_balance: (op) => [account(op.claimant), " claims a balance"],
  liquidity_pool_deposit: (op) => [account(op.source_account), " deposits into a pool"],
  liquidity_pool_withdraw: (op) => [account(op.source_account), " withdraws from a pool"],
};

function offer(op, words) {
  if (Number(op.amount) === 0) return [account(op.source_account), ` withdraws offer ${op.offer_id}`];
  return [account(op.source_account), ` ${words} `, money(op.amount, word(op, "selling_")), " for ", asset(word(op, "buying_")), ` at ${op.price}`];
}

/** An operation in a sentence. */
export function operation(op) {
  const sentence = sentences[op.type];
  return h("span", null, sentence ? sentence(op) : [account(op.source_account), " ", op.type.replaceAll("_", " ")], !op.transaction_successful && h("span", { class: "tag bad" }, "failed"));
}

/** A list of names and values. */
export const facts = (pairs) => h("dl", { class: "facts" }, pairs.filter(([, value]) => value !== null && value !== undefined && value !== false).map(([name, value]) => [h("dt", null, name), h("dd", null, value)]));

export const when = (iso) => h("time", { datetime: iso }, `${time(iso)} UTC`);
