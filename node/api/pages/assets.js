// The assets: how much there is and who has it, what was paid with it, and what it trades at.

import { h, s, fill, figure, section, table } from "./dom.js";
import { find, follow, get, records } from "./api.js";
import { bars, ceiling, lines } from "./chart.js";
import { amount, count, fromUnits, headline, plural, short, time, units } from "./format.js";
import { connection } from "./link.js";
import { account, asset, code, issuer, typed, word } from "./things.js";

export const title = "Assets";
export const names = ["assets", "asset"];

/** The most holders that are counted again on this page. */
const HOLDERS_MAX = 1_000;
/** Between two looks while the ledger moves. */
const EVERY_MS = 2_000;

/** Shows the page until `signal` says stop. */
export async function show(main, signal, name, argument) {
  fill(main, h("p", { class: "muted" }, "Looking…"));
  await (name === "asset" && argument ? one(main, signal, argument) : all(main, signal));
}

/** Calls `draw` now and, while the ledger moves, again and again. */
async function live(signal, draw) {
  await draw();
  let due = 0;
  await follow("/ledgers?cursor=now&limit=200", signal, () => {
    due ||= setTimeout(() => { due = 0; if (!signal.aborted) draw().catch(() => connection(false)); }, EVERY_MS);
  }, connection);
}

const sum = (texts) => texts.reduce((total, text) => total + units(text), 0n);
const held = (found) => sum(Object.values(found.balances));
const supply = (found) => held(found) + sum([found.claimable_balances_amount, found.liquidity_pools_amount]);
const lineCount = (found) => Object.values(found.accounts).reduce((total, one) => total + one, 0);

/** How often the supply changed hands in a day. */
function velocity(paid, total) {
  if (total === 0n) return "–";
  const hundredths = (units(paid) * 100n) / total;
  return hundredths === 0n && units(paid) > 0n ? "< 0.01" : (Number(hundredths) / 100).toFixed(2);
}

const covered = (activity) => (activity.complete ? "the last 24 hours" : `the newest ${count(activity.payments_max)} payments, since ${time(activity.since)} UTC`);

async function all(main, signal) {
  const place = h("div");
  fill(main, h("h1", null, "Assets"), place);
  await live(signal, async () => {
    const [found, activity, [ledger]] = await Promise.all([records("/assets?limit=200", signal), get("/activity", signal), records("/ledgers?order=desc&limit=1", signal)]);
    const paid = Object.fromEntries(activity.assets.map((one) => [one.asset, one]));
    const row = (name, total, holders) => {
      const lately = paid[name];
      const failed = lately?.failed.reduce((all, one) => all + one.count, 0) ?? 0;
      return [asset(name), issuer(name) ? account(issuer(name)) : h("span", { class: "muted" }, "native coin"), amount(fromUnits(total)), holders, count(lately?.payments ?? 0), amount(lately?.amount ?? "0"), velocity(lately?.amount ?? "0", total), count(failed)];
    };
    const rows = [row("native", ledger ? units(ledger.total_coins) : 0n, "–"), ...found.map((one) => row(word(one), supply(one), count(lineCount(one))))];
    fill(place, h("p", { class: "note" }, `Payments are those of ${covered(activity)}.`), table("Assets", [["Asset"], ["Issuer"], ["Supply", { num: true }], ["Holders", { num: true, help: "Accounts with a trustline" }], ["Payments", { num: true }], ["Paid", { num: true }], ["Velocity", { num: true, help: "Paid in the time looked at, as a part of the supply" }], ["Failed", { num: true }]], rows, { kind: "cards" }));
  });
}

async function one(main, signal, name) {
  const parts = Object.fromEntries(["figures", "supply", "holders", "payments", "matrix"].map((part) => [part, h("div")]));
  const trading = await market(name, signal);
  fill(main, h("p", { class: "crumb" }, "Asset"), h("h1", null, code(name)),
    h("p", null, issuer(name) ? ["Issued by ", account(issuer(name))] : "The native coin"),
    parts.figures, parts.supply, parts.holders, trading.place, parts.payments, parts.matrix);
  let recounted = null;
  let recountAt = 0;
  await live(signal, async () => {
    const figures = issuer(name) ? (await records(`/assets?asset_code=${code(name)}&asset_issuer=${issuer(name)}`, signal))[0] : null;
    const [[ledger], activity] = await Promise.all([records("/ledgers?order=desc&limit=1", signal), get(`/activity?asset=${encodeURIComponent(name)}`, signal)]);
    const total = figures ? supply(figures) : name === "native" && ledger ? units(ledger.total_coins) : 0n;
    draw(parts, name, total, figures, ledger, activity, recounted);
    await trading.draw();
    if (figures && Date.now() > recountAt) {
      recounted = await recount(name, figures, signal);
      recountAt = Date.now() + 15_000;
      draw(parts, name, total, figures, ledger, activity, recounted);
    }
  });
}

