import { Sandbox } from '@cordon/sandbox';
import { BrowserAdapter } from '@cordon/sandbox/browser';

const sandbox = await Sandbox.create({
  adapter: new BrowserAdapter(),
  wasmDir: '/wasm',
});
