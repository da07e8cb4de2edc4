// Save state
const blob = sandbox.exportState();

// Later, restore into a new sandbox
const sandbox2 = await Sandbox.create({ wasmDir: './wasm' });
sandbox2.importState(blob);
