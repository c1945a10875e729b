"""What a set-up's container is told over its stdin, and what it tells about itself. Pure text.

PID 1 is a /bin/sh that reads one compound command, so that all of it is read before any of it runs. It holds
everything that must not be seen in an image or by `inspect`: proxies, index addresses, certificates, the mentioned
files. They go to variables of that shell, to a tmpfs on /run, and to /workspace, which is emptied at the end.
Files are written by the shell's own printf from octal escapes: an image needs nothing but /bin/sh, mkdir and rm.

On stdout and stderr, whose order to each other is lost on the way, the shell says with a nonce which command
starts. The commands could print such lines too; they would only mislead a message.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from typing import Final

from sandbox.docker.gate import quote
from sandbox.docker.mentioned import MentionedFile
from sandbox.docker.network import CA_TOLD, NetworkSettings
from sandbox.spec import WORKSPACE

CA_FILE: Final = "/run/sandstone-ca.pem"
_APT_FILE: Final = "/run/sandstone-apt.conf"
_CHUNK: Final = 32 * 1024
_ALL_BELOW_WORKSPACE: Final = b" ".join(f"{WORKSPACE}/{names}".encode() for names in ("*", ".[!.]*", "..?*"))
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")

_PLAIN: Final = frozenset(range(32, 127)) - frozenset(b"\\'%-") | {10}
"""Bytes that stand for themselves in a quoted format of printf (`-`: the first one would start an option)."""

_AS_PRINTF: Final = [bytes([code]) if code in _PLAIN else b"\\%03o" % code for code in range(256)]

_ENVIRONMENT: Final = {
    "DEBIAN_FRONTEND": "noninteractive",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_CACHE_DIR": "1",
    "PIP_ROOT_USER_ACTION": "ignore",
    "XDG_CACHE_HOME": "/tmp/.cache",
    "NPM_CONFIG_CACHE": "/tmp/.cache/npm",
}
"""Caches would only make the image larger."""


def setup_script(
    commands: Sequence[str], files: Iterable[MentionedFile], network: NetworkSettings, nonce: str
) -> bytes:
    """The one command that does the set-up; it ends with the exit code of the command that failed, or 0.

    Preconditions: `nonce` is hexadecimal; no command has a NUL.
    """
    parts = [b"{\numask 022\n", *_network(network)]
    parts.append(b"export HOME=/root\nmkdir -p %s && cd %s || exit 125\n" % ((WORKSPACE.encode(),) * 2))
    for file in files:
        parts += _file(posixpath.join(WORKSPACE.encode(), file.path), file.content)
        if file.executable:
            parts.append(b"chmod 755 %s\n" % quote(posixpath.join(WORKSPACE.encode(), file.path)))
    for index, command in enumerate(commands):
        text = command.encode("utf-8", errors="surrogateescape")
        mark = b"printf '\\036%s %d\\n'" % (nonce.encode(), index)
        parts.append(mark + b"; " + mark + b" >&2\n")
        # A shell of its own: `cd`, `exit` and variables of one command are not those of the next.
        parts.append(b"/bin/sh -c %s </dev/null\ncode=$?\n[ $code -eq 0 ] || exit $code\n" % quote(text))
    parts.append(b"cd / && rm -rf %s /tmp/* /tmp/.[!.]* /tmp/..?* /root/.cache\n" % _ALL_BELOW_WORKSPACE)
    parts.append(b"exit 0\n}\n")
    return b"".join(parts)


def marker(nonce: str) -> re.Pattern[str]:
    """Matches the line by which the shell says which command starts; group 1 is its number."""
    return re.compile(rf"\x1e{nonce} ([0-9]+)\Z")


def _network(network: NetworkSettings) -> list[bytes]:
    variables = {**_ENVIRONMENT, **network.variables}
    parts = []
    if network.certificates:
        apt = f'Acquire::https::CaInfo "{CA_FILE}";\n'
        parts += [*_file(CA_FILE.encode(), network.certificates.encode()), *_file(_APT_FILE.encode(), apt.encode())]
        variables |= {**dict.fromkeys(CA_TOLD, CA_FILE), "APT_CONFIG": _APT_FILE}
    for name, value in variables.items():
        if _NAME.match(name) and "\0" not in value:
            parts.append(b"export %s=%s\n" % (name.encode(), quote(value.encode("utf-8", errors="surrogateescape"))))
    return parts


def _file(path: bytes, content: bytes) -> list[bytes]:
    quoted = quote(path)
    parts = [b"mkdir -p %s\n: > %s\n" % (quote(posixpath.dirname(path)), quoted)]
    for start in range(0, len(content), _CHUNK):
        escaped = b"".join([_AS_PRINTF[code] for code in content[start : start + _CHUNK]])
        parts.append(b"printf '%s' >> %s\n" % (escaped, quoted))
    return parts
