"""Finds slow patterns in JavaScript and TypeScript; part of the `performance` check. Nothing of the project runs.

Comments of eslint (`eslint-disable-line`, `eslint-disable-next-line`, `eslint-disable`) silence by our rule's name, by
that of eslint for the same fault, or all of a line. Needs tree-sitter and its grammars.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from engine.validation.programs.javascript_tree import (
    GRAMMARS,
    Node,
    Script,
    UnparsableError,
    literal,
    parse,
    written_by_hand,
)
from engine.validation.programs.performance_findings import Finding, not_analysed
from engine.validation.programs.performance_scripts import (
    FUNCTIONS,
    LOOPS,
    Round,
    Rounds,
    TooIntricateError,
    arguments,
    bare,
    callback_of,
    called,
    parts,
)

SUFFIXES = tuple(GRAMMARS)

SEARCHES = frozenset(["find", "findIndex", "includes", "indexOf", "lastIndexOf", "some"])
READING = re.compile(
    r"(?:\.|^)(?:fetch|axios|download|fetch[A-Z]\w*|get|get[A-Z]\w*|load|load[A-Z]\w*|lookup\w*|query|query[A-Z]\w*|"
    r"read[A-Z]\w*|resolve[A-Z]\w*|find[A-Z]\w*|findOne|request)$"
)
ORDERED = re.compile(
    r"(?i)page|browser|reader|cursor|iterator|stream|transaction|trx|\btx\b|lock|queue|next|cy\b|driver"
)
"""Things of which one must be done before the next can be."""

WAITING = re.compile(r"(?i)sleep|delay|setTimeout|retry|attempt|backoff|throttle|rate_?limit|batch|chunk")
LAYOUT = frozenset(
    [
        "clientHeight", "clientLeft", "clientTop", "clientWidth", "getBoundingClientRect", "offsetHeight",
        "offsetLeft", "offsetTop", "offsetWidth", "scrollHeight", "scrollWidth",
    ]
)  # fmt: skip
STYLED = re.compile(r"\.style(?:\.\w+|\[.*\])$")
EFFECT = re.compile(r"(?:React\.)?use(?:Layout)?Effect$")
QUERIES = re.compile(r"document\.(?:querySelector(?:All)?|getElementById|getElementsByClassName|getElementsByTagName)$")
REFERENCES = {"await-in-loop": "no-await-in-loop"}
WHOLE_FILE = re.compile(r"/\*\s*eslint-disable\s+([^*]*?)\s*\*/")


def findings(data: bytes, path: bytes) -> list[Finding]:
    """What is slow in a file, in its order. Never raises for what is in it.

    Raises:
      ImportError: tree-sitter or the grammar is not there.
    """
    if not written_by_hand(data, path):
        return [] if path.endswith(b"ts") else [not_analysed("not checked: minified or too large")]
    try:
        script = parse(data, os.path.splitext(path)[1].lower())
    except UnparsableError:
        return [not_analysed("not checked: the parser does not come to an end with it", "warning")]
    found: set[Finding] = set()
    cut = False
    try:
        found.update(faults(Rounds(script.root)))
    except (TooIntricateError, RecursionError):
        cut = True
    everywhere = {
        word for it in WHOLE_FILE.findall(data.decode("utf-8", "replace")) for word in re.split(r"[,\s]+", it)
    }
    kept = [it for it in found if it.reference not in everywhere - {""} and not silenced(script, it, everywhere)]
    made = sorted(kept, key=lambda it: (it.line, it.column, it.rule))
    return [*made, *([not_analysed("only partly checked: it is too intricate")] if cut else [])]


def silenced(script: Script, finding: Finding, everywhere: set[str]) -> bool:
    words = script.silences.get(finding.line)
    if finding.rule in everywhere or words is None:
        return finding.rule in everywhere
    return not words or finding.rule in words or (finding.reference != "" and finding.reference in words)


def at(node: Node, rule: str, message: str, severity: str = "warning") -> Finding:
    return Finding(rule, severity, message, node.line, node.column, reference=REFERENCES.get(rule, ""))


def faults(source: Rounds) -> Iterator[Finding]:
    for node in source.nodes:
        around = source.rounds.get(id(node))
        if node.type == "call_expression":
            yield from reductions(node, source)
            yield from effects(node, source)
            if around is not None:
                yield from calls(node, around, source)
        elif node.type == "assignment_expression" and around is not None:
            yield from copies(node, around, source)
        elif node.type == "await_expression" and around is not None:
            yield from awaits(node, around, source)
        if node.type in LOOPS or node.type in FUNCTIONS:
            yield from thrashing(node, source)


def unbounded(around: Round, source: Rounds) -> bool:
    return any(not source.bounded(it) for it in around.around())


def calls(node: Node, around: Round, source: Rounds) -> Iterator[Finding]:
    """Searches, copies, queries and listeners, once a round."""
    receiver, method = parts(node)
    name = called(node)
    if method in SEARCHES and receiver is not None and receiver.type == "identifier":
        made = source.declaration(receiver)
        outside = [it for it in around.around() if made is not None and not within(made, it.node)]
        if any(not source.bounded(it) for it in outside) and source.is_array(receiver) and not left_after(node, around):
            message = f"each round goes through the array {receiver.text}, which takes quadratic time: use a Set or Map"
            yield at(node, "list-search-in-loop", message)
    elif name == "JSON.parse" and unbounded(around, source):
        given = arguments(node)
        if given and given[0].type == "call_expression" and called(given[0]) == "JSON.stringify":
            message = "each round copies a whole structure by way of text: copy what changes, or use structuredClone"
            yield at(node, "deepcopy-in-loop", message, "info")
    elif QUERIES.match(name) and around.over is not None and unbounded(around, source):
        if len(arguments(node)) == 1 and literal(arguments(node)[0]) is not None:
            yield at(
                node, "invariant-in-loop", "the same elements are looked for in every round: do it once before", "info"
            )
    elif name in ("window.addEventListener", "document.addEventListener") and unbounded(around, source):
        given = arguments(node)
        if len(given) >= 2 and literal(given[0]) is not None and given[1].type in FUNCTIONS:
            message = "each round leaves one more listener on the same target: one listener for all of them is enough"
            yield at(node, "listener-leak", message)


def within(node: Node, other: Node) -> bool:
    return other.start <= node.start and node.end <= other.end


def left_after(node: Node, around: Round) -> bool:
    """The round that `node` is in is the last: it is returned or thrown."""
    here: Node | None = node
    while here is not None and here is not around.node:
        if here.type in ("return_statement", "throw_statement"):
            return not around.function
        here = here.parent
    return False


def grown(value: Node | None, name: str) -> bool:
    """`[...name, x]`, `{...name}`, `name.concat(x)`, `Object.assign({}, name, ...)`."""
    value = bare(value)
    if value is None:
        return False
    if value.type in ("array", "object"):
        spread = [it.children[0] for it in value.children if it.type == "spread_element" and it.children]
        return any(it.type == "identifier" and it.text == name for it in spread)
    if value.type != "call_expression":
        return False
    receiver, method = parts(value)
    if method == "concat" and receiver is not None:
        return receiver.type == "identifier" and receiver.text == name
    given = arguments(value)
    fresh = called(value) == "Object.assign" and len(given) >= 2 and given[0].type == "object"
    return fresh and given[1].type == "identifier" and given[1].text == name


def reductions(node: Node, source: Rounds) -> Iterator[Finding]:
    """`reduce` that makes a new collection of the one so far."""
    receiver, method = parts(node)
    given = arguments(node)
    if method not in ("reduce", "reduceRight") or not given or given[0].type not in FUNCTIONS or source.few(receiver):
        return
    function = given[0]
    parameters = function.field("parameters")
    first = parameters.children[0] if parameters is not None and parameters.children else function.field("parameter")
    while first is not None and first.type == "required_parameter" and first.children:
        first = first.children[0]
    starts = len(given) == 1 or given[1].type in (
        "array",
        "object",
        "as_expression",
        "satisfies_expression",
        "new_expression",
    )
    body = function.field("body")
    if first is None or first.type != "identifier" or body is None or not starts:
        return
    results: list[Node | None] = [body]
    if body.type == "statement_block":
        results = [it.children[0] for it in source.walk(body, False) if it.type == "return_statement" and it.children]
    for it in results:
        if grown(it, first.text) and it is not None:
            message = f"{first.text} is copied for each element, which takes quadratic time: change it in place"
            yield at(it, "sequence-copied-in-loop", message)


def copies(node: Node, around: Round, source: Rounds) -> Iterator[Finding]:
    """`all = [...all, x]` in a loop."""
    target = node.field("left")
    if target is None or target.type != "identifier" or not grown(node.field("right"), target.text):
        return
    made = source.declaration(target)
    value = bare(made.field("value")) if made is not None else None
    if made is None or value is None or value.type not in ("array", "object"):
        return
    outside = [it for it in around.around() if not within(made, it.node)]
    if any(not source.bounded(it) for it in outside) and not begins_anew(node, target.text, outside[-1], source):
        message = f"{target.text} is copied in every round, which takes quadratic time: change it in place"
        yield at(node, "sequence-copied-in-loop", message)


def begins_anew(node: Node, name: str, around: Round, source: Rounds) -> bool:
    for it in source.walk(around.node):
        left = it.field("left") if it.type == "assignment_expression" and it is not node else None
        if left is not None and left.type == "identifier" and left.text == name and not grown(it.field("right"), name):
            return True
    return False


def awaits(node: Node, around: Round, source: Rounds) -> Iterator[Finding]:
    """Reading one after the other what could be read side by side."""
    loop = around.node
    if around.function or loop.type != "for_in_statement" or source.bounded(around) or "await" in loop.head(12):
        return
    asked = node.children[0] if node.children else None
    kind = loop.field("operator")
    if asked is None or asked.type != "call_expression" or kind is None or kind.text != "of":
        return
    name = called(asked)
    variables = loop.field("left")
    parent = node.parent
    used = parent is not None and parent.type != "expression_statement"
    if not used or variables is None or not READING.search(name) or ORDERED.search(name):
        return
    own = {it.text for it in variables.walk() if it.type == "identifier"}
    given = {it.text for one in arguments(asked) for it in one.walk() if it.type == "identifier"}
    if given & own and independent(loop, own, source):
        message = "each round waits for the one before, though none needs what that has read: use Promise.all"
        yield at(node, "await-in-loop", message)


def independent(loop: Node, own: set[str], source: Rounds) -> bool:
    """No round depends on an earlier one: one await, nothing of outside is assigned, no round ends the loop."""
    body = loop.field("body")
    if body is None:
        return False
    awaited = 0
    for it in source.walk(body):
        awaited += it.type == "await_expression"
        if it.type in ("break_statement", "return_statement", "yield_expression", "throw_statement", "try_statement"):
            return False
        if it.type in ("assignment_expression", "augmented_assignment_expression", "update_expression"):
            target = it.field("left") or it.field("argument")
            made = source.declaration(target) if target is not None and target.type == "identifier" else None
            if target is not None and target.type == "identifier" and (made is None or not within(made, loop)):
                return False
        if it.type == "call_expression" and WAITING.search(called(it)):
            return False
    return awaited == 1


def thrashing(node: Node, source: Rounds) -> Iterator[Finding]:
    """Rounds that write styles and read the layout, which must be made anew for each."""
    over = callback_of(node) if node.type in FUNCTIONS else node.field("right")
    body = node.field("body")
    if body is None or (over is None and node.type in FUNCTIONS):
        return
    if source.bounded(Round(node, None, over, node.type in FUNCTIONS)):
        return
    written = False
    read: Node | None = None
    for it in source.walk(body, False):
        left = it.field("left") if it.type in ("assignment_expression", "augmented_assignment_expression") else None
        if left is not None and left.type in ("member_expression", "subscript_expression"):
            written = written or bool(STYLED.search(left.head(200)))
        name = it.field("property") if it.type == "member_expression" else None
        if read is None and name is not None and name.text in LAYOUT:
            read = it
    if written and read is not None:
        message = (
            "each round writes a style and reads the layout, which is made anew each time: read all, then write all"
        )
        yield at(read, "layout-thrash", message)


def effects(node: Node, source: Rounds) -> Iterator[Finding]:
    """Effects of React that leave a listener or a timer behind each time they run."""
    given = arguments(node)
    if not EFFECT.match(called(node)) or not given or given[0].type not in FUNCTIONS:
        return
    calls = [it for it in source.walk(given[0]) if it.type == "call_expression"]
    names = {called(it).rpartition(".")[2] for it in calls}
    text = given[0].head()
    for it in calls:
        name = called(it).rpartition(".")[2]
        if name == "setInterval" and "clearInterval" not in text:
            yield at(it, "timer-leak", "the timer goes on when the component is gone: return a function that clears it")
        if name == "addEventListener" and "removeEventListener" not in names and not ends_itself(it, text):
            message = "the listener stays when the component is gone: return a function that removes it"
            yield at(it, "listener-leak", message)


def ends_itself(call: Node, effect: str) -> bool:
    """It is removed with a signal, after its first event, or by a function of another name."""
    options = arguments(call)[2].head(200) if len(arguments(call)) > 2 else ""
    return "once" in options or "signal" in options or "removeEventListener" in effect or "abort" in effect
