// When one model version took over from another.

import { label } from "./format.js";
import { versionKey } from "./view.js";

/**
 * Swaps of a data type, oldest first: `{key, label, at}`.
 *
 * Every instance of the job tells that it serves a version, each in its own time: the first of them is the swap, the
 * others follow. Events of long ago are not loaded, so what the service says of its instances is added.
 */
export function swaps(view, dataType) {
  const seen = [
    ...view
      .eventsOf(dataType)
      .filter((each) => each.kind === "SERVING")
      .map((each) => start(each.instance, each.model_name, each.model_version, each.model_sha256, each.at_ms)),
    ...(view.models.get(dataType)?.serving ?? []).map((each) =>
      start(each.instance, each.name, each.version, each.sha256, each.since_ms),
    ),
  ];
  seen.sort((a, b) => a.at - b.at);
  const found = [];
  const reached = new Map(); // instance → the swap that it made last
  for (const { instance, ...each } of seen) {
    const own = reached.get(instance);
    if (own !== undefined && found[own].key === each.key) continue; // loaded again, such as after a restart
    // An instance that is new begins with what is newest; another one goes on from where it was.
    const followed =
      own === undefined
        ? found.findLastIndex((swap) => swap.key === each.key)
        : found.findIndex((swap, at) => at > own && swap.key === each.key);
    reached.set(instance, followed >= 0 ? followed : found.push(each) - 1);
  }
  return found;
}

function start(instance, name, version, sha256, at) {
  return { instance, key: versionKey(name, version, sha256), label: label(name, version), at };
}
