"""Where foreign values do harm in JavaScript: calls and properties of known libraries. Tables.

Names are those of `javascript_rules`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from engine.validation.programs.javascript_values import CONDITION, HTML, SQL


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
