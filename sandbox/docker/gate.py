"""The gate: what PID 1 of a container, a /bin/sh, is told over its stdin. Pure text.

A container starts with `/bin/sh` reading commands from the attached stdin; that is all it does until it is
claimed, and all it needs is a POSIX shell (dash, bash, busybox). Three things are written to it in its life:

1. the *prelude*, right after the start: sets up descriptors and answers with `READY`;
2. the *request*, once: one compound command, so that the shell has read all of it before it runs any of it;
3. the *release*, one line: end with the command's exit code.

After the request's command has ended, the gate kills whatever it left behind and prints a *trailer* with a
nonce and the exit code on stdout and on stderr: both streams are complete. It then waits for the release, so
that the controller can read the counters of the cgroup while there is one. The trailer is a marker of time, not
a proof: the step runs as the same user and could print it too.

A *watchdog* process reads the gate's stdin while the command runs. When the controller dies, the engine closes
that stdin, and the watchdog kills the step. It shrugs off every signal but SIGKILL.

Descriptors of the gate: 3 is the controller's line (its stdin), 4 and 5 are stdout and stderr opened anew, so
that a step which makes its own non-blocking does not make the gate's so; 6 keeps the stderr that the command
gets, while the gate's own is /dev/null: shells say there which signal ended a child, with the child's text.
The command gets none of them.
"""

from __future__ import annotations

from typing import Final

from sandbox.policy import encode
from sandbox.spec import ExecRequest

READY: Final = b"\x1eready\n"

PRELUDE: Final = (
    b"exec 3<&0; "
    b"if ( : >/proc/self/fd/1 && : >/proc/self/fd/2 ) 2>/dev/null; "
    b"then exec 4>/proc/self/fd/1 5>/proc/self/fd/2; else exec 4>&1 5>&2; fi; "
    b"exec 6>&2 2>/dev/null; printf '\\036ready\\n' >&4\n"
)

RELEASE: Final = b"go\n"

CWD_LOST: Final = 126
"""Exit code when the working directory cannot be entered; the shell has said why on stderr."""

_WATCHDOG: Final = (
    b"( trap '' HUP INT QUIT TERM USR1 USR2 ALRM PIPE; read -r line <&3; kill -s KILL -- -1 )"
    b" </dev/null >/dev/null 4>&- 5>&- 6>&- & dog=$!\n"
)


def request_script(request: ExecRequest, nonce: str) -> bytes:
    """The request as the one command that the gate runs.

    Preconditions: `request` passed `policy.check_request`; `nonce` is hexadecimal.
    """
    trailer = b"printf '\\036%s %%03d\\n' $code" % nonce.encode("ascii")
    return b"".join(
        (
            b"{ ",
            _WATCHDOG,
            _stdin(request),
            b"( cd -- " + quote(encode("cwd", request.cwd)) + b" || exit %d\nunset OLDPWD\n" % CWD_LOST,
            *_exports(request),
            b"exec " + _command(request.command) + b" ) 2>&6 3<&- 4>&- 5>&- 6>&-",
            b" </dev/null\n" if not request.stdin else b"\n",
            b"code=$?\n",
            # Everything but PID 1: the watchdog, and what the command left running. The watchdog must be gone
            # before the release can arrive, or it could swallow it.
            b"kill -s KILL -- -1\nwait $dog\n",
            trailer + b" >&4; " + trailer + b" >&5\n",
            b"read -r line <&3\nexit $code\n}\n",
        )
    )


def quote(text: bytes) -> bytes:
    """`text` as one word of a POSIX shell, byte for byte."""
    return b"'" + text.replace(b"'", b"'\\''") + b"'"


def _stdin(request: ExecRequest) -> bytes:
    """The left side of a pipe that the command reads from.

    The writer is put in the background, so that the pipe's exit is the command's, also when the command (or a
    process it left behind) never reads what was written.
    """
    if not request.stdin:
        return b""
    data = quote(encode("stdin", request.stdin))
    return b"{ printf '%s' " + data + b" 3<&- 4>&- 5>&- 6>&- & } | "


def _exports(request: ExecRequest) -> list[bytes]:
    """Inside the command's own subshell: nothing of it reaches the gate."""
    return [
        b"export " + name.encode("ascii") + b"=" + quote(encode(name, value)) + b"\n"
        for values in (request.env, request.secrets)
        for name, value in values.items()
    ]


def _command(command: str | tuple[str, ...]) -> bytes:
    argv = ("/bin/sh", "-c", command) if isinstance(command, str) else command
    words = b" ".join(quote(encode("command", argument)) for argument in argv)
    return b"-- " + words if argv[0].startswith("-") else words
