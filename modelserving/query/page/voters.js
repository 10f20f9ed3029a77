// How the models of a policy vote, and how often they agree.

import { byId, fillTable, setText } from "./dom.js";
import { count, NONE, numberCell, percent, quantile } from "./format.js";

const share = (part, whole) =>
  whole > 0 ? { text: percent(part / whole), className: "number", share: part / whole } : numberCell(NONE);

export function showVoters(policy) {
  fillTable(
    "voters",
    policy.models.map((each) => [
      each.model,
      part(policy.terms, each.model),
      numberCell(count(each.asked)),
      share(each.answered - each.late, each.asked),
      share(each.counted, each.asked),
      numberCell(count(each.late)),
      numberCell(quantile(each.taken_ms, "p50", "ms")),
      numberCell(quantile(each.taken_ms, "p99", "ms")),
      { text: missing(each), className: "long" },
    ]),
  );
  showAgreement(policy);
}

function part(terms, model) {
  if (terms.challengers.includes(model)) return "challenger";
  return terms.models.includes(model) ? "decides" : "no longer named";
}

function missing({ asked, answered, missing: states }) {
  const told = Object.entries(states).sort((a, b) => b[1] - a[1]);
  const silent = asked - answered - told.reduce((sum, [, number]) => sum + number, 0);
  if (silent > 0) told.push(["not come", silent]);
  return told.map(([state, number]) => `${state.replaceAll("_", " ")} ${count(number)}`).join(", ");
}

/** The matrix: as it is read by rows and by columns alike, each pair stands in it twice. */
function showAgreement({ models, agreement, terms }) {
  const key = (one, other) => `${one}\n${other}`;
  const both = (each) => [[key(each.first, each.second), each], [key(each.second, each.first), each]];
  const pairs = new Map(agreement.flatMap(both));
  const named = [...terms.models, ...terms.challengers];
  const names = models.map((each) => each.model).filter((name) => named.includes(name));
  place(names);
  const cell = (row, column) => {
    const pair = pairs.get(key(row, column));
    if (!pair) return numberCell(row === column ? "" : NONE);
    const agreed = pair.agreed / pair.compared;
    return { text: `${percent(agreed)} of ${count(pair.compared)}`, className: "number shade", share: agreed };
  };
  const rows = names.map((row) => [row, ...names.map((column) => cell(row, column))]);
  fillTable("agreement", agreement.length > 0 ? rows : []);
}

/** One column for each model. */
function place(names) {
  const table = byId("agreement");
  const header = table.tHead.rows[0];
  const columns = [...header.cells].slice(1);
  if (columns.length !== names.length) {
    columns.forEach((each) => each.remove());
    table.tBodies[0].replaceChildren();
    names.forEach(() => {
      const column = header.appendChild(document.createElement("th"));
      column.scope = "col";
      column.className = "number";
    });
  }
  names.forEach((name, at) => setText(header.cells[at + 1], name));
}
