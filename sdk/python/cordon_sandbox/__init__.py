"""Cordon: a real Unix for commands that nobody vouches for, in a sandbox that lives."""

from ._async import AsyncProcess, AsyncSandbox
from ._async_pool import AsyncSandboxPool
from ._options import Options, SandboxInfo
from ._pool import SandboxPool
from ._protocol import CommandResult, FileInfo, ImportReport, RpcError, SandboxError
from ._sync import Process, Sandbox
from ._watch import AsyncWatch, FileEvent, Watch

__all__ = ["AsyncProcess", "AsyncSandbox", "AsyncSandboxPool", "AsyncWatch", "CommandResult", "FileEvent", "FileInfo", "ImportReport",
           "Options", "Process", "RpcError", "Sandbox", "SandboxError", "SandboxInfo", "SandboxPool", "Watch"]
