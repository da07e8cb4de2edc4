"""Cordon: a real Unix for commands that nobody vouches for, in a sandbox that lives."""

from ._async import AsyncProcess, AsyncSandbox
from ._async_pool import AsyncSandboxPool
from ._options import Options, SandboxInfo
from ._pool import SandboxPool
from ._protocol import CommandResult, FileInfo, ImportReport, PackageError, PackageInfo, RpcError, SandboxError
from ._sync import Process, Sandbox
from ._watch import AsyncWatch, FileEvent, Watch
from .extensions import Extension, ExtensionCall, PythonPackage
from .virtual import DirEntry, FileStat, MemoryFS, VirtualFileSystem

__all__ = ["AsyncProcess", "AsyncSandbox", "AsyncSandboxPool", "AsyncWatch", "CommandResult", "DirEntry", "Extension", "ExtensionCall", "FileEvent",
           "FileInfo", "FileStat", "ImportReport", "MemoryFS", "Options", "PackageError", "PackageInfo", "Process", "PythonPackage", "RpcError", "Sandbox", "SandboxError", "SandboxInfo",
           "SandboxPool", "VirtualFileSystem", "Watch"]
