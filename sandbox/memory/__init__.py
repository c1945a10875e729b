"""Sandboxes without containers, whose commands are scripted: for dry runs and for tests of what uses sandboxes."""

from sandbox.memory.provider import InMemorySandbox, InMemorySandboxProvider, Script, Scripted, script_of

__all__ = ["InMemorySandbox", "InMemorySandboxProvider", "Script", "Scripted", "script_of"]
