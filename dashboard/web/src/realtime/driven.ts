/** For tests: a connection that is driven by hand, with a clock that is moved and chance that is chosen. */

import { next } from "./connection";
import {
  type Connection,
  DEFAULTS,
  type Effect,
  type Environment,
  type Event,
  initial,
  type Options,
  wakeAt,
} from "./state";

export const OPTIONS: Options = { ...DEFAULTS, reconnectInterval: 1_000 };

export class Driven {
  state: Connection;
  effects: Effect[] = [];
  now = 1_000_000;
  chance = 0.5;

  constructor(private readonly options: Options = OPTIONS) {
    this.state = initial(options, { online: true, visible: true });
  }

  send(...events: Event[]): this {
    for (const event of events) {
      const environment: Environment = { now: this.now, random: () => this.chance, options: this.options };
      const [state, effects] = next(this.state, event, environment);
      this.state = state;
      this.effects.push(...effects);
    }
    return this;
  }

  /** Move the clock to where something is due, and let it happen. */
  wake(late = 0): this {
    const at = wakeAt(this.state);
    if (at === null) throw new Error("nothing is due");
    this.now = Math.max(this.now, at) + late;
    return this.send({ type: "tick" });
  }

  open(): this {
    return this.send({ type: "connect" }, { type: "hello", generation: this.state.generation + 1 });
  }

  fail(code = 1006): this {
    return this.send({ type: "closed", generation: this.state.generation, code, reason: "" });
  }

  hello(): this {
    return this.send({ type: "hello", generation: this.state.generation });
  }

  stable(): this {
    this.now += 5_000;
    return this.send({ type: "tick" });
  }

  taken(): Effect[] {
    const effects = this.effects;
    this.effects = [];
    return effects;
  }

  get delay(): number {
    return (wakeAt(this.state) ?? Number.POSITIVE_INFINITY) - this.now;
  }
}

/** How many sockets were opened. */
export const opens = (effects: Effect[]) => effects.filter((effect) => effect.type === "open").length;

/** Ten attempts failed in a row. */
export function exhausted(): Driven {
  const driven = new Driven().open().stable();
  driven.fail();
  for (let attempt = 0; attempt < 10; attempt += 1) driven.wake().fail();
  return driven;
}
