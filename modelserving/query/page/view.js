// What the service has told, as far as the page needs it.

import { Policies } from "./policies.js";

/** Kept of each, newest first; the service knows more. */
const MOST_EVENTS = 500;
const MOST_SAMPLES = 50;

/** The name of what versions of long ago have together. */
const EARLIER = "(earlier versions)";

/** Tells model versions apart. */
export const versionKey = (name, version, sha256) => [name, version, sha256].join("\n");

export const statsKey = (stats) => versionKey(stats.name, stats.model_version, stats.model_sha256);
const eventKey = (event) => `${event.event_partition}@${event.event_offset}`;
const sampleKey = (each) => [each.topic, each.partition, each.offset, each.rejected_at_ms].join("\n");

/** What has drifted is marked for so long: the streaming detector finds a moment, and the other compares the records of
 * the last five minutes. */
export const MARKED_MS = 300_000;
/** A job that has told nothing for so long has no present rates. */
export const STALE_MS = 10_000;

const NOTHING = { served: 0, errors: 0, rejected: {} };

export class View {
  /** By data type and version: of those that serve or served last, and of all of the data type that was chosen.
   * @type {Map<string, Map<string, object>>} */
  stats = new Map();
  /** By data type, over all versions. @type {Map<string, {served: number, errors: number, rejected: object}>} */
  totals = new Map();
  /** By data type. @type {Map<string, {serving: object[], versions: object[]}>} */
  models = new Map();
  policies = new Policies();
  /** Of all data types. */
  events = [];
  rejected = { models: { total: 0, by_reason: {} }, sample: [] };
  #asked = { dataType: null, events: [], sample: [] };
  /** What this connection has told. */
  #told = new WeakSet();

  dataTypes() {
    return [...new Set([...this.totals.keys(), ...this.models.keys(), ...this.policies.dataTypes()])];
  }

  /** Those without a name are of records that no model was asked about. */
  statsOf(dataType) {
    return [...(this.stats.get(dataType)?.values() ?? [])];
  }

  /** A connection begins. What neither it streams nor the answers to `takeAll` tell is no more. */
  begin() {
    this.#told = new WeakSet();
    this.policies.begin();
  }

