// Times one exported function of a module in V8: best of several runs, in nanoseconds, and its result.
// Usage: node v8.mjs FILE.wasm KERNEL SCALE RUNS
import { readFileSync } from "node:fs";

const [file, kernel, scale, runs] = process.argv.slice(2);
const { instance } = await WebAssembly.instantiate(readFileSync(file));
let best = Infinity;
let result = 0;
// Twice as many: V8 begins with its baseline tier.
for (let i = 0; i < 2 * Number(runs); i++) {
  const begin = process.hrtime.bigint();
  result = instance.exports[kernel](Number(scale));
  best = Math.min(best, Number(process.hrtime.bigint() - begin));
}
console.log(best, result >>> 0);
