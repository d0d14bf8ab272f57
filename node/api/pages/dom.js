// Elements by function: h("p", {class: "x"}, "text", child). No HTML text is ever put together, so no text becomes HTML.

const SVG = "http://www.w3.org/2000/svg";

function build(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const h = (tag, attributes, ...children) => build(document.createElement(tag), attributes, children);
export const s = (tag, attributes, ...children) => build(document.createElementNS(SVG, tag), attributes, children);

/** Puts `children` in the place of what `element` holds. */
export const fill = (element, ...children) => element.replaceChildren(...children.flat(Infinity).filter((child) => child || child === 0));

/** A table: columns are [title, {num, help}?]; rows are lists of cells, each a node or a text. */
export function table(caption, columns, rows, { empty = "Nothing yet.", kind } = {}) {
  if (rows.length === 0) return h("p", { class: "empty" }, empty);
  const head = columns.map(([title, options]) => h("th", { scope: "col", class: options?.num && "num", title: options?.help }, title));
  const body = rows.map((cells) =>
    h("tr", null, cells.map((cell, i) => h("td", { class: columns[i][1]?.num && "num", "data-title": columns[i][0] }, cell))));
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", { class: kind }, h("caption", { class: "hidden" }, caption), h("thead", null, h("tr", null, head)), h("tbody", null, body)));
}

/** A part of a page under its heading; `note` says what is shown. */
export function section(title, note, ...content) {
  const id = "s-" + title.toLowerCase().replace(/[^a-z]+/g, "-");
  return h("section", { "aria-labelledby": id }, h("h2", { id }, title), note && h("p", { class: "note" }, note), content);
}

/** One figure with its name. `help` defines it. */
export function figure(name, value, detail, help, tone) {
  return h("div", { class: "figure" + (tone ? " " + tone : ""), title: help },
    h("dt", null, name), h("dd", null, value), detail && h("dd", { class: "detail" }, detail));
}
