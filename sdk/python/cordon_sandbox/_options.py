"""What a sandbox is created with, for both clients and their pools."""

import dataclasses
from typing import Any, Callable, Dict, List, Optional, Sequence

from ._protocol import SandboxError


def camel(value):
    """Names of members as the daemon has them; either way of writing them is taken."""
    if isinstance(value, dict):
        return {_camel_name(name): camel(member) for name, member in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [camel(member) for member in value]
    return value


def _camel_name(name):
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


@dataclasses.dataclass
class Options:
    """Keywords of Sandbox, AsyncSandbox, SandboxPool and AsyncSandboxPool. Nothing given: the daemon's default.

    timeout_ms      of each command, 30000; 0: none
    fs_limit_bytes  of all files that the sandbox writes, 256 MiB
    env             more variables, or other values
    cwd             where the session begins, /home/user
    limits          {"memory_bytes", "processes", "file_count", "fs_bytes", "timeout_ms", "stdout_bytes", "stderr_bytes",
                    "command_bytes", "rpc_bytes"}
    security        {"tool_allowlist": [...], "limits": {...}}: programs beside the shells that may be started; the others end
                    with 126 and an error_class of CAPABILITY_DENIED. Packages are among them by the names they are installed
                    under; "pkg" lets commands install
    on_audit_event  called with a dict {"type", "sessionId", "timestamp", ...} for what happens to the sandbox, in the order in
                    which it happened and before the call that caused it returns; it cannot ask the sandbox
    storage         {"save": f(sandbox_id, state), "load": f(sandbox_id)}, for offload and rehydrate
    persistence     {"mode": "session" | "persistent", "namespace", "autosave_ms"}
    python_path     directories in which Python looks for modules
    nice            0 to 19
    label           a name for sandboxes.list
    package_policy  {"enabled": True, "allowed_hosts": [...], ...}: what may be installed (docs/packages.md); nothing, by default
    extensions      [Extension(...)]: commands that this program serves
    mounts          [{"path", "files" | "host_path", "writable", "timeout_ms", "cache_ms"}], or {path: files}: see Sandbox.mount
    program         the `cordon` to start
    socket          path of a daemon that is there (`cordon serve --unix PATH`), instead of one that is started
    detached        with `socket`: it outlives this program, and whoever knows its id may connect to it; its forks, too. At the end of a
                    `with` it is left to itself
    engine          taken for programs that were written for another package, and not needed
    """

    timeout_ms: Optional[int] = None
    fs_limit_bytes: Optional[int] = None
    env: Optional[Dict[str, str]] = None
    cwd: Optional[str] = None
    limits: Optional[Dict[str, int]] = None
    security: Optional[Dict[str, Any]] = None
    on_audit_event: Optional[Callable[[Dict[str, Any]], Any]] = None
    storage: Any = None
    persistence: Optional[Dict[str, Any]] = None
    python_path: Optional[List[str]] = None
    nice: int = 0
    label: Optional[str] = None
    package_policy: Optional[Dict[str, Any]] = None
    extensions: Sequence[Any] = ()
    mounts: Any = ()
    program: Optional[str] = None
    socket: Optional[str] = None
    detached: bool = False
    engine: str = "auto"

    def __post_init__(self):
        if self.detached and self.socket is None:
            raise SandboxError("detached: needs a daemon that stays, at a socket")
        security = camel(self.security or {})
        # Where others have it.
        callback = security.pop("onAuditEvent", None)
        self.on_audit_event = self.on_audit_event or callback
        self.security = security

    @property
    def is_saved(self):
        return bool(self.persistence) and self.persistence.get("mode") == "persistent"

    def params(self):
        """Of the daemon's method create."""
        env = dict(self.env or {})
        if self.python_path:
            env["PYTHONPATH"] = ":".join(self.python_path)
        given = {
            "timeoutMs": self.timeout_ms,
            "fsLimitBytes": self.fs_limit_bytes,
            "env": env or None,
            "directory": self.cwd,
            "limits": camel(self.limits) or None,
            "security": self.security or None,
            "persistence": camel(self.persistence),
            "packagePolicy": camel(self.package_policy),
            "nice": self.nice or None,
            "label": self.label,
            "detached": self.detached or None,
            "audit": self.on_audit_event is not None or None,
        }
        return {name: value for name, value in given.items() if value is not None}

    def other(self, **changes):
        """For another sandbox of this kind: a namespace belongs to one."""
        kept = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return Options(**{**kept, "persistence": None, "label": None, **changes})

    def refuse_unless_detached(self):
        if not self.detached:
            raise SandboxError("the sandbox is not detached: it would end")

    def storage_function(self, name):
        storage = self.storage
        found = storage.get(name) if isinstance(storage, dict) else getattr(storage, name, None)
        if found is None:
            raise SandboxError("No storage callbacks configured")
        return found


class SandboxInfo:
    """A sandbox in a list."""

    def __init__(self, entry):
        self.sandbox_id = entry["sandboxId"]
        self.label = entry.get("label")
        self.running = entry.get("running", 0)
        self.detached = entry.get("detached", False)

    def __repr__(self):
        return "SandboxInfo(sandbox_id=%r, label=%r, running=%r)" % (self.sandbox_id, self.label, self.running)
