"""What is known of JavaScript's libraries: where foreign values come from, where they do harm, what makes them safe.

Tables and pure functions over full names: `fs.readFile` is a function of a module however it was imported, `REQUEST`,
`RESPONSE` and `CONTEXT` are a handler's parameters, `?name` is any other local variable, `f()` the result of a call.
"""

from __future__ import annotations

import re

from engine.validation.programs.javascript_values import (
    BROWSER,
    CONDITION,
    HTML,
    PROCESS,
    REQUEST,
    SQL,
    TEXT,
    Item,
)

REFERENCES = {
    "sql-injection": "CWE-89",
    "nosql-injection": "CWE-943",
    "xss": "CWE-79",
    "command-injection": "CWE-78",
    "code-injection": "CWE-94",
    "path-traversal": "CWE-22",
    "ssrf": "CWE-918",
    "open-redirect": "CWE-601",
    "unsafe-deserialisation": "CWE-502",
    "prototype-pollution": "CWE-1321",
    "weak-crypto": "CWE-327",
    "weak-random": "CWE-330",
    "tls-verification-off": "CWE-295",
    "csrf": "CWE-352",
    "insecure-cookie": "CWE-614",
    "cors-credentials": "CWE-942",
    "postmessage-origin": "CWE-346",
}

ADVICE = {
    "sql-injection": "use placeholders",
    "nosql-injection": "choose the fields and make them strings",
    "xss": "escape or sanitise it, or use textContent",
    "command-injection": "use execFile with a list of arguments",
    "code-injection": "do not run text as code",
    "path-traversal": "use path.basename, or check that the resolved path is inside its root",
    "ssrf": "allow only known hosts",
    "open-redirect": "allow only known targets",
    "unsafe-deserialisation": "use JSON.parse",
    "prototype-pollution": "leave out __proto__, constructor and prototype",
}

SOURCE = re.compile(
    r"REQUEST\.(?:query|body|params|headers|cookies|signedCookies|url|originalUrl|rawBody|files?|nextUrl|hostname)"
    r"|CONTEXT\.(?:request\.(?:query|body|params|headers?|url|rawBody)|(?:query|params|headers?|querystring)"
    r"|req\.(?:query|body|params|headers|cookies|url))"
    r"|\??event\.(?:queryStringParameters|pathParameters|body|rawPath)"
    r"|MESSAGE\.data"
    r"|(?:(?:window|self|globalThis|document|top|parent)\.)*location(?:\.(?:search|hash|href|pathname))?"
    r"|(?:window\.)?document\.(?:URL|documentURI|referrer|cookie|baseURI)"
    r"|window\.name|process\.(?:argv|env)"
)
"""Full names whose value is foreign; also called (`REQUEST.query(...)`)."""

SOURCE_CALL = re.compile(
    r"REQUEST\.(?:get|header|param|json|text|formData|query|cookies\.get)"
    r"|CONTEXT\.(?:cookies\.get|get|req\.(?:query|param|header|json|text|parseBody)|request\.(?:get|json|text))"
    r"|(?:react-router-dom|react-router|next\.navigation)\.(?:useSearchParams|useParams)"
)

NEVER = frozenset({"ssrf", "path-traversal", "open-redirect", "xss", "nosql-injection", "prototype-pollution"})
"""What the environment and the command line of one's own process are no danger for."""

SQL_TEXT = re.compile(
    r"\b(?:select\s+[\w*`\"(]|insert\s+into\b|update\s+\S+\s+set\b|delete\s+from\b|replace\s+into\b|drop\s+(?:table|database)"
    r"|alter\s+table|create\s+(?:table|user|index|database)|truncate\s|exec(?:ute)?\s+\w|where\s+\S+\s*(?:=|like|in\b|[<>])"
    r"|order\s+by\b|from\s+\w+\s+where\b|values\s*\()",
    re.I,
)
HTML_TEXT = re.compile(r"<[a-zA-Z!/][\w-]*")
CONDITION_TEXT = re.compile(r"(?:[=<>(,]|\blike|\bin|\bby|\band|\bor)\s*['\"(%]*\s*$", re.I)
OPEN_ADDRESS = re.compile(r"\s*(?:(?:[a-z][a-z+.-]*:)?(?://[^/?#]*)?|/)$", re.I)
"""A beginning of a URL that leaves it to what follows where it leads."""


def built_of(text: str) -> int:
    """What putting a string together with this literal makes of it."""
    if not text:
        return 0
    kinds = (SQL if SQL_TEXT.search(text) else 0) | (HTML if HTML_TEXT.search(text) else 0)
    return TEXT | kinds | (CONDITION if CONDITION_TEXT.search(text) else 0)


EVERY = frozenset(
    [
        "sql-injection",
        "nosql-injection",
        "xss",
        "command-injection",
        "code-injection",
        "path-traversal",
        "ssrf",
        "open-redirect",
        "unsafe-deserialisation",
        "prototype-pollution",
    ]
)