  takeAll(stats, policies, models, events, rejected) {
    const keys = new Set(stats.stats.map((each) => `${each.data_type}\n${statsKey(each)}`));
    for (const [dataType, versions] of this.stats) {
      for (const [key, each] of versions) {
        if (!keys.has(`${dataType}\n${key}`) && !this.#told.has(each)) versions.delete(key);
      }
      if (versions.size === 0) this.stats.delete(dataType);
    }
    const names = new Set(stats.totals.map((each) => each.data_type));
    for (const [name, each] of this.totals) if (!names.has(name) && !this.#told.has(each)) this.totals.delete(name);
    this.policies.takeAll(policies);
    this.takeModels(models);
    this.events = this.events.filter((each) => this.#told.has(each));
    this.events = merged(this.events, events.events, eventKey, "at_ms", MOST_EVENTS);
    this.rejected.sample = this.rejected.sample.filter((each) => this.#told.has(each));
    this.takeRejected(rejected);
    stats.stats.forEach((each) => this.takeStats(each));
    stats.totals.forEach((each) => this.takeTotals(each));
  }

  takeStats(stats) {
    this.#told.add(stats);
    let versions = this.stats.get(stats.data_type);
    if (!versions) this.stats.set(stats.data_type, (versions = new Map()));
    const known = versions.get(statsKey(stats));
    if (known && known.updated_ms >= stats.updated_ms) return; // loaded and streamed overlap
    versions.set(statsKey(stats), stats);
  }

  takeTotals(totals) {
    this.#told.add(totals);
    if (this.totals.get(totals.data_type)?.updated_ms > totals.updated_ms) return;
    this.totals.set(totals.data_type, totals);
  }

  totalsOf(dataType) {
    return this.totals.get(dataType) ?? NOTHING;
  }

  takeModels(answer) {
    this.models = new Map(answer.data_types.map((each) => [each.data_type, each]));
  }

  /** Those of one data type. */
  takeModelsOf(answer) {
    this.models.set(answer.data_type, answer);
  }

  /** A version whose statistics were added up with others of long ago. */
  forgetStats(gone) {
    this.stats.get(gone.data_type)?.delete(statsKey(gone));
  }

  /** Those of one data type: it may have none among the newest of all. */
  takeEventsOf(dataType, answer) {
    this.#askedOf(dataType).events = answer.events;
  }

  /** The same of what was rejected. */
  takeRejectedOf(dataType, answer) {
    this.#askedOf(dataType).sample = answer.sample;
  }

  #askedOf(dataType) {
    if (this.#asked.dataType !== dataType) this.#asked = { dataType, events: [], sample: [] };
    return this.#asked;
  }

  takeEvent(event) {
    this.#told.add(event);
    this.events = merged(this.events, [event], eventKey, "at_ms", MOST_EVENTS);
  }

  eventsOf(dataType) {
    const asked = this.#asked.dataType === dataType ? this.#asked.events : [];
    const events = [this.events, asked].map((each) => each.filter((event) => event.data_type === dataType));
    return merged(...events, eventKey, "at_ms", MOST_EVENTS);
  }

  /** @param {string | null} dataType null: all */
  sampleOf(dataType) {
    if (dataType === null) return this.rejected.sample;
    const asked = this.#asked.dataType === dataType ? this.#asked.sample : [];
    const known = [this.rejected.sample, asked].map((each) => each.filter((one) => one.data_type === dataType));
    return merged(...known, sampleKey, "rejected_at_ms", MOST_SAMPLES);
  }

  takeRejected(answer) {
    const sample = merged(this.rejected.sample, answer.sample, sampleKey, "rejected_at_ms", MOST_SAMPLES);
    this.rejected = { models: answer.models, sample };
  }

  takeSample(each) {
    this.#told.add(each);
    this.rejected.sample = merged(this.rejected.sample, [each], sampleKey, "rejected_at_ms", MOST_SAMPLES);
  }

  /** Rows of `models` that serve now, the newest first. */
  serving(dataType) {
    const rows = this.models.get(dataType)?.serving ?? [];
    return [...rows].sort((a, b) => b.since_ms - a.since_ms);
  }

  /**
   * Statistics of the version that serves, and of the one that served before it.
   *
   * Either may be null: a version that has just taken over has no statistics yet.
   */
  currentAndPrevious(dataType) {
    const served = this.statsOf(dataType)
      .filter((each) => each.name !== "" && each.name !== EARLIER && each.served > 0)
      .sort((a, b) => b.last_served_ms - a.last_served_ms);
    const [row] = this.serving(dataType);
    const key = row ? versionKey(row.name, row.version, row.sha256) : served[0] && statsKey(served[0]);
    return {
      current: served.find((each) => statsKey(each) === key) ?? null,
      previous: served.find((each) => statsKey(each) !== key) ?? null,
    };
  }

  /** Whether what serves is not as it was at its beginning, or its scores have just changed. */
  drifted(dataType, now) {
    const recently = (ms) => now - ms < MARKED_MS;
    const marked = (stats) =>
      stats !== null && ((stats.drift.drifted && recently(stats.updated_ms)) || recently(stats.drift.changed_ms));
    if (this.policies.of(dataType) === null) return marked(this.currentAndPrevious(dataType).current);
    const serving = new Set(this.serving(dataType).map((row) => versionKey(row.name, row.version, row.sha256)));
    return this.statsOf(dataType).some((each) => serving.has(statsKey(each)) && marked(each));
  }

  /** Records of these data types that were turned away, by reason. */
  rejectedByReason(dataTypes) {
    const reasons = new Map();
    for (const dataType of dataTypes) {
      for (const [reason, number] of Object.entries(this.totalsOf(dataType).rejected)) {
        reasons.set(reason, (reasons.get(reason) ?? 0) + number);
      }
    }
    return reasons;
  }

  /** How many that is. */
  rejectedIn(dataTypes) {
    return [...this.rejectedByReason(dataTypes).values()].reduce((a, b) => a + b, 0);
  }
}

/** Two lists that may share some, as one, newest first; `most` at most. */
function merged(known, more, key, time, most) {
  const keys = new Set(more.map(key));
  const all = [...more, ...known.filter((each) => !keys.has(key(each)))];
  return all.sort((a, b) => b[time] - a[time]).slice(0, most);
}
