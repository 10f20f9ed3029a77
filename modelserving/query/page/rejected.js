// Records and models that were turned away.

import { fillTable } from "./dom.js";
import { count, label, moment, numberCell } from "./format.js";

const MOST_CHARACTERS = 120;

/** @param {string | null} dataType null: all */
export function showRejected(view, dataType, now) {
  const { models } = view.rejected;
  const dataTypes = dataType === null ? view.dataTypes() : [dataType];
  fillTable("record-reasons", reasonRows([...view.rejectedByReason(dataTypes)]));
  fillTable("model-reasons", reasonRows(Object.entries(models.by_reason)));
  fillTable("sample", view.sampleOf(dataType).map((each) => sampleRow(each, now)));
}

const reasonRows = (reasons) =>
  reasons
    .filter(([, number]) => number > 0)
    .sort((a, b) => b[1] - a[1])
    .map(([reason, number]) => [reason, numberCell(count(number))]);

function sampleRow(each, now) {
  return [
    moment(each.rejected_at_ms, now),
    each.kind,
    each.reason,
    { text: each.detail, className: "long" },
    each.data_type,
    label(each.model_name, each.model_version),
    { text: `${each.topic}, partition ${each.partition}, offset ${each.offset}`, className: "long" },
    { text: original(each), className: "long original" },
  ];
}

/** As text where it is text, else as hexadecimal numbers. */
function original({ original_hex: hex, original_bytes: length }) {
  if (!hex) return length ? `${count(length)} bytes` : "nothing";
  const pairs = hex.match(/../g);
  const text = decoded(Uint8Array.from(pairs, (pair) => parseInt(pair, 16))) ?? pairs.join(" ");
  const cut = text.length > MOST_CHARACTERS || length > pairs.length;
  return cut ? `${text.slice(0, MOST_CHARACTERS)}… (${count(length)} bytes)` : text;
}

function decoded(bytes) {
  try {
    // As a stream: the last character may be cut.
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: true });
  } catch {
    return null;
  }
}
