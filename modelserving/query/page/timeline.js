// The charts of the last ten minutes, with the swaps on their axis; and the same as a table.

import { Chart } from "./chart.js";
import { setText, fillTable } from "./dom.js";
import { clock, measure, NONE, numberCell } from "./format.js";
import { SPAN_MS } from "./history.js";

/** Of the swaps, those that are marked on an axis; and how many labels stand below one another. */
const MOST_MARKS = 40;
const LABEL_ROWS = 3;
const LABEL_ROW_PX = 18;

const MINUTE_MS = 60_000;

/** Two charts of the same time, and the table of both. */
export class Timeline {
  #marks = [];
  #latency;
  #rates;
  #table;

  /**
   * @param {object} latency `{id, title}` of the chart of p50 and p99, in milliseconds
   * @param {object} rates `{id, title, first, second}`; the last two are the words for `served` and `rejected`
   * @param {string} table
   */
  constructor(latency, rates, table) {
    const drawn = (plot) => drawMarks(plot, this.#marks);
    const ofLatency = { ...latency, first: "p50", second: "p99", unit: "ms" };
    this.#latency = { ...ofLatency, chart: timeChart(ofLatency, drawn) };
    const ofRates = { ...rates, unit: "per second" };
    this.#rates = { ...ofRates, chart: timeChart(ofRates, drawn) };
    this.#table = table;
  }

  /**
   * @param {object[]} points of `History`
   * @param {object[]} swaps of `swaps`
   * @param {number} now by the service's clock
   */
  show(points, swaps, now) {
    const from = now - SPAN_MS;
    this.#marks = swaps.filter((each) => each.at >= from).slice(-MOST_MARKS);
    const known = points.filter((each) => each.at >= from);
    const tookOver = this.#marks.map((each) => `${each.label} took over at ${clock(each.at)}`).join("; ") || "no swap";
    const drawn = [[this.#latency, "p50", "p99"], [this.#rates, "served", "rejected"]];
    for (const [{ chart, title, ...names }, first, second] of drawn) {
      const told = words(known, first, second, names);
      chart.show(columns(known, from, now, first, second), `${title}, ${told}; ${tookOver}`);
    }
    fillTable(this.#table, minutes(known, this.#marks));
  }
}

function timeChart({ id, first, second, unit }, drawn) {
  return new Chart(id, {
    x: { time: true, range: (plot, low, high) => [low, high] },
    xLabels: (plot, splits) => splits.map((each) => clock(1000 * each).slice(0, each % 60 === 0 ? 5 : 8)),
    read: ([at, a, b]) => `${clock(1000 * at)}: ${first} ${shown(a)}, ${second} ${shown(b)} ${unit}`,
    drawn,
  });
}

const shown = (number) => (number == null ? NONE : measure(number));

/** Both ends of the time are there, with nothing, so that the axis always spans it. */
function columns(points, from, to, first, second) {
  return [
    [from / 1000, ...points.map((each) => each.at / 1000), to / 1000],
    [null, ...points.map((each) => each[first]), null],
    [null, ...points.map((each) => each[second]), null],
  ];
}

function words(points, first, second, names) {
  const last = points.findLast((each) => each[first] !== null);
  if (!last) return "last ten minutes: nothing";
  const most = Math.max(...points.map((each) => each[second] ?? 0));
  const atLast = `${names.first} ${shown(last[first])} and ${names.second} ${shown(last[second])} ${names.unit}`;
  return `last ten minutes: at ${clock(last.at)} ${atLast}, ${names.second} at most ${shown(most)}`;
}

function minutes(points, marks) {
  const byMinute = Map.groupBy(points, (each) => Math.floor(each.at / MINUTE_MS));
  return [...byMinute].reverse().map(([minute, each]) => [
    clock(minute * MINUTE_MS).slice(0, 5),
    numberCell(millisecondsCell(values(each, "p50"))),
    numberCell(millisecondsCell(values(each, "p99"))),
    numberCell(mean(values(each, "served"))),
    numberCell(mean(values(each, "rejected"))),
    marks.filter((mark) => Math.floor(mark.at / MINUTE_MS) === minute).map((mark) => mark.label).join(", "),
  ]);
}

const values = (points, name) => points.map((each) => each[name]).filter((each) => each !== null);
const millisecondsCell = (numbers) => (numbers.length ? `${measure(Math.max(...numbers))} ms` : NONE);
const mean = (numbers) => (numbers.length ? measure(numbers.reduce((a, b) => a + b) / numbers.length) : NONE);

/** Elements rather than drawn: their text stays sharp, and has the style sheet's colours. */
function drawMarks(plot, marks) {
  const known = [...plot.over.querySelectorAll(".swap")];
  known.slice(marks.length).forEach((each) => each.remove());
  const begins = Array(LABEL_ROWS).fill(Infinity); // of the leftmost label in each row: the newest have precedence
  [...marks].reverse().forEach((mark, at) => {
    const line = known[at] ?? plot.over.appendChild(newMark());
    const name = line.firstElementChild;
    setText(name, mark.label);
    const left = plot.valToPos(mark.at / 1000, "x");
    line.style.left = `${left}px`;
    // Near the right end the label stands on the line's other side.
    const width = name.offsetWidth;
    const turned = left + width > plot.over.clientWidth;
    name.classList.toggle("turned", turned);
    const begin = turned ? left - width : left;
    const row = begins.findIndex((each) => begin + width < each);
    name.classList.toggle("crowded", row < 0); // no room; the table has it
    if (row >= 0) {
      begins[row] = begin;
      name.style.top = `${row * LABEL_ROW_PX}px`;
    }
  });
}

function newMark() {
  const mark = document.createElement("div");
  mark.className = "swap";
  mark.append(document.createElement("span"));
  return mark;
}
