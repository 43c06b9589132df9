// Talking to the server: JSON both ways; arrays travel as base64 of their little-endian bytes.

const TYPES = { uint8: Uint8Array, uint16: Uint16Array, int32: Int32Array, float32: Float32Array };

/** Decodes {dtype, shape, data} to {shape, values}. */
export function array({ dtype, shape, data }) {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  return { shape, values: new TYPES[dtype](bytes.buffer) };
}

/** Asks the server; throws an Error whose message is the server's sentence. */
export async function ask(path, body) {
  const options = body === undefined ? {} : {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  let response;
  try {
    response = await fetch(`api/${path}`, options);
  } catch {
    throw new Error("The server does not answer: is the program still running?");
  }
  const answer = await response.json().catch(() => ({ error: `The server answered ${response.status}.` }));
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

/** Runs `work` on the newest argument only: while it runs, later arguments replace each other. */
export function newestOnly(work) {
  let running = false;
  let next = null;
  return async (argument) => {
    next = { argument };
    if (running) return;
    running = true;
    try {
      while (next) {
        const { argument: newest } = next;
        next = null;
        await work(newest);
      }
    } finally {
      running = false;
    }
  };
}
