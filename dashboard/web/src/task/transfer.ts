/** Speed and remaining time of a transfer, from what was heard about its bytes. Pure. */

const WINDOW_MS = 5_000;
const STABLE_MS = 5_000;
const ETA_STEP_S = 5;

export interface Sample {
  at: number;
  bytes: number;
}

export interface Transfer {
  samples: readonly Sample[];
  /** When the bytes began to move. */
  since: number | null;
  /** The moment of the end that was last announced; a later one must be clearly later to be shown. */
  endsAt: number | null;
}

export const NO_TRANSFER: Transfer = { samples: [], since: null, endsAt: null };

/** Note the bytes done so far. Going back means another file or attempt: the measuring starts anew. */
export function moved(transfer: Transfer, sample: Sample): Transfer {
  const last = transfer.samples.at(-1);
  if (last && sample.bytes < last.bytes) return { ...NO_TRANSFER, samples: [sample], since: sample.at };
  // One sample from before the window is kept: the average spans the whole window.
  const recent = transfer.samples.filter((_, index, all) => {
    const following = all[index + 1] ?? sample;
    return following.at > sample.at - WINDOW_MS;
  });
  return { ...transfer, samples: [...recent, sample], since: transfer.since ?? sample.at };
}

/** Bytes per second over the last five seconds; null until two moments are known. A stall counts as time. */
export function speedOf(transfer: Transfer, now: number): number | null {
  const first = transfer.samples[0];
  const last = transfer.samples.at(-1);
  if (!first || !last || first === last) return null;
  const from = Math.max(first.at, now - WINDOW_MS);
  const seconds = (Math.max(now, last.at) - from) / 1000;
  if (seconds <= 0) return null;
  const inWindow = transfer.samples.find((sample) => sample.at >= from) ?? last;
  const base = first.at >= from ? first : before(transfer.samples, inWindow, from);
  return Math.max(0, (last.bytes - base.bytes) / seconds);
}

/** The bytes at the window's beginning, on the line between the samples around it. */
function before(samples: readonly Sample[], after: Sample, at: number): Sample {
  const index = samples.indexOf(after);
  const earlier = samples[index - 1] ?? after;
  const span = after.at - earlier.at;
  const share = span === 0 ? 1 : Math.min(1, (at - earlier.at) / span);
  return { at, bytes: earlier.bytes + (after.bytes - earlier.bytes) * share };
}

/**
 * Seconds left, in steps of five, with the transfer that remembers them. Null while the total is unknown, while the
 * speed was not stable for five seconds, or while nothing moves. Jitter never makes it grow.
 */
export function remaining(
  transfer: Transfer,
  total: number | null,
  now: number,
): readonly [Transfer, number | null] {
  const speed = speedOf(transfer, now);
  const last = transfer.samples.at(-1);
  if (total === null || !speed || !last || transfer.since === null || now - transfer.since < STABLE_MS) {
    return [transfer, null];
  }
  const rest = Math.max(0, total - last.bytes);
  if (rest === 0) return [transfer, null];
  const estimate = now + (rest / speed) * 1000;
  const isJitter =
    transfer.endsAt !== null && estimate > transfer.endsAt && !isClearlyLater(estimate, transfer, now);
  const endsAt = isJitter && transfer.endsAt !== null ? transfer.endsAt : estimate;
  const seconds = Math.ceil(Math.max(0, endsAt - now) / 1000 / ETA_STEP_S) * ETA_STEP_S;
  return [{ ...transfer, endsAt }, Math.max(ETA_STEP_S, seconds)];
}

function isClearlyLater(estimate: number, transfer: Transfer, now: number): boolean {
  const announced = (transfer.endsAt ?? now) - now;
  return estimate - now > Math.max(announced * 1.5, announced + 10_000);
}
