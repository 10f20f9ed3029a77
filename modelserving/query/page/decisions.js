// What the policy of a data type asks for, and what it decided: why, in what time, and how often at the deadline.

import { byId, fillFigures, fillTable, setText } from "./dom.js";
import { ago, count, measure, milliseconds, numberCell, percent, quantile } from "./format.js";
import { LATELY, OF_ALL } from "./serving.js";
import { STALE_MS } from "./view.js";

const MEANINGS = {
  ALL_IN: "the best of all answers",
  BEST: "the best so far, and none that was outstanding could be better",
  QUORUM: "enough models agree",
  NO_QUORUM: "no quorum could come any more: the most trusted answer so far",
  DEADLINE: "the deadline passed: the best or most trusted answer so far",
  DEFAULT: "the stated default",
  NO_ANSWER: "there is no answer, and no default",
  OWN_DECIDER: "so said the policy's own decider",
  DECIDER_FAILED: "the policy's own decider failed: the default, or no answer",
};

const total = (numbers) => Object.values(numbers).reduce((a, b) => a + b, 0);
const ofAll = (part, whole) => (whole > 0 ? `${count(part)}, ${percent(part / whole)}` : count(part));

/** @param {object | null} latest of the history of decisions */
export function showDecisionFigures(policy, latest, rejected, now) {
  const { decided, at_deadline: atDeadline, late, late_ms: lateMs } = policy;
  fillFigures(byId("figures"), [
    ["Decided per second", measure(latest?.served ?? 0), LATELY],
    ["At the deadline per second", measure(latest?.rejected ?? 0), LATELY],
    ["Decision time p50", milliseconds(latest?.p50), LATELY],
    ["Decision time p99", milliseconds(latest?.p99), LATELY],
    ["Decided in all", count(decided), OF_ALL],
    ["At the deadline in all", ofAll(atDeadline, decided), OF_ALL],
    ["Late in all", ofAll(late, decided), OF_ALL],
    ["Late by, p99", quantile(lateMs, "p99", "ms"), OF_ALL],
    ["Late answers in all", count(policy.models.reduce((sum, each) => sum + each.late, 0)), OF_ALL],
    ["Rejected in all", count(rejected), OF_ALL],
    ["Last decision", ago(policy.last_decided_ms, now)],
  ]);
}

export function showDecisions(policy, now) {
  setText(byId("policy-words"), terms(policy.terms));
  const lately = now - policy.updated_ms < STALE_MS ? total(policy.recent.why) : 0;
  const rows = Object.entries(policy.why).sort((a, b) => b[1] - a[1]);
  fillTable(
    "decision-reasons",
    rows.map(([why, number]) => [
      why.replaceAll("_", " "),
      { text: MEANINGS[why] ?? "", className: "long" },
      numberCell(lately > 0 ? percent((policy.recent.why[why] ?? 0) / lately) : ""),
      numberCell(count(number)),
      { text: percent(number / policy.decided), className: "number", share: number / policy.decided },
    ]),
  );
}

function terms({ rule, quorum, decider, timeout_ms: timeout, models, challengers, shadow, canary }) {
  const how = decider ? `decider ${decider}` : rule;
  const agree = quorum > 0 ? `, ${quorum} of ${models.length} must agree` : "";
  const rollout = [shadow > 0 && `${percent(shadow)} in the shadow`, canary > 0 && `canary on ${percent(canary)}`];
  const of = `${challengers.join(", ")}; ${rollout.filter(Boolean).join(", ")}`;
  const more = challengers.length > 0 ? ` Challengers: ${of}.` : "";
  return `${how}${agree}, within ${count(timeout)} ms. Models, the most trusted first: ${models.join(", ")}.${more}`;
}
