"""Cordon: a real Unix for commands that nobody vouches for, in a sandbox that lives."""

from ._async import AsyncSandbox
from ._protocol import CommandResult, FileInfo, PackageError, PackageInfo, RpcError, SandboxError
from ._sync import Process, Sandbox

__all__ = ["AsyncSandbox", "CommandResult", "FileInfo", "PackageError", "PackageInfo", "Process", "RpcError", "Sandbox", "SandboxError"]
