"""Plan files to plans: the way in from the outside, and the only one.

Whatever the bytes are, the result is a `Plan` that keeps every rule, or a `PlanError` with all faults found,
each with its line, column and key. The text is judged in three passes: as YAML or JSON (`yaml_reader`,
`json_reader`), value by value (the models), and across steps (`check`); a later pass looks at all that an
earlier one could read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from engine.errors import Fault, PlanError
from engine.plan.check import Unread, problems_among
from engine.plan.json_reader import read_json
from engine.plan.model import MAX_STEPS, Plan, PlanHeader, with_id
from engine.plan.source import (
    MAX_BYTES,
    Bare,
    Entries,
    Items,
    Kind,
    Misread,
    Node,
    Position,
    Scalar,
    UnreadableError,
    describe,
    to_data,
)
from engine.plan.steps import STEP_MODELS, StepBase
from engine.plan.wording import fault_at, faults_of, unknown_type

MAX_FAULTS: Final = 100
"""How many faults are told at once; a file with more is looked at no further."""

_NO_YAML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_NO_TEXT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
_JSON_START: Final = re.compile(r'\s*\{\s*["}]')


def load_plan(path: Path) -> Plan:
    """The plan in the file `path`; `.json` is read as JSON, `.yaml` and `.yml` as YAML, others by their first words.

    Raises:
      PlanError: the file cannot be read, or is not a plan that keeps every rule.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PlanError([Fault(str(path), 1, 1, "", f"the file cannot be read: {error.strerror}")]) from error
    return parse_plan(data, str(path))


def parse_plan(text: str | bytes, file: str = "<plan>") -> Plan:
    """The plan in `text`. `file` names it in faults, and its ending tells the language as in `load_plan`.

    Raises:
      PlanError: the text is not a plan that keeps every rule.
    """
    try:
        root, misread = _read(_decoded(text), file)
    except UnreadableError as error:
        raise PlanError([_misread_fault(file, error.misread)]) from error
    faults = _Faults([_misread_fault(file, each) for each in misread])
    if not isinstance(root, Entries):
        found = describe(root.value if isinstance(root, Scalar) else [])
        faults.add(fault_at(file, root, (), f"expected a plan (a mapping), found {found}", "begin with version: 1"))
        raise faults.error(file)
    header = _read_header(file, root, faults)
    steps = _read_steps(file, root, faults)
    faults.extend(
        fault_at(file, root, problem.loc, problem.message, problem.hint) for problem in problems_among(header, steps)
    )
    if faults:
        raise faults.error(file)
    return Plan.model_validate({**{key: getattr(header, key) for key in PlanHeader.model_fields}, "steps": steps})


