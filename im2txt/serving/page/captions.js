// Requests captions of a picture from the server.

const MAX_TRIES = 10;

/** An error with a message for the user. */
export class CaptionError extends Error {}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Returns the captions of a picture, the best first.
 *
 * If the server is busy, retries a few times, after its Retry-After.
 */
export async function captionsOf(blob, options, {signal, onBusy}) {
  for (let tries = 1; ; tries++) {
    const response = await send(blob, options, signal);
    if (response.status !== 503 || tries === MAX_TRIES) {
      return captionsIn(response);
    }
    onBusy();
    const seconds = Number(response.headers.get("Retry-After")) || 1;
    await pause(1000 * seconds * tries);
  }
}

async function send(blob, options, signal) {
  const body = new FormData();
  body.append("images", blob, "picture");
  for (const [name, value] of Object.entries(options)) {
    body.append(name, value);
  }
  try {
    return await fetch("v1/captions", {method: "POST", body, signal});
  } catch (error) {
    if (signal.aborted) throw error;
    throw new CaptionError(
      "The server can’t be reached. It may have been stopped, or the network" +
        " is down.",
    );
  }
}

async function captionsIn(response) {
  let answer;
  try {
    answer = await response.json();
  } catch {
    // The response of a proxy, for example.
    throw new CaptionError(`The server failed (status ${response.status}).`);
  }
  const error = response.ok ? answer.images[0].error : answer.message;
  if (error) throw new CaptionError(error);
  return answer.images[0].captions;
}
