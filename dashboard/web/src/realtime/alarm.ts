/** One timer, set to the moment when something is due next. */

import type { World } from "./world";

export class Alarm {
  private timer: { handle: unknown; at: number } | null = null;

  constructor(
    private readonly world: World,
    private readonly ring: () => void,
  ) {}

  /** Ring at that moment of the world's clock; null: not at all. It may ring too early, never too late. */
  set(at: number | null): void {
    // One that rings too early finds nothing to do and is set again: cheaper than a new timer for every frame.
    if (at !== null && this.timer !== null && this.timer.at <= at) return;
    if (this.timer !== null) this.world.clearTimer(this.timer.handle);
    this.timer = null;
    if (at === null) return;
    const delay = Math.max(0, at - this.world.now());
    const handle = this.world.setTimer(() => {
      this.timer = null;
      this.ring();
    }, delay);
    this.timer = { handle, at };
  }
}
