// Requests to the query service.

const TOKEN = "modelserving-token";
const LIMIT_MS = 30_000; // for an answer

/** The service wants a token, or another one. */
export class Unauthorised extends Error {}

/** Kept for this tab alone, and no longer than it. */
export function useToken(token) {
  sessionStorage.setItem(TOKEN, token);
}

export async function get(path, signal) {
  const token = sessionStorage.getItem(TOKEN);
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const response = await fetch(path, { headers, signal, cache: "no-store" });
  if (response.status === 401) throw new Unauthorised(token ? "The service did not accept this token." : "");
  if (!response.ok) {
    const problem = await response.json().catch(() => null); // a proxy's answer may be anything
    throw new Error(problem?.error ?? `The service answers with status ${response.status}.`);
  }
  return response;
}

export async function getJson(path, signal) {
  const limit = AbortSignal.timeout(LIMIT_MS);
  const response = await get(path, signal ? AbortSignal.any([signal, limit]) : limit);
  return response.json();
}
