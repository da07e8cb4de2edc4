// Sandboxes of a daemon that is there; the argument is the path of its socket.
import assert from 'node:assert/strict';
import { Sandbox, SandboxError, SandboxPool } from '../../sdk/typescript/index.js';

const socket = process.argv[2];
const sandbox = await Sandbox.create({ socket, detached: true });
await sandbox.run('x=kept');
const fork = await sandbox.fork();
await sandbox.disconnect();
const id = fork.sandboxId;
await fork.disconnect();
await fork.disconnect();

const again = await Sandbox.connect(id, { socket });
assert.equal((await again.run('echo $x')).stdout, 'kept\n');
assert.equal((await again.sandboxes.list()).filter(({ detached }) => detached).length, 2);
await again.destroy();
await assert.rejects(Sandbox.connect(id, { socket }), /Unknown sandboxId/);
await assert.rejects(again.run('true'), SandboxError);

const other = await Sandbox.create({ socket });
await assert.rejects(other.disconnect(), /not detached/);
await other.destroy();
const first = await Sandbox.connect(sandbox.sandboxId, { socket });
await first.destroy();

await assert.rejects(Sandbox.create({ detached: true }), /detached/);
await assert.rejects(Sandbox.create({ socket: '/no/such' }), /cannot reach the daemon/);
assert.throws(() => new SandboxPool({}, { socket }), /socket/);
console.log('all of it');
