with Sandbox() as sb:
    sb.commands.run("pkg install https://trusted-registry.example.com/mytool.wasm")
    sb.commands.run("mytool --help")
    sb.commands.run("pkg list")
    sb.commands.run("pkg remove mytool")
