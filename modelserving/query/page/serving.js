// Which versions serve and have served a data type, and its figures.

import { byId, fillFigures, fillTable } from "./dom.js";
import { ago, count, measure, milliseconds, moment, numberCell, quantile } from "./format.js";
import { versionKey } from "./view.js";

const MOST_VERSIONS = 50;

const total = (numbers) => numbers.reduce((a, b) => a + b, 0);
const rate = (number) => (number === undefined ? "0" : measure(number));

/** What a figure is of. */
export const LATELY = "in the last seconds";
const OF_VERSION = "since this version began";
export const OF_ALL = "since the job began";

/** Of one data type. */
export function showFigures(view, history, dataType, now) {
  const { served, errors } = view.totalsOf(dataType);
  const latest = history.served.latest(dataType, now);
  const { current } = view.currentAndPrevious(dataType);
  const lastServed = Math.max(0, ...view.statsOf(dataType).map((each) => each.last_served_ms));
  fillFigures(byId("figures"), [
    ["Served per second", rate(latest?.served), LATELY],
    ["Rejected per second", rate(latest?.rejected), LATELY],
    ["Latency p50", milliseconds(latest?.p50), LATELY],
    ["Latency p99", milliseconds(latest?.p99), LATELY],
    ["Score time p50", quantile(current?.score_time_us, "p50", "µs"), OF_VERSION],
    ["Score time p99", quantile(current?.score_time_us, "p99", "µs"), OF_VERSION],
    ["Served in all", count(served), OF_ALL],
    ["Errors of models", count(errors), OF_ALL],
    ["Rejected in all", count(view.rejectedIn([dataType])), OF_ALL],
    ["Last score", ago(lastServed, now)],
  ]);
}

/** The present rates of a data type: what is served is what its policy decides, if it has one. */
export function latestOf(view, history, dataType, now) {
  const latest = history.served.latest(dataType, now);
  if (view.policies.of(dataType) === null) return latest;
  return { served: history.decided.latest(dataType, now)?.served ?? 0, rejected: latest?.rejected ?? 0 };
}

/** Of all data types together. */
export function showTotals(view, history, now) {
  const names = view.dataTypes();
  const latest = names.map((each) => latestOf(view, history, each, now)).filter((each) => each !== null);
  // Where a policy decides, each record has several answers of models.
  const served = names.map((name) => view.policies.of(name)?.decided ?? view.totalsOf(name).served);
  fillFigures(byId("figures"), [
    ["Data types", count(names.length)],
    ["With drift", count(names.filter((each) => view.drifted(each, now)).length)],
    ["Served per second", rate(total(latest.map((each) => each.served))), LATELY],
    ["Rejected per second", rate(total(latest.map((each) => each.rejected))), LATELY],
    ["Served in all", count(total(served)), OF_ALL],
    ["Records rejected in all", count(view.rejectedIn(names)), OF_ALL],
    ["Models rejected in all", count(view.rejected.models.total), OF_ALL],
  ]);
}

export function showServing(view, dataType, now) {
  const byVersion = Map.groupBy(view.serving(dataType), (each) => versionKey(each.name, each.version, each.sha256));
  fillTable(
    "serving",
    [...byVersion.values()].map((rows) => {
      const since = Math.min(...rows.map((each) => each.since_ms));
      const instances = rows.map((each) => each.instance).sort();
      const cell = { text: instances.join(", "), className: "long" };
      return [rows[0].name, rows[0].version, `${moment(since, now)}, ${ago(since, now)}`, cell];
    }),
  );
}

export function showVersions(view, dataType, now) {
  const known = view.models.get(dataType)?.versions ?? [];
  const stats = new Map(
    view.statsOf(dataType).map((each) => [versionKey(each.name, each.model_version, each.model_sha256), each]),
  );
  const newest = [...known].sort((a, b) => b.state_at_ms - a.state_at_ms).slice(0, MOST_VERSIONS);
  fillTable(
    "versions",
    newest.map((each) => versionRow(each, stats.get(versionKey(each.name, each.version, each.sha256)), now)),
  );
}

function versionRow(version, stats, now) {
  return [
    version.name,
    version.version,
    version.state,
    moment(version.state_at_ms, now),
    stats?.modelType || version.engine,
    numberCell(count(stats?.served ?? 0)),
    numberCell(count(stats?.errors ?? 0)),
    numberCell(quantile(stats?.latency_ms, "p50", "ms")),
    numberCell(quantile(stats?.latency_ms, "p99", "ms")),
    numberCell(quantile(stats?.score_time_us, "p50", "µs")),
    numberCell(quantile(stats?.score_time_us, "p99", "µs")),
    version.sha256.slice(0, 12),
    { text: [version.reason, version.detail].filter(Boolean).join(": "), className: "long" },
  ];
}
