// Policies, events and names that users bring, through the SDK for TypeScript.

import assert from 'node:assert/strict';
import { RpcError, Sandbox, SandboxError } from '../../sdk/typescript/index.js';

const events = [];
const sandbox = await Sandbox.create({
  security: { toolAllowlist: ['cat', 'ln', 'sleep'], limits: { stdoutBytes: 100, commandBytes: 200 }, onAuditEvent: (event) => events.push(event) },
  pythonPath: ['/a', '/b'],
});
const denied = await sandbox.run('ls /');
assert.deepEqual([denied.exitCode, denied.stdout, denied.stderr, denied.errorClass],
  [126, '', 'ls: tool not allowed by security policy\n', 'CAPABILITY_DENIED']);
const around = await sandbox.run('ln -s /usr/bin/python3 /tmp/cat; /tmp/cat -c "print(1)"');
assert.deepEqual([around.exitCode, around.stdout, around.stderr], [126, '', 'cat: tool not allowed by security policy\n']);
assert.equal((await sandbox.run('cat /etc/hostname; echo $PYTHONPATH')).stdout, 'cordon\n/a:/b\n');
assert.equal((await sandbox.run('#'.repeat(201))).errorClass, 'LIMIT_EXCEEDED');
assert.equal((await sandbox.run('sleep 100', { timeoutMs: 200 })).errorClass, 'TIMEOUT');

const fork = await sandbox.fork();
assert.equal((await fork.run('ls')).errorClass, 'CAPABILITY_DENIED');
await fork.destroy();
await sandbox.destroy();
const own = events.filter((event) => event.sessionId === sandbox.sessionId);
assert.deepEqual(own.map((event) => event.type), [
  'sandbox.create',
  'command.start', 'capability.denied', 'command.complete',
  'command.start', 'capability.denied', 'command.complete',
  'command.start', 'command.complete',
  'limit.exceeded',
  'command.start', 'command.timeout',
  'sandbox.destroy',
]);
assert.deepEqual([own[2].tool, own[9].limit, own[3].exitCode], ['ls', 'commandBytes', 126]);
assert.ok(own.every((event) => Math.abs(event.timestamp - Date.now()) < 600_000));
assert.deepEqual(events.filter((event) => event.sessionId !== sandbox.sessionId).map((event) => event.type),
  ['sandbox.create', 'command.start', 'capability.denied', 'command.complete', 'sandbox.destroy']);

await assert.rejects(Sandbox.create({ toolAllowlist: ['cat'] }), (error) => error instanceof SandboxError && /Unknown option: toolAllowlist/.test(error.message));
await assert.rejects(Sandbox.create({ security: { toolAllowlist: ['/bin/cat'] } }), RpcError);
await assert.rejects(Sandbox.create({ security: { limits: { cpu: 1 } } }), /Unknown limit: cpu/);

{
  const named = await Sandbox.create({ label: 'named', cwd: '/tmp', env: { A: '1' }, limits: { processes: 20 } });
  assert.equal((await named.run('pwd; echo $A')).stdout, '/tmp\n1\n');
  assert.equal((await named.commands.run('pwd; echo $B', { cwd: '/', envs: { B: '2' } })).stdout, '/\n2\n');
  const background = await named.commands.run('read x; echo "[$x]"', { background: true });
  assert.deepEqual(named.commands.list().map((one) => one.id), [background.id]);
  await named.commands.sendStdin(background.id, 'in\n');
  let text = '';
  for await (const { data } of background) text += data;
  assert.deepEqual([text, background.exitCode, await named.commands.kill(background.id)], ['[in]\n', 0, false]);
  await named.files.write('t', 'ä');
  assert.equal(await named.files.read('t', { format: 'text' }), 'ä');
  assert.equal((await named.files.getInfo('t')).size, 2);
  const other = await named.sandboxes.create('other');
  assert.deepEqual((await named.sandboxes.list()).map((one) => one.label).sort(), ['named', 'other']);
  assert.equal((await other.run('ls; echo $A')).stdout, '1\n');
  await named.sandboxes.remove(other.sandboxId);
  assert.deepEqual([await other.isRunning(), await named.isRunning()], [false, true]);
  await other.destroy();

  // What is asked after an import comes after it, whether somebody waited for it or not.
  await named.writeFile('/tmp/f', 'kept');
  const blob = named.exportState();
  const copy = await Sandbox.create();
  copy.importState(blob);
  assert.equal((await copy.run('cat /tmp/f')).stdout, 'kept');
  copy.kill();
  await named.kill();
}

// Not destroyed: it goes with this program, which it does not keep from ending.
const left = await Sandbox.create();
assert.equal((await left.run('echo x')).stdout, 'x\n');
console.log('all of it');
