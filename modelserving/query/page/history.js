// Rates and latencies of the last ten minutes, from the stream: the service has only the present.

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
  };
}

export class History {
  #rings = new Map();
  #breaks = [];

  /** Add what one version's statistics say of the last second. */
  add(stats) {
    const { seconds, served, rejected, latency_ms: latency } = stats.recent;
    let ring = this.#rings.get(stats.data_type);
    if (!ring) this.#rings.set(stats.data_type, (ring = newRing()));
    const step = Math.floor(stats.updated_ms / STEP_MS);
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
      const to = stats.updated_ms - step * STEP_MS;
      ring.to[at] = Math.max(ring.to[at], to);
      ring.from[at] = Math.min(ring.from[at], to - 1000 * seconds);
      ring.served[at] += served;
      ring.rejected[at] += rejected;
    }
    if (latency.count > 0) {
      ring.p50[at] = Math.max(ring.p50[at] || 0, latency.p50);
      ring.p99[at] = Math.max(ring.p99[at] || 0, latency.p99);
    }
  }

  /** Nothing was heard for this time. */
  interrupted(from, to) {
    this.#breaks = [...this.#breaks.filter((each) => each.to > to - SPAN_MS), { from, to }];
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
        points.push(...this.#gap(points.at(-1), (before + 1) * STEP_MS, (step - 1) * STEP_MS));
      }
      if (told) points.push(point(ring, step));
      before = step;
    }
    return points;
  }

  #gap(last, from, to) {
    const atRest = last.served === 0 && last.rejected === 0;
    const broken = this.#breaks.some((each) => each.from < to && each.to > from);
    const rate = atRest && !broken ? 0 : null;
    return [from, to].map((at) => ({ at, served: rate, rejected: rate, p50: null, p99: null }));
  }
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
