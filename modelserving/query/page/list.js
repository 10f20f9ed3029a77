// The list of data types. There may be thousands: some are shown, the rest is found by the filter.

import { byId, setAttribute, setText } from "./dom.js";
import { count, label, measure } from "./format.js";
import { hashOf } from "./route.js";
import { latestOf } from "./serving.js";

const MOST_ITEMS = 100;

const list = byId("list");
const items = new Map();

const ORDERS = {
  name: () => 0,
  served: (a, b) => b.served - a.served,
  trouble: (a, b) => b.drifted - a.drifted || b.rejected - a.rejected,
};

/** @param {string | null} chosen */
export function showList(view, history, chosen, now) {
  const all = view.dataTypes().map((name) => summary(view, history, name, now));
  const filter = byId("filter").value.trim().toLowerCase();
  const found = all.filter((each) => `${each.name} ${each.model}`.toLowerCase().includes(filter));
  const order = ORDERS[byId("order").value];
  found.sort((a, b) => order(a, b) || (a.name < b.name ? -1 : 1));
  const shown = found.slice(0, MOST_ITEMS);
  setText(byId("list-count"), counted(shown.length, found.length, all.length));
  place(shown.map((each) => each.name));
  for (const each of shown) fill(items.get(each.name), each, each.name === chosen);
}

function summary(view, history, name, now) {
  const latest = latestOf(view, history, name, now);
  const [row] = view.serving(name);
  return {
    name,
    model: row ? label(row.name, row.version) : "",
    served: latest?.served ?? 0,
    rejected: latest?.rejected ?? 0,
    drifted: view.drifted(name, now),
  };
}

function counted(shown, found, all) {
  if (all === 0) return "None was seen yet.";
  if (shown < found) return `${count(shown)} of ${count(found)} shown; filter for the others.`;
  return found < all ? `${count(found)} of ${count(all)}` : "";
}

/** Items stay where they are while one of them has the focus: it would be lost, and they would flee the pointer. */
function place(names) {
  const present = [...list.children];
  const wanted = new Set(names);
  if (present.length === names.length && present.every((each, at) => each === items.get(names[at]))) return;
  const onlyMoved = present.length === names.length && names.every((each) => items.has(each));
  if (onlyMoved && list.contains(document.activeElement)) return;
  for (const name of items.keys()) if (!wanted.has(name)) items.delete(name);
  for (const name of names) if (!items.has(name)) items.set(name, newItem(name));
  list.replaceChildren(...names.map((name) => items.get(name)));
}

function newItem(name) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  link.href = hashOf(name);
  for (const part of ["name", "model", "rate", "bad"]) {
    const span = document.createElement("span");
    span.className = part;
    link.append(span, " ");
  }
  item.append(link);
  return item;
}

function fill(item, each, chosen) {
  const link = item.firstElementChild;
  const [name, model, rate, bad] = link.children;
  setText(name, each.name || "(unknown data type)");
  setText(model, each.model || "no model");
  setText(rate, `${measure(each.served)}/s`);
  const rejected = each.rejected > 0 && `${measure(each.rejected)}/s rejected`;
  setText(bad, [each.drifted && "▲ drift", rejected].filter(Boolean).join(", "));
  if (chosen) setAttribute(link, "aria-current", "page");
  else link.removeAttribute("aria-current");
}
