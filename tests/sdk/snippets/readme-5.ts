const sandbox = await Sandbox.create({
  wasmDir: './wasm',
  security: {
    packagePolicy: {
      enabled: true,
      allowedHosts: ['trusted-registry.example.com'],
      maxPackageBytes: 5 * 1024 * 1024,
      maxInstalledPackages: 50,
    },
  },
});

await sandbox.run('pkg install https://trusted-registry.example.com/mytool.wasm');
await sandbox.run('mytool --help');  // immediately available
await sandbox.run('pkg list');        // show installed packages
await sandbox.run('pkg remove mytool');
