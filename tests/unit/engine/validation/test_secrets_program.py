"""The search for secrets: each kind is found, what only looks like one is not, and none is ever printed.

No sample is stored as it would be found: repositories are searched for keys. Each is put together here of halves.
"""

from __future__ import annotations

import json
import re

import pytest

from engine.validation.programs import secret_patterns, secrets
from engine.validation.programs.secrets import check, shown, takes
from tests.unit.engine.validation.security_corpus import findings, scores, table

BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC" + "BKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"

FAKES = {
    "AWS": "AKIA" + "Q3EGVZ7H2LKPWM5T",
    "GITHUB": "ghp_" + "k3J9sQ2mX7pL4vN8bR1tY6wZ0cF5hD2gA9eU",
    "GITLAB": "glpat-" + "k3J9sQ2mX7pL4vN8bR1t",
    "SLACK": "xoxb-" + "2948571034-5830174926-" + "k3j9sq2mx7pl4vn8br1t",
    "SLACKHOOK": "hooks.slack.com/" + "services/T02K4J8QX/B07M3N9PL/" + "k3J9sQ2mX7pL4vN8bR1tY6wZ",
    "STRIPE": "sk_" + "live_" + "k3J9sQ2mX7pL4vN8bR1tY6wZ",
    "GOOGLE": "AIza" + "SyD4k3J9sQ2mX7pL4vN8bR1tY6wZ0cF5hD2",
    "AZURE": "k3J9sQ2mX7pL4vN8bR1tY6wZ0cF5hD2gA9eU" * 2 + "k3J9sQ2mX7pL4v" + "==",
    "NPM": "npm_" + "k3J9sQ2mX7pL4vN8bR1tY6wZ0cF5hD2gA9eU",
    "PYPI": "pypi-" + "AgEIcHlwaS5vcmcC" + "k3J9sQ2mX7pL4vN8bR1tY6wZ0cF5hD2gA9eUk3J9sQ2mX7pL4vN8bR1tY6",
    "JWT": "eyJhbGciOiJIUzI1NiJ9." + "eyJ1c2VyIjoiNDIxIiwicm9sZSI6ImEifQ." + "k3J9sQ2mX7pL4vN8bR1tY6wZ0cF5hD2gA9eU",
    "TWILIO": "AC" + "3f9b1c7d5e2a8046" * 2,
    "SENDGRID": "SG." + "k3J9sQ2mX7pL4vN8bR1tY6" + "." + "k3J9sQ2mX7pL4vN8bR1tY6wZ0cF5hD2gA9eUk3J9sQ2",
    "KEYBEGIN": "-----BEGIN " + "PRIVATE KEY-----",
    "RSABEGIN": "-----BEGIN " + "RSA PRIVATE KEY-----",
    "SSHBEGIN": "-----BEGIN " + "OPENSSH PRIVATE KEY-----",
    "KEYENC": "-----BEGIN " + "ENCRYPTED PRIVATE KEY-----",
    "KEYBODY": BODY,
    "PASS": "Tr0ub" + "4dor9x",
    "RANDOM": "q8W7e6r5" + "T4y3u2i1",
    "LONG": "k3J9sQ2mX7pL4vN8" + "bR1tY6wZ0cF5hD2gA9eUq7",
}


MARK = re.compile(r"[ \t]*(?:(?://|#|;)\s*)?expect: [\w-]+$", re.M)
"""What a file of the corpus expects of a line; left out, for it would stand between a key and its header."""


def fill(text: str) -> str:
    return re.sub(r"@([A-Z]+)@", lambda match: FAKES.get(match[1], match[0]), MARK.sub("", text))


def found(text: str, name: str = "a.py") -> list[int]:
    return [it["line"] for it in findings(check, fill(text).encode(), name) if it["rule"] == "hardcoded-secret"]


def test_the_corpus_is_told_apart() -> None:
    made = scores(check, "secrets", fill=fill)
    print(table(made))  # noqa: T201
    assert all(it.recall >= 0.95 and it.precision >= 0.95 for it in made.values()), table(made)
    assert sum(it.bad for it in made.values()) >= 36


@pytest.mark.parametrize("kind", sorted(FAKES))
def test_a_secret_is_never_printed(kind: str) -> None:
    name = "a.txt" if kind.startswith(("KEY", "RSA", "SSH")) else "a.py"
    printed = json.dumps(findings(check, fill(f'password = "@{kind}@"\n{BODY}\n').encode(), name))
    secret = FAKES[kind]
    assert secret not in printed or kind.endswith(("BEGIN", "ENC"))
    assert not any(secret[start : start + 5] in printed for start in range(4, len(secret) - 4, 5)) or "BEGIN" in secret
    assert BODY[:8] not in printed


def test_a_message_tells_the_kind_the_beginning_and_the_length() -> None:
    (it,) = findings(check, fill('x = "@GITHUB@"\n').encode(), "a.py")
    assert it["message"].startswith("GitHub token (ghp_…, 40 characters)")
    assert (it["line"], it["column"], it["severity"], it["reference"]) == (1, 6, "error", "CWE-798")


