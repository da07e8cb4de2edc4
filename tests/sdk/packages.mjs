// Packages as a program in TypeScript uses them; the argument is the port of the test's server.

import assert from 'node:assert/strict';
import { PackageError, RpcError, Sandbox } from '@cordon/sandbox';

const base = `https://localhost:${process.argv[2]}`;
const sandbox = await Sandbox.create({
  wasmDir: './wasm',
  security: {
    packagePolicy: {
      enabled: true,
      allowedHosts: [`localhost:${process.argv[2]}`],
      allowPrivateHosts: true,
      maxPackageBytes: 5 * 1024 * 1024,
      maxInstalledPackages: 50,
    },
  },
});

await sandbox.run(`pkg install ${base}/hello.wasm`);
assert.equal((await sandbox.run('hello --help')).stdout, 'hi\n');
assert.match((await sandbox.run('pkg list')).stdout, /^hello\t\d+\thttps:/);
await sandbox.run('pkg remove hello');
assert.equal((await sandbox.run('hello')).exitCode, 127);

const lines = [];
const { name, size } = await sandbox.packages.install(`${base}/other.wasm`, { name: 'tool', onProgress: (line) => lines.push(line) });
assert.deepEqual([name, size > 0, lines[0]], ['tool', true, 'Downloading tool']);
assert.equal((await sandbox.run('tool')).stdout, 'ho\n');
assert.deepEqual((await sandbox.packages.list()).map((one) => one.name), ['tool']);
assert.equal((await sandbox.packages.info('tool')).url, `${base}/other.wasm`);
assert.equal((await sandbox.packages.update('tool')).updated, false);
await assert.rejects(sandbox.packages.search(), (error) => error.errno === 'E_PKG_NOT_FOUND');
await assert.rejects(sandbox.packages.install('https://evil.example/x.wasm'), (error) =>
  error instanceof PackageError && error instanceof RpcError && error.errno === 'E_PKG_HOST_DENIED'
  && error.message === "Host 'evil.example' is not in the allowed hosts list");
await assert.rejects(sandbox.packages.install(`${base}/other.wasm`, { name: 'late', signal: AbortSignal.abort() }), (error) =>
  error.errno === 'E_PKG_CANCELLED');
await sandbox.packages.remove('tool');
await sandbox.destroy();

const plain = await Sandbox.create();
await assert.rejects(plain.packages.list(), (error) => error.errno === 'E_PKG_DISABLED');
await plain.destroy();
console.log('all of it');