/**
 * Adds the holders' balances up, account by account, and compares with the figure that the node keeps. Money that moves between two
 * pages would be counted twice or never; then it is tried again.
 */
async function recount(name, figures, signal) {
  if (lineCount(figures) > HOLDERS_MAX) return { state: "many" };
  for (let tries = 0; tries < 3; tries++) {
    const holders = [];
    for (let cursor = ""; ; ) {
      const page = await records(`/accounts?asset=${encodeURIComponent(name)}&limit=200&cursor=${cursor}`, signal);
      holders.push(...page.map((one) => [one.account_id, units(one.balances.find((line) => line.asset_type !== "native" && line.asset_code && word(line) === name).balance)]));
      if (page.length < 200) break;
      cursor = page.at(-1).paging_token;
    }
    const [now] = await records(`/assets?asset_code=${code(name)}&asset_issuer=${issuer(name)}`, signal);
    const counted = holders.reduce((total, [, balance]) => total + balance, 0n);
    holders.sort(([, one], [, other]) => (other > one ? 1 : other < one ? -1 : 0));
    if (counted === held(now) && lineCount(now) === holders.length) return { state: "equal", counted, holders };
    if (tries === 2) return { state: held(now) === held(figures) && holders.length <= 200 ? "different" : "moving", counted, holders };
  }
}

function mark(recounted, figures) {
  switch (recounted?.state) {
    case "equal": return ["✓ conserved", `${plural(recounted.holders.length, "holder")} counted again`, "good"];
    case "different": return ["✗ differs", `counted ${amount(fromUnits(recounted.counted))}`, "bad"];
    case "moving": return ["moving", "it changed while it was counted", ""];
    case "many": return ["–", `over ${count(HOLDERS_MAX)} holders`, ""];
    default: return figures ? ["…", "counting the holders", ""] : ["–", "the ledger keeps the total", ""];
  }
}

function draw(parts, name, total, figures, ledger, activity, recounted) {
  const lately = activity.assets[0] ?? { payments: 0, amount: "0", largest: "0", median: "0", failed: [] };
  const [sign, detail, tone] = mark(recounted, figures);
  fill(parts.figures, h("dl", { class: "figures" },
    figure("Supply", whole(fromUnits(total)), figures ? "held outside its issuer" : ledger ? `${amount(ledger.fee_pool)} in the fee pool` : "", "Balances, claimable balances and pools together"),
    figure("Conservation", sign, detail, "The balances of all holders, added up in this browser, against the figure that the node keeps", tone),
    figure("Holders", figures ? count(lineCount(figures)) : "–", recounted?.holders ? `${count(recounted.holders.filter(([, balance]) => balance > 0n).length)} with a balance` : "accounts with a trustline"),
    figure("Payments", count(lately.payments), `median ${headline(lately.median)}, largest ${headline(lately.largest)}`),
    figure("Paid", whole(lately.amount), activity.complete ? "in 24 hours" : "newest payments"),
    figure("Velocity", velocity(lately.amount, total), "paid ÷ supply")));
  fill(parts.supply, figures && section("Where it is", null, table("Where it is", [["Form"], ["Entries", { num: true }], ["Amount", { num: true }]], [
    ["Balances of authorised holders", count(figures.accounts.authorized), amount(figures.balances.authorized)],
    ["Balances that may keep offers only", count(figures.accounts.authorized_to_maintain_liabilities), amount(figures.balances.authorized_to_maintain_liabilities)],
    ["Balances of unauthorised holders", count(figures.accounts.unauthorized), amount(figures.balances.unauthorized)],
    ["Claimable balances", count(figures.num_claimable_balances), amount(figures.claimable_balances_amount)],
    ["Liquidity pools", count(figures.num_liquidity_pools), amount(figures.liquidity_pools_amount)],
  ].filter(([, entries], i) => i === 0 || entries !== "0"))));
  fill(parts.holders, recounted?.holders && holders(recounted));
  fill(parts.payments, failures(lately, activity));
  fill(parts.matrix, matrix(activity));
}

