// Programs that were written for another package of this kind, with its name changed, and what this one adds.

import assert from 'node:assert/strict';
import { RpcError, Sandbox } from '@cordon/sandbox';
import { NodeAdapter } from '@cordon/sandbox/node';

{
  const sandbox = await Sandbox.create({
    adapter: new NodeAdapter(),
    wasmDir: './node_modules/@cordon/sandbox/wasm',
  });

  const result = await sandbox.run('echo hello world | wc -w');
  assert.equal(result.stdout, '2\n');

  sandbox.destroy();
  await assert.rejects(sandbox.run('true'), /Sandbox has been destroyed/);
}

const sandbox = await Sandbox.create({ env: { GIVEN: 'yes' }, security: { limits: { stdoutBytes: 100 } } });
await sandbox.run('cd /tmp; x=5');
assert.equal((await sandbox.run('echo $PWD $x $GIVEN')).stdout, '/tmp 5 yes\n');
const cut = await sandbox.run('seq 1000');
assert.deepEqual([cut.stdout.length, cut.truncated.stdout, cut.errorClass], [100, true, 'LIMIT_EXCEEDED']);
assert.equal((await sandbox.run('exit 3')).exitCode, 3);

await sandbox.files.write('/home/user/x.bin', new Uint8Array(5 << 20).fill(7));
const back = await sandbox.readFile('x.bin');
assert.deepEqual([back.length, back[5_000_000]], [5 << 20, 7]);
assert.deepEqual((await sandbox.readDir('/home/user')).filter((entry) => entry.name === 'x.bin').map((entry) => entry.size), [5 << 20]);
await assert.rejects(sandbox.readFile('/nope'), (error) => error instanceof RpcError && error.errno === 'ENOENT');

// Names that are no text.
await sandbox.run("mkdir /tmp/odd; : >$'/tmp/odd/\\xff'");
const [odd] = await sandbox.files.list('/tmp/odd');
assert.deepEqual([odd.name, [...odd.nameBytes]], ['\ufffd', [0xff]]);
const place = Buffer.concat([Buffer.from('/tmp/odd/'), odd.nameBytes]);
await sandbox.files.write(place, new Uint8Array(9 << 20));
assert.equal((await sandbox.files.read(place)).length, 9 << 20);
assert.deepEqual([...(await sandbox.files.stat(place)).nameBytes], [0xff]);
await sandbox.files.rename(place, '/tmp/odd/even');
assert.deepEqual((await sandbox.files.list('/tmp/odd')).map(({ name, nameBytes }) => [name, nameBytes]), [['even', undefined]]);
assert.equal((await sandbox.files.stat('/tmp//odd//')).name, 'odd');
assert.equal((await sandbox.files.stat('/')).name, '');

const cat = await sandbox.commands.spawn(['cat']);
await cat.write('hi');
await cat.closeStdin();
let text = '';
for await (const { data } of cat) text += data;
assert.deepEqual([text, cat.exitCode], ['hi', 0]);

const long = sandbox.run('echo before; sleep 100');
setTimeout(() => sandbox.cancel(), 200);
const cancelled = await long;
assert.deepEqual([cancelled.errorClass, cancelled.exitCode, cancelled.stdout], ['CANCELLED', 124, 'before\n']);

const seen = [];
await sandbox.run('echo a; echo b >&2', { onStdout: (data) => seen.push(`out ${data}`), onStderr: (data) => seen.push(`err ${data}`) });
assert.deepEqual(seen.sort(), ['err b\n', 'out a\n']);

await sandbox.setEnv('A', "b'c");
assert.equal(await sandbox.getEnv('A'), "b'c");
assert.ok((await sandbox.getHistory()).some((entry) => entry.command === 'seq 1000'));
await sandbox.destroy();
console.log('all of it');
