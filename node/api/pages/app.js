// Which page is shown, and what all pages share: navigation, search, colours.

import { h, fill } from "./dom.js";
import { get, login, Refused } from "./api.js";
import { short } from "./format.js";
import * as assets from "./assets.js";
import * as explorer from "./explorer.js";
import * as network from "./network.js";

const PAGES = [
  ["#/", "Network", network],
  ["#/assets", "Assets", assets],
  ["#/explorer", "Explorer", explorer],
];

const main = document.getElementById("main");
let leave = new AbortController();

/** Shows the page that the address names: `#/name/argument`. */
async function show() {
  leave.abort();
  leave = new AbortController();
  const signal = leave.signal;
  const [name, ...rest] = location.hash.replace(/^#\/?/, "").split("/");
  const page = PAGES.find(([, , module]) => module.names.includes(name))?.[2] ?? network;
  for (const link of document.querySelectorAll("nav a")) {
    const current = page === PAGES.find(([address]) => address === link.getAttribute("href"))?.[2];
    current ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
  }
  document.title = `${page.title} · Carat`;
  try {
    await page.show(main, signal, name, decodeURIComponent(rest.join("/")));
  } catch (error) {
    if (!signal.aborted) fill(main, complaint(error));
  }
}

/** What went wrong, and what to do. */
export function complaint(error) {
  if (error instanceof Refused && [401, 403].includes(error.status)) {
    const input = h("input", { name: "token", "aria-label": "Token", autocomplete: "off" });
    const enter = (event) => { event.preventDefault(); login(input.value.trim()); show(); };
    return h("div", { class: "state warn" }, h("h1", null, "This network shows its records to members only"),
      h("p", null, error.message), h("p", null, "Paste the token of a login (SEP-10); this tab keeps it until it is closed."),
      h("form", { onsubmit: enter, class: "row" }, input, h("button", null, "Enter")));
  }
  return h("div", { class: "state bad" }, h("h1", null, error instanceof Refused ? "The node does not answer this" : "The page failed"), h("p", null, error.message));
}

const THEMES = ["system", "light", "dark"];

function paint(theme) {
  theme === "system" ? document.documentElement.removeAttribute("data-theme") : document.documentElement.setAttribute("data-theme", theme);
  const button = document.getElementById("theme");
  button.textContent = { system: "◐", light: "○", dark: "●" }[theme];
  button.setAttribute("aria-label", `Colours: ${theme === "system" ? "as the system" : theme}`);
  button.title = button.getAttribute("aria-label");
}

function setUp() {
  const stored = localStorage.getItem("carat.theme");
  let theme = THEMES.includes(stored) ? stored : "system";
  paint(theme);
  document.getElementById("theme").addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    localStorage.setItem("carat.theme", theme);
    paint(theme);
  });
  fill(document.getElementById("nav"), PAGES.map(([address, title]) => h("a", { href: address }, title)));
  document.getElementById("search").addEventListener("submit", (event) => {
    event.preventDefault();
    const wanted = event.target.elements.q.value.trim();
    if (wanted) location.hash = `#/search/${encodeURIComponent(wanted)}`;
  });
  // "/" leads to the search, as in other explorers.
  addEventListener("keydown", (event) => {
    if (event.key === "/" && !/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) {
      event.preventDefault();
      document.querySelector("#search input").focus();
    }
  });
  addEventListener("hashchange", () => { show(); main.focus({ preventScroll: true }); scrollTo(0, 0); });
}

async function name() {
  const root = await get("/");
  fill(document.getElementById("foot"), h("span", null, root.network_passphrase), h("span", { title: root.chain_id }, `chain ${short(root.chain_id, 8, 0)}`),
    h("span", null, root.core_version), h("a", { href: "/" }, "routes"), h("a", { href: "/openapi.json" }, "openapi"));
}

setUp();
show();
name().catch(() => {});
