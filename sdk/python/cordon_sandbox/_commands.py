"""Commands and processes, for programs that wait."""

import queue

from . import _protocol as protocol


class Process:
    """A process of `commands.spawn`: iterate over it for ("stdout" | "stderr", bytes)."""

    def __init__(self, daemon, process_id):
        self._daemon = daemon
        self.id = process_id
        self._messages = queue.Queue()
        self.exit_code = None
        self.error_class = None
        self.usage = None  # as soon as it has ended
        daemon.listen(("process", process_id), self._messages)

    def __iter__(self):
        while self.exit_code is None:
            message = self._messages.get()
            if message is None:
                raise protocol.SandboxError("the daemon has ended")
            params = message["params"]
            if message["method"] == "exit":
                self.exit_code = params["exitCode"]
                self.error_class = params.get("errorClass")
                self.usage = protocol.CommandUsage(params.get("usage", {}))
                self._daemon.forget(("process", self.id))
            else:
                yield params["stream"], protocol.get_bytes(params, "data")

    def wait(self):
        for _ in self:
            pass
        return self.exit_code

    def _ask(self, method, **params):
        self._daemon.call(method, dict(params, processId=self.id))

    def write(self, data):
        """Returns when the process has room for it."""
        for at in range(0, len(data), protocol.MAX_WRITE):
            params = {"processId": self.id}
            protocol.put_bytes(params, "data", data[at:at + protocol.MAX_WRITE])
            self._daemon.call("process.write", params)

    def close_stdin(self):
        self._ask("process.closeStdin")

    def signal(self, number):
        """A number, or a name such as "SIGINT"."""
        self._ask("process.signal", signal=number)

    def resize(self, rows, columns):
        self._ask("process.resize", rows=rows, columns=columns)

    def kill(self):
        self._ask("process.kill")


class Commands:
    def __init__(self, sandbox):
        self._sandbox = sandbox
        self._processes = {}

    def run(self, command, *, timeout_ms=None, stdin=None, stream=False, on_stdout=None, on_stderr=None,
            background=False, cwd=None, env=None, envs=None, **limits):
        """In the session's shell. With a callback, output comes as it is written, as bytes.

        With `cwd` or `env`: in a shell of its own. `background`: a Process of such a shell, at once. `stdout_limit_bytes` and
        `stderr_limit_bytes`: of this command, instead of the sandbox's.
        """
        env = env or envs
        if background:
            return self.spawn(["bash", "-c", command], env=env, cwd=cwd, timeout_ms=timeout_ms or 0, **limits)
        if cwd or env:
            return self.exec(["bash", "-c", command], env=env, cwd=cwd, timeout_ms=timeout_ms, stdin=stdin,
                             on_stdout=on_stdout, on_stderr=on_stderr, **limits)
        streams = bool(stream or on_stdout or on_stderr)
        params = protocol.run_params(command, timeout_ms, stdin, streams, limits)
        if not streams:
            return protocol.CommandResult(self._sandbox._call("run", params))
        return self._stream("run", params, {"stdout": on_stdout, "stderr": on_stderr})

    def _stream(self, method, params, callbacks):
        messages = queue.Queue()
        request_id, _ = self._sandbox._start(method, params, messages)
        kept = {"stdout": bytearray(), "stderr": bytearray()}
        try:
            while True:
                message = messages.get()
                if message is None or "method" not in message:
                    break
                data = protocol.get_bytes(message["params"], "data")
                stream = message["params"]["stream"]
                kept[stream] += data
                if callbacks[stream] is not None:
                    callbacks[stream](data)
        finally:
            self._sandbox._daemon.forget(("request", request_id))
        result = protocol.CommandResult(protocol.result_of(message))
        result.stdout_bytes = bytes(kept["stdout"])
        result.stderr_bytes = bytes(kept["stderr"]) + result.stderr_bytes
        return result

    def exec(self, argv, *, env=None, cwd=None, timeout_ms=None, stdin=None, on_stdout=None, on_stderr=None, **limits):
        """A process beside the session."""
        streams = bool(on_stdout or on_stderr)
        params = protocol.exec_params(argv, env, cwd, timeout_ms, stdin, streams, limits)
        if streams:
            return self._stream("exec", params, {"stdout": on_stdout, "stderr": on_stderr})
        return protocol.CommandResult(self._sandbox._call("exec", params))

    def spawn(self, argv, *, env=None, cwd=None, timeout_ms=0, terminal=None):
        """`terminal`: (rows, columns)."""
        params = protocol.spawn_params(argv, env, cwd, timeout_ms, terminal)
        process = Process(self._sandbox._daemon, self._sandbox._call("spawn", params)["processId"])
        self._processes = {one.id: one for one in [*self._processes.values(), process] if one.exit_code is None}
        return process

    def cancel(self):
        return self._sandbox._call("cancel", {})["cancelled"]

    def list(self):
        """Processes of `spawn` whose end nobody has seen yet."""
        return [one for one in self._processes.values() if one.exit_code is None]

    def kill(self, process_id):
        """False: there is none of that number."""
        process = self._processes.get(process_id)
        if process is None or process.exit_code is not None:
            return False
        process.kill()
        return True

    def send_stdin(self, process_id, data):
        process = self._processes.get(process_id)
        if process is None:
            raise protocol.SandboxError(f"no process {process_id}")
        process.write(data)
