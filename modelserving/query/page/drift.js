// Whether the records and scores are still like those from when the version began to serve.

import { byId, fillTable, setText } from "./dom.js";
import { count, measure, moment } from "./format.js";
import { MARKED_MS } from "./view.js";

const MOST_FEATURES = 30;
/** The bar's full length; from here on more says no more. */
const FULL_PSI = 1;

/** @param {object | null} current statistics of the version that serves */
export function showDrift(current, now) {
  setText(byId("drift-words"), current ? words(current, now) : "Nothing was scored yet.");
  fillTable("drift", current && compared(current.drift) ? rows(current.drift) : []);
}

/** The indices come once there is a reference and enough to compare with it. */
const compared = (drift) => drift.score_psi > 0 || Object.keys(drift.feature_psi).length > 0;

function words({ drift, updated_ms: updated }, now) {
  const { reference_records: reference, current_records: lately } = drift;
  const drawn = `${count(reference)} records for the reference, ${count(lately)} of the last minutes`;
  const verdict = !compared(drift)
    ? "Not compared yet"
    : !drift.drifted
      ? "No drift"
      : now - updated < MARKED_MS
        ? "▲ Drift: an index went above the limit"
        : "An index was above the limit when the last records came";
  const changed = drift.changed_ms ? ` The mean of the scores last changed at ${moment(drift.changed_ms, now)}.` : "";
  return `${verdict}; ${drawn}.${changed}`;
}

function rows(drift) {
  const features = Object.entries(drift.feature_psi).sort((a, b) => b[1] - a[1]);
  const left = features.length - MOST_FEATURES;
  return [
    ["score", index(drift.score_psi)],
    ...features.slice(0, MOST_FEATURES).map(([name, psi]) => [`feature ${name}`, index(psi)]),
    ...(left > 0 ? [[`${left} more features, each less`, ""]] : []),
  ];
}

const index = (psi) => ({ text: measure(psi), className: "number", share: Math.min(1, Math.max(0, psi) / FULL_PSI) });