CLEANERS: list[tuple[re.Pattern[str], frozenset[str]]] = [
    (
        re.compile(
            r"(?:^|[.])(?:parseInt|parseFloat|Number|BigInt|Boolean|isNaN|Date|ObjectId|isValid|createHash|hashSync|hash"
            r"|compare|compareSync|validate\w*|isUUID|isInt|randomUUID|toNumber|toInt)(?:\(\))?$"
        ),
        EVERY,
    ),
    (
        re.compile(
            r"(?i)dompurify\b|sanitize-?html|(?:^|[.?])(?:\w*sanitize\w*|purify|escape-?html\w*|html_?escape|escape\w*html"
            r"|encode-?html\w*|htmlencode|he\.(?:encode|escape)|filterxss|xss)$|^xss$|\b(?:lodash|_|validator|he|html-entities)\.(?:escape|encode)$"
        ),
        frozenset({"xss"}),
    ),
    (
        re.compile(r"^encodeURIComponent$|querystring\.(?:escape|stringify)$"),
        frozenset({"xss", "open-redirect", "ssrf", "path-traversal"}),
    ),
    (re.compile(r"^encodeURI$|^JSON\.stringify$"), frozenset()),
    (re.compile(r"^path(?:\.posix|\.win32)?\.basename$|sanitize-filename"), frozenset({"path-traversal"})),
    (
        re.compile(
            r"(?:^|\.)(?:escape|escapeId|escapeLiteral|escapeIdentifier)$|^(?:mysql2?|sqlstring|pg-format)\b.*format$"
        ),
        frozenset({"sql-injection"}),
    ),
    (re.compile(r"^(?:shell-quote\.quote|shell-escape|shellescape|shlex\.quote)$"), frozenset({"command-injection"})),
    (re.compile(r"^String$|\.toString$"), frozenset({"nosql-injection", "prototype-pollution"})),
]
"""Functions whose result is safe for these rules, by full name."""

CLEAN_METHODS = frozenset(
    [
        "includes",
        "indexOf",
        "lastIndexOf",
        "test",
        "has",
        "startsWith",
        "endsWith",
        "search",
        "localeCompare",
        "charCodeAt",
        "codePointAt",
        "every",
        "some",
        "hasOwnProperty",
        "findIndex",
        "getTime",
        "isInteger",
        "isArray",
        "push",
    ]
)
"""Methods whose result is a number or a truth value."""

KEEPERS = re.compile(
    r"^(?:path(?:\.posix|\.win32)?\.(?:join|resolve|normalize|relative|dirname|format)|util\.format|JSON\.(?:parse|stringify)"
    r"|decodeURI(?:Component)?|encodeURI(?:Component)?|unescape|atob|btoa|Buffer\.(?:from|concat)|Object\.(?:assign|values|keys|entries|fromEntries)"
    r"|Array\.(?:from|of)|String|String\.raw|URL|URLSearchParams|url\.parse|querystring\.parse|qs\.parse|Promise\.(?:all|resolve)"
    r"|structuredClone|(?:lodash|_)\.\w+|marked(?:\.parse|\.marked)?|Map|Set|Error|he\.decode|node-serialize\.\w+|js-yaml\.load)(?:\(\))?$"
)
"""Functions of libraries whose result holds what they were given."""

CALLBACK_METHODS = frozenset(
    ["map", "forEach", "filter", "then", "find", "reduce", "flatMap", "some", "every", "replace", "sort", "replaceAll"]
)

ROUTE_METHODS = frozenset(["get", "post", "put", "delete", "patch", "all", "use", "options", "head"])

OWN_HEADERS = re.compile(r"(?:REQUEST|CONTEXT)\.(?:request\.)?(?:headers?|cookies|signedCookies|hostname)\b(?!.*refer)")
"""What nobody else can make a browser send."""

DATA_STRING = re.compile(r"text/plain|application/json|text/json|\.type\(\s*['\"](?:txt|text|json)")


def kind_of(name: str) -> str:
    """What kind of source a full name is."""
    if name.startswith("process."):
        return PROCESS
    return REQUEST if re.match(r"REQUEST|CONTEXT|\??event|next\.|react", name) else BROWSER


def counts(item: Item, rule: str) -> bool:
    """This kind of source can break this rule."""
    if rule in item.cleaned or (item.kind == PROCESS and rule in NEVER):
        return False
    if rule == "open-redirect" and re.fullmatch(r"REQUEST\.(?:url|originalUrl)", item.origin):
        return False
    if rule in ("xss", "open-redirect") and OWN_HEADERS.match(item.origin):
        return False
    if rule == "ssrf" and item.kind == BROWSER:
        return False
    if rule == "open-redirect" and item.whole and re.search(r"location(?:\.\w+)?$|document\.\w+$", item.origin):
        return False
    return not (rule == "nosql-injection" and item.kind == BROWSER)
