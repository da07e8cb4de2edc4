// What a client of the protocol sees, with the protocol's own client: client.mjs CORDON FOLDER

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { connect } from './connect.mjs';

const folder = process.argv[3];

const { client, tools, call } = await connect(['--state-dir', `${folder}/states`]);
assert.equal(client.getServerVersion().name, 'cordon');
assert.match(client.getInstructions(), /sandbox/i);
const names = ['create_sandbox', 'destroy_sandbox', 'list_sandboxes', 'run_command', 'read_file', 'write_file', 'list_directory',
  'fork', 'snapshot', 'restore', 'list_snapshots', 'export_state', 'import_state'];
assert.deepEqual(names.filter((name) => !tools.some((tool) => tool.name === name)), []);
for (const tool of tools) {
  assert.equal(tool.inputSchema.type, 'object', tool.name);
  assert.equal(tool.outputSchema.type, 'object', tool.name);
  assert.ok(tool.description && tool.title && tool.annotations.title, tool.name);
}
await client.ping();

// Commands: state is kept, statuses are results, output is clean.
assert.deepEqual(await call('list_sandboxes'), { sandboxes: [] });
await call('run_command', { command: 'cd /tmp; x=5' });
const first = await call('run_command', { command: 'echo $PWD $x; echo bad >&2; (exit 3)' });
assert.deepEqual([first.exit_code, first.stdout, first.stderr, first.truncated], [3, '/tmp 5\n', 'bad\n', false]);
assert.equal((await call('run_command', { command: 'cat', stdin: 'given' })).stdout, 'given');
const coloured = await call('run_command', { command: String.raw`printf 'a\e[31mred\e[0m\e]0;title\a\b\x00\xff\r\nb'` });
assert.equal(coloured.stdout, 'ared�\nb');
const late = await call('run_command', { command: 'echo before; sleep 50', timeout_ms: 200 });
assert.deepEqual([late.exit_code, late.stdout, late.error_class], [124, 'before\n', 'TIMEOUT']);
const flood = await call('run_command', { command: 'seq 1000000' });
assert.deepEqual([flood.truncated, flood.stdout.length], [true, 131072]);

// Progress, while it runs.
const heard = [];
const slow = await call('run_command', { command: 'for i in 1 2 3; do echo step $i; sleep 0.1; done' },
  { onprogress: (progress) => heard.push(progress) });
assert.equal(slow.stdout, 'step 1\nstep 2\nstep 3\n');
assert.equal(heard.map((progress) => progress.message).join(''), 'step 1\nstep 2\nstep 3\n');
assert.ok(heard.every((progress, i) => i === 0 || progress.progress > heard[i - 1].progress));

// Cancellation ends the command, and the shell lives.
const stop = new AbortController();
const endless = call('run_command', { command: 'echo $$ > /tmp/pid; x=6; while :; do sleep 0.05; : > /tmp/alive; done' }, { signal: stop.signal });
setTimeout(() => stop.abort('enough'), 500);
await assert.rejects(endless, /enough/);
assert.equal((await call('run_command', { command: 'rm -f /tmp/alive; sleep 0.3; ls /tmp/alive 2>/dev/null; echo $x' })).stdout, '6\n');

// Files.
await call('write_file', { path: 'd/e.txt', content: 'straße\n' });
await call('write_file', { path: 'd/e.txt', content: 'more', append: true });
assert.deepEqual(await call('read_file', { path: 'd/e.txt' }), { content: 'straße\nmore', encoding: 'utf-8', size: 12 });
await call('write_file', { path: '/tmp/bytes', content: Buffer.from([0, 255, 27]).toString('base64'), encoding: 'base64' });
assert.equal((await call('read_file', { path: '/tmp/bytes', encoding: 'base64' })).content, 'AP8b');
assert.equal((await call('read_file', { path: 'd/e.txt', offset: 8, length: 3 })).content, 'mor');
const { entries } = await call('list_directory', { path: '/home/user/d' });
assert.deepEqual(entries.map(({ name, type, size }) => [name, type, size]), [['e.txt', 'file', 12]]);
await assert.rejects(call('read_file', { path: '/nope' }), /ENOENT/);

// Several sandboxes; each is its own.
const { sandbox_id: second } = await call('create_sandbox', { env: { GIVEN: 'yes' } });
assert.equal((await call('run_command', { command: 'echo $GIVEN$x', sandbox_id: second })).stdout, 'yes\n');
assert.equal((await call('list_sandboxes')).sandboxes.length, 2);

// Forks and snapshots.
await call('run_command', { command: 'echo before > ~/moment; m=before' });
const stored = await call('snapshot', { name: 'first' });
const numbered = await call('snapshot');
assert.deepEqual((await call('list_snapshots')).snapshots.map((one) => one.snapshot_id).sort(), [numbered.snapshot_id, stored.snapshot_id].sort());
const { sandbox_id: copy } = await call('fork');
await call('run_command', { command: 'echo after > ~/moment; m=after' });
const moment = async (sandbox = {}) => (await call('run_command', { command: 'echo $m; cat ~/moment', ...sandbox })).stdout;
assert.equal(await moment({ sandbox_id: copy }), 'before\nbefore\n');
assert.equal(await moment(), 'after\nafter\n');
assert.deepEqual(await call('restore', { snapshot_id: 'first' }), { restored: 'first' });
assert.equal(await moment(), 'before\nbefore\n');
await assert.rejects(call('restore', { snapshot_id: 'unknown' }), /no snapshot of that name/);
await assert.rejects(call('snapshot', { name: 'first' }), /there is one of that name/);
await call('destroy_sandbox', { sandbox_id: copy });

