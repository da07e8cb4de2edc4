// What a sandbox may have: the server's settings, and what a model asks for: options.mjs CORDON FOLDER URL CA

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, readdirSync, rmdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect } from './connect.mjs';

const [, folder, url, authority] = process.argv.slice(2);
const host = new URL(url).host;

// Whether a process below this one is so nice, or as nice as that is.
function isSomethingNice(pid, nice) {
  const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).flatMap((name) => {
    try {
      const fields = readFileSync(`/proc/${name}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ');
      return [{ pid: Number(name), parent: Number(fields[1]), nice: Number(fields[16]) }];
    } catch {
      return []; // it has ended
    }
  });
  const own = all.find((one) => one.pid === pid).nice;
  const below = (parent) => all.filter((one) => one.parent === parent).flatMap((one) => [one.nice, ...below(one.pid)]);
  return below(pid).includes(Math.max(nice, own));
}

// Nothing is set: what would widen a sandbox is refused, what narrows it holds.
{
  const { client, tools, call } = await connect();
  assert.ok(!tools.some(({ name }) => name === 'save_state'));
  await assert.rejects(client.callTool({ name: 'save_state', arguments: {} }), /Unknown tool: save_state/);
  const refused = async (arguments_, reason) => {
    await assert.rejects(call('create_sandbox', arguments_), reason, JSON.stringify(arguments_));
  };
  await refused({ package_policy: { enabled: true } }, /this server allows no packages/);
  await refused({ package_policy: { allowed_hosts: [host] } }, /this server allows no packages/);
  await refused({ persistence: { namespace: 'n' } }, /this server saves no sandboxes/);
  await refused({ mounts: ['/etc'] }, /this server has none at \/etc/);
  await refused({ limits: { memory_bytes: 2 ** 40 } }, /limits.memory_bytes must be at most 1073741824/);
  await refused({ limits: { timeout_ms: 600001 } }, /limits.timeout_ms must be at most 600000/);
  await refused({ limits: { processes: 257 } }, /limits.processes must be at most 256/);
  await refused({ limits: { rpc_bytes: 5 } }, /there is no rpc_bytes/);
  await refused({ limits: { timeout_ms: 0 } }, /must be at least 1/);
  await refused({ nice: 20 }, /must be at most 19/);
  await refused({ nice: -1 }, /must be at least 0/);
  await refused({ detached: true }, /there is no detached/);
  await refused({ tools: ['a/b'] }, /names of programs/);
  await refused({ directory: '' }, /at least 1 characters/);
  await refused({ env: { 'a b': 'x' } }, /Invalid environment variable name/);
  assert.deepEqual((await call('list_sandboxes')).sandboxes, []);

  const { sandbox_id } = await call('create_sandbox', {
    label: 'narrow\u001b[31m', directory: '/tmp/here', nice: 7, tools: ['cat', 'seq'], env: { GIVEN: 'x' },
    limits: { timeout_ms: 20000, processes: 6, file_bytes: 1 << 20, file_count: 200, memory_bytes: 64 << 20, command_bytes: 200, stdout_bytes: 100, stderr_bytes: 200 } });
  const run = (command, more = {}) => call('run_command', { command, sandbox_id, ...more });
  assert.deepEqual((await call('list_sandboxes')).sandboxes, [{ sandbox_id, label: 'narrow', running: 0 }]);
  assert.equal((await run('pwd; echo $GIVEN')).stdout, '/tmp/here\nx\n');
  assert.ok(isSomethingNice(client.transport.pid, 7));
  const denied = await run('ls');
  assert.deepEqual([denied.exit_code, denied.error_class], [126, 'CAPABILITY_DENIED']);
  const much = await run('seq 1000; seq 1000 >&2');
  assert.deepEqual([much.truncated, much.stdout.length, much.stderr.length], [true, 100, 200]);
  assert.equal((await run('seq 1000', { stdout_bytes: 1000 })).stdout.length, 1000);
  assert.equal((await run(`: ${'x'.repeat(300)}`)).error_class, 'LIMIT_EXCEEDED');
  assert.equal((await run('for i in {1..9}; do sleep 5 & done 2>/dev/null; echo; kill $(jobs -p) 2>/dev/null; (exit 1)')).error_class, 'CAPABILITY_DENIED');
  assert.equal((await run('for i in {1..300}; do : > /tmp/here/$i || exit 3; done 2>/dev/null')).error_class, 'LIMIT_EXCEEDED');
  await assert.rejects(run('true', { timeout_ms: 600001 }), /timeout_ms must be at most 600000/);
  await assert.rejects(run('true', { stdout_bytes: 131073 }), /stdout_bytes must be at most 131072/);
  // A copy has no more.
  const { sandbox_id: copy } = await call('fork', { sandbox_id });
  assert.equal((await call('run_command', { command: 'ls', sandbox_id: copy })).error_class, 'CAPABILITY_DENIED');
  const { sandbox_id: none } = await call('create_sandbox', { tools: [] });
  assert.equal((await call('run_command', { command: 'echo built in; cat /etc/passwd', sandbox_id: none })).exit_code, 126);

  // Programs beside the shell.
  const { sandbox_id: wide } = await call('create_sandbox');
  const exec = (argv, more = {}) => call('exec', { argv, sandbox_id: wide, ...more });
  assert.equal((await exec(['printf', '%s|', '$x', 'a b', '*'])).stdout, '$x|a b|*|');
  assert.equal((await exec(['sh', '-c', 'echo $A; pwd; cat; exit 3'], { env: { A: '1' }, cwd: '/tmp', stdin: 'AGE=', stdin_encoding: 'base64', encoding: 'base64' })).stdout,
    Buffer.from('1\n/tmp\n\0a').toString('base64'));
  assert.equal((await exec(['nope'])).exit_code, 127);
  assert.equal((await exec(['true'], { cwd: '/nope' })).exit_code, 125);
  assert.equal((await exec(['sleep', '50'], { timeout_ms: 100 })).error_class, 'TIMEOUT');
  await assert.rejects(exec([]), /at least 1 items/);
  await assert.rejects(exec(['a', 5]), /item 1 must be of type string/);
  await client.close();
}

// A server that is narrow already: its settings hold for every sandbox, also for the one that nobody asked for.
{
  writeFileSync(`${folder}/narrow.json`, JSON.stringify({
    timeoutMs: 20000, maxTimeoutMs: 25000, maxProcesses: 8, maxFiles: 500, maxCommandBytes: 300, nice: 3, cwd: '/tmp/work',
    tools: ['cat', 'sed'], env: ['A=1', 'B=x=y'], maxTotalProcesses: 40, pool: 1 }));
  const { client, call } = await connect(['--config', `${folder}/narrow.json`, '--env', 'A=2'], { CORDON_MCP_TOOLS: 'cat,env' });
  assert.match(client.getInstructions(), /only these programs may be started: cat, env\./);
  assert.match(client.getInstructions(), /at most 25000/);
  // A list of a stronger place replaces that of a weaker one.
  assert.equal((await call('run_command', { command: 'pwd; echo $A$B' })).stdout, '/tmp/work\n2\n');
  assert.ok(isSomethingNice(client.transport.pid, 3));
  assert.equal((await call('run_command', { command: 'ls' })).error_class, 'CAPABILITY_DENIED');
  for (const [arguments_, reason] of [[{ tools: ['ls'] }, /does not allow ls/], [{ nice: 2 }, /nice must be at least 3/], [{ limits: { processes: 9 } }, /at most 8/],
    [{ limits: { file_count: 501 } }, /at most 500/], [{ limits: { command_bytes: 301 } }, /at most 300/], [{ limits: { timeout_ms: 25001 } }, /at most 25000/]]) {
    await assert.rejects(call('create_sandbox', arguments_), reason);
  }
  const { sandbox_id } = await call('create_sandbox', { tools: ['env'], nice: 4, env: { A: '3' } });
  assert.equal((await call('run_command', { command: 'echo $A; cat /dev/null', sandbox_id })).exit_code, 126);
  assert.ok(isSomethingNice(client.transport.pid, 4));
  await client.close();
}

// Packages, where the operator allows them.
{
  const policy = { enabled: true, allowedHosts: [host], maxInstalledPackages: 2, maxPackageBytes: 4096, allowPrivateHosts: true };
  const { client, call } = await connect(['--package-policy', JSON.stringify(policy), '--ca-file', authority]);
  assert.ok(client.getInstructions().includes(host));
  const run = (command, more = {}) => call('run_command', { command, ...more });
  assert.match((await run(`pkg install ${url}/hello.wasm && hello`)).stdout, /hi\n$/);
  assert.equal((await run('pkg install https://example.com/x.wasm')).exit_code, 1);
  for (const given of [{ allowed_hosts: ['example.com'] }, { allowed_hosts: ['localhost'] }, { allowed_hosts: ['127.0.0.1'] }, { max_package_bytes: 4097 }, { max_installed_packages: 3 }]) {
    await assert.rejects(call('create_sandbox', { package_policy: given }), /package_policy/, JSON.stringify(given));
  }
  await assert.rejects(call('create_sandbox', { package_policy: { index: url } }), /there is no index/);
  const { sandbox_id } = await call('create_sandbox', { package_policy: { max_installed_packages: 1, require_integrity: true, allowed_hosts: [host] } });
  assert.match((await run(`pkg install ${url}/hello.wasm`, { sandbox_id })).stderr, /integrity/);
  const { sandbox_id: without } = await call('create_sandbox', { package_policy: { enabled: false } });
  assert.notEqual((await run(`pkg install ${url}/hello.wasm`, { sandbox_id: without })).exit_code, 0);
  const { sandbox_id: one } = await call('create_sandbox', { package_policy: { max_installed_packages: 1 } });
  assert.equal((await run(`pkg install ${url}/hello.wasm`, { sandbox_id: one })).exit_code, 0);
  assert.equal((await run(`pkg install ${url}/other.wasm`, { sandbox_id: one })).exit_code, 1);
  await client.close();
  const short = await connect(['--ca-file', authority], { CORDON_MCP_PACKAGE_HOSTS: `example.com,${host}` });
  // A name is allowed, and its private address is not.
  assert.match((await short.call('run_command', { command: `pkg install ${url}/hello.wasm` })).stderr, /which this policy does not allow/);
  await short.client.close();
}

// Directories of the host: some of them, read only.
{
  for (const name of ['a', 'b']) mkdirSync(`${folder}/host-${name}`);
  const { client, call } = await connect(['--mount', `${folder}/host-a:/mnt/a:rw`, '--mount', `${folder}/host-b:/mnt/b`]);
  assert.match(client.getInstructions(), /\/mnt\/a is a directory of the host, which commands change/);
  const { sandbox_id } = await call('create_sandbox', { mounts: ['/mnt/a'], read_only_mounts: true });
  assert.equal((await call('run_command', { command: 'ls /mnt; touch /mnt/a/x 2>/dev/null || echo no', sandbox_id })).stdout, 'a\nno\n');
  assert.deepEqual(readdirSync(`${folder}/host-a`), []);
  const { sandbox_id: none } = await call('create_sandbox', { mounts: [] });
  assert.equal((await call('run_command', { command: 'ls /mnt', sandbox_id: none })).stdout, '');
  await assert.rejects(call('create_sandbox', { mounts: ['/mnt/a', `${folder}/host-b`] }), /has none at/);
  // Where they lie there is nothing for a model.
  rmdirSync(`${folder}/host-b`);
  await assert.rejects(call('create_sandbox', { mounts: ['/mnt/b'] }), (error) => /what is at \/mnt\/b/.test(error.message) && !error.message.includes(folder));
  await client.close();
}

// Sandboxes that are saved: they come back with another server.
{
  const states = ['--persistence-dir', `${folder}/saved`, '--autosave-ms', '10'];
  let { client, tools, call } = await connect([...states, '--namespace', 'first']);
  assert.ok(tools.some(({ name }) => name === 'save_state'));
  await call('run_command', { command: 'x=5; echo kept > ~/kept' });
  const { sandbox_id, loaded } = await call('create_sandbox', { persistence: { namespace: 'second', mode: 'session' } });
  assert.equal(loaded, undefined);
  await call('run_command', { command: 'y=6', sandbox_id });
  assert.deepEqual(await call('save_state', { sandbox_id }), { changed: true });
  await call('run_command', { command: 'y=7', sandbox_id });
  assert.deepEqual(await call('load_state', { sandbox_id }), { loaded: true, skipped: [] });
  assert.equal((await call('run_command', { command: 'echo $y', sandbox_id })).stdout, '6\n');
  assert.deepEqual((await call('list_saved')).namespaces.filter((one) => one.in_use).map((one) => one.namespace).sort(), ['first', 'second']);
  await assert.rejects(call('create_sandbox', { persistence: { namespace: 'first' } }), /has this namespace/);
  await assert.rejects(call('delete_saved', { namespace: 'second' }), /has this namespace/);
  for (const namespace of ['../first', '.first', 'a/b', '']) {
    await assert.rejects(call('create_sandbox', { persistence: { namespace } }), /namespace must be/);
    await assert.rejects(call('delete_saved', { namespace }), /namespace must be/);
  }
  await assert.rejects(call('create_sandbox', { persistence: { namespace: 'third', autosave_ms: 10 / 10 } }), /at least 10/);
  writeFileSync(`${folder}/saved/file`, '');
  await assert.rejects(call('create_sandbox', { persistence: { namespace: 'file' } }), (error) =>
    /what is saved/.test(error.message) && !error.message.includes(folder));
  const { sandbox_id: ephemeral } = await call('create_sandbox');
  await assert.rejects(call('save_state', { sandbox_id: ephemeral }), /Persistence not configured/);
  await client.close();

  ({ client, call } = await connect([...states, '--namespace', 'first', '--persistence', 'session']));
  await assert.rejects(call('create_sandbox', { persistence: { namespace: 'second', mode: 'persistent' } }), /allows session alone/);
  // Of one that is not loaded by itself nothing is there until it is asked for.
  assert.equal((await call('run_command', { command: 'echo $x; ls ~' })).stdout, '\n');
  assert.equal((await call('load_state')).loaded, true);
  assert.equal((await call('run_command', { command: 'echo $x; ls ~' })).stdout, '5\nkept\n');
  await client.close();

  ({ client, call } = await connect([...states]));
  const back = await call('create_sandbox', { persistence: { namespace: 'second' } });
  assert.deepEqual([back.loaded, back.skipped], [true, []]);
  assert.equal((await call('run_command', { command: 'echo $y', sandbox_id: back.sandbox_id })).stdout, '6\n');
  await call('destroy_sandbox', { sandbox_id: back.sandbox_id });
  assert.deepEqual(await call('delete_saved', { namespace: 'second' }), { deleted: 'second' });
  assert.deepEqual((await call('list_saved')).namespaces.map((one) => one.namespace), ['first']);
  await client.close();
}

// What happened is in the operator's file, and nowhere that a sandbox reaches.
{
  const file = `${folder}/audit.log`;
  const { client, call } = await connect(['--audit-file', file, '--tool', 'cat']);
  await call('run_command', { command: 'echo hello; ls' });
  const { sandbox_id } = await call('fork');
  await call('run_command', { command: 'echo copy', sandbox_id });
  await call('destroy_sandbox', { sandbox_id });
  await client.close();
  const events = readFileSync(file, 'utf8').trim().split('\n').map((line) => JSON.parse(line));
  const told = events.map((event) => event.type);
  for (const type of ['sandbox.create', 'command.start', 'capability.denied', 'command.complete', 'sandbox.destroy']) assert.ok(told.includes(type), type);
  assert.ok(events.some((event) => event.command === 'echo copy' && event.sessionId === sandbox_id));
  assert.equal(events.find((event) => event.type === 'capability.denied').tool, 'ls');
  assert.equal(statSync(file).mode & 0o777, 0o600);
  symlinkSync(file, `${folder}/link.log`);
  await assert.rejects(connect(['--audit-file', `${folder}/link.log`]));
}

// Whoever cancels before there is a sandbox wants nothing to be done.
{
  const { client, call } = await connect();
  for (const [name, arguments_] of [['run_command', { command: 'echo done > ~/done' }], ['exec', { argv: ['touch', '/home/user/done'] }], ['create_sandbox', { label: 'unwanted' }]]) {
    const stop = new AbortController();
    const asked = call(name, arguments_, { signal: stop.signal });
    stop.abort('never mind');
    await assert.rejects(asked, /never mind/);
  }
  assert.equal((await call('run_command', { command: 'ls ~' })).stdout, '');
  const labels = (await call('list_sandboxes')).sandboxes.map((one) => one.label);
  assert.ok(!labels.includes('unwanted'), String(labels));
  await client.close();
}
console.log('all of it');
// The client's timer of a connection that was refused would keep this program for a minute.
process.exit();
