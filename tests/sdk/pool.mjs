// Pools and offload through the SDK for TypeScript.

import assert from 'node:assert/strict';
import { Sandbox, SandboxError, SandboxPool } from '../../sdk/typescript/index.js';

{
  const pool = new SandboxPool({ minSize: 1, maxSize: 2, replenishIntervalMs: 20 },
    { env: { A: '1' }, security: { toolAllowlist: ['cat'] } });
  await pool.init();
  const [one, two] = await Promise.all([pool.checkout(), pool.checkout({ env: { A: '2' } })]);
  assert.deepEqual([(await one.run('echo $A')).stdout, (await two.run('echo $A')).stdout], ['1\n', '2\n']);
  assert.deepEqual([(await one.run('ls')).errorClass, (await two.run('ls')).errorClass], ['CAPABILITY_DENIED', 'CAPABILITY_DENIED']);
  let third = null;
  const waiting = pool.checkout().then((sandbox) => { third = sandbox; });
  await one.run('echo x >/tmp/f');
  assert.equal(third, null);
  await pool.release(one);
  await waiting;
  assert.equal((await third.run('echo /tmp/*')).stdout, '/tmp/*\n');
  await assert.rejects(one.run('true'), /Sandbox has been destroyed/);
  await assert.rejects(pool.release(one), /not of this pool/);
  const late = assert.rejects(pool.checkout(), /Pool is draining/);
  await pool.drain();
  await late;
  await assert.rejects(two.run('true'), /Sandbox has been destroyed/);
  await assert.rejects(pool.init(), /Pool is draining/);
  assert.throws(() => new SandboxPool({ minSize: 3, maxSize: 2 }), RangeError);
  assert.throws(() => new SandboxPool({}, { persistence: { mode: 'session' } }), SandboxError);
  assert.throws(() => new SandboxPool({}, { colour: 'red' }), /Unknown option: colour/);
}

{
  const kept = new Map();
  const storage = {
    save: async (id, state) => { kept.set(id, state); },
    load: async (id) => kept.get(id),
  };
  const sandbox = await Sandbox.create({ storage });
  await sandbox.run('cd /tmp; x=1; echo text >f');
  const running = await sandbox.commands.spawn(['sleep', '1000']);
  await assert.rejects(sandbox.offload(), /Cannot offload while a command is running/);
  await running.kill();
  await running.wait();
  await sandbox.offload();
  await sandbox.offload();
  assert.deepEqual([...kept.keys()], [sandbox.sessionId]);
  await assert.rejects(sandbox.run('true'), /Sandbox is offloaded — call rehydrate\(\) first/);
  await assert.rejects(sandbox.readFile('/tmp/f'), /Sandbox is offloaded/);
  // What is asked meanwhile waits for the state.
  const back = sandbox.rehydrate();
  await back;
  assert.equal((await sandbox.run('echo $PWD $x; cat f')).stdout, '/tmp 1\ntext\n');

  const save = storage.save;
  storage.save = async () => { throw new Error('no space'); };
  await assert.rejects(sandbox.offload(), /no space/);
  assert.equal((await sandbox.run('echo $x')).stdout, '1\n');
  storage.save = save;
  await sandbox.offload();
  const state = kept.get(sandbox.sessionId);
  kept.set(sandbox.sessionId, new Uint8Array(100));
  await assert.rejects(sandbox.rehydrate());
  kept.set(sandbox.sessionId, state);
  await sandbox.rehydrate();
  assert.equal((await sandbox.run('echo $x')).stdout, '1\n');
  await sandbox.destroy();

  const plain = await Sandbox.create();
  await assert.rejects(plain.offload(), /No storage callbacks configured/);
  await plain.destroy();
}
console.log('all of it');