@pytest.mark.parametrize(
    ("value", "said"), [("", ""), ("abcdefgh", " (ab…, 8 characters)"), ("a" * 40, " (aaaa…, 40 characters)")]
)
def test_short_secrets_show_less(value: str, said: str) -> None:
    assert shown(value) == said


@pytest.mark.parametrize(
    "value",
    [
        "changeme", "change-me-please1", "xxxxxxxx1", "<token>", "<your-password1>", "${DB_PASSWORD}",
        "$DB_PASSWORD1", "{{ secret1 }}", "%(password)s", "your-api-key-1", "example-secret-1", "dummy12345",
        "placeholder1", "********", "REDACTED1", "none", "todo-1234", "fake-secret-123", "os.environ['X1']",
        "process.env.SECRET1", "vault:secret/data/1", "arn:aws:secretsmanager:1", "!Ref Password1",
        "123e4567-e89b-12d3-a456-426614174000", "$2b$12$abcdefghijklmnopqrstuv", "$argon2id$v=19$m=65536",
        "sha256$1234abcd", "aaaaaaaaaa", "/run/secrets/db1", "./secret1.txt", "https://company.net/token1",
        "#password1", "access_token", "user.password", "X-Api-Key", "two words 1", "Mot de passé 1", "short",
    ],
)  # fmt: skip
def test_what_only_looks_like_a_secret_is_let_pass(value: str) -> None:
    assert found(f'password = "{value}"\ntoken = "{value}"\n') == []


@pytest.mark.parametrize(
    "name",
    [
        "token_url",
        "password_field",
        "secret_name",
        "tokenizer",
        "passwordLabel",
        "TOKEN_EXPIRY",
        "password_regex",
        "secretRef",
        "csrf_token_name",
    ],
)
def test_names_that_are_about_secrets_are_no_secrets(name: str) -> None:
    assert found(f'{name} = "@RANDOM@"\n') == []


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "DB_PASSWORD",
        "apiKey",
        "api-key",
        "clientSecret",
        "config['secret']",
        "self._token",
        "my_access_key",
        "PGPASSWORD",
    ],
)
def test_names_of_secrets_with_literals_are_found(name: str) -> None:
    assert found(f'{name} = "@RANDOM@"\n') == [1]


def test_configuration_needs_no_quotes_and_code_does() -> None:
    assert found("password=@PASS@\n", ".env") == [1]
    assert found("password: @PASS@\n", "a.yaml") == [1]
    assert found("password = Tr0ub4dor9x\n", "a.py") == []


def test_models_and_documents_are_searched_for_known_forms_only() -> None:
    for name in (".env.example", "docs/a.md", "config.sample.yml", "README.md"):
        assert found("password = '@PASS@'\n", name) == []
        assert found("password = '@GITHUB@'\n", name) == [1]


def test_in_tests_a_literal_is_a_warning_and_a_known_form_an_error() -> None:
    for text, severity in (("password = '@PASS@'\n", "warning"), ("password = '@GITHUB@'\n", "error")):
        (it,) = findings(check, fill(text).encode(), "tests/test_a.py")
        assert it["severity"] == severity
    assert found("password = 'swordfish'\n", "tests/test_a.py") == []
    assert found("password = 'swordfish'\n", "a.py") == [1]


def test_which_files_are_taken() -> None:
    assert all(takes(name) for name in (b"a.py", b"Dockerfile", b".env", b"a/b.json", b"Makefile", b"id_rsa"))
    left = (b"yarn.lock", b"package-lock.json", b"poetry.lock", b"go.sum", b"a.min.js", b"a.png", b"a.svg", b"a.js.map")
    assert not any(takes(name) for name in left)


def test_binary_large_and_long_lines_are_passed_over() -> None:
    secret = fill("password = '@GITHUB@'\n").encode()
    assert findings(check, b"\0" + secret, "a") == []
    assert [it["rule"] for it in findings(check, secret * 20_000, "a.py")] == ["not-analysed"]
    long = findings(check, b"x" * 3_000 + secret + secret, "a.py")
    assert [(it["rule"], it.get("line")) for it in long] == [("hardcoded-secret", 2), ("not-analysed", None)]


def test_without_detect_secrets_the_own_patterns_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret_patterns, "PLUGINS", (("no_such_module", "X"),))
    assert secret_patterns.plugins() == []


def test_detect_secrets_is_used() -> None:
    assert len(secrets.detectors()) == len(secret_patterns.PLUGINS)


@pytest.mark.parametrize(
    "line",
    [
        "password" * 240,
        "a." * 950 + "=",
        "password='" + "\\" * 1_900,
        "x://" * 480,
        "token: " * 270,
        "'" * 1_990,
        "secret" + " " * 1_900 + "=",
    ],
)
@pytest.mark.timeout(60)
def test_no_line_makes_it_run_on(line: str) -> None:
    told = findings(check, (line + "\n").encode() * 400, "a.yaml")
    assert {it["rule"] for it in told} <= {"hardcoded-secret", "not-analysed"}
