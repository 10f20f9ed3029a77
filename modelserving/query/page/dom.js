// What is put on the page. All text that comes from the topics passes through `setText`: it is never read as markup.

/** Characters that cannot be seen, or that change in which direction others are read. */
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** The text with such characters spelled out, so that none can hide or reorder what stands beside it. */
export function visible(text) {
  return String(text).replace(UNSEEN, (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

export const byId = (id) => document.getElementById(id);

/** Unchanged text is left alone: a selection or a screen reader may be in it. */
export function setText(node, text) {
  const shown = visible(text);
  if (node.textContent !== shown) node.textContent = shown;
}

export function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/**
 * Show rows in a table, or in their place the words that follow it.
 *
 * A cell is text, or `{text, className, share}`; `share`, from 0 to 1, is drawn as a bar behind the text.
 */
export function fillTable(id, rows) {
  const table = byId(id);
  const scroll = table.parentElement;
  scroll.hidden = rows.length === 0;
  scroll.nextElementSibling.hidden = rows.length > 0;
  const body = table.tBodies[0];
  while (body.rows.length > rows.length) body.deleteRow(-1);
  rows.forEach((cells, at) => fillRow(body.rows[at] ?? body.insertRow(), cells));
}

function fillRow(row, cells) {
  cells.forEach((cell, at) => {
    const node = row.cells[at] ?? row.appendChild(newCell(at));
    const { text, className = "", share } = typeof cell === "object" ? cell : { text: cell };
    setText(node, text);
    node.className = share === undefined ? className : `${className} share`;
    if (share !== undefined) node.style.setProperty("--share", share.toFixed(3));
  });
}

/** The first cell of a row names it. */
function newCell(at) {
  const cell = document.createElement(at === 0 ? "th" : "td");
  if (at === 0) cell.scope = "row";
  return cell;
}

/** Show `[[term, figure, what it is of], …]`; the last may be left out. */
export function fillFigures(list, figures) {
  while (list.children.length > figures.length) list.lastElementChild.remove();
  figures.forEach(([term, figure, span = ""], at) => {
    const pair = list.children[at] ?? list.appendChild(newPair());
    [term, figure, span].forEach((text, part) => setText(pair.children[part], text));
  });
}

function newPair() {
  const pair = document.createElement("div");
  pair.append(...["dt", "dd", "dd"].map((each) => document.createElement(each)));
  pair.lastElementChild.className = "span";
  return pair;
}
