"""Rules that one value of a plan must keep, whatever stands around it: paths, names, images, checks. Pure.

Every rule takes a value and returns it in its normal form, or raises `ValueRefusedError`. Paths are judged as
text only; whether something on disk makes them leave the workspace is judged where they are used.
"""

from __future__ import annotations

import re
from typing import Final

from engine.plan.refusal import ValueRefusedError, did_you_mean, listed, shown
from sandbox.spec import WORKSPACE

AVAILABLE_CHECKS: Final = (
    "syntax",
    "lint",
    "type",
    "security",
    "quality",
    "performance",
    "accessibility",
    "compile",
    "test",
)
"""Names of the checks that a plan can ask for: the one list, which `engine.validation` implements."""

MAX_PATH_BYTES: Final = 4096
MAX_PATH_PART_BYTES: Final = 255
MAX_ARGUMENT_BYTES: Final = 131_071
"""The kernel's limit for one argument or one `NAME=value`, less its closing NUL (MAX_ARG_STRLEN)."""
MAX_ARGUMENTS_BYTES: Final = 1 << 20
"""All arguments of a command, or all of an environment, so that both fit beside each other in one exec."""

ID_PATTERN: Final = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
"""What a step's id looks like, as a regular expression of JSON Schema."""
ENV_NAME_PATTERN: Final = "^[A-Za-z_][A-Za-z0-9_]{0,254}$"
"""What the name of an environment variable looks like, as a regular expression of JSON Schema."""

_ID: Final = re.compile(ID_PATTERN)
_ENV_NAME: Final = re.compile(ENV_NAME_PATTERN)
RULE_PATTERN: Final = "^[A-Za-z0-9_./*@-]{1,100}$"
_RULE: Final = re.compile(RULE_PATTERN)
_RUNTIME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_DRIVE: Final = re.compile(r"[A-Za-z]:(?:[\\/]|$)|\\\\")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_BIDI_CONTROL: Final = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
_MODE: Final = re.compile(r"(?:0o)?([0-7]{3,4})")

