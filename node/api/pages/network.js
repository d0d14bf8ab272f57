// The network as this node observes it: one stream of `/network`, one state a second.

import { h, s, fill, section, figure, table } from "./dom.js";
import { follow, Refused } from "./api.js";
import { connection } from "./link.js";
import { lines, bars, stacked } from "./chart.js";
import { ago, count, micros, plural, rate, short } from "./format.js";

export const title = "Network";
export const names = ["", "network"];

/** Shows the page until `signal` says stop. */
export async function show(main, signal) {
  const parts = Object.fromEntries(["banner", "figures", "validators", "rates", "latency", "phases", "events"].map((part) => [part, h("div")]));
  parts.banner.append(h("div", { class: "state" }, h("h1", null, "Waiting for the node…")));
  fill(main, parts.banner, parts.figures, parts.validators, h("div", { class: "two" }, parts.rates, parts.phases), parts.latency, parts.events);
  try {
    await follow("/network", signal, (state) => draw(parts, state), connection);
  } catch (error) {
    if (!(error instanceof Refused && error.status === 404)) throw error;
    fill(main, h("div", { class: "state" }, h("h1", null, "The network’s state is not shown at this address"),
      h("p", null, "On main networks a node shows it at its operator’s address only (metrics.listen in node.toml), under /ui/.")));
  }
}

function draw(parts, state) {
  if (!state.observed_ms) return;
  fill(parts.banner, banner(state));
  fill(parts.figures, figures(state));
  fill(parts.validators, section("Validators", "Each cell is one of the last hundred ledgers: whether this node saw the validator’s votes in time. A dot marks the leader.", grid(state), legend()));
  fill(parts.rates, section("Transactions a second", "The last five minutes at this node.", plot(state, parts.rates.clientWidth)));
  fill(parts.phases, section("Where the time goes", `The steps of a slot, over the last ${count(state.slots_measured)} slots.`, phases(state)));
  fill(parts.latency, section("Time to finality", "From the first sight of the leader’s proposal until a commit rule was met here.", latency(state)));
  fill(parts.events, events(state));
}

/** The state in words. */
export function sentence(state) {
  const { agree, validators } = state.quorum;
  return `${agree} of ${validators} validators agree, ledger ${count(state.ledger)}, ${ago(state.idle_ms)}`;
}

function banner(state) {
  const alarmed = state.alarms.length > 0 || state.evidence.length > 0;
  const well = state.state === "synced";
  const tone = alarmed || state.quorum.can_lose < 0 ? "bad" : well && state.quorum.agree === state.quorum.validators ? "good" : "warn";
  return h("div", { class: `state ${tone}`, role: "status", "aria-live": "off" },
    h("h1", { id: "sentence" }, sentence(state)),
    h("p", null, slack(state.quorum), " ", h("span", { class: "muted" }, `Final means ${state.assumption.replace(/^\w+: /, (rule) => `${rule.slice(0, -2)}, which `)}.`)),
    [...state.alarms, ...state.reasons].map((reason) => h("p", { class: "reason" }, reason)),
    well ? null : h("p", null, `${state.diagnosis}. ${state.hint}.`));
}

function slack({ can_lose: spare, needed }) {
  if (spare < 0) return h("strong", null, `No quorum: ${needed} must agree.`);
  return h("strong", null, spare === 0 ? "Can lose no more: the next failure stops it." : `Can lose ${spare} more.`);
}

const mean = (rates, field) => (rates.length ? rates.reduce((sum, point) => sum + point[field], 0) / rates.length : 0);

function figures(state) {
  const recent = state.rates.slice(-10);
  const answered = state.finality.find((rule) => rule.rule === "SEAL");
  return h("dl", { class: "figures" },
    figure("Settled", [rate(mean(recent, "settled")), h("small", null, "/s")], "mean of 10 s", "Transactions applied with success"),
    figure("Submitted", [rate(mean(recent, "submitted")), h("small", null, "/s")], "mean of 10 s", "Taken into this node’s pool, from clients and from other validators"),
    figure("Turned away", [rate(mean(recent, "refused") + mean(recent, "failed")), h("small", null, "/s")], "refused or failed", "Refused at the front door, or applied without success"),
    figure("Waiting", count(state.pending), "in the pool", "Transactions that wait to be ordered"),
    figure("Provable", micros(answered?.p50_us), `99 % in ${micros(answered?.p99_us)}`, "From the proposal to f+1 SEALs: from then on there is a receipt"),
    figure("View", count(state.view), `slot ${count(state.slot)}`, "Rises at every change of leader"));
}

const TONE = { "this node": "good", agrees: "good", "in another view": "warn", silent: "bad", unreached: "bad" };

function grid(state) {
  return h("ul", { class: "validators" }, state.validators.map((one) => {
    const letters = state.ledgers.map((ledger) => ledger.votes[one.validator]);
    const seen = letters.filter((letter) => letter === "v").length;
    return h("li", null,
      h("div", { class: "who" }, h("strong", null, one.name || `v${one.validator}`), one.role === "leader" && h("span", { class: "tag" }, "leader")),
      h("div", { class: "how" }, h("span", { class: TONE[one.standing] }, one.standing), h("span", null, `view ${one.view === null ? "–" : count(one.view)}`),
        one.standing !== "this node" && h("span", { title: "Slots behind this node when it was last heard" }, one.behind === null ? "–" : one.behind === 0 ? "level" : `${plural(one.behind, "slot")} behind`),
        one.heard_ms_ago !== null && h("span", null, `heard ${ago(one.heard_ms_ago)}`)),
      cells(state, one, letters, seen));
  }));
}

