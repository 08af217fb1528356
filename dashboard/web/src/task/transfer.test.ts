import { describe, expect, test } from "vitest";
import { moved, NO_TRANSFER, remaining, speedOf, type Transfer } from "./transfer";

const MB = 1_000_000;

/** A transfer that heard of its bytes each half second. */
function steady(seconds: number, rate: number, from: Transfer = NO_TRANSFER, at = 0, bytes = 0): Transfer {
  let transfer = from;
  for (let step = 0; step <= seconds * 2; step += 1) {
    transfer = moved(transfer, { at: at + step * 500, bytes: bytes + (step * rate) / 2 });
  }
  return transfer;
}

describe("speed", () => {
  test("is not known from one moment", () => {
    expect(speedOf(NO_TRANSFER, 0)).toBeNull();
    expect(speedOf(moved(NO_TRANSFER, { at: 0, bytes: 5 }), 0)).toBeNull();
  });

  test("is the average of five seconds", () => {
    expect(speedOf(steady(10, 3 * MB), 10_000)).toBeCloseTo(3 * MB, -3);
  });

  test("falls while nothing arrives, to nothing after five seconds", () => {
    const transfer = steady(10, 3 * MB);
    expect(speedOf(transfer, 12_500)).toBeCloseTo(1.5 * MB, -3);
    expect(speedOf(transfer, 20_000)).toBe(0);
  });

  test("begins anew when the bytes go back", () => {
    const transfer = moved(steady(10, 3 * MB), { at: 10_500, bytes: 0 });
    expect(speedOf(transfer, 10_500)).toBeNull();
    expect(transfer.since).toBe(10_500);
  });

  test("keeps few moments, however long it lasts", () => {
    expect(steady(600, MB).samples.length).toBeLessThan(15);
  });
});

describe("time left", () => {
  const left = (transfer: Transfer, total: number | null, now: number) => remaining(transfer, total, now)[1];

  test("is not told before five seconds, without a total, or while nothing moves", () => {
    expect(left(steady(4, MB), 100 * MB, 4_000)).toBeNull();
    expect(left(steady(10, MB), null, 10_000)).toBeNull();
    expect(left(steady(10, MB), 100 * MB, 30_000)).toBeNull();
  });

  test("is the rest by the speed, in steps of five seconds", () => {
    expect(left(steady(10, MB), 50 * MB, 10_000)).toBe(40);
    expect(left(steady(10, MB), 48 * MB, 10_000)).toBe(40);
  });

  test("does not grow by jitter, and does grow when the line becomes slow for good", () => {
    let transfer = steady(10, MB);
    let told: number | null;
    [transfer, told] = remaining(transfer, 100 * MB, 10_000);
    expect(told).toBe(90);
    transfer = steady(1, 0.6 * MB, transfer, 10_500, 10.3 * MB);
    [transfer, told] = remaining(transfer, 100 * MB, 11_500);
    expect(told).toBeLessThanOrEqual(90);
    transfer = steady(8, 0.2 * MB, transfer, 12_000, 11 * MB);
    expect(left(transfer, 100 * MB, 20_000)).toBeGreaterThan(200);
  });
});