# Each part can be matched in one way only: otherwise a long name takes exponential time to refuse.
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
# No part of these can match the same text in two ways, so that matching takes no more than linear time.
_HOST: Final = re.compile(r"[A-Za-z0-9]+(?:(?:\.|-+)[A-Za-z0-9]+)*(?::[0-9]{1,5})?")
_COMPONENT: Final = re.compile(r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*")
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_MAX_IMAGE: Final = 512


def check_step_id(value: str) -> str:
    """A step's id: a letter or digit, then up to 63 letters, digits, `_`, `.` or `-`."""
    if not _ID.fullmatch(value):
        raise ValueRefusedError(
            f"{shown(value)} is not a step id",
            "an id is 1 to 64 letters, digits, '_', '.' or '-', and begins with a letter or digit",
        )
    return value


def check_title(value: str) -> str:
    """A name for people: one line of at most 200 characters that can be printed anywhere."""
    if len(value) > 200:
        raise ValueRefusedError(f"the name has {len(value)} characters", "a name has at most 200 characters")
    if _CONTROL.search(value) or _BIDI_CONTROL.search(value):
        raise ValueRefusedError(
            "the name has a line break or control character", "a name is one line of printable text"
        )
    return value


def check_not_empty(value: str) -> str:
    """Text that says something."""
    if not value:
        raise ValueRefusedError("the text is empty", "write the text that is meant")
    return value


def check_env_name(value: str) -> str:
    """The name of an environment variable, as every shell takes it."""
    if not _ENV_NAME.fullmatch(value):
        raise ValueRefusedError(
            f"{shown(value)} is not the name of an environment variable",
            "a name is letters, digits and '_', and does not begin with a digit",
        )
    return value


def check_no_nul(value: str) -> str:
    """Text that can be an argument or an environment value: no NUL, at most 131,071 bytes."""
    if "\0" in value:
        raise ValueRefusedError("the text has a NUL character", "a command or variable cannot hold a NUL")
    size = len(value.encode())
    if size > MAX_ARGUMENT_BYTES:
        raise ValueRefusedError(
            f"the text has {size} bytes, more than the {MAX_ARGUMENT_BYTES} that the system passes to a process",
            "put it into a file with a file_create step, or give it as stdin",
        )
    return value


def check_command_text(value: str) -> str:
    """Text for the shell: not blank, and what `check_no_nul` asks."""
    if not value.strip():
        raise ValueRefusedError("the command is empty", 'write what to run, for example "pytest -q"')
    return check_no_nul(value)


def check_argv(value: tuple[str, ...]) -> tuple[str, ...]:
    """A command as a list of arguments, run without a shell."""
    if not value or not value[0]:
        raise ValueRefusedError("the command is empty", "name the program first, for example [pytest, -q]")
    if sum(len(argument.encode()) + 1 for argument in value) > MAX_ARGUMENTS_BYTES:
        raise ValueRefusedError(
            f"the arguments have more than {MAX_ARGUMENTS_BYTES} bytes in all",
            "put them into a file with a file_create step",
        )
    return value


def check_path(value: str) -> str:
    """A path of a file or directory in the workspace, relative to its top, with `/` between its parts."""
    if not value:
        raise ValueRefusedError("the path is empty", "write a path relative to the workspace, such as src/main.py")
    _refuse_foreign(value)
    if value.startswith("/"):
        raise ValueRefusedError(
            f"{shown(value)} is an absolute path", _inside_hint(value) or "paths are relative to the workspace"
        )
    _refuse_parts(value)
    return value


def check_file_path(value: str) -> str:
    """A path that a step may create, edit or delete: `check_path`, and nothing of a repository's `.git`."""
    check_path(value)
    if any(part.lower() == ".git" for part in value.split("/")):
        raise ValueRefusedError(
            f"{shown(value)} is in a .git directory", "steps that change files leave version control's own alone"
        )
    return value


def check_listed_path(value: str) -> str:
    """A file or directory for a check to look at: `check_path`, and no pattern."""
    if value == ".":
        return value
    check_path(value)
    if "*" in value or "?" in value:
        raise ValueRefusedError(
            f"{shown(value)} is a pattern", "name files or directories; a directory stands for all that is in it"
        )
    return value


def check_pattern(value: str) -> str:
    """A pattern of paths to hide, in the language of .gitignore.

    At most three `*` in a part and four `**` in all: matching backtracks, and the pattern is not trusted.
    """
    if not value.strip() or value.startswith("#"):
        raise ValueRefusedError(f"the pattern {shown(value)} matches nothing", 'write one such as ".env" or "**/*.pem"')
    if _CONTROL.search(value) or len(value.encode()) > MAX_PATH_BYTES:
        raise ValueRefusedError(
            f"the pattern {shown(value)} has a control character or more than {MAX_PATH_BYTES} bytes"
        )
    parts = value.split("/")
    if ".." in parts:
        raise ValueRefusedError(f"{shown(value)} has a .. in it", "only paths in the workspace can be hidden")
    if parts.count("**") > 4 or any(part != "**" and part.count("*") > 3 for part in parts):
        raise ValueRefusedError(
            f"the pattern {shown(value)} has too many wildcards", "at most three * between two /, and four ** in all"
        )
    return value


def check_cwd(value: str) -> str:
    """A working directory in the workspace; returned relative to it, `.` for its top."""
    if value in (".", "./", WORKSPACE, f"{WORKSPACE}/"):
        return "."
    relative = value.removeprefix(f"{WORKSPACE}/")
    if relative.startswith("/"):
        raise ValueRefusedError(
            f"{shown(value)} is outside the workspace", f"write it relative to the workspace, or below {WORKSPACE}/"
        )
    return check_path(relative.removesuffix("/"))


def _inside_hint(value: str) -> str:
    inside = value.removeprefix(f"{WORKSPACE}/")
    return f"write {inside}" if inside != value and inside and not inside.startswith("/") else ""


def _refuse_foreign(value: str) -> None:
    """Paths of other systems and shells, and those that no terminal can show."""
    if _CONTROL.search(value):
        raise ValueRefusedError(f"{shown(value)} has a control character", "a path is printable text")
    if value.startswith("~"):
        raise ValueRefusedError(f"{shown(value)} begins with ~", "no home directory is known in a workspace")
    if _DRIVE.match(value):
        raise ValueRefusedError(
            f"{shown(value)} is a Windows path", "write it relative to the workspace, with / between its parts"
        )
    if len(value.encode()) > MAX_PATH_BYTES:
        raise ValueRefusedError(f"the path has more than {MAX_PATH_BYTES} bytes", "write a shorter path")


def _refuse_parts(value: str) -> None:
    parts = value.split("/")
    if ".." in parts:
        raise ValueRefusedError(f"{shown(value)} has a .. in it", "a path never leaves the workspace")
    if "" in parts or "." in parts:
        clean = "/".join(part for part in parts if part not in ("", "."))
        raise ValueRefusedError(
            f"{shown(value)} has an empty part or a '.' in it",
            f"write {clean}" if clean else "name a file or directory in the workspace",
        )
    for part in parts:
        if len(part.encode()) > MAX_PATH_PART_BYTES:
            raise ValueRefusedError(
                f"{shown(part)} has more than {MAX_PATH_PART_BYTES} bytes", "no file name can be that long"
            )


def check_image(value: str) -> str:
    """A reference to a local image: `name`, `name:tag`, `name@sha256:...`, or an id `sha256:...`."""
    hint = "write a local image's name such as python:3.12-slim, or its id sha256:..."
    if value.startswith("-"):
        raise ValueRefusedError(f"{shown(value)} is an option, not an image", hint)
    if len(value) > _MAX_IMAGE:
        raise ValueRefusedError(f"the image's name has more than {_MAX_IMAGE} characters", hint)
    if not _DIGEST.fullmatch(value) and not _is_image_name(value):
        if _is_image_name(value.lower()):
            hint = f"image names are in lower case: {value.lower()}"
        raise ValueRefusedError(f"{shown(value)} is not the name of an image", hint)
    return value


def _is_image_name(value: str) -> bool:
    """`[host[:port]/]component[/component]*[:tag][@sha256:digest]`, as the engine reads it."""
    named, at, digest = value.partition("@")
    path, slash, last = named.rpartition("/")
    component, colon, tag = last.partition(":")
    if (at and not _DIGEST.fullmatch(digest)) or (colon and not _TAG.fullmatch(tag)) or (slash and not path):
        return False
    if component == "sha256" and not slash and colon:
        return False  # a digest cut short, not an image called sha256
    parts = [*(path.split("/") if path else []), component]
    has_host = len(parts) > 1 and (parts[0] == "localhost" or any(sign in parts[0] for sign in ".:"))
    if has_host and not _HOST.fullmatch(parts[0]):
        return False
    names = parts[1:] if has_host else parts
    return sum(map(len, parts)) + len(parts) <= 256 and all(_COMPONENT.fullmatch(name) for name in names)


def check_check_name(value: str) -> str:
    """The name of a check that this version has."""
    if value not in AVAILABLE_CHECKS:
        near = did_you_mean(value, AVAILABLE_CHECKS)
        raise ValueRefusedError(
            f"this version has no check called {shown(value)}",
            near or f"there are {', '.join(AVAILABLE_CHECKS[:-1])} and {AVAILABLE_CHECKS[-1]}",
        )
    return value


def check_rule_pattern(value: str) -> str:
    """The name of a rule of some check, in which `*` stands for any letters."""
    if not _RULE.fullmatch(value):
        raise ValueRefusedError(
            f"{shown(value)} is no name of a rule", 'write one such as "F401", "return-value" or "S1*"'
        )
    return value


def check_network(value: str) -> str:
    """The network of a step. "none" is the only one there is."""
    if value != "none":
        raise ValueRefusedError(
            f"this version has no network called {shown(value)}",
            "steps run with network: none; what they need from the network goes into environment.setup",
        )
    return value


def check_runtime(value: str) -> str:
    """The name under which the container engine knows a runtime, such as `runc` or `runsc`."""
    if not _RUNTIME.fullmatch(value):
        raise ValueRefusedError(f"{shown(value)} is not the name of a runtime", "such as runc or runsc")
    return value


def read_mode(text: str) -> int:
    """Permission bits from octal text: `0644`, `755`, `0o600`.

    Raises:
      ValueRefusedError: not three octal digits, or set-user-id, set-group-id or sticky bits.
    """
    match = _MODE.fullmatch(text)
    if match is None:
        raise ValueRefusedError(f"{shown(text)} is not a file mode", 'write octal digits such as "0644" or "0755"')
    return check_mode(int(match[1], 8))


def check_mode(value: int) -> int:
    """Permission bits that a step may give a file."""
    if not 0 <= value <= 0o777:
        raise ValueRefusedError(
            f"mode {value:04o} is more than permissions", "set-user-id, set-group-id and sticky bits are not given"
        )
    return value


def check_choice(value: str, choices: tuple[str, ...]) -> str:
    """`value` when it is one of `choices`."""
    if value not in choices:
        raise ValueRefusedError(f"expected {listed(choices)}, found {shown(value)}", did_you_mean(value, choices))
    return value