class _Faults:
    """Collects faults up to the bound; of several at one key of one place the first is told."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._at: dict[tuple[int, int, str], Fault] = {}
        self.extend(faults)

    def __bool__(self) -> bool:
        return bool(self._at)

    @property
    def full(self) -> bool:
        return len(self._at) > MAX_FAULTS

    def add(self, fault: Fault) -> None:
        self._at.setdefault((fault.line, fault.column, fault.key), fault)

    def extend(self, faults: Sequence[Fault] | Iterator[Fault]) -> None:
        for fault in faults:
            if self.full:
                break
            self.add(fault)

    def error(self, file: str) -> PlanError:
        """All of them in file order; past the bound a last one says that there are more."""
        ordered = sorted(self._at.values(), key=lambda fault: (fault.line, fault.column))
        if self.full:
            last = ordered[MAX_FAULTS - 1]
            message = f"there are more than {MAX_FAULTS} faults; the rest is not shown"
            more = Fault(file, last.line, last.column, "", message)
            ordered = [*ordered[:MAX_FAULTS], more]
        return PlanError(ordered)


def _misread_fault(file: str, misread: Misread) -> Fault:
    return Fault(file, misread.position.line, misread.position.column, misread.key, misread.message, misread.hint)


def _decoded(text: str | bytes) -> str:
    """The text, without a byte order mark."""
    size = len(text) if isinstance(text, bytes) or text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        raise UnreadableError(
            Misread(Position(1, 1), f"the file has more than {MAX_BYTES >> 20} MiB", "let a command make large files")
        )
    if isinstance(text, bytes):
        text = _from_utf8(text)
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise UnreadableError(Misread(Position(1, 1), "the file is empty", "a plan begins with version: 1"))
    return text


def _from_utf8(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        place = _position_of(data[: error.start].decode("utf-8"), None)
        message = f"the byte 0x{data[error.start]:02x} is not UTF-8"
        raise UnreadableError(Misread(place, message, "save the file as UTF-8")) from error


def _position_of(text: str, index: int | None) -> Position:
    before = text[:index]
    return Position(before.count("\n") + 1, len(before) - before.rfind("\n"))


def _read(text: str, file: str) -> tuple[Node, list[Misread]]:
    suffix = file.rpartition(".")[2].lower()
    is_json = suffix == "json" or (suffix not in ("yaml", "yml") and _JSON_START.match(text) is not None)
    bad = (_NO_TEXT if is_json else _NO_YAML).search(text)
    if bad is not None:
        message = f"the character U+{ord(bad[0]):04X} is not allowed in a plan file"
        hint = r'write it as an escape in double quotes, such as "\u001b"'
        raise UnreadableError(Misread(_position_of(text, bad.start()), message, hint))
    if is_json:
        return read_json(text)
    from engine.plan.yaml_reader import read_yaml  # with the YAML library, which JSON does not need

    return read_yaml(text)


def _read_header(file: str, root: Entries, faults: _Faults) -> PlanHeader:
    """The plan without its steps; where it has faults, as far as it could be read."""
    data = {key: to_data(node) for key, (_, node) in root.entries.items() if key != "steps"}
    try:
        return PlanHeader.model_validate(data)
    except ValidationError as error:
        faults.extend(faults_of(file, root, (), PlanHeader, error))
        wrong = {details["loc"][0] for details in error.errors(include_url=False, include_input=False)}
        return PlanHeader.model_validate({"version": 1} | {key: data[key] for key in data if key not in wrong})


def _read_steps(file: str, root: Entries, faults: _Faults) -> list[StepBase | Unread]:
    if "steps" not in root.entries:
        faults.add(fault_at(file, root, ("steps",), "the key is missing", "steps: the list of what to do, in order"))
        return []
    node = root.entries["steps"][1]
    if not isinstance(node, Items):
        found = describe(to_data(node))
        faults.add(fault_at(file, root, ("steps",), f"expected a list of steps, found {found}", _STEP_HINT))
        return []
    if not node.items:
        faults.add(fault_at(file, root, ("steps",), "the list of steps is empty", _STEP_HINT))
    if len(node.items) > MAX_STEPS:
        faults.add(fault_at(file, root, ("steps", MAX_STEPS), f"a plan has at most {MAX_STEPS} steps"))
    steps: list[StepBase | Unread] = []
    for index, item in enumerate(node.items[:MAX_STEPS]):
        steps.append(_read_step(file, root, index, item, faults))
        if faults.full:
            break
    return steps


_STEP_HINT: Final = 'each step begins with "- ", for example "- {type: command, run: make}"'


def _read_step(file: str, root: Entries, index: int, node: Node, faults: _Faults) -> StepBase | Unread:
    here = ("steps", index)
    data = with_id(to_data(node), index + 1)
    if not isinstance(data, dict):
        faults.add(fault_at(file, root, here, f"expected a step (a mapping), found {describe(data)}", _STEP_HINT))
        return Unread("")
    unread = Unread(data["id"] if isinstance(data["id"], str) else "")
    kind = data.get("type")
    name = kind.text if isinstance(kind, Bare) and kind.kind is not Kind.NULL else kind
    if not isinstance(name, str) or name not in STEP_MODELS:
        message, hint = (
            ("the key is missing", f"type: {', '.join(STEP_MODELS)}")
            if "type" not in data
            else (
                unknown_type(name) if isinstance(name, str) else (f"expected a step type, found {describe(kind)}", "")
            )
        )
        faults.add(fault_at(file, root, (*here, "type"), message, hint))
        return unread
    model = STEP_MODELS[name]
    try:
        return model.model_validate(data)
    except ValidationError as error:
        faults.extend(faults_of(file, root, here, model, error))
        return unread
