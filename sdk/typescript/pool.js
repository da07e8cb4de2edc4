// Sandboxes that are there before somebody asks: of a daemon of their own, which makes them.

import { Daemon, SandboxError } from './daemon.js';
import { Sandbox } from './index.js';
import { otherOptions, readOptions } from './options.js';

export class SandboxPool {
  #options;
  #sizes;
  #daemon = null;
  #filled = null;
  #draining = false;
  #out = new Set();
  #reserved = 0;
  #waiting = [];

  constructor({ minSize = 1, maxSize = 10, replenishIntervalMs = 1000 } = {}, options = {}) {
    const areSizes = [minSize, maxSize].every(Number.isInteger) && minSize >= 0 && maxSize >= Math.max(minSize, 1);
    if (!areSizes) throw new RangeError('0 <= minSize <= maxSize and 1 <= maxSize are needed');
    if (options.persistence) throw new SandboxError('persistence: a namespace belongs to one sandbox, and not to a pool');
    if (options.socket !== undefined) throw new SandboxError('socket: a pool has a daemon of its own');
    this.#options = readOptions(options);
    this.#sizes = { minSize, maxSize, replenishIntervalMs };
  }

  // Resolves when all that are to wait are there.
  async init() {
    this.#refuseIfDraining();
    const { minSize, maxSize, replenishIntervalMs } = this.#sizes;
    if (this.#filled === null) {
      // The pool is a user of it as its sandboxes are.
      this.#daemon = new Daemon(this.#options, '--max-sandboxes', String(maxSize + 1));
      this.#filled = this.#daemon.call('pool.fill', {
        ...this.#options.params, size: minSize, most: maxSize, intervalMs: replenishIntervalMs,
      });
    }
    await this.#filled;
  }

  async checkout(changes) {
    const options = otherOptions(this.#options, changes);
    await this.init();
    while (!this.#draining && this.#out.size + this.#reserved >= this.#sizes.maxSize) {
      await new Promise((resolve) => this.#waiting.push(resolve));
    }
    this.#refuseIfDraining();
    this.#reserved += 1;
    this.#daemon.users += 1;
    try {
      const sandbox = await Sandbox.on(this.#daemon, options);
      sandbox.onEnd = () => {
        this.#out.delete(sandbox);
        this.#wake();
      };
      this.#out.add(sandbox);
      return sandbox;
    } finally {
      this.#reserved -= 1;
      this.#wake();
    }
  }

  // The sandbox ends: nobody gets what another one had.
  async release(sandbox) {
    if (!this.#out.has(sandbox)) throw new SandboxError('the sandbox is not of this pool');
    await sandbox.destroy();
  }

  // All sandboxes end, and no more are given.
  async drain() {
    if (this.#draining) return;
    this.#draining = true;
    this.#wake();
    while (this.#reserved > 0) await new Promise((resolve) => this.#waiting.push(resolve));
    await Promise.all([...this.#out].map((sandbox) => sandbox.destroy()));
    if (this.#daemon) await this.#daemon.leave();
  }

  #wake() {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #refuseIfDraining() {
    if (this.#draining) throw new SandboxError('Pool is draining');
  }

  [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() { return this.drain(); }
}
