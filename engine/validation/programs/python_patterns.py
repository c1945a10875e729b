"""Faults in Python that need no following of values: weak algorithms, checks turned off, debug mode, forms without
token.

Names are resolved by the imports of the file, wherever they stand in it. What a digest or a random number is for is
told by the names around it: of the function, of what it is assigned to, of what goes in.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from engine.validation.programs.python_frameworks import framework_faults
from engine.validation.programs.taint_harms import Harm
from engine.validation.programs.taint_modules import Module, dotted
from engine.validation.programs.taint_rules import REFERENCES

SECRET = re.compile(
    r"(?i)passw|passwd|pwd|token|secret|otp|nonce|salt|csrf|api_?key|session_?id|sid$|signature|sign_|credential|auth|"
    r"verification|reset|invite|activation|pin_?code|(?:^|_)pin$|private_?key|encryption|cookie|voucher|_key$|^key$|hmac"
)
PROTECTED = re.compile(r"(?i)passw|pwd|token|secret|otp(?:_|$)|salt|csrf|credential|signature|sign_|hmac|api_?key")
"""What a digest must keep; other names of `SECRET` are also those of keys in a cache."""

HARMLESS = re.compile(
    r"(?i)etag|cache|checksum|bucket|shard|dedup|gravatar|avatar|colou?r|fingerprint|content_?hash|file_?hash|partition|"
    r"digest_of|version|jitter|backoff|sample|shuffle|slug|test|fake|mock|demo|simulat|change|revision|uuid|s3|upload|"
    r"tokeniz|tokens_per|num_tokens|max_token|key_?frame|keyboard"
)
RANDOM = frozenset(
    ["random", "randint", "randrange", "choice", "choices", "getrandbits", "sample", "uniform", "randbytes", "shuffle"]
)
HASHES = frozenset(("md5", "sha1", "md4", "sha"))
CIPHERS = re.compile(
    r"^(?:Crypto|Cryptodome)\.Cipher\.(?:DES3?|ARC2|ARC4|Blowfish|CAST|XOR)\.new$|"
    r"^cryptography\.hazmat\.(?:primitives|decrepit)\.ciphers\.(?:algorithms\.)?(?:algorithms\.)?"
    r"(?:ARC4|Blowfish|TripleDES|IDEA|CAST5|SEED|RC2)$|^pyDes\.(?:des|triple_des)$"
)
OLD_TLS = re.compile(
    r"^ssl\.(?:PROTOCOL_(?:SSLv2|SSLv3|TLSv1|TLSv1_1)|TLSVersion\.(?:SSLv3|TLSv1|TLSv1_1))$|\.SSLv[23]_METHOD$"
)
HTTP_CLIENTS = re.compile(r"^(?:requests|httpx|aiohttp|urllib3)\b")
SERVERS = frozenset(
    ["run", "serve", "run_simple", "bind", "run_app", "make_server", "listen", "start_server", "create_server"]
)
SHORT_KEY = 2048


class Place(NamedTuple):
    """A node, the function that it is in, and the names of what it is given to."""

    node: Any
    function: str
    target: str

    @property
    def names(self) -> list[str]:
        """All names that say what it is for."""
        inner = [getattr(it, "id", None) or getattr(it, "attr", None) or "" for it in ast.walk(self.node)]
        return [self.function, *self.target.split(), *inner]


def patterns(module: Module, analysis: Any) -> list[Harm]:
    """All such faults of one file."""
    imports = imports_of(module.tree)
    found: list[Harm] = []
    for place in places(module.tree):
        node = place.node
        if isinstance(node, ast.Call):
            name = resolved(node.func, imports)
            for check in CALLS:
                harm = check(module, place, node, name)
                if harm is not None:
                    found.append(harm)
        elif isinstance(node, ast.Assign):
            found.extend(assigned(module, node, imports))
        elif isinstance(node, ast.Attribute):
            name = resolved(node, imports)
            if OLD_TLS.search(name):
                found.append(fault(module, node, "weak-crypto", f"{name} allows broken versions of TLS", "error"))
            elif name.endswith("MODE_ECB"):
                found.append(fault(module, node, "weak-crypto", "ECB shows what is equal in the text; use GCM"))
    found.extend(framework_faults(module, analysis, fault))
    return found


def fault(module: Module, node: Any, rule: str, message: str, severity: str = "error", reference: str = "") -> Harm:
    end = getattr(node, "end_lineno", None) or node.lineno
    place = (module.shown, node.lineno, node.col_offset + 1, end)
    return Harm(rule, *place, severity, message, reference or REFERENCES[rule])


def places(tree: ast.Module) -> Iterator[Place]:
    """Every node that a pattern may be about."""
    stack: list[Place] = [Place(tree, "", "")]
    while stack:
        place = stack.pop()
        node, function, target = place
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            function, target = node.name, ""
        elif isinstance(node, ast.Assign):
            target = " ".join(dotted(it) or key_of(it) for it in node.targets)
        elif isinstance(node, (ast.AnnAssign, ast.AugAssign, ast.NamedExpr)):
            target = dotted(node.target) or key_of(node.target)
        elif isinstance(node, ast.keyword):
            target = f"{target} {node.arg or ''}"
        if isinstance(node, (ast.Call, ast.Assign, ast.Attribute)):
            yield Place(node, function, target)
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values):
                name = str(key.value)[:40] if isinstance(key, ast.Constant) else ""
                stack.append(Place(value, function, f"{target} {name}"))
            continue
        stack.extend(Place(child, function, target) for child in ast.iter_child_nodes(node))


def key_of(node: ast.AST) -> str:
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return str(node.slice.value)[:40].replace(" ", "_")
    return node.attr if isinstance(node, ast.Attribute) else ""


def imports_of(tree: ast.Module) -> dict[str, str]:
    """What imported names mean, wherever in the file they are imported."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return found


