// {backend, options} and runners, behind the native wall and bubblewrap.

import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getSandboxBackend, parseSandboxConfig } from '../../sdk/typescript/native.js';

assert.deepEqual(parseSandboxConfig(), { backend: 'none', options: {} });
assert.deepEqual(parseSandboxConfig({ backend: 'bwrap' }), { backend: 'bwrap', options: { bwrapPath: 'bwrap', network: 'deny', roBinds: [] } });
assert.deepEqual(parseSandboxConfig({ backend: 'jobobject' }).options, { timeoutMs: 60000 });
assert.deepEqual(parseSandboxConfig({ backend: 'native', options: { network: 'allow', roBinds: ['/opt'] } }).options,
  { network: 'allow', roBinds: ['/opt'] });
assert.throws(() => parseSandboxConfig({ backend: 'magic' }), { message: 'sandbox: unsupported backend: magic' });
assert.throws(() => parseSandboxConfig({ backend: 'bwrap', options: { network: 'denied' } }), /network: expected allow or deny/);
assert.throws(() => parseSandboxConfig({ backend: 'bwrap', options: { netwrok: 'deny' } }), /no option netwrok/);
assert.throws(() => parseSandboxConfig({ backend: 'bwrap', option: {} }), /unknown key: option/);
assert.throws(() => parseSandboxConfig({ backend: 'jobobject', options: { timeoutMs: -1 } }), /expected a time/);

const shadowDir = mkdtempSync(join(tmpdir(), 'cordon-test-'));
try {
  const make = (backend, options) => {
    const config = parseSandboxConfig({ backend, options });
    return getSandboxBackend(backend).createNativeRunner({ config, shadowDir });
  };
  assert.equal(make('none'), undefined);
  assert.throws(() => make('systemd-run'), { message: 'sandbox: systemd-run backend not implemented yet' });
  for (const name of ['nsjail', 'sandbox-exec', 'jobobject']) assert.throws(() => make(name), new RegExp(`sandbox: ${name}: `));
  assert.throws(() => getSandboxBackend('bwrap').createNativeRunner({ config: parseSandboxConfig({ backend: 'native' }), shadowDir }),
    { message: 'sandbox: backend mismatch (expected bwrap)' });
  assert.throws(() => getSandboxBackend('magic'), /unsupported backend/);

  mkdirSync(join(shadowDir, 'inner'));
  symlinkSync('/etc', join(shadowDir, 'out'));
  process.env.HELD_TOKEN = 'must-stay-outside';
  const has = (backend) => backend === 'native' || spawnSync('bwrap', ['--ro-bind', '/', '/', 'true']).status === 0;
  for (const backend of ['native', 'bwrap'].filter(has)) {
    const runner = make(backend);
    const sh = (script, more = {}) => runner.exec({ argv: ['sh', '-c', script], ...more });
    const text = async (script, more) => (await sh(script, more)).stdout.toString();

    const first = await sh('pwd; cat; echo "$A"; echo err >&2; exit 3', { env: { A: 'b \'c\' $d' }, stdin: Buffer.from('in\n') });
    assert.deepEqual([first.exitCode, first.stdout.toString(), first.stderr.toString()], [3, '/workspace\nin\nb \'c\' $d\n', 'err\n']);
    const [audit] = first.audits;
    assert.deepEqual([audit.kind, audit.cmd, audit.timedOut, audit.truncatedStdout], ['native.exec', 'sh', false, false]);
    assert.ok(audit.durationMs >= 0);
    assert.deepEqual([...(await sh('printf "\\377\\0"')).stdout], [255, 0]);
    assert.equal(await text('env | grep -c HELD_TOKEN'), '0\n');
    assert.equal(await text('cat'), '');
    for (const [cwd, wanted] of [['', ''], ['.', ''], ['inner', '/inner'], ['workspace/inner', '/inner'], ['workspace', '']]) {
      assert.equal(await text('pwd', { cwd }), `/workspace${wanted}\n`);
    }
    await assert.rejects(sh('true', { cwd: '../x' }), /leads outside/);
    await assert.rejects(runner.exec({ argv: [] }), { message: 'NativeRunner.exec: argv[0] is required' });
    await assert.rejects(runner.exec({ argv: ['no-such-program'] }), /no-such-program/);

    // What it writes is there, and is the caller's.
    await sh(`echo made >${backend}; chmod 640 ${backend}`);
    const made = statSync(join(shadowDir, backend));
    assert.deepEqual([made.uid, made.mode & 0o777, readFileSync(join(shadowDir, backend), 'utf8')], [process.getuid(), 0o640, 'made\n']);
    // A link leads to what the command has by that name, and what is there is not the host's.
    assert.equal(await text('cat out/hostname 2>/dev/null; echo evil >out/evil 2>/dev/null; echo $?'), '2\n');
    assert.ok(!existsSync('/etc/evil'));

    const late = await sh('setsid sleep 60 & echo before; sleep 60', { limits: { timeoutMs: 4000 } });
    assert.deepEqual([late.exitCode, late.stdout.toString(), late.audits[0].timedOut], [124, 'before\n', true]);
    const long = await sh('seq 1 100000; echo end >ended', { limits: { maxStdoutBytes: 10 } });
    assert.deepEqual([long.exitCode, long.stdout.toString(), long.truncatedStdout, long.truncatedStderr], [0, '1\n2\n3\n4\n5\n', true, false]);
    assert.ok(existsSync(join(shadowDir, 'ended')));
    assert.equal((await sh('kill -9 $$')).exitCode, 137);

    const server = createServer((socket) => socket.end()).listen(0, '127.0.0.1');
    await new Promise((resolve) => { server.once('listening', resolve); });
    const { port } = server.address();
    const connect = `node -e 'require("net").connect(${port}, "127.0.0.1").on("connect", () => console.log("there")).on("error", () => {})'`;
    assert.equal(await new Promise((resolve) => { execFile('sh', ['-c', connect], (_, out) => resolve(out)); }), 'there\n');
    assert.equal(await text(connect), '');
    server.close();

    const other = mkdtempSync(join(tmpdir(), 'cordon-test-'));
    try {
      writeFileSync(join(other, 'file'), 'shown');
      assert.equal(await text(`cat ${other}/file`).catch(() => ''), '');
      const more = make(backend, { roBinds: ['/usr', other] });
      const seen = await more.exec({ argv: ['sh', '-c', `cat ${other}/file; echo x >${other}/file || echo no`] });
      assert.equal(seen.stdout.toString(), 'shownno\n');
    } finally {
      rmSync(other, { recursive: true });
    }
  }
} finally {
  rmSync(shadowDir, { recursive: true, force: true });
}
console.log('all of it');
