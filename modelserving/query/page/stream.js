// Server-sent events, read with `fetch`: `EventSource` cannot send a token.

/** Longer than the service ever leaves a stream without a heartbeat. */
export const SILENCE_MS = 30_000;

/**
 * Read until the stream ends, or is silent for too long; both are errors.
 *
 * @param {Response} response
 * @param {(name: string, data: object) => void} received is called for each event
 * @param {() => void} heard is called for whatever arrives, heartbeats too
 */
export async function readStream(response, received, heard, silenceMs = SILENCE_MS) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const feed = parser(received);
  for (;;) {
    const { done, value } = await within(silenceMs, reader.read());
    if (done) throw new Error("the stream has ended");
    heard();
    feed(value);
  }
}

async function within(ms, promise) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("the stream is silent")), ms);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** A function that takes the stream piece by piece, however it was cut. */
export function parser(received) {
  let rest = "";
  let name = "";
  let data = [];
  const line = (text) => {
    if (text === "") {
      if (data.length > 0) received(name, JSON.parse(data.join("\n")));
      name = "";
      data = [];
    } else if (!text.startsWith(":")) {
      const [, field, value] = /^([^:]*)(?:: ?(.*))?$/s.exec(text);
      if (field === "event") name = value;
      if (field === "data") data.push(value ?? "");
    }
  };
  return (piece) => {
    const lines = (rest + piece).split("\n");
    rest = lines.pop();
    for (const each of lines) line(each.replace(/\r$/, ""));
  };
}
