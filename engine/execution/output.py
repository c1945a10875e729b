"""An attempt's output on its way out: live to listeners, at its end to the attempt's log, secrets masked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from engine.events.types import OutputChunk
from engine.execution.attempt import AttemptOutcome
from engine.execution.logs import LogStore
from engine.execution.masking import Masker
from engine.execution.metering import AttemptMeter
from engine.execution.run import Run
from engine.execution.writer import JournalWriter
from sandbox.spec import Stream


class OutputKeeper:
    """Shows and keeps what attempts print."""

    def __init__(self, writer: JournalWriter, logs: LogStore) -> None:
        self._writer = writer
        self._logs = logs

    def live(
        self, run: Run, step_id: str, meter: AttemptMeter
    ) -> tuple[Callable[[Stream, bytes], None], Callable[[], None]]:
        """A sink that shows output live, masked, and counts it; and what to call when the attempt has ended."""
        streams = {stream: run.masker.stream() for stream in Stream}
        attempt = run.attempt

        def show(stream: Stream, data: bytes) -> None:
            if data:
                self._writer.bus.publish(OutputChunk(run.id, step_id, attempt, stream, data))

        def sink(stream: Stream, chunk: bytes) -> None:
            meter.printed += len(chunk)
            show(stream, streams[stream].feed(chunk))

        def finish() -> None:
            for stream, masking in streams.items():
                show(stream, masking.finish())

        return sink, finish

    async def keep(self, run: Run, index: int, outcome: AttemptOutcome) -> AttemptOutcome:
        """Mask what came back and write the attempt's log."""
        masked = masked_outcome(run.masker, outcome)
        outputs = {Stream.STDOUT: masked.stdout.text(), Stream.STDERR: masked.stderr.text()}
        if any(outputs.values()):
            await self._writer.blocking(self._logs.write, run.id, index, run.attempt, outputs)
        return masked


def masked_outcome(masker: Masker, outcome: AttemptOutcome) -> AttemptOutcome:
    """The outcome with every secret replaced: in output, reason, findings and test results."""
    return replace(
        outcome,
        stdout=masker.mask_captured(outcome.stdout),
        stderr=masker.mask_captured(outcome.stderr),
        detail=masker.mask_text(outcome.detail),
        findings=tuple(masker.mask_json(finding) for finding in outcome.findings),
        validation=masker.mask_json(outcome.validation),
        tests=masker.mask_json(outcome.tests),
    )
