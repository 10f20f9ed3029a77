// Whether the service still hears the broker: without it, a service that is there tells of the past.

export class Readiness {
  /** In words; empty: there is none. */
  problem = "";

  async ask() {
    try {
      const response = await fetch("readyz", { cache: "no-store" });
      this.problem = response.ok ? "" : (await response.json()).error;
    } catch {
      this.problem = ""; // the service is not there, as the connection tells
    }
  }
}
