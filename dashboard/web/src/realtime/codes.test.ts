import { describe, expect, test } from "vitest";
import { floorOf, isTerminal } from "./backoff";
import { Driven, OPTIONS, opens } from "./driven";

describe("close codes", () => {
  const TERMINAL = [1002, 1003, 1007, 1008, 1009, 1010, 4500, 4501, 4503, 4504, 4505, 4506, 4999];
  const PASSING = [1000, 1001, 1005, 1006, 1011, 1012, 1013, 1014, 4000, 4001, 4008, 4010, 4013, 4029, 4499];

  test.each(TERMINAL)("%d is terminal: red at once, and only the button tries again", (code) => {
    expect(isTerminal(code)).toBe(true);
    const driven = new Driven().open().stable().fail(code);
    expect(driven.state).toMatchObject({ status: "error", heals: false, link: { kind: "closed" } });
    driven.taken();
    driven.send({ type: "online" }, { type: "visible" }, { type: "pageshow" }, { type: "tick" });
    expect(opens(driven.taken())).toBe(0);
    driven.send({ type: "retry" });
    expect(opens(driven.taken())).toBe(1);
    expect(driven.state.heals).toBe(true);
  });

  test.each(PASSING)("%d reconnects", (code) => {
    expect(isTerminal(code)).toBe(false);
    const driven = new Driven().open().stable().fail(code);
    expect(driven.state).toMatchObject({ status: "reconnecting", link: { kind: "waiting" } });
  });

  test.each([
    [1013, 5_000],
    [4013, 10_000],
    [4029, 15_000],
    [1006, 0],
  ])("%d waits at least %d ms", (code, floor) => {
    expect(floorOf(code)).toBe(floor);
    const driven = new Driven().open().stable();
    driven.chance = 0;
    expect(driven.fail(code).delay).toBeGreaterThanOrEqual(floor);
  });

  test("goaway's wait is kept, with chance added", () => {
    const driven = new Driven().open().stable();
    driven.send({ type: "goaway", generation: driven.state.generation, retryAfter: 4_200 });
    expect(driven.fail(1012).delay).toBe(4_700);
    expect(driven.state.retryAfter).toBeNull();
  });

  test("a floor is no appointment: the wait comes on top of it", () => {
    const delays = [0, 0.5, 0.999].map((chance) => {
      const driven = new Driven().open().stable();
      driven.chance = chance;
      return Math.round(driven.fail(4029).delay);
    });
    expect(delays).toEqual([15_250, 15_500, 15_999]);
  });

  test("4010 forgets the position", () => {
    const driven = new Driven().open().stable();
    driven.taken();
    expect(driven.fail(4010).taken()).toContainEqual({ type: "forget-position" });
  });

  test("4501 fetches a token once, then is terminal", () => {
    const driven = new Driven({ ...OPTIONS, canRefreshToken: true }).open().stable();
    driven.taken();
    driven.fail(4501);
    expect(driven.taken()).toContainEqual({ type: "open", generation: 2, refreshToken: true });
    expect(driven.fail(4501).state).toMatchObject({ status: "error", heals: false });
  });
});
