// What the current version answers, against what the one before it answered.

import { Chart } from "./chart.js";
import { byId, fillTable, setText } from "./dom.js";
import { count, label, measure, NONE, numberCell, percent, tick } from "./format.js";

const MOST_LABELS = 30;

const chart = new Chart("scores", {
  x: { time: false, range: (plot, low, high) => [low, high] },
  xLabels: (plot, splits) => splits.map(tick),
  lines: { paths: uPlot.paths.stepped({ align: 1 }), points: { show: false } },
  first: { fill: "rgb(128 128 128 / 0.2)" },
  read: ([from, current, previous]) =>
    `from ${measure(from)}: current ${measure(current ?? 0)}, previous ${measure(previous ?? 0)}`,
});

/** Each argument is a version's statistics, or null. */
export function showDistribution(current, previous) {
  setText(byId("scores-words"), `Current: ${described(current)}. Previous: ${described(previous)}.`);
  const labels = labelRows(current?.scores.labels ?? {}, previous?.scores.labels ?? {});
  byId("scores-labels").hidden = labels.length === 0;
  fillTable("labels", labels);
  const binned = [bins(current), bins(previous)];
  byId("scores-numbers").hidden = binned.every((each) => each.length === 0);
  fillTable("bins", [...binRows("current", binned[0]), ...binRows("previous", binned[1])]);
  // The first and last bin have no other end, so they are in the table alone.
  const [first, second] = binned.map((each) => each.slice(1, -1));
  const edges = [...new Set([...first, ...second].flatMap((each) => [each.from, each.below]))].sort((a, b) => a - b);
  byId("scores-chart").hidden = edges.length === 0;
  if (edges.length > 0) {
    chart.show(
      [edges, heights(edges, first), heights(edges, second)],
      `Scores. Current: ${mostly(first)}. Previous: ${mostly(second)}.`,
    );
  }
}

function described(stats) {
  if (!stats) return "none";
  const counted = [...Object.values(stats.scores.labels), ...stats.scores.counts];
  return `${label(stats.name, stats.model_version)}, ${count(sum(counted))} scores`;
}

const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

function labelRows(current, previous) {
  const totals = [current, previous].map((each) => sum(Object.values(each)));
  const names = [...new Set([...Object.keys(current), ...Object.keys(previous)])];
  const most = (name) => (current[name] ?? 0) + (previous[name] ?? 0);
  names.sort((a, b) => most(b) - most(a) || (a < b ? -1 : 1));
  const cells = (each) =>
    [current, previous].map((counts, at) => {
      if (totals[at] === 0) return numberCell(NONE);
      const share = sum(each.map((name) => counts[name] ?? 0)) / totals[at];
      return { text: percent(share), className: "number", share };
    });
  const rows = names.slice(0, MOST_LABELS).map((name) => [name, ...cells([name])]);
  const others = names.slice(MOST_LABELS);
  if (others.length > 0) rows.push([`${others.length} others`, ...cells(others)]);
  return rows;
}

/** From low to high: `{from, below, share}`; the first begins and the last ends nowhere. */
function bins(stats) {
  const { edges, counts } = stats?.scores ?? { edges: [], counts: [] };
  const total = sum(counts);
  if (edges.length === 0 || total === 0) return [];
  return counts.map((number, at) => ({
    from: at === 0 ? -Infinity : edges[at - 1],
    below: at === edges.length ? Infinity : edges[at],
    share: number / total,
  }));
}

function binRows(version, each) {
  const edge = (number) => (Number.isFinite(number) ? measure(number) : "");
  return each
    .filter(({ share }) => share > 0)
    .map(({ from, below, share }) => [
      version,
      numberCell(edge(from)),
      numberCell(edge(below)),
      { text: percent(share), className: "number", share },
    ]);
}

/** For each edge what is drawn from there on. By the bins' widths: two versions seldom have the same edges. */
function heights(edges, each) {
  const heightAt = (edge) => {
    const bin = each.find(({ from, below }) => from <= edge && edge < below);
    return bin ? bin.share / (bin.below - bin.from) : 0;
  };
  return edges.map(heightAt);
}

function mostly(each) {
  if (each.length === 0) return "none";
  const top = each.reduce((a, b) => (b.share > a.share ? b : a));
  return `most often from ${measure(top.from)} to ${measure(top.below)}, ${percent(top.share)}`;
}
