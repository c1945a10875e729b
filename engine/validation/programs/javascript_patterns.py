"""Faults in JavaScript that need no flow: weak cryptography, cookies, CORS, CSRF, messages from anywhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from engine.validation.programs.javascript_expressions import FUNCTIONS
from engine.validation.programs.javascript_statements import PROTECTED
from engine.validation.programs.javascript_taint import Harm
from engine.validation.programs.javascript_tree import Node, entries, literal

WEAK_HASH = re.compile(r"(?i)^(?:md[245]|sha-?1|rsa-md5|rsa-sha1|ripemd\d*)$")
WEAK_CIPHER = re.compile(r"(?i)^(?:des|3des|rc[24]|bf|blowfish|cast5?)\b|(?:^|-)ecb$|^aes\d+-?ecb")
NO_SECRET = re.compile(
    r"(?i)etag|checksum|cache|gravatar|fingerprint|integrity|content_?hash|file_?hash|dedup|revision|websocket"
)
SECRET_NAME = re.compile(
    r"(?i)token|secret|passw|session_?id|\bsid\b|otp\b|nonce|salt|csrf|api_?key|private_?key|reset_?code|verification|auth_?code|credential|iv$"
)
SESSION_COOKIE = re.compile(r"(?i)sess|token|auth|sid\b|jwt|login|remember|user")
PROTECTION = re.compile(r"(?i)csurf|csrf|xsrf|lusca|same_?site\s*:\s*['\"](?:strict|lax)|samesite\s*:\s*true")
WRITES = frozenset({"post", "put", "patch", "delete"})
TLS_OPTIONS = {"rejectUnauthorized": "false", "strictSSL": "false", "insecureSkipVerify": "true"}


def harms(root: Node, calls: list[tuple[Node, str, list[Node]]]) -> Iterator[Harm]:
    """Everything found; calls are those of the file, with the full names of what is called."""
    for node, name, arguments in calls:
        for look in CALLS:
            harm = look(node, name, arguments)
            if harm is not None:
                yield harm
    for node in root.walk():
        look_at = NODES.get(node.type)
        harm = look_at(node) if look_at is not None else None
        if harm is not None:
            yield harm
    yield from _csrf(calls)


def enclosing(node: Node) -> Node:
    """The function around, else the whole file."""
    inside = node
    while inside.parent is not None:
        inside = inside.parent
        if inside.type in FUNCTIONS:
            return inside
    return inside


def purpose(node: Node) -> str:
    """The names of the variable, property or function that get the value."""
    names: list[str] = []
    inside: Node | None = node
    while inside is not None and len(names) < 3:
        name = inside.field("name") or inside.field("key") or inside.field("left")
        if (
            name is not None
            and name is not node
            and inside.type
            in (
                "variable_declarator",
                "pair",
                "assignment_expression",
                "function_declaration",
                "method_definition",
                "augmented_assignment_expression",
            )
        ):
            names.append(name.text[-60:])
        inside = inside.parent
    return " ".join(names)


def _weak_crypto(node: Node, name: str, arguments: list[Node]) -> Harm | None:
    method = name.rpartition(".")[2]
    first = literal(arguments[0]) if arguments else None
    if not re.match(r"(?:crypto|node-forge|\?crypto\w*)\.", name):
        if re.match(
            r"crypto-js(?:\.[\w-]+)*\.(?:MD5|SHA1|DES|RC4|TripleDES)|CryptoJS\.(?:MD5|SHA1|DES|RC4|TripleDES)", name
        ):
            return (
                None if NO_SECRET.search(purpose(node)) else Harm("weak-crypto", node, f"{method} is broken", "warning")
            )
        return None
    if method in ("createHash", "createHmac", "createSign") and first and WEAK_HASH.match(first):
        if method == "createHmac" or NO_SECRET.search(purpose(node)):
            return None
        return Harm("weak-crypto", node, f"{first} is broken: use sha256, or scrypt for passwords", "warning")
    if method in ("createCipher", "createDecipher"):
        return Harm("weak-crypto", node, f"{method} derives its key without salt: use {method}iv", "error")
    if method in ("createCipheriv", "createDecipheriv") and first and WEAK_CIPHER.search(first):
        return Harm("weak-crypto", node, f"{first} is broken: use aes-256-gcm", "error")
    if method == "pseudoRandomBytes":
        return Harm("weak-random", node, "pseudoRandomBytes is not for secrets: use randomBytes", "warning")
    return None


def _weak_random(node: Node, name: str, arguments: list[Node]) -> Harm | None:
    parent = node.parent
    if parent is not None and parent.type == "binary_expression" and parent.fields["operator"].text[0] in "<>=!":
        return None
    if name == "Math.random" and SECRET_NAME.search(purpose(node)):
        return Harm(
            "weak-random", node, "Math.random can be predicted: use crypto.randomBytes or randomUUID", "warning"
        )
    return None


def _cookie(node: Node, name: str, arguments: list[Node]) -> Harm | None:
    if (
        re.search(r"^(?:RESPONSE|REPLY)\b.*\.(?:cookie|setCookie)$|^CONTEXT\.cookies\.set$", name)
        and len(arguments) >= 2
    ):
        key = literal(arguments[0])
        if key is None or not SESSION_COOKIE.search(key) or (len(arguments) > 2 and arguments[2].type != "object"):
            return None
        options = entries(arguments[2]) if len(arguments) > 2 else {}
        spread = len(arguments) > 2 and "..." in arguments[2].text
        missing = [it for it in ("httpOnly", "secure") if it not in options or options[it].text == "false"]
        return _cookie_harm(node, missing) if missing and not spread else None
    if re.fullmatch(r"(?:express-session|cookie-session|koa-session)", name) and arguments:
        cookie = entries(entries(arguments[0]).get("cookie") or arguments[0])
        return _cookie_harm(node, [it for it in ("httpOnly", "secure") if it in cookie and cookie[it].text == "false"])
    return None


def _cookie_harm(node: Node, missing: list[str]) -> Harm | None:
    said = {"httpOnly": "scripts can read it", "secure": "it goes over plain HTTP"}
    reasons = ", ".join(f"no {it}: {said[it]}" for it in missing)
    return Harm("insecure-cookie", node, f"the cookie has {reasons}", "warning") if missing else None


def _cors(node: Node, name: str, arguments: list[Node]) -> Harm | None:
    message = "any site may make requests with the user's cookies: list the origins"
    registered = name.endswith(".register") and len(arguments) == 2 and re.search(r"(?i)cors\b", arguments[0].text)
    if registered or name in ("cors", "@koa.cors", "@fastify.cors", "express-cors"):
        options = entries(arguments[-1]) if arguments else {}
        origin, credentials = options.get("origin"), options.get("credentials")
        with_cookies = credentials is not None and credentials.text == "true"
        if origin is not None and with_cookies and (origin.text == "true" or literal(origin) == "*"):
            return Harm("cors-credentials", node, message, "error")
    if re.search(r"\.(?:setHeader|header|set)$", name) and len(arguments) == 2:
        if (literal(arguments[0]) or "").lower() != "access-control-allow-origin":
            return None
        around = enclosing(node).head()
        value = arguments[1]
        foreign = literal(value) == "*" or re.search(r"headers\.origin$|headers\[['\"]origin['\"]\]$", value.text)
        if foreign and re.search(r"(?i)Allow-Credentials['\"]\s*,\s*['\"]?true", around):
            checked = re.search(r"(?i)(?:includes|has|indexOf|test|allowed\w*)\(", around)
            return None if checked else Harm("cors-credentials", node, message, "error")
    return None


def _message_listener(node: Node, name: str, arguments: list[Node]) -> Harm | None:
    if name not in ("addEventListener", "window.addEventListener", "globalThis.addEventListener"):
        return None
    if len(arguments) < 2 or literal(arguments[0]) != "message" or arguments[1].type not in FUNCTIONS:
        return None
    return _unchecked_origin(arguments[1])


def _unchecked_origin(function: Node) -> Harm | None:
    text = function.head()
    if not re.search(r"\bdata\b", text) or re.search(r"\.origin\b|\.source\b|\borigin\s*[,}]", text):
        return None
    return Harm("postmessage-origin", function, "messages from any site are taken: compare event.origin", "warning")


def _deserialise(node: Node, name: str, arguments: list[Node]) -> Harm | None:
    if name == "js-yaml.load" and re.search(
        r"DEFAULT_FULL_SCHEMA|js-yaml-js-types", "".join(it.text for it in arguments[1:])
    ):
        return Harm("unsafe-deserialisation", node, "this YAML schema makes functions: use the default one", "error")
    return None


CALLS: list[Callable[[Node, str, list[Node]], Harm | None]] = [
    _weak_crypto, _weak_random, _cookie, _cors, _message_listener, _deserialise
]  # fmt: skip


def _pair(node: Node) -> Harm | None:
    key, value = node.field("key"), node.field("value")
    if key is None or value is None:
        return None
    if TLS_OPTIONS.get(key.text.strip("'\"")) == value.text:
        return Harm("tls-verification-off", node, "certificates are not verified", "error")
    return None


def _assignment(node: Node) -> Harm | None:
    left, right = node.field("left"), node.field("right")
    if left is None or right is None:
        return None
    if "NODE_TLS_REJECT_UNAUTHORIZED" in left.text and right.text.strip("'\"`") in ("0", "false"):
        return Harm("tls-verification-off", node, "certificates are not verified", "error")
    if left.text.endswith(".rejectUnauthorized") and right.text == "false":
        return Harm("tls-verification-off", node, "certificates are not verified", "error")
    if left.text in ("window.onmessage", "globalThis.onmessage") and right.type in FUNCTIONS:
        return _unchecked_origin(right)
    return None


def _recursive_merge(node: Node) -> Harm | None:
    """A function that copies properties by name and goes down into both objects; making a new object is no merge."""
    function = enclosing(node)
    name = function.field("name") or (function.parent.field("name") if function.parent is not None else None)
    left, body = node.field("left"), node.field("body")
    if (
        name is None
        or left is None
        or body is None
        or PROTECTED.search(re.sub(r"[\w.]*hasOwn\w*", "", function.head()))
    ):
        return None
    key = re.escape(left.text)
    if not re.search(r"\b" + re.escape(name.text) + r"\s*\(\s*[\w.]+\[" + key + r"\][^,()]*,", body.head()):
        return None
    if re.search(r"\w\[" + key + r"\]\s*=[^=]", body.head()):
        return Harm("prototype-pollution", node, "the merge lets __proto__ through: leave it out", "warning")
    return None


NODES: dict[str, Callable[[Node], Harm | None]] = {
    "pair": _pair,
    "assignment_expression": _assignment,
    "for_in_statement": _recursive_merge,
}


def _csrf(calls: list[tuple[Node, str, list[Node]]]) -> Iterator[Harm]:
    """An Express application with cookie sessions, routes that change state, and nothing against forged requests."""
    names = {name for _, name, _ in calls}
    sessions = [node for node, name, _ in calls if name in ("express-session", "cookie-session")]
    routes = any(re.match(r"express(?:\.Router)?\(\)\.(?:post|put|patch|delete)$", name) for name in names)
    if not sessions or not routes:
        return
    root = sessions[0]
    while root.parent is not None:
        root = root.parent
    if not PROTECTION.search(root.text):
        message = "cookie sessions and routes that change state, but no CSRF token and no SameSite cookie"
        yield Harm("csrf", sessions[0], message, "error")
