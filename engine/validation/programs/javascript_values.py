"""What the analysis of JavaScript knows of a value, and of the variables at one point of a function. Pure records."""

from __future__ import annotations

from typing import NamedTuple

TEXT = 1
SQL = 2
HTML = 4
CONDITION = 8
OBJECT = 16
"""What a string was put together with: any text, a piece of SQL, of HTML, or of a comparison. OBJECT: it is none."""

MAX_ITEMS = 8

REQUEST = "request"
BROWSER = "browser"
PROCESS = "process"
PARAMETER = "parameter"


class Item(NamedTuple):
    """One way in which a value is under foreign control.

    origin: the expression it came from, or the function and number of a parameter. kind: REQUEST and so on.
    whole: the value is what the origin says, and not made from it. cleaned: rules it can no longer break.
    """

    origin: str
    line: int
    kind: str
    whole: bool = True
    built: int = 0
    cleaned: frozenset[str] = frozenset()


class Value(NamedTuple):
    """items: foreign control. name: what it is called in full, `fs.readFile`, `?db` for a local. constant: it is
    known to be harmless. text: a literal. functions: keys of functions of the file that it may be.
    """

    items: frozenset[Item] = frozenset()
    name: str = ""
    constant: bool = False
    text: str | None = None
    functions: tuple[int, ...] = ()


UNKNOWN = Value()
CONSTANT = Value(constant=True)


def join(*values: Value) -> Value:
    """Any of the values."""
    first = values[0]
    items: frozenset[Item] = frozenset().union(*(value.items for value in values))
    functions = tuple(dict.fromkeys(key for value in values for key in value.functions))[:4]
    name = next((value.name for value in values if value.name), "")
    constant = all(value.constant for value in values)
    text = first.text if all(value.text == first.text for value in values) else None
    return Value(few(items), name, constant, text, functions)


def few(items: frozenset[Item]) -> frozenset[Item]:
    return items if len(items) <= MAX_ITEMS else frozenset(sorted(items, key=str)[:MAX_ITEMS])


def derived(value: Value, built: int = 0, cleaned: frozenset[str] = frozenset()) -> Value:
    """A value made from this one."""
    items = frozenset(
        it._replace(whole=False, built=it.built | built, cleaned=it.cleaned | cleaned) for it in value.items
    )
    return Value(items, constant=value.constant)


class Scope:
    """The variables of one function, or of a branch in it, which lies over the rest of the function.

    cleared: rules that a test has ruled out, by origin.
    """

    def __init__(self, parent: Scope | None = None, function: int = 0, over: bool = False) -> None:
        self.parent = parent
        self.function = function
        self.over = over
        self.values: dict[str, Value] = {}
        self.cleared: dict[str, frozenset[str]] = {}

    def branch(self) -> Scope:
        """A branch of this function: what it sets is set here only when `become` says that it was taken."""
        return Scope(self, self.function, over=True)

    def find(self, name: str) -> Value | None:
        scope: Scope | None = self
        while scope is not None:
            if name in scope.values:
                return scope.values[name]
            scope = scope.parent
        return None

    def declare(self, name: str, value: Value) -> None:
        self.values[name] = value

    def assign(self, name: str, value: Value) -> None:
        """Set the variable where it lives: for good in this function, as one more possibility in those around it."""
        scope: Scope | None = self
        elsewhere = False
        while scope is not None and name not in scope.values:
            elsewhere = elsewhere or not scope.over
            scope = scope.parent
        if scope is None or not elsewhere:
            self.values[name] = value
        else:
            scope.values[name] = join(scope.values[name], value)

    def is_cleared(self, item: Item, rule: str) -> bool:
        scope: Scope | None = self
        while scope is not None:
            rules = scope.cleared.get(item.origin, frozenset())
            if rule in rules or "*" in rules:
                return True
            scope = scope.parent
        return False

    def remembered(self, value: Value, rules: frozenset[str]) -> Value:
        """The value with what tests have ruled out, to take it out of this scope."""
        items = frozenset(
            it._replace(cleaned=it.cleaned | frozenset(rule for rule in rules if self.is_cleared(it, rule)))
            for it in value.items
        )
        return value._replace(items=items)

    def clear(self, origin: str, rules: frozenset[str]) -> None:
        self.cleared[origin] = self.cleared.get(origin, frozenset()) | rules

    def become(self, branches: list[Scope]) -> None:
        """Go on after branches, of which any may have been taken."""
        for name in dict.fromkeys(name for branch in branches for name in branch.values):
            found = [branch.values.get(name) or self.find(name) for branch in branches]
            self.values[name] = join(*(value for value in found if value is not None))
        for origin in set(branches[0].cleared).intersection(*(branch.cleared for branch in branches[1:])):
            self.clear(origin, frozenset.intersection(*(branch.cleared[origin] for branch in branches)))
