// Runs a module that only computes, prints and reads the clock in V8: just enough of the module `cordon` for that.
import { readFileSync, writeSync } from 'node:fs';

const module = new WebAssembly.Module(readFileSync(process.argv[2]));
let memory;
const view = () => new DataView(memory.buffer);
const start = new Uint8Array(256);
const cordon = {
  // argc 1, argv[0] at 200, no environment, auxv {AT_PAGESZ 4096, AT_RANDOM 208}
  startup_size: () => start.length,
  startup_copy: (at) => {
    new Uint8Array(memory.buffer, at, start.length).fill(0);
    [1, at + 200, 0, 0, 6, 4096, 25, at + 208, 0, 0].forEach((word, i) => view().setUint32(at + 4 * i, word, true));
    return 0;
  },
  clock_gettime64: (clock, at) => {
    const now = process.hrtime.bigint();
    view().setBigInt64(at, now / 1000000000n, true);
    view().setInt32(at + 8, Number(now % 1000000000n), true);
    return 0;
  },
  writev: (fd, vector, count) => {
    let total = 0;
    for (let i = 0; i < count; ++i) {
      const base = view().getUint32(vector + 8 * i, true);
      const size = view().getUint32(vector + 8 * i + 4, true);
      if (size > 0) total += writeSync(fd, new Uint8Array(memory.buffer, base, size));
    }
    return total;
  },
  exit_group: (status) => process.exit(status),
};
const imports = { cordon: {} };
for (const { name } of WebAssembly.Module.imports(module)) imports.cordon[name] = cordon[name] ?? (() => -38);
const instance = new WebAssembly.Instance(module, imports);
memory = instance.exports.memory;
instance.exports._start();
