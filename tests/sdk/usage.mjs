// What a command used.
import assert from 'node:assert/strict';
import { Sandbox } from '@cordon/sandbox';

const large = 'x = bytearray(50 << 20)';
const sandbox = await Sandbox.create();
const { usage } = await sandbox.run(`python3 -c '${large}'; echo four`);
assert.ok(usage.memoryPeakBytes >= 50 << 20);
assert.ok(usage.cpuMs > 0);
assert.deepEqual([usage.stdoutBytes, usage.stderrBytes, usage.processes], [5, 0, 1]);

const child = await sandbox.commands.spawn(['python3', '-c', large]);
assert.equal(child.usage, undefined);
assert.equal(await child.wait(), 0);
assert.ok(child.usage.memoryPeakBytes >= 50 << 20);
await sandbox.destroy();
console.log('all of it');
