import { expect, test } from "vitest";
import { Outbox } from "./outbox";

const LIMITS = { queueSize: 100, queueTtl: 30_000 };

test("a hundred messages are kept and the oldest goes first", () => {
  const outbox = new Outbox(LIMITS);
  for (let n = 0; n < 105; n += 1) outbox.offer(String(n), 0);
  expect(outbox.size).toBe(100);
  expect(outbox.dropped).toBe(5);
  expect(outbox.take(0)[0]).toBe("5");
});

test("what grew old is dropped, not sent", () => {
  const outbox = new Outbox(LIMITS);
  outbox.offer("old", 0);
  outbox.offer("young", 20_000);
  expect(outbox.take(30_000)).toEqual(["young"]);
  expect(outbox.dropped).toBe(1);
});

test("is emptied no faster than the server takes it", () => {
  const outbox = new Outbox(LIMITS);
  for (let n = 0; n < 100; n += 1) outbox.offer(String(n), 0);
  let sent = 0;
  let longest = 0;
  for (let now = 0; outbox.size > 0; now = outbox.dueAt(now) ?? now) {
    sent += outbox.take(now).length;
    // The server's rule: 20 a second, 40 at once.
    longest = Math.max(longest, sent - (now / 1_000) * 20);
  }
  expect(sent).toBe(100);
  expect(longest).toBeLessThanOrEqual(30);
});

test("what belongs to a connection goes first, is never dropped for the bound, and ends with it", () => {
  const outbox = new Outbox({ queueSize: 2, queueTtl: 1_000 });
  for (const text of ["a", "b", "c"]) outbox.offer(text, 0);
  for (const text of ["join 1", "join 2", "join 3"]) outbox.bind(text);
  expect(outbox.size).toBe(5);
  outbox.unbind();
  outbox.bind("join 4");
  expect(outbox.take(0)).toEqual(["join 4", "b", "c"]);
});

test("nothing is due when nothing waits", () => {
  expect(new Outbox(LIMITS).dueAt(5)).toBeNull();
});