/** A part of a whole in percent. */
const share = (part, whole) => (whole === 0n ? "–" : `${(Number((part * 10_000n) / whole) / 100).toFixed(2)} %`);

function holders({ counted, holders: list }) {
  const top = (number) => list.slice(0, number).reduce((total, [, balance]) => total + balance, 0n);
  const rows = list.slice(0, 10).map(([id, balance]) => [account(id), amount(fromUnits(balance)), share(balance, counted),
    s("svg", { viewBox: "0 0 100 8", preserveAspectRatio: "none", class: "share", "aria-hidden": "true" }, s("rect", { width: counted ? Number((balance * 100n) / counted) : 0, height: 8, class: "bar-in" }))]);
  return section("Holders", `The largest holds ${share(top(1), counted)}, the five largest ${share(top(5), counted)}.`, table("Largest holders", [["Account"], ["Balance", { num: true }], ["Share", { num: true }], [""]], rows));
}

function failures(lately, activity) {
  const rows = lately.failed.map((one) => [h("code", null, one.result_code), count(one.count)]);
  return section("Failed payments", `By result code, of ${covered(activity)}.`, table("Failed payments", [["Result code"], ["Payments", { num: true }]], rows, { empty: "None." }));
}

/** Who paid whom: rows pay columns; then what each paid, received, and the difference. */
function matrix(activity) {
  const people = activity.participants;
  const paid = Object.fromEntries(activity.pairs.map((pair) => [`${pair.from} ${pair.to}`, pair]));
  const left = activity.other_participants ? ` The ${count(people.length)} with the largest positions; ${count(activity.other_participants)} more are in their sums.` : "";
  const name = (one) => h("a", { href: `#/account/${one.account}`, class: "mono", title: one.account }, short(one.account, 4, 4));
  const columns = [["Payer"], ...people.map((one) => [name(one), { num: true }]), ["Paid", { num: true }], ["Received", { num: true }], ["Net", { num: true }]];
  const rows = people.map((from) => [name(from),
    ...people.map((to) => { const pair = paid[`${from.account} ${to.account}`]; return pair ? h("span", { title: `${amount(pair.amount)} in ${plural(pair.payments, "payment")}` }, headline(pair.amount)) : h("span", { class: "muted" }, "·"); }),
    whole(from.paid), whole(from.received), h("span", { class: from.net.startsWith("-") ? "bad" : "good", title: signed(amount, from.net) }, signed(headline, from.net))]);
  return section("Participants", `Rows pay columns, gross, of ${covered(activity)}; net is received less paid.${left}`, table("Participants", columns, rows, { empty: "No payments." }));
}

const signed = (form, text) => (text.startsWith("-") ? `−${form(text.slice(1))}` : `+${form(text)}`);

/** An amount cut off for reading, and whole where the pointer rests. */
const whole = (text) => h("span", { title: amount(text) }, headline(text));

const SPANS = [["60000", "1 minute"], ["300000", "5 minutes"], ["900000", "15 minutes"], ["3600000", "1 hour"], ["86400000", "1 day"]];

/** The market of the asset against another one that the reader chooses. */
async function market(name, signal) {
  const others = ["native", ...(await records("/assets?limit=200", signal)).map((one) => word(one))].filter((other) => other !== name);
  const select = (label, options) => h("select", { "aria-label": label }, options.map(([value, text]) => h("option", { value }, text)));
  const against = select("Counter asset", others.map((other) => [other, issuer(other) ? `${code(other)} (${short(issuer(other), 4, 4)})` : code(other)]));
  // A market that there is, if there is one.
  const [offer] = await records(`/offers?selling=${encodeURIComponent(name)}&order=desc&limit=1`, signal);
  if (offer) against.value = word(offer.buying);
  const span = select("Span of a point", SPANS);
  const [book, trades] = [h("div"), h("div")];
  const place = section("Market", null, h("div", { class: "row middle" }, h("span", null, `${code(name)} against`), against, h("span", null, "in spans of"), span), h("div", { class: "two" }, book, trades));
  const redraw = async () => {
    const counter = against.value;
    if (!counter) return fill(place, h("h2", null, "Market"), h("p", { class: "empty" }, "There is nothing to trade it for."));
    const pair = `${typed("base_", name)}&${typed("counter_", counter)}`;
    const [offers, candles] = await Promise.all([
      find(`/order_book?${typed("selling_", name)}&${typed("buying_", counter)}&limit=50`, signal),
      records(`/trade_aggregations?${pair}&resolution=${span.value}&order=desc&limit=60`, signal)]);
    fill(book, orderBook(offers ?? { bids: [], asks: [] }, name, counter));
    fill(trades, prices(candles.reverse(), name, counter));
  };
  against.addEventListener("change", () => redraw().catch(() => connection(false)));
  span.addEventListener("change", () => redraw().catch(() => connection(false)));
  return { place, draw: redraw };
}