def resolved(node: ast.AST, imports: dict[str, str]) -> str:
    """The whole name, by the imports; "" when its root was not imported."""
    first, _, rest = dotted(node).partition(".")
    root = imports.get(first)
    return "" if root is None else f"{root}.{rest}" if rest else root


def keyword(node: ast.Call, name: str) -> ast.expr | None:
    return next((it.value for it in node.keywords if it.arg == name), None)


def constant(node: ast.expr | None) -> Any:
    return node.value if isinstance(node, ast.Constant) else None


def weak_hash(module: Module, place: Place, node: ast.Call, name: str) -> Harm | None:
    algorithm = name.rpartition(".")[2] if name.startswith("hashlib.") else ""
    if name == "hashlib.new" and node.args:
        algorithm = str(constant(node.args[0]) or "").lower().replace("-", "")
    match = re.match(r"(?:Crypto|Cryptodome)\.Hash\.(MD2|MD4|MD5|SHA1?)\.new$", name)
    hazmat = re.match(r"cryptography\.hazmat\.primitives\.hashes\.(MD5|SHA1)$", name)
    algorithm = (match or hazmat)[1].lower() if match or hazmat else algorithm  # type: ignore[index]
    if algorithm not in HASHES or constant(keyword(node, "usedforsecurity")) is False:
        return None
    names = [it for it in place.names if it]
    severity = "error" if any(PROTECTED.search(it) for it in names) else "warning"
    if any(HARMLESS.search(it) for it in names) and severity == "warning":
        return None
    message = f"{algorithm} is broken: use sha256, for passwords a slow hash; else say usedforsecurity=False"
    return fault(module, node, "weak-crypto", message, severity, "CWE-328")


def weak_cipher(module: Module, place: Place, node: ast.Call, name: str) -> Harm | None:
    if CIPHERS.match(name):
        return fault(
            module, node, "weak-crypto", f"{name.rpartition('.')[2]} is broken; use AES-GCM or ChaCha20-Poly1305"
        )
    if re.match(r"cryptography\..*modes\.ECB$", name):
        return fault(module, node, "weak-crypto", "ECB shows what is equal in the text; use GCM")
    return None


