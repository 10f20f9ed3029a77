// Puts the page together: what the service tells goes into the view, and the view is shown once a second.

import { getJson, useToken } from "./api.js";
import { Connection, throttled } from "./connection.js";
import { showDecisionFigures, showDecisions } from "./decisions.js";
import { showDistribution } from "./distribution.js";
import { byId, setAttribute, setText, visible } from "./dom.js";
import { showDrift } from "./drift.js";
import { showEvents } from "./events.js";
import { ago, clock } from "./format.js";
import { decisionPoint, History, pointOf, pointOfPolicy } from "./history.js";
import { showList } from "./list.js";
import { Readiness } from "./readiness.js";
import { showRejected } from "./rejected.js";
import { chosenOf } from "./route.js";
import { showFigures, showServing, showTotals, showVersions } from "./serving.js";
import { swaps } from "./swaps.js";
import { Timeline } from "./timeline.js";
import { statsKey, View } from "./view.js";
import { showVoters } from "./voters.js";

const STATES = {
  connecting: "◌ Connecting",
  live: "● Live",
  refused: "▲ Token needed",
  reconnecting: "◌ Reconnecting",
  stale: "▲ Stale",
};

const READINESS_MS = 5000;
/** Data types whose models are asked for one by one; of more, all are. */
const MOST_RELOADED = 10;
const EVENTS = "api/events?limit=100";
const REJECTED = "api/rejected?limit=50";

const view = new View();
const history = { served: new History(), decided: new History() };
const served = new Timeline(
  { id: "latency", title: "Latency" },
  { id: "rates", title: "Rates", first: "served", second: "rejected" },
  "minutes",
);
const decided = new Timeline(
  { id: "decision-time", title: "Decision time" },
  { id: "deadlines", title: "Deadline misses", first: "decided", second: "at the deadline" },
  "decision-minutes",
);
let clockAhead = 0; // the service's clock, against this browser's

const serverNow = () => Date.now() + clockAhead;
const chosen = () => chosenOf(location.hash, view.dataTypes());

/** All that there is, at each connection: what was streamed while there was none is lost. */
async function load(signal) {
  view.begin();
  history.served.begin();
  history.decided.begin();
  const [stats, ...others] = await Promise.all(
    ["api/stats", "api/policies", "api/models", EVENTS, REJECTED].map((path) => getJson(path, signal)),
  );
  clockAhead = stats.at_ms - Date.now();
  view.takeAll(stats, ...others);
  loadChosen();
  byId("columns").hidden = false; // not before: zeros would be taken for figures
  soon();
}

// What the stream only hints at is loaded again, seldom. If that fails, the stream is about to break too.
const reload = (path, take) =>
  getJson(path).then(
    (answer) => {
      take(answer);
      soon();
    },
    () => {},
  );
const changed = new Set(); // data types
const reloadModels = throttled(() => {
  const names = [...changed];
  changed.clear();
  if (names.length > MOST_RELOADED) reload("api/models", (answer) => view.takeModels(answer));
  else names.forEach((name) => reload(`api/models/${encodeURIComponent(name)}`, (answer) => view.takeModelsOf(answer)));
}, 3000);
const reloadRejected = throttled(() => reload(REJECTED, (answer) => view.takeRejected(answer)), 3000);
const reloadRejectedOfChosen = throttled(() => loadRejectedOf(chosen()), 3000);

function loadRejectedOf(dataType) {
  if (dataType === null) return;
  reload(`${REJECTED}&data_type=${encodeURIComponent(dataType)}`, (answer) => view.takeRejectedOf(dataType, answer));
}

/** What is needed of the chosen data type alone. */
function loadChosen() {
  const dataType = chosen();
  if (dataType === null) return;
  const name = encodeURIComponent(dataType);
  const ofType = `&data_type=${name}`;
  reload(`api/stats?data_type=${name}`, (answer) => answer.stats.forEach((each) => view.takeStats(each)));
  reload(EVENTS + ofType, (answer) => view.takeEventsOf(dataType, answer));
  loadRejectedOf(dataType);
  reload(`api/history/${name}`, ({ versions, decisions }) => {
    versions.forEach((each) => history.served.add(dataType, statsKey(each), each.points));
    history.decided.add(dataType, "", decisions.map(decisionPoint));
  });
}

