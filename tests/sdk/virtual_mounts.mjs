// File systems of this program.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { RpcError, Sandbox } from '@cordon/sandbox';

const noEntry = (path) => Object.assign(new Error(`nothing at ${path}`), { code: 'ENOENT' });

// With what a program that was written for another package has: whole files, and errors by their words.
const files = new Map([['a.txt', Buffer.from('text\n')], ['deep/b.bin', Buffer.from([0, 255])]]);
const provider = {
  readFile(path) {
    if (!files.has(path)) throw new Error(`ENOENT: no such file: ${path}`);
    return files.get(path);
  },
  writeFile(path, data) { files.set(path, data); },
  exists: (path) => files.has(path),
  stat(path) {
    if (files.has(path)) return { type: 'file', size: files.get(path).length };
    if (path === '' || path === 'deep') return { type: 'dir', size: 0 };
    throw new Error(`not found: ${path}`);
  },
  readdir: (path) => [...files.keys()].filter((name) => path === '' || name.startsWith(`${path}/`))
    .map((name) => (path === '' ? name : name.slice(path.length + 1)).split('/'))
    .map(([name, ...more]) => ({ name, type: more.length > 0 ? 'dir' : 'file' })),
  unlink(path) { files.delete(path); },
};

// Large files by ranges, asked for asynchronously.
const size = 5_000_000;
const asked = [];
const ranges = {
  async stat(path) {
    if (path === '') return { type: 'directory' };
    if (path !== 'big') throw noEntry(path);
    return { type: 'file', sizeBytes: size, mtimeMs: 981173106000 };
  },
  async list() { return ['big']; },
  async read(path, offset, length) {
    await sleep(0);
    asked.push(offset);
    return Buffer.alloc(Math.max(0, Math.min(length, size - offset)), 7);
  },
};

const sandbox = await Sandbox.create({ mounts: { '/mnt/whole': provider, '/mnt/ranges': ranges, '/mnt/plain': { x: 'plain\n' } } });
const run = async (command) => {
  const { stdout, stderr, exitCode } = await sandbox.run(command);
  assert.deepEqual([stderr, exitCode], ['', 0], command);
  return stdout;
};
assert.equal(await run('cat /mnt/whole/a.txt /mnt/plain/x; ls /mnt/whole /mnt/whole/deep'), 'text\nplain\n/mnt/whole:\na.txt\ndeep\n\n/mnt/whole/deep:\nb.bin\n');
assert.deepEqual([...await sandbox.readFile('/mnt/whole/deep/b.bin')], [0, 255]);
await run('echo more >> /mnt/whole/a.txt; echo new > /mnt/whole/new; rm /mnt/whole/deep/b.bin');
assert.equal(files.get('a.txt').toString(), 'text\nmore\n');
assert.equal(files.get('new').toString(), 'new\n');
assert.equal(files.has('deep/b.bin'), false);
assert.match((await sandbox.run('mkdir /mnt/whole/d')).stderr, /not implemented/);
assert.match((await sandbox.run('cat /mnt/whole/none')).stderr, /No such file/);
assert.match((await sandbox.run("cat $'/mnt/whole/\\xff'")).stderr, /Illegal byte sequence/);

assert.equal(await run('wc -c < /mnt/ranges/big; stat -c "%s %Y" /mnt/ranges/big; tail -c 3 /mnt/ranges/big | od -An -tx1'), `${size}\n${size} 981173106\n 07 07 07\n`);
assert.match((await sandbox.run('echo x > /mnt/ranges/big')).stderr, /Read-only file system/);
await sandbox.mount('/mnt/cached', ranges, { cacheMs: 600_000 });
await run('cat /mnt/cached/big > /dev/null');
asked.length = 0;
assert.equal(await run('dd if=/mnt/cached/big bs=4k status=none | wc -c'), `${size}\n`);
assert.ok(asked.length < 10);

const fork = await sandbox.fork();
assert.equal((await fork.run('cat /mnt/whole/new')).stdout, 'new\n');
await fork.destroy();
await sandbox.mount('/mnt/slow', { stat: () => sleep(2000, null, { ref: false }), readdir: () => [] }, { timeoutMs: 100 });
assert.match((await sandbox.run('cat /mnt/slow/x')).stderr, /I\/O error/);
await sandbox.unmount('/mnt/whole');
assert.equal(await run('ls /mnt/whole'), '');
await assert.rejects(sandbox.mount('/mnt/again', ranges, { timeoutMs: 0 }), RpcError);
await sandbox.destroy();
console.log('all of it');