def short_key(module: Module, place: Place, node: ast.Call, name: str) -> Harm | None:
    made = re.search(r"(?:PublicKey\.(?:RSA|DSA)\.generate|\b(?:rsa|dsa)\.generate_private_key|\brsa\.newkeys)$", name)
    if not made:
        return None
    values = [*node.args, *(it for it in (keyword(node, "key_size"), keyword(node, "bits")) if it is not None)]
    sizes = [
        it.value for it in values if isinstance(it, ast.Constant) and isinstance(it.value, int) and it.value < 60_000
    ]
    if sizes and max(sizes) < SHORT_KEY:
        return fault(module, node, "weak-crypto", f"a key of {max(sizes)} bits is too short", "error", "CWE-326")
    return None


def weak_random(module: Module, place: Place, node: ast.Call, name: str) -> Harm | None:
    root, _, function = name.rpartition(".")
    if root not in ("random", "numpy.random") or function not in RANDOM:
        return None
    names = [it for it in (place.function, *re.split(r"[\s.]+", place.target)) if it]
    if any(SECRET.search(it) and not HARMLESS.search(it) for it in names):
        return fault(module, node, "weak-random", f"{name} can be predicted; use the module secrets")
    return None


def no_verification(module: Module, place: Place, node: ast.Call, name: str) -> Harm | None:
    rule = "tls-verification-off"
    message = "the certificate is not verified: anyone on the way can read and change what is sent"
    verified = constant(keyword(node, "verify"))
    attr = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    if verified is False and (
        HTTP_CLIENTS.match(name) or attr in ("get", "post", "put", "patch", "delete", "request", "head")
    ):
        return fault(module, node, rule, message)
    if name in ("ssl._create_unverified_context", "ssl._create_stdlib_context"):
        return fault(module, node, rule, message)
    if attr in ("set_missing_host_key_policy",) and node.args:
        policy = dotted(node.args[0].func if isinstance(node.args[0], ast.Call) else node.args[0])
        if policy.rpartition(".")[2] in ("AutoAddPolicy", "WarningPolicy"):
            return fault(module, node, rule, "any host key is accepted: load those that are known")
    off = [keyword(node, word) for word in ("ssl", "verify_ssl", "validate_certs", "check_hostname", "ssl_verify")]
    if any(constant(it) is False for it in off if it is not None) and (
        name.startswith(("aiohttp", "ssl", "tornado"))
        or attr in ("get", "post", "put", "ws_connect", "request", "delete")
    ):
        return fault(module, node, rule, message)
    required = keyword(node, "cert_reqs")
    if required is not None and (constant(required) == "CERT_NONE" or dotted(required).endswith("CERT_NONE")):
        return fault(module, node, rule, message)
    return None


def weak_parser(module: Module, place: Place, node: ast.Call, name: str) -> Harm | None:
    attr = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    message = "external entities are resolved: a document can read files and reach hosts"
    if name in ("lxml.etree.XMLParser", "lxml.etree.iterparse", "lxml.etree.ETCompatXMLParser"):
        on = constant(keyword(node, "resolve_entities")) is True or constant(keyword(node, "load_dtd")) is True
        if on or constant(keyword(node, "no_network")) is False:
            return fault(module, node, "xxe", message)
    if attr == "setFeature" and len(node.args) == 2 and constant(node.args[1]) in (True, 1):
        feature = node.args[0]
        written = str(constant(feature) or dotted(feature))
        if written.endswith(
            ("feature_external_ges", "feature_external_pes", "-general-entities", "-parameter-entities")
        ):
            return fault(module, node, "xxe", message)
    return None


def no_autoescape(module: Module, place: Place, node: ast.Call, name: str) -> Harm | None:
    if name not in ("jinja2.Environment", "jinja2.environment.Environment"):
        return None
    if any(it.arg is None for it in node.keywords):
        return None
    value = keyword(node, "autoescape")
    if value is None:
        return fault(module, node, "xss", "jinja2 escapes nothing unless autoescape is set", "warning", "CWE-79")
    if constant(value) is False:
        return fault(module, node, "xss", "autoescape=False: values get into pages as they are")
    return None


