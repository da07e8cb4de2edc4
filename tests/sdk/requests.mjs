// What one request may say, and what there is to ask.
import assert from 'node:assert/strict';
import { Sandbox } from '../../sdk/typescript/index.js';

const sandbox = await Sandbox.create({
  extensions: [{ name: 'up', description: 'makes letters large', category: 'text', command: ({ stdin }) => stdin.toUpperCase() }],
});
const capped = await sandbox.run('printf 0123456789; printf 0123456789 >&2', { stdoutLimitBytes: 4, stderrLimitBytes: 5 });
assert.deepEqual([capped.stdout, capped.stderr, capped.errorClass], ['0123', '01234', 'LIMIT_EXCEEDED']);
assert.equal((await sandbox.run('printf 0123456789')).stdout, '0123456789');
assert.equal((await sandbox.commands.exec(['printf', '0123456789'], { stdoutLimitBytes: 3 })).stdout, '012');

// One is cancelled, another goes on.
const controller = new AbortController();
const other = sandbox.commands.exec(['sh', '-c', 'sleep 1; echo whole']);
const cancelled = await sandbox.commands.exec(['sh', '-c', 'echo begun; sleep 100'], {
  signal: controller.signal, onStdout: () => controller.abort(),
});
assert.deepEqual([cancelled.errorClass, cancelled.stdout], ['CANCELLED', 'begun\n']);
assert.equal((await sandbox.run('sleep 100', { signal: controller.signal })).errorClass, 'CANCELLED');
assert.equal((await other).stdout, 'whole\n');
assert.equal((await sandbox.run('echo on', { signal: new AbortController().signal })).stdout, 'on\n');

assert.deepEqual((await sandbox.listExtensions()).map(({ name, category }) => [name, category]), [['up', 'text']]);
assert.ok((await sandbox.sandboxes.version()).protocol >= 1);
await sandbox.destroy();
console.log('all of it');
