"""What is known of JavaScript's libraries: where foreign values come from, where they do harm, what makes them safe.

Tables and pure functions over full names: `fs.readFile` is a function of a module however it was imported, `REQUEST`,
`RESPONSE` and `CONTEXT` are a handler's parameters, `?name` is any other local variable, `f()` the result of a call.
"""

from __future__ import annotations

import re
from typing import NamedTuple

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


class Sink(NamedTuple):
    """A call that does harm with some of its arguments.

    receiver: searched in the full name without the method; None is a plain function. built: what the value must have
    been put together with, 0 for anything. need: what else must hold, by name.
    """

    rule: str
    receiver: re.Pattern[str] | None
    arguments: tuple[int, ...] = (0,)
    built: int = 0
    need: str = ""


def _receiver(text: str) -> re.Pattern[str]:
    return re.compile(text)


DATABASE = _receiver(
    r"^(?:mysql2?|pg|pg-promise|sqlite3?|better-sqlite3|knex|sequelize|typeorm|@prisma|mssql|mariadb|oracledb|postgres|slonik)\b"
    r"|(?i:(?:^|[.?])_?\w*(?:db|database|pool|conn|connection|knex|sequelize|sql|mysql|postgres|sqlite|prisma|repository"
    r"|entitymanager|trx|transaction|queryrunner|datasource|pgclient)(?:\(\))?$)|^\?(?:client|tx|em|manager)$"
)
LIBRARY = _receiver(r"^(?:mysql2?|pg|sqlite3?|better-sqlite3|mssql|mariadb|postgres)\b")
ANY = _receiver("")
FILES = _receiver(r"^(?:fs|fs\.promises)$")
# Fastify sends strings as plain text, so that a reply is no page unless it is made of HTML.
REPLY = _receiver(r"^REPLY\b")
SENDER = _receiver(r"^(?:RESPONSE|REPLY|CONTEXT\.(?:response|res))\b")
RESPONSE = _receiver(r"^(?:RESPONSE|CONTEXT\.(?:response|res))\b")
REDIRECTS = _receiver(
    r"^(?:(?:RESPONSE|REPLY)\b.*|CONTEXT(?:\.response)?|Response|next\.server\.NextResponse|NextResponse)$"
)
CHILD = _receiver(r"^child_process$")
DOCUMENT = _receiver(r"^(?:window\.)?document$")
JQUERY = _receiver(r"^(?:window\.)?(?:\$|jQuery|jquery)\(\)|^\??\$\w+$")
VM = _receiver(r"^(?:vm|vm\.Script\(\))$")
HTTP = _receiver(
    r"^(?:https?|axios|got|request|needle|superagent|undici|ky|node-fetch|phin|bent|axios\.create\(\))(?:\(\))?$"
)
LODASH = _receiver(r"^(?:lodash|_|lodash-es|\$|jQuery|jquery)$")

_FILE_METHODS = [
    "readFile",
    "readFileSync",
    "writeFile",
    "writeFileSync",
    "appendFile",
    "appendFileSync",
    "createReadStream",
    "createWriteStream",
    "unlink",
    "unlinkSync",
    "open",
    "openSync",
    "rm",
    "rmSync",
    "rmdir",
    "rmdirSync",
    "mkdir",
    "mkdirSync",
    "readdir",
    "readdirSync",
    "stat",
    "statSync",
    "access",
    "accessSync",
    "truncate",
    "outputFile",
    "readJson",
    "readJsonSync",
    "writeJson",
    "remove",
    "removeSync",
]
_SQL_METHODS = ["query", "execute", "raw", "unsafe", "any", "one", "none", "many", "oneOrNone", "manyOrNone"]
_SQL_DOUBTFUL = ["run", "all", "get", "each", "exec", "prepare"]
_PARTS = [
    "where",
    "andWhere",
    "orWhere",
    "having",
    "andHaving",
    "orderBy",
    "addOrderBy",
    "whereRaw",
    "orWhereRaw",
    "havingRaw",
    "orderByRaw",
]
_MONGO = [
    "find",
    "findOne",
    "findOneAndUpdate",
    "findOneAndDelete",
    "findOneAndReplace",
    "updateOne",
    "updateMany",
    "deleteOne",
    "deleteMany",
    "countDocuments",
    "count",
    "remove",
    "exists",
    "distinct",
    "replaceOne",
]
_HTTP_METHODS = ["get", "post", "put", "patch", "delete", "head", "request", "stream", "fetch"]

METHODS: dict[str, list[Sink]] = {}


def _put(names: list[str], sink: Sink) -> None:
    for name in names:
        METHODS.setdefault(name, []).append(sink)


