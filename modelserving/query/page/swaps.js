// When one model version took over from another.

import { label } from "./format.js";
import { versionKey } from "./view.js";

/**
 * Swaps of a data type, oldest first: `{key, label, at}`.
 *
 * Every instance of the job tells that it serves a version; the first of them is the swap. Events of long ago are not
 * loaded, so what the service says of its versions is added.
 */
export function swaps(view, dataType) {
  const model = view.models.get(dataType) ?? { serving: [], versions: [] };
  const seen = [
    ...view
      .eventsOf(dataType)
      .filter((each) => each.kind === "SERVING")
      .map((each) => start(each.model_name, each.model_version, each.model_sha256, each.at_ms)),
    ...model.serving.map((each) => start(each.name, each.version, each.sha256, each.since_ms)),
    ...model.versions
      .filter((each) => each.serving_since_ms > 0)
      .map((each) => start(each.name, each.version, each.sha256, each.serving_since_ms)),
  ];
  seen.sort((a, b) => a.at - b.at);
  return seen.filter((each, at) => at === 0 || each.key !== seen[at - 1].key);
}

function start(name, version, sha256, at) {
  return { key: versionKey(name, version, sha256), label: label(name, version), at };
}
