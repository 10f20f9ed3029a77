// Keeps the page connected to the service's stream.

import { get, Unauthorised } from "./api.js";
import { readStream, SILENCE_MS } from "./stream.js";

const LONGEST_PAUSE_MS = 15_000;

export class Connection {
  #opened;
  #received;
  #refused;
  #connected = false;
  #waiting = false;
  #heardAt = 0;
  #error = "";

  /**
   * @param {(signal: AbortSignal) => Promise<void>} opened loads what there is already; only then the page is
   *   connected. The stream is read meanwhile, so nothing is missed between the two.
   * @param {(name: string, data: object) => void} received
   * @param {(message: string) => Promise<void>} refused resolves when there is a token to try
   */
  constructor({ opened, received, refused }) {
    this.#opened = opened;
    this.#received = received;
    this.#refused = refused;
  }

  /** `connecting`, `live`, `refused`: a token is needed, `reconnecting`, or `stale`: nothing was heard for long. */
  get state() {
    if (this.#waiting) return "refused";
    if (this.#connected) return "live";
    if (this.#heardAt === 0) return "connecting";
    return Date.now() - this.#heardAt > SILENCE_MS ? "stale" : "reconnecting";
  }

  /** When the service was last heard, by this browser's clock; 0: not yet. */
  get heardAt() {
    return this.#heardAt;
  }

  /** Why there is no connection. */
  get error() {
    return this.#error;
  }

  /** Connect, again and again; never returns. */
  async keep() {
    for (let failures = 0; ; failures += 1) {
      await shown();
      const abort = new AbortController();
      // A browser has few connections to a service, for all tabs together: one that nobody looks at must not hold one.
      const leave = () => document.hidden && abort.abort();
      document.addEventListener("visibilitychange", leave);
      try {
        const response = await get("api/stream", abort.signal);
        await Promise.all([
          readStream(response, this.#received, () => {
            this.#heardAt = Date.now();
          }),
          this.#opened(abort.signal).then(() => {
            abort.signal.throwIfAborted(); // the stream broke meanwhile
            failures = 0;
            this.#error = "";
            this.#heardAt = Date.now();
            this.#connected = true;
          }),
        ]);
      } catch (error) {
        this.#connected = false;
        if (document.hidden) {
          failures = 0;
          continue;
        }
        this.#error = error.message;
        if (error instanceof Unauthorised) {
          this.#waiting = true;
          await this.#refused(error.message);
          this.#waiting = false;
          continue;
        }
      } finally {
        document.removeEventListener("visibilitychange", leave);
        abort.abort();
      }
      await new Promise((resolve) => setTimeout(resolve, pauseMs(failures)));
    }
  }
}

/** Resolves when somebody can see the page. */
function shown() {
  return new Promise((resolve) => {
    const look = () => {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
    look();
  });
}

/** Longer each time, and not the same in every browser: all of them lose a service that restarts at once. */
function pauseMs(failures) {
  return Math.min(LONGEST_PAUSE_MS, 500 * 2 ** failures) * (0.75 + Math.random() / 2);
}

/** A function that does `task` at most once in `ms`, and once after its last call. */
export function throttled(task, ms) {
  let timer = null;
  let last = -Infinity;
  return () => {
    timer ??= setTimeout(() => {
      timer = null;
      last = performance.now();
      task();
    }, Math.max(0, last + ms - performance.now()));
  };
}
