// `echo hi` in a live sandbox through the SDK, and in just-bash, which interprets it in this process: in_process.mjs MODULE.
// In turn, so that both meet the same moments. Prints medians in milliseconds as JSON: ours, one interpreter that stays, a new one each time.
import assert from 'node:assert/strict';
import { pathToFileURL } from 'node:url';
import { Sandbox } from '../sdk/typescript/index.js';

const { Bash } = await import(pathToFileURL(process.argv[2]));
const TURNS = 600;

const sandbox = await Sandbox.create();
const stays = new Bash();
const ways = {
  ours: () => sandbox.run('echo hi'),
  stays: () => stays.exec('echo hi'),
  anew: () => new Bash().exec('echo hi'),
};
const times = { ours: [], stays: [], anew: [] };
for (let turn = -100; turn < TURNS; ++turn) {
  for (const [name, run] of Object.entries(ways)) {
    const start = performance.now();
    const { stdout } = await run();
    const elapsed = performance.now() - start;
    assert.equal(stdout, 'hi\n');
    if (turn >= 0) times[name].push(elapsed); // the first ones are compiled meanwhile
  }
}
await sandbox.destroy();
const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];
console.log(JSON.stringify(Object.fromEntries(Object.entries(times).map(([name, list]) => [name, median(list)]))));
