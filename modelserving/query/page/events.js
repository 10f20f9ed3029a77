// What happened to model versions.

import { fillTable } from "./dom.js";
import { moment } from "./format.js";

const MOST_ROWS = 100;
const BAD = new Set(["REJECTED", "LOAD_FAILED", "DRIFT"]);

/** @param {string | null} dataType null: all */
export function showEvents(view, dataType, now) {
  const events = dataType === null ? view.events : view.eventsOf(dataType);
  fillTable("events", events.slice(0, MOST_ROWS).map((each) => row(each, now)));
}

function row(event, now) {
  return [
    moment(event.at_ms, now),
    { text: event.kind.replace("_", " "), className: BAD.has(event.kind) ? "bad" : "" },
    event.data_type,
    event.model_name,
    event.model_version,
    event.instance,
    { text: [event.reason, event.detail].filter(Boolean).join(": "), className: "long" },
  ];
}