_put(_SQL_METHODS, Sink("sql-injection", DATABASE))
_put(["query", "execute", "raw"], Sink("sql-injection", ANY, built=SQL))
_put(_SQL_DOUBTFUL, Sink("sql-injection", DATABASE, built=SQL))
_put(["exec", "prepare", "run"], Sink("sql-injection", LIBRARY))
_put(["literal"], Sink("sql-injection", _receiver(r"(?i)sequelize"), built=0))
_put(["$queryRawUnsafe", "$executeRawUnsafe", "$runCommandRaw"], Sink("sql-injection", ANY))
_put(_PARTS, Sink("sql-injection", ANY, built=CONDITION | SQL))
_put(
    ["whereRaw", "orWhereRaw", "havingRaw", "orderByRaw", "groupByRaw", "fromRaw", "joinRaw"],
    Sink("sql-injection", ANY),
)
_put(["raw"], Sink("sql-injection", _receiver(r"^(?:@prisma\.client\.Prisma|Prisma|sql)$")))
_put(_MONGO, Sink("nosql-injection", ANY, need="whole"))
_put(_MONGO, Sink("nosql-injection", _receiver(r"\.collection\(\)$"), need="fields"))
_put(["insertAdjacentHTML"], Sink("xss", ANY, (1,), need="page"))
_put(["write", "writeln"], Sink("xss", DOCUMENT, (0,), need="page"))
_put(["createContextualFragment"], Sink("xss", ANY, need="page"))
_put(["html"], Sink("xss", JQUERY, need="page"))
_put(["append", "prepend", "after", "before", "replaceWith", "wrap", "appendTo"], Sink("xss", JQUERY))
_put(
    [f"bypassSecurityTrust{it}" for it in ("Html", "Script", "Url", "ResourceUrl", "Style")],
    Sink("xss", ANY, need="page"),
)
_put(["send", "end", "write"], Sink("xss", RESPONSE, need="server"))
_put(["send"], Sink("xss", REPLY, built=HTML, need="server"))
_put(["exec", "execSync"], Sink("command-injection", CHILD))
_put(["spawn", "spawnSync", "execFile", "execFileSync", "fork"], Sink("command-injection", CHILD))
_put(["spawn", "spawnSync", "execFile", "execFileSync"], Sink("command-injection", CHILD, (1,), need="shell"))
_put(["exec"], Sink("command-injection", _receiver(r"^shelljs$")))
_put(["command", "commandSync"], Sink("command-injection", _receiver(r"^execa$")))
_put(
    ["runInContext", "runInNewContext", "runInThisContext", "compileFunction", "Script"],
    Sink("code-injection", VM, need="code"),
)
_put(["eval"], Sink("code-injection", _receiver(r"^(?:window|global|globalThis|self)$"), need="code"))
_put(_FILE_METHODS, Sink("path-traversal", FILES))
_put(
    ["rename", "renameSync", "copyFile", "copyFileSync", "cp", "cpSync", "link", "symlink", "move", "copy"],
    Sink("path-traversal", FILES, (0, 1)),
)
_put(["sendFile", "sendfile", "download"], Sink("path-traversal", SENDER, need="no-root"))
_put(_HTTP_METHODS, Sink("ssrf", HTTP))
_put(["redirect"], Sink("open-redirect", REDIRECTS, (0, 1)))
_put(["redirect"], Sink("open-redirect", _receiver(r"^next\.navigation$")))
_put(["assign", "replace"], Sink("open-redirect", _receiver(r"^(?:(?:window|document|self|top|parent)\.)*location$")))
_put(["open"], Sink("open-redirect", _receiver(r"^window$")))
_put(
    ["setHeader", "header", "set"],
    Sink("open-redirect", _receiver(r"^(?:RESPONSE|REPLY|CONTEXT)\b"), (1,), need="location"),
)
_put(
    ["unserialize"], Sink("unsafe-deserialisation", _receiver(r"^(?:node-serialize|serialize-to-js|php-unserialize)$"))
)
_put(["deserialize"], Sink("unsafe-deserialisation", _receiver(r"^(?:v8|serialize-to-js|serialijse)$")))
_put(["deepDeserialize"], Sink("unsafe-deserialisation", _receiver(r"^funcster$")))
_put(["merge", "mergeWith", "defaultsDeep", "extend"], Sink("prototype-pollution", LODASH, (1, 2), need="whole"))

FUNCTIONS: dict[str, list[Sink]] = {
    "eval": [Sink("code-injection", None, need="code")],
    "Function": [Sink("code-injection", None, (0, 1, 2), need="code")],
    "setTimeout": [Sink("code-injection", None)],
    "setInterval": [Sink("code-injection", None)],
    "fetch": [Sink("ssrf", None)],
    "node-fetch": [Sink("ssrf", None)],
    "axios": [Sink("ssrf", None)],
    "got": [Sink("ssrf", None)],
    "request": [Sink("ssrf", None)],
    "needle": [Sink("ssrf", None, (0, 1))],
    "$": [Sink("xss", None, need="derived")],
    "jQuery": [Sink("xss", None, need="derived")],
    "require": [Sink("code-injection", None)],
}
"""Functions that are called by their own name, or that are a module of that name."""

ASSIGNED = {
    "innerHTML": Sink("xss", ANY, need="page"),
    "outerHTML": Sink("xss", ANY, need="page"),
    "srcdoc": Sink("xss", ANY, need="page"),
    "href": Sink("open-redirect", _receiver(r"^(?:(?:window|document|self|top|parent)\.)*location$")),
    "location": Sink("open-redirect", _receiver(r"^(?:window|document|self|top|parent)?$")),
    "body": Sink("xss", _receiver(r"^CONTEXT(?:\.response)?$"), built=HTML, need="server"),
}
"""Properties that do harm when they are set."""

OBJECT_KEYS = {
    "sql-injection": ("sql", "text", "query"),
    "ssrf": ("url", "uri", "host", "hostname", "baseURL"),
}
"""Where an options object in place of the argument has the value."""

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
    if rule == "ssrf" and item.kind == BROWSER:
        return False
    if rule == "open-redirect" and item.whole and re.search(r"location(?:\.\w+)?$|document\.\w+$", item.origin):
        return False
    return not (rule == "nosql-injection" and item.kind == BROWSER)
