"""What secrets look like, and what only looks like one. Pure; uses the patterns of detect-secrets where it is there.

The false positives that are let pass, each with a test: placeholders and examples, references to variables and vaults,
UUIDs, password hashes, names and labels, sentences, paths and selectors, addresses without a password, passwords equal
to the user on the own machine, headers of keys without the key.
"""

from __future__ import annotations

import importlib
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

OWN: list[tuple[str, re.Pattern[str]]] = [
    ("AWS access key", re.compile(r"\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b")),
    ("GitHub token", re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36,255}\b|\bgithub_pat_[A-Za-z0-9_]{50,255}\b")),
    ("GitLab token", re.compile(r"\bgl(?:pat|dt|ft|rt|ptt|soat)-[A-Za-z0-9_-]{20,64}")),
    ("Slack token", re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{20,250}|\bxapp-\d-[A-Za-z0-9-]{20,250}")),
    ("Slack webhook", re.compile(r"hooks\.slack\.com/services/T\w{6,}/B\w{6,}/\w{20,}")),
    ("Stripe key", re.compile(r"\b[rs]k_(?:live|test)_[0-9A-Za-z]{20,250}|\bwhsec_[0-9A-Za-z]{24,}")),
    ("Google API key", re.compile(r"\bAIza[0-9A-Za-z_-]{35}\b")),
    ("Google OAuth secret", re.compile(r"\bGOCSPX-[0-9A-Za-z_-]{28}\b")),
    ("Azure storage key", re.compile(r"AccountKey=[A-Za-z0-9+/]{80,90}={0,2}")),
    ("Azure client secret", re.compile(r"\b[A-Za-z0-9_~.-]{3}\dQ~[A-Za-z0-9_~.-]{31,34}")),
    ("npm token", re.compile(r"\bnpm_[A-Za-z0-9]{36}\b|_authToken=[A-Za-z0-9-]{20,}")),
    ("PyPI token", re.compile(r"\bpypi-AgE[A-Za-z0-9_-]{50,}")),
    ("SendGrid key", re.compile(r"\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}\b")),
    ("OpenAI or Anthropic key", re.compile(r"\bsk-(?:proj-|ant-)[A-Za-z0-9_-]{32,250}")),
    ("JSON Web Token", re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{16,}")),
]

PLUGINS = (
    ("aws", "AWSKeyDetector"),
    ("azure_storage_key", "AzureStorageKeyDetector"),
    ("discord", "DiscordBotTokenDetector"),
    ("github_token", "GitHubTokenDetector"),
    ("gitlab_token", "GitLabTokenDetector"),
    ("ibm_cloud_iam", "IbmCloudIamDetector"),
    ("ibm_cos_hmac", "IbmCosHmacDetector"),
    ("jwt", "JwtTokenDetector"),
    ("mailchimp", "MailchimpDetector"),
    ("npm", "NpmDetector"),
    ("openai", "OpenAIDetector"),
    ("pypi_token", "PypiTokenDetector"),
    ("sendgrid", "SendGridDetector"),
    ("slack", "SlackDetector"),
    ("square_oauth", "SquareOAuthDetector"),
    ("stripe", "StripeDetector"),
    ("telegram_token", "TelegramBotTokenDetector"),
    ("twilio", "TwilioKeyDetector"),
)
"""Of detect-secrets, those whose patterns are exact; nothing is ever sent anywhere to be verified."""

PRIVATE_KEY = re.compile(r"-----BEGIN (?:[A-Z0-9]{2,10} ){0,2}PRIVATE KEY(?: BLOCK)?-----")
KEY_BODY = re.compile(r"(?:[\s\"'+,]|\\n|\\r|[A-Z][\w-]{1,20}: [^\n]{0,80}\n){0,12}[A-Za-z0-9+/]{40,}")

ADDRESS = re.compile(
    r"\b[a-z][a-z0-9+.-]{1,24}://([^\s:/@\"'<>]{0,80}):([^\s/@\"'<>]{1,120})@([^\s/:\"'<>?]{1,120})", re.I
)
OWN_MACHINE = re.compile(r"^(?:localhost|127\.|\[?::1|0\.0\.0\.0|host\.docker\.internal|[a-z_-]+$)", re.I)

KEYWORD = re.compile(
    r"passwo?r?d|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|auth[_-]?key|private[_-]?key"
    r"|encryption[_-]?key|signing[_-]?key|client[_-]?key|credential",
    re.I,
)
ASSIGNED = re.compile(
    r"([\w-]{0,40})[\"']?\]?\s{0,8}(?::\s{0,4}[\w\[\]., |]{1,40}?\s{0,4}=(?![=>])"
    r"|:=|=>|=(?![=>~])|:(?!:)|,(?=\s*[\"']))\s{0,8}"
    r"(?:[rbuf]{0,2}([\"'`])((?:\\.|(?!\2)[^\\\n]){1,300})\2|([^\s#;,'\"`(){}\[\]<>]{6,200})(?=\s*(?:[#;].*)?$))",
    re.I,
)
NAME_BEFORE = re.compile(r"[\w.-]{0,40}$")

NOT_A_SECRET_NAME = re.compile(
    r"(?i)(?:type|url|uri|endpoint|field|label|name|placeholder|hint|help|errors?|message|msg|text|title|desc\w*|regex|pattern"
    r"|path|file|dir|header|prefix|suffix|params?|parameter|length|len|min|max|ttl|expir\w*|age|env|var|variable|_id|Id|input"
    r"|selector|class|column|attr\w*|format|policy|rules?|strength|hashers?|validat\w*|page|view|route|template|count|limit"
    r"|scheme|provider|algorithm|alg|version|hash|digest|arn|ref|izers?|ized?|required|enabled|location|store|manager|service"
    r"|kind|mode|info|link|status|state|exists|index|encoding|charset|separator|bucket|role|scope|audience|issuer)s?$"
    r"|^(?:no|has|is|public|forgot|reset|show|hide|confirm|invalid|missing|wrong|bad|csrf_?token_?name|next|prev|page)[_A-Z-]"
)

PLACEHOLDER = re.compile(
    r"(?i)change[-_ ]?(?:me|it|this)|example|sample|dummy|placeholder|x{3,}|\*{3,}|\.{3}|your[-_ ]?"
    r"|my[-_]?(?:secret|token|pass|api)"
    r"|insert|replace|redacted|todo|fixme|fake|mock|foo|lorem|not[-_ ]?a?[-_ ]?(?:real|secret)|<[^>]+>"
    r"|^test\w{0,4}$|testing"
    r"|^[-_]?(?:none|null|nil|true|false|undefined|empty|unset|default|secret|token|password|passwd|pass|pwd|admin|root|user"
    r"|string|str|text|hidden|input|number|integer|boolean|object|required|optional|invalid|missing|basic|bearer|abc\d*)$"
)
REFERENCE = re.compile(
    r"\$\{|\$\(|\{\{|\{%|<%|%\(|%s|^\$[A-Za-z_]|^\{\w*\}$|environ|process\.env|getenv|env\(|ENV\[|secrets\.|vault:|secretsmanager|ssm:"
    r"|keyring|^!|^@|^arn:|^op://|^projects/|^file:|^enc:|^\{cipher\}|^\$ANSIBLE|^ENC\["
)
HASHED = re.compile(
    r"^(?:\$(?:2[abxy]|argon2\w*|5|6|y|scrypt|pbkdf2)|pbkdf2|scrypt[:$]|bcrypt|argon2|sha\d+[$:-]|md5[$:-]|\{SSHA)"
)
UUID = re.compile(r"(?i)^\{?[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\}?$")
LOOKS_LIKE_CODE = re.compile(
    r"^(?:[./#~\\]|https?:|[\w.]+\(|[A-Za-z]+(?:[._:/-][A-Za-z]+)+$|--|[^{]*\{\w[\w.()]*\}|\[|\^)"
)
SHOWN_TOKEN = "eyJzdWIiOiIxMjM0NTY3ODkwIi"
"""In the middle of the JSON Web Token that documents show."""

LONG_STRING = re.compile(r"([\"'`])([A-Za-z0-9+/=_-]{32,128})\1")
NOT_SECRET_CONTEXT = re.compile(
    r"(?i)hash|sha\d|md5|integrity|digest|checksum|etag|public|fingerprint|uuid|guid|path|url|color|data|image|icon|font|alphabet"
    r"|chars|base64|signature|cert|commit|rev|sri|nonce|import|require|testid|class|svg|expected|assert|snapshot|cursor|track"
)


def plugins() -> list[tuple[str, Any]]:
    """The detectors of detect-secrets as (kind, detector); none when it is not installed."""
    try:
        return [
            (made.secret_type, made)
            for module, name in PLUGINS
            for made in [getattr(importlib.import_module(f"detect_secrets.plugins.{module}"), name)()]
        ]
    except ImportError:
        return []


def entropy(text: str) -> float:
    """Bits for each character."""
    return -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values())


def harmless(value: str) -> bool:
    """The value is a placeholder, a reference, a UUID or the hash of a password."""
    return bool(
        PLACEHOLDER.search(value)
        or REFERENCE.search(value)
        or HASHED.match(value)
        or UUID.match(value)
        or SHOWN_TOKEN in value
        or len(set(value)) < 4
    )


def assignments(line: str, unquoted: bool) -> Iterator[tuple[int, str, str]]:
    """(column, name, value) of each literal that is given to a name of a secret; unquoted: also without quotes."""
    for keyword in KEYWORD.finditer(line):
        match = ASSIGNED.match(line, keyword.end())
        if match is None:
            continue
        before = NAME_BEFORE.search(line, max(0, keyword.start() - 40), keyword.start())
        name = (before[0] if before else "") + keyword[0] + match[1]
        value = match[3] if match[3] is not None else match[4]
        if match[3] is None and not unquoted:
            continue
        quoted = line[max(0, keyword.start() - len(before[0] if before else "") - 2) : keyword.start()]
        if match[0][len(match[1]) :].lstrip("\"' ").startswith(",") and not re.match(r"\([\"']", quoted):
            continue
        if value and is_secret(name, value):
            yield match.start(3 if match[3] is not None else 4), name, value


def is_secret(name: str, value: str) -> bool:
    """The literal, given to this name, is a secret and not a label, a path, a name or a placeholder."""
    password = re.search(r"(?i)pass|pwd", name) is not None
    if (
        NOT_A_SECRET_NAME.search(name)
        or harmless(value)
        or LOOKS_LIKE_CODE.match(value)
        or len(value) < (6 if password else 8)
    ):
        return False
    if re.search(r"\s", value) or not value.isascii():
        return False
    if KEYWORD.search(value) and not re.search(r"\d", value):
        return False
    return password or re.search(r"\d", value) is not None or entropy(value) > 3.6


def random_string(line: str) -> tuple[int, str] | None:
    """(column, value) of a literal that is too random to be anything but a key."""
    for match in LONG_STRING.finditer(line):
        value = match[2]
        mixed = re.search(r"[a-z]", value) and re.search(r"[A-Z]", value) and len(re.findall(r"\d", value)) >= 3
        words = max(map(len, re.findall(r"[A-Z]?[a-z]+", value)), default=0)
        before = line[max(0, match.start() - 80) : match.start()]
        if not re.search(r"[=:(,]\s*$", before) or NOT_SECRET_CONTEXT.search(before):
            continue
        if mixed and words < 7 and value.count("/") < 3 and entropy(value) > 4.4 and not harmless(value):
            return match.start(2), value
    return None


def known(line: str, detectors: list[tuple[str, Any]]) -> tuple[int, str, str] | None:
    """(column, kind, value) of the first secret whose form is known."""
    for kind, pattern in OWN:
        match = pattern.search(line)
        if match and not harmless(match[0]):
            return match.start(), kind, match[0]
    for kind, detector in detectors:
        for value in detector.analyze_string(line):
            if value and not harmless(value):
                return max(line.find(value), 0), kind, value
    return None


def address(line: str) -> tuple[int, str, bool] | None:
    """(column, password, on the own machine) of a URL that holds a password."""
    for match in ADDRESS.finditer(line):
        user, password, host = match[1], match[2], match[3]
        if harmless(password) or user == password or harmless(host) or (PLACEHOLDER.search(user) and len(password) < 8):
            continue
        return match.start(2), password, bool(OWN_MACHINE.match(host))
    return None
