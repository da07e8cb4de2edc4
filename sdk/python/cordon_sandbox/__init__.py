"""Cordon: a real Unix for commands that nobody vouches for, in a sandbox that lives."""

from ._async import AsyncSandbox
from ._protocol import CommandResult, FileInfo, RpcError, SandboxError
from ._sync import Process, Sandbox
from .extensions import Extension, ExtensionCall, PythonPackage

__all__ = ["AsyncSandbox", "CommandResult", "Extension", "ExtensionCall", "FileInfo", "Process", "PythonPackage", "RpcError",
           "Sandbox", "SandboxError"]