function cells(state, one, letters, seen) {
  const label = `${one.name}: voted in ${seen} of ${plural(letters.length, "ledger")}`;
  const offset = 100 - letters.length;
  const parts = letters.map((letter, i) => {
    const ledger = state.ledgers[i];
    const x = (offset + i) * 10;
    const words = { v: "voted", p: "voted in part", "-": "no vote seen" }[letter];
    return s("g", null, s("title", null, `ledger ${count(ledger.ledger)}: ${words}`),
      s("rect", { x, y: 0, width: 8, height: 22, rx: 1, class: { v: "c-voted", p: "c-part", "-": "c-none" }[letter] }),
      ledger.leader === one.validator && s("circle", { cx: x + 4, cy: 11, r: 2, class: "c-leader" }));
  });
  return s("svg", { viewBox: "0 0 1000 22", preserveAspectRatio: "none", class: "cells", role: "img", "aria-label": label }, parts);
}

const legend = () => h("p", { class: "legend" }, h("span", { class: "k c-voted" }), "voted", h("span", { class: "k c-part" }), "in part of its slots", h("span", { class: "k c-none" }), "not seen");

function plot(state, width) {
  const series = [
    { name: "submitted", class: "l-submitted", values: state.rates.map((point) => point.submitted) },
    { name: "settled", class: "l-settled", values: state.rates.map((point) => point.settled), area: true },
    { name: "turned away", class: "l-refused", values: state.rates.map((point) => point.refused + point.failed) },
  ];
  const last = state.rates.at(-1);
  const label = last ? `In the last second ${last.settled} settled of ${last.submitted} submitted, ${last.refused + last.failed} turned away.` : "Nothing measured yet.";
  const span = state.rates.length < 120 ? plural(state.rates.length, "second") : `${Math.round(state.rates.length / 60)} minutes`;
  return [lines(series, { width, height: width < 500 ? 170 : 260, label, ends: [`${span} ago`, "now"] }),
    h("p", { class: "legend" }, series.map((one) => [h("span", { class: `k ${one.class}` }), one.name]))];
}

function latency(state) {
  const classes = [...state.class_bounds_ms.map((bound) => (bound < 1_000 ? `${bound} ms` : `${bound / 1_000} s`)), "more"];
  const rows = state.finality.map((rule) => [
    h("span", null, h("strong", null, rule.rule), !rule.acted_upon && h("span", { class: "muted" }, " observed only")),
    count(rule.met), micros(rule.p50_us), micros(rule.p90_us), micros(rule.p99_us), micros(rule.max_us),
    rule.p50_us === null ? "–" : bars(rule.classes, classes, { label: `${rule.rule}: half within ${micros(rule.p50_us)}, 99 % within ${micros(rule.p99_us)}` }),
  ]);
  return table("Time to finality by commit rule", [["Rule"], ["Slots", { num: true, help: "Slots for which it was met since this node started" }], ["50 %", { num: true }], ["90 %", { num: true }], ["99 %", { num: true }], ["Slowest", { num: true }], ["Distribution"]], rows, { kind: "cards" });
}

function phases(state) {
  const parts = state.phases.map((phase, i) => ({ name: `${phase.phase}: ${micros(phase.p50_us)}`, value: phase.p50_us ?? 0, class: `p-${i}` }));
  const rows = state.phases.map((phase, i) => [h("span", null, h("span", { class: `k p-${i}` }), h("strong", null, phase.phase), h("span", { class: "muted block" }, phase.what)), micros(phase.p50_us), micros(phase.p99_us)]);
  return [stacked(parts, { label: parts.map((part) => part.name).join(", ") }),
    table("Steps of a slot", [["Step"], ["50 %", { num: true }], ["99 %", { num: true }]], rows)];
}

function events(state) {
  const counted = (list) => list.map((one) => [one.name, count(one.count)]);
  const pieces = state.evidence.map((piece) => [piece.code, piece.what, piece.slot === null ? "–" : count(piece.slot), piece.convicted.map((index) => state.validators[index]?.name ?? index).join(", ")]);
  return [
    section("Evidence", null, table("Evidence", [["Code"], ["What"], ["Slot", { num: true }], ["Convicts"]], pieces, { empty: "None: no validator has contradicted itself." })),
    h("div", { class: "two" },
      section("Changes of view", "Since this node started, by what led to them.", table("Changes of view", [["Trigger"], ["Views left", { num: true }]], counted(state.view_changes), { empty: "None." })),
      section("Messages refused", "Of other validators, since this node started.", table("Messages refused", [["Reason"], ["Messages", { num: true }]], counted(state.rejections), { empty: "None." }))),
    h("p", { class: "muted" }, "State root ", h("code", { title: state.state_root }, short(state.state_root, 16, 0)), ` after slot ${count(state.slot)}, as ${state.validators[state.validator]?.name ?? "this node"} has it.`),
  ];
}