// State.
await call('run_command', { command: 'f() { echo f; }; y=7; echo kept > ~/kept' });
const exported = await call('export_state', { name: 'mine' });
assert.match(exported.digest, /^sha256:[0-9a-f]{64}$/);
const imported = await call('import_state', { name: 'mine', sandbox_id: second });
assert.deepEqual(imported.skipped, []);
assert.equal((await call('run_command', { command: 'f; echo $y; cat ~/kept', sandbox_id: second })).stdout, 'f\n7\nkept\n');
for (const name of ['../mine', '.mine', 'a/b', '']) {
  await assert.rejects(call('export_state', { name }), /name/);
  await assert.rejects(call('import_state', { name }), /name/);
}
await assert.rejects(call('import_state', { name: 'unknown' }), /no state/);
await call('destroy_sandbox', { sandbox_id: second });
await assert.rejects(call('run_command', { command: 'true', sandbox_id: second }), /Unknown sandboxId/);

// What is wrong is said.
await assert.rejects(client.callTool({ name: 'nope', arguments: {} }), /Unknown tool: nope/);
await assert.rejects(client.callTool({ name: 'run_command', arguments: {} }), /command is required/);
await assert.rejects(client.callTool({ name: 'run_command', arguments: { command: 5 } }), /command must be of type string/);
await assert.rejects(client.callTool({ name: 'run_command', arguments: { command: 'x', evil: 1 } }), /there is no evil/);
await assert.rejects(client.request({ method: 'resources/list' }, (await import('@modelcontextprotocol/sdk/types.js')).ListResourcesResultSchema), /Method not found/);
await client.close();

// Settings: flag before environment before file.
writeFileSync(`${folder}/settings.json`, JSON.stringify({ timeoutMs: 60000, maxOutputBytes: 2048, maxSandboxes: 1 }));
const other = await connect(['--config', `${folder}/settings.json`, '--timeout-ms', '300'], { CORDON_MCP_TIMEOUT_MS: '50000', CORDON_MCP_MAX_OUTPUT_BYTES: '1024' });
assert.equal((await other.call('run_command', { command: 'sleep 20' })).error_class, 'TIMEOUT');
assert.equal((await other.call('run_command', { command: 'seq 10000' })).stdout.length, 1024);
await assert.rejects(other.call('create_sandbox'), /Maximum of 1 concurrent sandboxes/);
const inline = await other.call('export_state');
await other.call('run_command', { command: 'echo lost > ~/lost' });
await other.call('import_state', { data: inline.data });
assert.equal((await other.call('run_command', { command: 'ls ~/lost 2>/dev/null; echo $?' })).stdout, '2\n');
await assert.rejects(other.call('import_state', { data: 'AAAA' }), /image|archive/);
await other.client.close();

// Directories of the host: read only unless it is said otherwise, in every sandbox, of the strongest place alone.
for (const name of ['ro', 'rw', 'other']) mkdirSync(`${folder}/${name}`);
writeFileSync(`${folder}/ro/file`, 'from outside\n');
writeFileSync(`${folder}/settings.json`, JSON.stringify({ mounts: [`${folder}/other:/mnt/other`] }));
const mounted = await connect(['--config', `${folder}/settings.json`, '--mount', `${folder}/ro:/mnt/ro`, '--mount', `${folder}/rw:/mnt/rw:rw`],
  { CORDON_MCP_MOUNT_0: `${folder}/other:/mnt/env` });
const { sandbox_id: third } = await mounted.call('create_sandbox');
for (const sandbox of [{}, { sandbox_id: third }]) {
  const said = await mounted.call('run_command', { command: 'ls /mnt; cat /mnt/ro/file; touch /mnt/ro/new 2>/dev/null || echo no; touch /mnt/rw/new', ...sandbox });
  assert.equal(said.stdout, 'ro\nrw\nfrom outside\nno\n');
}
assert.deepEqual([readdirSync(`${folder}/ro`), readdirSync(`${folder}/rw`)], [['file'], ['new']]);
await mounted.client.close();
for (const [settings, names] of [[{ CORDON_MCP_MOUNT_0: `${folder}/other:/mnt/env` }, 'env\n'], [{}, 'other\n']]) {
  const one = await connect(['--config', `${folder}/settings.json`], settings);
  assert.equal((await one.call('run_command', { command: 'ls /mnt' })).stdout, names);
  await one.client.close();
}
const wrong = await connect(['--mount', `${folder}/ro:/etc/passwd`]);
await assert.rejects(wrong.call('run_command', { command: 'true' }), /passwd/);
assert.deepEqual((await wrong.call('list_sandboxes')).sandboxes, []);
await wrong.client.close();
console.log('all of it');
