// A file system of zeros that Node has: mounts.mjs COMMAND BYTES CACHE_MS. What the command says, or the seconds that it takes, three times.

import { Sandbox } from '../sdk/typescript/index.js';

const [command, bytes, cacheMs] = process.argv.slice(2);
const all = Buffer.alloc(Number(bytes));
const zeros = {
  stat: (path) => (path === '' ? { type: 'dir' } : { type: 'file', size: all.length }),
  readdir: () => [],
  read: (path, offset, length) => all.subarray(offset, offset + length),
};
const sandbox = await Sandbox.create({ timeoutMs: 120_000 });
for (let i = 0; i < 3; ++i) {
  // Anew: nothing is known yet.
  await sandbox.mount('/mnt/v', zeros, { cacheMs: Number(cacheMs) });
  const start = performance.now();
  const { stdout, stderr, exitCode } = await sandbox.run(command);
  if (exitCode !== 0) throw new Error(stderr);
  console.log(stdout.trim() || (performance.now() - start) / 1000);
  await sandbox.unmount('/mnt/v');
}
await sandbox.destroy();
