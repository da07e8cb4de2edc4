// Files as streams, forks of many, names that others use for snapshots.
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { RpcError, Sandbox } from '@cordon/sandbox';

const data = Buffer.alloc((2 << 20) + 700_007, 'abc');
const sandbox = await Sandbox.create();
const { files } = sandbox;
const same = async (path, expected = data) => assert.ok(Buffer.from(await files.read(path)).equals(expected), path);

async function* pieces(most = 100_000) {
  for (let at = 0; at < data.length; at += most) yield data.subarray(at, at + most);
}

await files.write('/tmp/a', pieces(), { mode: 0o600 });
await same('/tmp/a');
assert.equal((await files.stat('/tmp/a')).mode & 0o777, 0o600);
await files.write('/tmp/b', new Blob([data]));
await same('/tmp/b');
await files.write('/tmp/c', Readable.from([data.subarray(0, 9), data.subarray(9)]));
await same('/tmp/c');
await files.write('/tmp/d', await files.read('/tmp/a', { stream: true }));
await same('/tmp/d');
await files.write('/tmp/d', []);
await same('/tmp/d', Buffer.alloc(0));
await files.write('/tmp/d', ['one ', 'two']);
await files.write('/tmp/d', (function* () { yield ' three'; })(), { append: true });
assert.equal(await files.read('/tmp/d', { format: 'text' }), 'one two three');

const sizes = [];
for await (const piece of files.readStream('/tmp/a', { offset: 1, length: 2_500_000 })) sizes.push(piece.length);
assert.deepEqual(sizes, [1 << 20, 1 << 20, 2_500_000 - (2 << 20)]);
const reader = (await files.read('/tmp/a', { format: 'stream' })).getReader();
assert.equal((await reader.read()).value.length, 1 << 20);
await reader.cancel();
await assert.rejects(files.readStream('/tmp/none').next(), { errno: 'ENOENT' });

await assert.rejects(files.write('/tmp/a', (async function* () { yield data; throw new Error('broken'); })()), /broken/);
await same('/tmp/a');
await assert.rejects(files.write('/tmp/a', 5), TypeError);
assert.deepEqual((await files.list('/tmp')).map((one) => one.name), ['a', 'b', 'c', 'd']);

const { snapshotId } = await sandbox.createSnapshot({ name: 'before' });
assert.deepEqual((await sandbox.listSnapshots()).map((one) => one.snapshotId), [snapshotId]);
await sandbox.run('x=5');
const forks = await sandbox.fork({ count: 3 });
for (const [i, fork] of forks.entries()) {
  assert.ok(fork instanceof Sandbox);
  assert.equal((await fork.run(`echo $x; x=${i}`)).stdout, '5\n');
}
assert.equal(new Set(forks.map((fork) => fork.sandboxId)).size, 3);
const many = await sandbox.fork({ count: 70 });
assert.equal(many.length, 70);
const refused = many.filter((one) => one instanceof RpcError);
assert.equal(refused.length, 10);
assert.match(refused[0].message, /Maximum of 64/);
await Promise.all([...forks, ...many].filter((one) => one instanceof Sandbox).map((one) => one.destroy()));
assert.equal((await sandbox.run('echo $x')).stdout, '5\n');
await sandbox.destroy();
console.log('all of it');
