await sandbox.run('pkg install https://trusted-registry.example.com/mytool.wasm');
await sandbox.run('mytool --help');  // immediately available
await sandbox.run('pkg list');        // show installed packages
await sandbox.run('pkg remove mytool');
