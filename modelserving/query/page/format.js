// How numbers and times are written.

export const NONE = "–";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const threeDigits = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

export const count = (number) => whole.format(number);

/** To three digits, but never rounded before the decimal point. */
export const measure = (number) => (Math.abs(number) >= 100 ? whole : threeDigits).format(number);

/** For an axis: short. */
export const tick = (number) => (Math.abs(number) >= 1000 ? compact : threeDigits).format(number);

export const percent = (share) => `${measure(100 * share)} %`;

export const milliseconds = (number) => (number == null ? NONE : `${measure(number)} ms`);

/** A table's cell with a number. */
export const numberCell = (text) => ({ text, className: "number" });

/** One of the quantiles in `{count, min, p50, …}`, if there is any. */
export const quantile = (quantiles, name, unit) =>
  quantiles?.count > 0 ? `${measure(quantiles[name])} ${unit}` : NONE;

const two = (number) => String(number).padStart(2, "0");

/** Time of day. */
export function clock(ms) {
  const date = new Date(ms);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
}

/** Time of day, with the date unless it is today's. */
export function moment(ms, now) {
  if (!ms) return NONE;
  const date = new Date(ms);
  if (date.toDateString() === new Date(now).toDateString()) return clock(ms);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock(ms)}`;
}

const UNITS = [[86_400, "d"], [3_600, "h"], [60, "min"]];

export function ago(ms, now) {
  if (!ms) return NONE;
  const seconds = Math.max(0, Math.round((now - ms) / 1000));
  const [size, unit] = UNITS.find(([each]) => seconds >= each) ?? [1, "s"];
  return `${Math.floor(seconds / size)} ${unit} ago`;
}

/** The model's name and version. */
export const label = (name, version) => `${name} ${version}`.trim();
