// Rates and latencies of the last ten minutes: what the service has kept, and after it what it streams.

export const SPAN_MS = 600_000;
const STEP_MS = 2000;
const STEPS = SPAN_MS / STEP_MS;
/** Updates that are further apart than these have a gap between them. */
const BRIDGED_STEPS = 5;

/** One data type's, in a ring: there may be thousands of data types. */
function newRing() {
  return {
    step: new Float64Array(STEPS), // which step the place holds; 0: none yet
    served: new Float32Array(STEPS),
    rejected: new Float32Array(STEPS),
    from: new Float32Array(STEPS), // what time is covered, in milliseconds from the step's beginning
    to: new Float32Array(STEPS),
    p50: new Float32Array(STEPS),
    p99: new Float32Array(STEPS),
    told: new Map(), // version → when its first and its last point were told; all between them are in
  };
}

/** What is streamed of a version, as a point like those that the service has kept. */
export function pointOf({ updated_ms, recent: { seconds, served, rejected, latency_ms: latency } }) {
  return { updated_ms, seconds, served, rejected, ...quantiles(latency) };
}

/** The same of a policy: `served` are the records decided, `rejected` those decided at the deadline. */
export function pointOfPolicy({ updated_ms, recent: { seconds, decided, at_deadline, decision_ms: took } }) {
  return decisionPoint({ updated_ms, seconds, decided, at_deadline, ...quantiles(took) });
}

export const decisionPoint = ({ decided, at_deadline, ...others }) => ({
  ...others,
  served: decided,
  rejected: at_deadline,
});

const quantiles = ({ count, p50, p99 }) => (count > 0 ? { p50, p99 } : { p50: null, p99: null });

export class History {
  #rings = new Map();

  /** A connection begins: what it streams has no gaps, and the service has kept what was before. */
  begin() {
    this.#rings.clear();
  }

  /** Add points of one version, oldest first. What was streamed and what was kept overlap. */
  add(dataType, version, points) {
    let ring = this.#rings.get(dataType);
    if (!ring) this.#rings.set(dataType, (ring = newRing()));
    const { first, last } = ring.told.get(version) ?? { first: Infinity, last: -Infinity };
    const news = points.filter(({ updated_ms: at }) => at < first || at > last);
    if (news.length === 0) return;
    news.forEach((each) => put(ring, each));
    const told = { first: Math.min(first, news[0].updated_ms), last: Math.max(last, news.at(-1).updated_ms) };
    ring.told.set(version, told);
  }

  /** The newest step that is over, `{at, served, rejected, p50, p99}`, or null when there is none of late. */
  latest(dataType, now) {
    const ring = this.#rings.get(dataType);
    const present = Math.floor(now / STEP_MS);
    for (let step = present - 1; ring && step >= present - BRIDGED_STEPS; step -= 1) {
      if (ring.step[step % STEPS] === step) return point(ring, step);
    }
    return null;
  }

  /** All steps that are over, oldest first. Where nothing was told, rates are 0 after a rest, else unknown. */
  points(dataType, now) {
    const ring = this.#rings.get(dataType);
    if (!ring) return [];
    const points = [];
    const present = Math.floor(now / STEP_MS);
    let before = null;
    for (let step = present - STEPS + 1; step <= present; step += 1) {
      const told = step < present && ring.step[step % STEPS] === step;
      if (!told && step < present) continue;
      if (before !== null && step - before > BRIDGED_STEPS) {
        points.push(...gap(points.at(-1), (before + 1) * STEP_MS, (step - 1) * STEP_MS));
      }
      if (told) points.push(point(ring, step));
      before = step;
    }
    return points;
  }
}

function put(ring, { updated_ms: toldAt, seconds, served, rejected, p50, p99 }) {
  const step = Math.floor(toldAt / STEP_MS);
  const at = step % STEPS;
  if (ring.step[at] > step) return;
  if (ring.step[at] < step) {
    ring.step[at] = step;
    ring.served[at] = ring.rejected[at] = ring.to[at] = 0;
    ring.from[at] = STEP_MS;
    ring.p50[at] = ring.p99[at] = NaN;
  }
  // Versions that served one after the other cover more time than each, those that served side by side do not; a
  // version at rest covers none.
  if (served + rejected > 0) {
    const to = toldAt - step * STEP_MS;
    ring.to[at] = Math.max(ring.to[at], to);
    ring.from[at] = Math.min(ring.from[at], to - 1000 * seconds);
    ring.served[at] += served;
    ring.rejected[at] += rejected;
  }
  if (p99 !== null) {
    ring.p50[at] = Math.max(ring.p50[at] || 0, p50);
    ring.p99[at] = Math.max(ring.p99[at] || 0, p99);
  }
}

function gap(last, from, to) {
  const rate = last.served === 0 && last.rejected === 0 ? 0 : null;
  return [from, to].map((at) => ({ at, served: rate, rejected: rate, p50: null, p99: null }));
}

function point(ring, step) {
  const at = step % STEPS;
  const seconds = (ring.to[at] - ring.from[at]) / 1000;
  const rate = (number) => (number > 0 ? number / seconds : 0);
  const known = (number) => (Number.isNaN(number) ? null : number);
  return {
    at: step * STEP_MS,
    served: rate(ring.served[at]),
    rejected: rate(ring.rejected[at]),
    p50: known(ring.p50[at]),
    p99: known(ring.p99[at]),
  };
}
