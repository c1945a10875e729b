"""The two interfaces through which a step gets its container. Their docstrings are the specification.

A *provider* hands out *sandboxes*. A sandbox is one container, claimed for one attempt over one
active layer, and never used again. The Docker implementation keeps containers waiting, because
starting one takes 200-300 ms and claiming a waiting one a few milliseconds; callers cannot tell
the difference but by the clock.

Life of a sandbox:  claim -> run (once) -> [freeze <-> thaw]* -> close.
`close` may be called at any time, any number of times, and afterwards no process of the sandbox is
alive and nothing is mounted at its slot: only then may the layer be committed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sandbox.spec import ExecRequest, ExecResult, ResourceUsage, SandboxSpec, Stream
from sandbox.workspace.layer import LayerKey


class OutputSink(Protocol):
    """Receives output live, in order per stream, as chunks that may split a character.

    Called on the event loop; must return at once (copy into a bounded buffer). It sees secrets.
    """

    def __call__(self, stream: Stream, chunk: bytes, /) -> None: ...


class Sandbox(Protocol):
    """One disposable container over one active layer."""

    @property
    def container_id(self) -> str:
        """The engine's id of the container."""
        ...

    async def run(self, request: ExecRequest, on_output: OutputSink | None = None) -> ExecResult:
        """Run the one command of this sandbox and wait until every process of it is dead.

        The result tells how it ended; limits hit are verdicts in the result, not exceptions.

        Raises:
          SpecRefusedError: cwd outside /workspace, or an env name or value that cannot be passed.
          SandboxUnavailableError: the container was lost before the command could start.
        """
        ...

    def usage(self) -> ResourceUsage:
        """What its command has used so far, also while it is frozen; after `run` what its result says.

        Does not block. Nothing is used before `run`; None where this host does not tell.
        """
        ...

    async def freeze(self) -> None:
        """Stop all processes of the sandbox where they stand; its clocks stop too. Idempotent.

        Nothing happens to a sandbox whose processes have ended or are being killed.

        Raises SandboxUnavailableError: it cannot be frozen, and goes on.
        """
        ...

    async def thaw(self) -> None:
        """Go on after `freeze`. Idempotent. Raises SandboxUnavailableError: it stays frozen, good only for `kill`."""
        ...

    async def kill(self) -> None:
        """Kill everything in the sandbox at once (also when frozen); a waiting `run` returns verdict `killed`."""
        ...

    async def close(self) -> None:
        """Kill what still runs, unmount the slot, hand the container over for removal. Idempotent."""
        ...


class SandboxProvider(Protocol):
    """Where sandboxes come from."""

    async def claim(self, spec: SandboxSpec, layer: LayerKey) -> Sandbox:
        """A sandbox of this kind with the active layer (or view) `layer` at /workspace.

        Takes a waiting container where there is one, else starts one cold; works the same.
        A claim that is cancelled ends at once, whatever the engine does: `layer` is unmounted then, and what the
        engine was asked for is undone in the background.

        Raises:
          ImageNotFoundError, ImageRefusedError, SpecRefusedError: this spec cannot be had here.
          SandboxUnavailableError: the engine is away or failed (retryable).
          LayerNotFoundError, LayerKindError: `layer` is not an active layer or a view.
        """
        ...

    def expect(self, owner: str, specs: Sequence[SandboxSpec]) -> None:
        """Say what `owner` (an execution) will claim next, in order; replaces what it said before.

        An empty sequence says: nothing more. Never blocks, never fails.
        """
        ...

    async def close(self) -> None:
        """Remove every container of this provider, waiting or claimed. Idempotent."""
        ...
