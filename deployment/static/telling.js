// Asking the server for a story and reading it while it comes: server-sent events, read by hand.
//
// EventSource, which browsers have for this, can only GET. A POST is read through fetch: its body is a
// stream of bytes, cut anywhere, even inside a letter.

export class TellError extends Error {
  constructor(message, code = null) {
    super(message);
    this.code = code; // the server's, or "away" where there was no answer, "broken" where it broke off
  }
}

// Yields the data of each event of a response, as text.
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    held += value;
    const parts = held.split(/\r?\n\r?\n/); // an empty line ends an event
    held = parts.pop(); // the beginning of the next one
    for (const part of parts) {
      const lines = part.split(/\r?\n/).filter((line) => line.startsWith("data:"));
      if (lines.length) yield lines.map((line) => line.slice(5).replace(/^ /, "")).join("\n");
    }
  }
}

// A refusal of the server's as a TellError, whatever its body is.
async function refusal(response) {
  const body = await response.json().catch(() => null);
  const error = body?.error ?? {};
  return new TellError(error.message ?? `the server answered with status ${response.status}`, error.code ?? null);
}

// One request in JSON. Resolves with the response; rejects with a TellError.
export async function ask(method, path, body, more = {}) {
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: body ? { "Content-Type": "application/json" } : {},
      body: body && JSON.stringify(body),
      ...more,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new TellError("no answer", "away");
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

// Has a story told. `wanted`: the body of /v1/completions. onText(piece) is called for each piece.
// Resolves with { reason, tokens, seconds }; rejects with a TellError, or an AbortError after a stop.
export async function tell(wanted, signal, onText) {
  const body = { ...wanted, stream: true, stream_options: { include_usage: true } };
  const response = await ask("POST", "/v1/completions", body, { signal });
  let reason = null, tokens = 0, first = null, last = null;
  try {
    for await (const data of events(response)) {
      if (data === "[DONE]") break;
      const event = JSON.parse(data);
      if (event.error) throw new TellError(event.error.message, event.error.code);
      if (event.usage) tokens = event.usage.completion_tokens;
      for (const choice of event.choices) {
        if (choice.text) {
          last = performance.now();
          first ??= last;
          onText(choice.text);
        }
        reason = choice.finish_reason ?? reason;
      }
    }
  } catch (error) {
    if (error.name === "AbortError" || error instanceof TellError) throw error;
    throw new TellError("the connection broke off", "broken");
  }
  if (reason === null) throw new TellError("the connection broke off", "broken");
  return { reason, tokens, seconds: first === null ? 0 : (last - first) / 1000 };
}
