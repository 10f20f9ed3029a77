// What the policies of data types decided, as far as the service has told.

export class Policies {
  /** By data type. @type {Map<string, object>} */
  #known = new Map();
  /** What this connection has told of. */
  #told = new Set();

  dataTypes() {
    return [...this.#known.keys()];
  }

  /** Null where a data type has none. */
  of(dataType) {
    return this.#known.get(dataType) ?? null;
  }

  /** A connection begins. What neither it streams nor the answer to `takeAll` tells is no more. */
  begin() {
    this.#told.clear();
  }

  takeAll(answer) {
    const names = new Set(answer.policies.map((each) => each.data_type));
    for (const name of this.#known.keys()) {
      if (!names.has(name) && !this.#told.has(name)) this.#known.delete(name);
    }
    answer.policies.forEach((each) => this.take(each));
  }

  take(policy) {
    this.#told.add(policy.data_type);
    if (this.of(policy.data_type)?.updated_ms >= policy.updated_ms) return; // loaded and streamed overlap
    this.#known.set(policy.data_type, policy);
  }
}