function received(name, data) {
  if (name === "stats") {
    view.takeStats(data);
    history.served.add(data.data_type, statsKey(data), [pointOf(data)]);
  }
  if (name === "totals") takeTotals(data);
  if (name === "policy") {
    view.policies.take(data);
    history.decided.add(data.data_type, "", [pointOfPolicy(data)]);
  }
  if (name === "gone") view.forgetStats(data);
  if (name === "model") takeEvent(data);
  if (name === "rejected") view.takeSample(data);
}

function takeTotals(totals) {
  const { data_type: dataType } = totals;
  const before = view.rejectedIn([dataType]);
  view.takeTotals(totals);
  // Of all data types together only a few a second are streamed.
  if (dataType === chosen() && view.rejectedIn([dataType]) > before) reloadRejectedOfChosen();
}

function takeEvent(event) {
  const before = swaps(view, event.data_type).at(-1);
  view.takeEvent(event);
  const last = swaps(view, event.data_type).at(-1);
  if (event.kind === "SERVING" && last && last.key !== before?.key && [null, event.data_type].includes(chosen())) {
    announce(`${event.data_type}: ${last.label} took over at ${clock(last.at)}`);
  }
  if (event.kind === "REJECTED") reloadRejected(); // for the totals; those of records are in the statistics
  changed.add(event.data_type);
  reloadModels();
  soon();
}

/** To those who hear the page. */
const announce = (words) => setText(byId("announcements"), words);

function show() {
  const now = serverNow();
  const dataType = chosen();
  showConnection();
  document.title = visible(dataType === null ? "Model serving" : `${dataType} – Model serving`);
  setText(byId("chosen"), dataType === null ? "All data types" : dataType || "(unknown data type)");
  if (dataType === null) setAttribute(byId("all-link"), "aria-current", "page");
  else byId("all-link").removeAttribute("aria-current");
  document.body.classList.toggle("all", dataType === null);
  showList(view, history, dataType, now);
  showRejected(view, dataType, now);
  showEvents(view, dataType, now);
  if (dataType === null) {
    byId("drift-mark").hidden = true;
    showTotals(view, history, now);
    return;
  }
  const policy = view.policies.of(dataType);
  document.body.classList.toggle("with-policy", policy !== null);
  if (policy) {
    showDecisionFigures(policy, history.decided.latest(dataType, now), view.rejectedIn([dataType]), now);
    showDecisions(policy, now);
    showVoters(policy);
    decided.show(history.decided.points(dataType, now), swaps(view, dataType), now);
  } else {
    const { current, previous } = view.currentAndPrevious(dataType);
    showFigures(view, history, dataType, now);
    showDrift(current, now);
    served.show(history.served.points(dataType, now), swaps(view, dataType), now);
    showDistribution(current, previous);
  }
  byId("drift-mark").hidden = !view.drifted(dataType, now);
  showServing(view, dataType, now);
  showVersions(view, dataType, now);
}

function showConnection() {
  const { state, heardAt, error } = connection;
  const shown = state === "live" && readiness.problem ? "stale" : state;
  setText(byId("state"), STATES[shown]);
  setAttribute(byId("state"), "data-state", shown);
  const heard = state === "live" ? `heard ${ago(heardAt, Date.now())}` : `as of ${clock(heardAt)}`;
  const why = state === "live" ? readiness.problem : error;
  setText(byId("freshness"), [heardAt > 0 && heard, why].filter(Boolean).join("; "));
}

/** Once, however often it is asked for, and not while nobody looks. */
const soon = throttled(() => {
  if (!document.hidden) show();
}, 200);

/** Ask for a token, and wait for it. */
function refused(message) {
  const form = byId("token-form");
  form.hidden = false;
  setText(byId("token-error"), message);
  byId("token").focus();
  return new Promise((resolve) => {
    form.onsubmit = (submitted) => {
      submitted.preventDefault();
      useToken(byId("token").value);
      form.reset();
      form.hidden = true;
      resolve();
    };
  });
}

const connection = new Connection({ opened: load, received, refused });
const readiness = new Readiness();

setText(byId("zone"), Intl.DateTimeFormat().resolvedOptions().timeZone);
addEventListener("hashchange", () => {
  loadChosen();
  show();
  byId("chosen").focus(); // what was asked for is there; on a phone it is further down
});
byId("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address names the data type
  byId("main").focus();
});
document.addEventListener("visibilitychange", soon);
byId("filter").addEventListener("input", soon);
byId("order").addEventListener("change", soon);
setInterval(soon, 1000);
setInterval(() => {
  if (!document.hidden) readiness.ask();
}, READINESS_MS);
show();
connection.keep();
