// Commands of a sandbox that this program serves.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { RpcError, Sandbox } from '@cordon/sandbox';

let cancelled;
const wasCancelled = new Promise((resolve) => { cancelled = resolve; });
const everyByte = Uint8Array.from({ length: 256 }, (_, i) => i);

const sandbox = await Sandbox.create({
  extensions: [
    {
      // As it was written for another package of this kind.
      name: 'greet',
      description: 'greets',
      usage: 'greet NAME',
      category: 'words',
      command: ({ args, stdin, env, cwd }) => ({ stdout: `${args[0]} ${stdin.trim()} ${env.X} ${cwd}\n`, stderr: 'e', exitCode: 3 }),
      pythonPackage: { version: '2.0', summary: 'greets', files: { '__init__.py': 'word = "hello"\n' } },
    },
    { name: 'copy', stdin: 'stream', command: ({ stdin }) => stdin },
    {
      name: 'lines',
      stdin: 'none',
      async *command({ args }) {
        for (let i = 1; i <= Number(args[0]); ++i) yield `${i}\n`;
        yield { stderr: 'that was all\n', exitCode: 5 };
      },
    },
    { name: 'binary', stdin: 'bytes', command: async ({ stdin }) => Buffer.concat([stdin, everyByte]) },
    { name: 'throws', stdin: 'none', command: async () => { throw new RangeError('too far'); } },
    { name: 'linger', stdin: 'none', command: ({ signal }) => new Promise((resolve) => { signal.onabort = () => { cancelled(); resolve(); }; }) },
    {
      name: 'endless',
      stdin: 'none',
      *command() {
        try {
          for (;;) yield 'y\n'.repeat(10_000);
        } finally {
          cancelled();
        }
      },
    },
  ],
});

const greeted = await sandbox.run('cd /tmp; X=x greet you <<< there');
assert.deepEqual([greeted.stdout, greeted.stderr, greeted.exitCode], ['you there x /tmp\n', 'e', 3]);
assert.equal((await sandbox.run("python3 -c 'import greet; print(greet.word)'")).stdout, 'hello\n');
assert.equal((await sandbox.run('extensions list --category words --json')).stdout.includes('"greets"'), true);

const data = Buffer.alloc(3_000_000, everyByte);
const digest = createHash('sha256').update(data).digest('hex');
await sandbox.files.write('/tmp/data', data);
assert.equal((await sandbox.run('cat /tmp/data | copy | sha256sum')).stdout, `${digest}  -\n`);
const doubled = await sandbox.run('binary', { stdin: everyByte });
assert.deepEqual(Buffer.from(doubled.stdoutBytes), Buffer.concat([everyByte, everyByte]));

assert.equal((await sandbox.run('lines 3 | sort -r; echo ${PIPESTATUS[0]}')).stdout, '3\n2\n1\n5\n');
assert.equal((await sandbox.run('throws')).stderr, 'throws: too far\n');
assert.equal((await sandbox.run('throws 2>/dev/null; echo $?')).stdout, '1\n');
assert.equal((await sandbox.run('endless | head -n 5 | wc -l')).stdout, '5\n');
await sandbox.run('timeout 0.3 linger');
await Promise.race([wasCancelled, sleep(30_000, null, { ref: false }).then(() => assert.fail('not cancelled'))]);
const many = await Promise.all(Array.from({ length: 10 }, (_, i) => sandbox.commands.exec(['lines', String(i)])));
assert.deepEqual(many.map((one) => one.stdout.split('\n').length - 1), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);

assert.deepEqual(await sandbox.registerExtensions([{ name: 'later', stdin: 'none', command: () => 'later\n' }]), ['later']);
const fork = await sandbox.fork();
assert.equal((await fork.run('later')).stdout, 'later\n');
await fork.destroy();
await sandbox.removeExtension('later');
assert.equal((await sandbox.run('later')).exitCode, 127);
await assert.rejects(sandbox.registerExtensions([{ name: 'ls', command: () => '' }]), (error) => error instanceof RpcError && error.errno === 'EEXIST');
await assert.rejects(sandbox.registerExtensions([{ name: 'nothing' }]), TypeError);
await sandbox.destroy();
console.log('all of it');
