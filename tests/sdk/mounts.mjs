// Files in memory and directories of the host.

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RpcError, Sandbox } from '@cordon/sandbox';

const folder = await mkdtemp(join(tmpdir(), 'cordon-mounts-'));
await writeFile(join(folder, 'host.txt'), 'host\n');
const sandbox = await Sandbox.create({
  mounts: [
    { path: '/mnt/tools', files: { 'a.txt': 'text\n', 'deep/b.bin': Uint8Array.of(0, 255) } },
    { path: '/mnt/own', files: { 'c.txt': 'c\n' }, writable: true },
    { path: '/mnt/host', hostPath: folder, writable: true },
  ],
});
assert.equal((await sandbox.run('cat /mnt/tools/a.txt /mnt/own/c.txt /mnt/host/host.txt')).stdout, 'text\nc\nhost\n');
assert.deepEqual([...await sandbox.readFile('/mnt/tools/deep/b.bin')], [0, 255]);
assert.match((await sandbox.run('echo x > /mnt/tools/a.txt')).stderr, /Read-only file system/);
assert.equal((await sandbox.run('echo x > /mnt/own/c.txt; echo back > /mnt/host/back')).exitCode, 0);
assert.equal(await readFile(join(folder, 'back'), 'utf8'), 'back\n');
await sandbox.mount('/mnt/large', { big: new Uint8Array(9 << 20).fill(1) });
assert.equal((await sandbox.run('wc -c < /mnt/large/big')).stdout, `${9 << 20}\n`);
await sandbox.unmount('/mnt/large');
assert.equal((await sandbox.run('ls /mnt/large')).stdout, '');
await sandbox.mount('/mnt/again', { hostPath: folder });
await assert.rejects(sandbox.writeFile('/mnt/again/x', 'y'), (error) => error instanceof RpcError && error.errno === 'EROFS');
await assert.rejects(sandbox.mount('/mnt/no', { '../x': '' }), RpcError);
await sandbox.destroy();
await rm(folder, { recursive: true });
console.log('all of it');
