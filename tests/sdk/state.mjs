// Forks and snapshots through the SDK for TypeScript.
import assert from 'node:assert/strict';
import { Sandbox } from '../../sdk/typescript/index.js';

const sandbox = await Sandbox.create();
await sandbox.run('x=5; echo one >/tmp/v');
const forked = await sandbox.fork();
await forked.run('x=6; echo two >/tmp/v');
assert.equal((await sandbox.run('echo $x; cat /tmp/v')).stdout, '5\none\n');
assert.equal((await forked.run('echo $x; cat /tmp/v')).stdout, '6\ntwo\n');
const id = await forked.snapshot();
await forked.run('x=7; rm /tmp/v');
await forked.restore(id);
assert.equal((await forked.run('echo $x; cat /tmp/v')).stdout, '6\ntwo\n');
assert.deepEqual((await forked.snapshots()).map((one) => one.snapshotId), [id]);
// What a state waits for can be ended, and a sandbox that stands still goes on.
const busy = sandbox.run('sleep 100', { timeoutMs: 0 });
const givenUp = assert.rejects(sandbox.exportState(), /ECANCELED/);
await new Promise((resolve) => setTimeout(resolve, 200));
assert.equal(await sandbox.cancel(), 2);
assert.equal((await busy).errorClass, 'CANCELLED');
await givenUp;
await sandbox.suspend();
const exported = sandbox.exportState();
await sandbox.resume();
assert.ok((await exported).length > 1000);
await sandbox.destroy();
await assert.rejects(sandbox.run('true'), /Sandbox has been destroyed/);
assert.equal((await forked.run('echo $x')).stdout, '6\n');
await forked.deleteSnapshot(id);
await assert.rejects(forked.restore(id), /no snapshot of that name/);
await forked.destroy();
console.log('ok');