def debug_on(module: Module, place: Place, node: ast.Call, name: str) -> Harm | None:
    attr = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    if constant(keyword(node, "debug")) is not True:
        return None
    if (attr == "run" and module.imports & {"flask", "bottle", "quart", "sanic", "dash"}) or name.startswith("bottle."):
        return fault(module, node, "debug-enabled", "debug=True lets visitors run code by the debugger")
    if name in ("flask.run", "fastapi.FastAPI", "starlette.applications.Starlette", "tornado.web.Application"):
        return fault(module, node, "debug-enabled", "debug=True shows the program's inside to visitors", "warning")
    return None


def binds_all(module: Module, place: Place, node: ast.Call, name: str) -> Harm | None:
    attr = node.func.attr if isinstance(node.func, ast.Attribute) else name.rpartition(".")[2]
    if attr not in SERVERS:
        return None
    values = [*node.args, *(it.value for it in node.keywords if it.arg in ("host", "hostname", "address", "bind"))]
    values += [part for it in node.args if isinstance(it, ast.Tuple) for part in it.elts]
    if any(constant(it) in ("0.0.0.0", "::") or (attr == "bind" and constant(it) == "") for it in values):
        return fault(module, node, "bind-all", "it listens on every interface of the machine", "warning")
    return None


def temporary(module: Module, place: Place, node: ast.Call, name: str) -> Harm | None:
    if name in ("tempfile.mktemp", "os.tempnam", "os.tmpnam"):
        message = f"{name}: another can make the file first; use tempfile.mkstemp or NamedTemporaryFile"
        return fault(module, node, "insecure-temporary-file", message)
    if isinstance(node.func, ast.Name) and node.func.id == "open" and len(node.args) > 1 and not name:
        path, mode = constant(node.args[0]), constant(node.args[1])
        if isinstance(path, str) and path.startswith(("/tmp/", "/var/tmp/")) and str(mode)[:1] in ("w", "a"):
            message = f"anyone can make {path[:40]} first; use tempfile.mkstemp"
            return fault(module, node, "insecure-temporary-file", message, "warning")
    return None


CALLS: tuple[Callable[[Module, Place, ast.Call, str], Harm | None], ...] = (
    weak_hash,
    weak_cipher,
    short_key,
    weak_random,
    no_verification,
    weak_parser,
    no_autoescape,
    debug_on,
    binds_all,
    temporary,
)


def assigned(module: Module, node: ast.Assign, imports: dict[str, str]) -> Iterator[Harm]:
    """Settings that turn a protection off."""
    rule = "tls-verification-off"
    for target in node.targets:
        name = key_of(target) if not isinstance(target, ast.Name) else target.id
        value = constant(node.value)
        if name == "verify_mode" and dotted(node.value).endswith("CERT_NONE"):
            yield fault(module, node, rule, "certificates are not verified")
        elif name == "check_hostname" and value is False:
            yield fault(module, node, rule, "a certificate for any host is accepted")
        elif name == "verify" and value is False and isinstance(target, ast.Attribute):
            yield fault(module, node, rule, "certificates are not verified in this session")
        elif name == "_create_default_https_context" and dotted(node.value).endswith("_create_unverified_context"):
            yield fault(module, node, rule, "certificates are not verified anywhere in the program")
        elif name in ("DEBUG", "debug") and value is True and isinstance(target, (ast.Attribute, ast.Subscript)):
            if module.imports & {"flask", "quart"}:
                yield fault(module, node, "debug-enabled", "debug mode lets visitors run code by the debugger")
        elif name == "DEBUG" and value is True and is_settings(module):
            yield fault(
                module, node, "debug-enabled", "DEBUG shows visitors settings and code; read it from the environment"
            )


def is_settings(module: Module) -> bool:
    """The settings of a Django project that is in use, not those of a developer or of tests."""
    path = module.shown.lower()
    if re.search(
        r"(?:^|[/_.-])(?:dev|develop|development|local|test|tests|testing|ci|example|debug)(?:[/_.-]|$)", path
    ):
        return False
    names = {
        it.id
        for node in module.tree.body
        if isinstance(node, ast.Assign)
        for it in node.targets
        if isinstance(it, ast.Name)
    }
    return bool(names & {"INSTALLED_APPS", "MIDDLEWARE", "ROOT_URLCONF"}) or "settings" in path