/** Bids are amounts of the counter asset, asks of the asset itself. */
function orderBook({ bids, asks }, name, counter) {
  const level = (offer) => ({ price: Number(offer.price), amount: Number(offer.amount), offer });
  const [buying, selling] = [bids.map(level), asks.map(level)];
  const [bid, ask] = [buying[0]?.price, selling[0]?.price];
  const words = bid && ask ? `Mid ${((bid + ask) / 2).toPrecision(6)}, spread ${(((ask - bid) / ((bid + ask) / 2)) * 100).toFixed(2)} %` : "One side or both are empty.";
  const row = (offer) => [offer.price, amount(offer.amount)];
  return [h("h3", null, "Order book"), h("p", { class: "note" }, words), buying.length + selling.length > 0 && depth(buying.map((one) => ({ ...one, amount: one.amount / one.price })), selling, name, counter),
    h("div", { class: "two tight" },
      table("Bids", [["Bid"], [code(counter), { num: true }]], bids.slice(0, 8).map(row), { empty: "No bids." }),
      table("Asks", [["Ask"], [code(name), { num: true }]], asks.slice(0, 8).map(row), { empty: "No asks." }))];
}

/** What can be sold and bought up to a price, in units of the asset. */
function depth(buying, selling, name) {
  const [width, height] = [640, 150];
  const all = [...buying, ...selling].map((one) => one.price);
  let [low, high] = [Math.min(...all), Math.max(...all)];
  if (low === high) [low, high] = [low * 0.95, high * 1.05];
  const total = (side) => side.reduce((sum, one) => sum + one.amount, 0);
  const top = ceiling(Math.max(total(buying), total(selling)));
  const x = (price) => ((price - low) / (high - low)) * (width - 20) + 10;
  const y = (value) => height - 18 - (value / top) * (height - 30);
  const side = (levels, edge, name) => {
    if (levels.length === 0) return [];
    let sum = 0;
    let path = `M${x(levels[0].price).toFixed(1)} ${y(0)}`;
    for (const one of levels) {
      path += `H${x(one.price).toFixed(1)}`;
      sum += one.amount;
      path += `V${y(sum).toFixed(1)}`;
    }
    path += `H${edge}`;
    return [s("path", { d: `${path}V${y(0)}Z`, class: `area ${name}` }), s("path", { d: path, class: `line ${name}` })];
  };
  const label = `Up to ${total(buying).toPrecision(6)} ${code(name)} can be sold, ${total(selling).toPrecision(6)} bought.`;
  return s("svg", { viewBox: `0 0 ${width} ${height}`, class: "plot", role: "img", "aria-label": label },
    s("line", { x1: 0, x2: width, y1: y(0), y2: y(0), class: "grid" }), side(buying, 0, "l-bid"), side(selling, width, "l-ask"),
    s("text", { x: 10, y: height - 4, class: "tick" }, low.toPrecision(5)), s("text", { x: width - 10, y: height - 4, class: "tick end" }, high.toPrecision(5)), s("text", { x: width / 2, y: 10, class: "tick mid" }, label));
}

function prices(candles, name, counter) {
  const heading = h("h3", null, "Price and volume");
  if (candles.length === 0) return [heading, h("p", { class: "empty" }, "No trades.")];
  const last = candles.at(-1);
  const day = (candle) => time(new Date(Number(candle.timestamp)).toISOString()).slice(5, 16);
  const note = `Last ${last.close} ${code(counter)}; ${plural(candles.reduce((all, one) => all + Number(one.trade_count), 0), "trade")} shown.`;
  return [heading, h("p", { class: "note" }, note),
    lines([{ name: "close", class: "l-settled", values: candles.map((one) => Number(one.close)), area: true }], { label: `Closing prices, ${note}`, ends: [day(candles[0]), day(last)], format: (value) => String(Number(value.toPrecision(3))) }),
    bars(candles.map((one) => Number(one.base_volume)), candles.map((one) => `${day(one)}, ${code(name)}`), { label: `Volumes in ${code(name)}`, ticks: [] })];
}
