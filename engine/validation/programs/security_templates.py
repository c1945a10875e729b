"""Finds unsafe output and unprotected forms in HTML templates; part of the `security` check, and a program of its own.

Runs as `python3 -I PROGRAMS security_templates SKIPPED [LISTING]`, standard library only. Reports values that are
printed without escaping or in a place where escaping does not help (`xss`), forms that change state without a token
(`csrf`), and forms and scripts that go over plain HTTP (`insecure-form`, `mixed-content`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from engine.validation.programs.looking import Report, arguments_of, look
from engine.validation.programs.template_markup import CONTROL, DIALECTS, VALUE, Hole, Markup, Tag

SUFFIXES = tuple(DIALECTS)

MAX_TEXT = 1 << 20
MAX_LINE = 20_000

REFERENCES = {"xss": "CWE-79", "csrf": "CWE-352", "insecure-form": "CWE-319", "mixed-content": "CWE-319"}

SILENCED = re.compile(r"\bnosec\b(?:[ :]+([\w-]+(?:[ ,]+[\w-]+)*))?")

CLEANED = re.compile(
    r"\b(?:dompurify|sanitize\w*|sanitise\w*|bleach\w*|clean_html|nh3|escape\w*|striptags|strip_tags|e|h|tojson"
    r"|json_script|json_encode|to_json|force_escape|purify\w*|xss|encode\w*)\b",
    re.I,
)
"""Names of functions and filters that make a value safe to print as HTML."""

LITERAL = re.compile(r"""\s*(?:_|gettext|t|trans)?\(?\s*(?:"[^"]*"|'[^']*'|`[^`$]*`|\d+)\s*\)?\s*$""")

UNESCAPED_FILTER = re.compile(r"\|\s*(?:safe|raw|safeseq)\b")
AUTOESCAPE_OFF = re.compile(r"[-+]?\s*(?:autoescape\s+(?:off|false)|filter\s+(?:safe|raw))\b")
LAYOUT = re.compile(
    r"\s*(?:body|yield|content|[\w.]*(?:help_text|media)\s*\||children|include|partial|contentFor|render|super|block|slot)\b"
)
RAILS_RAW = re.compile(r"\braw[ (]|\.html_safe\b")
RAILS_SAFE = re.compile(r"\b(?:sanitize|to_json|json_escape|escape_javascript|strip_tags|t|content_tag)\b|\bj[ (]")

IN_SCRIPT_SAFE = re.compile(
    r"\|\s*(?:tojson|json|json_encode|to_json|escapejs|json_script|int|float|length|count|safe_js|dumps"
    r"|e(?:scape)?\(['\"]js['\"]\)|yesno\S*|date\S*|add:\S*|unlocalize)\b"
    r"|\b(?:JSON\.stringify|serialize|to_json|escape_javascript|json_escape|tojson|url_for|asset\w*|static|csrf\w*"
    r"|nonce|loop\.index0?|forloop\.\w+|j|_path|_url|json)\b|\.(?:id|pk|count|length|size)\s*$|_(?:id|count)\s*$"
)
"""Values that cannot leave a JavaScript string or expression, by how they are made."""

CLIENT_TEMPLATE = re.compile(r"text/(?:x-)?(?:template|handlebars|html|ng-template|jsrender|mustache)|x-template")
SCRIPT_URL = re.compile(r"\s*javascript:", re.I)
PLAIN_HTTP = re.compile(r"\s*http://(?!localhost\b|127\.|\[::1\]|0\.0\.0\.0|[^/]*\.(?:local|test|localhost)\b)", re.I)
OTHER_ORIGIN = re.compile(r"\s*(?:https?:)?//|\s*mailto:", re.I)

TOKEN = re.compile(
    r"csrf|xsrf|authenticity_token|hidden_tag|antiforgery|form_authenticity|name=[\"']?_token|quick_form|crispy"
    r"|render_form|__RequestVerificationToken",
    re.I,
)
FORM_END = re.compile(r"</?form\b", re.I)
LOADED = {"script": "src", "iframe": "src", "link": "href", "object": "data", "embed": "src"}


class Checker:
    """Looks at one template."""

    def __init__(self, markup: Markup, path: bytes, report: Report) -> None:
        self.markup = markup
        self.path = path
        self.report = report
        self.said = set()  # type: set[tuple[str, int]]

    def run(self) -> None:
        for hole in self.markup.holes:
            message = unescaped(hole, self.markup.dialect)
            if message and (hole.opener != "{%" or self.markup.tags):
                self.add("xss", hole.start, message)
        for tag in self.markup.tags:
            self.look_at_attributes(tag)
            self.look_at_script(tag)
            if tag.name == "form":
                self.look_at_form(tag)
            self.look_at_loading(tag)

    def add(self, rule: str, offset: int, message: str, severity: str = "error") -> None:
        line, column = self.markup.place(offset)
        if (rule, line) in self.said or silenced(self.markup.line_text(line), rule):
            return
        self.said.add((rule, line))
        more = {"line": line, "column": column, "category": "security", "reference": REFERENCES[rule]}
        self.report.add(rule, message, self.path, severity, **more)

    def look_at_attributes(self, tag: Tag) -> None:
        for it in tag.attributes:
            name = it.name.lower()
            if name == "v-html" and self.markup.dialect in ("vue", "jinja"):
                if not (LITERAL.match(it.value) or CLEANED.search(it.value)):
                    self.add("xss", it.start, "v-html prints its value without escaping: sanitise it or use {{ }}")
            elif VALUE not in it.value:
                continue
            elif name.startswith("on") and self.unsafe_in_script(it.start, it.start + len(it.name) + len(it.value) + 4):
                self.add(
                    "xss", it.start, f"a value inside the {name} handler is run as script: HTML escaping does not help"
                )
            elif SCRIPT_URL.match(it.value):
                self.add("xss", it.start, f"a value inside a javascript: URL in {name} is run as script")
            elif not it.quoted and self.markup.dialect != "svelte":
                self.add("xss", it.start, f"the value of {name} has no quotes: a space in it begins a new attribute")

    def look_at_script(self, tag: Tag) -> None:
        if tag.name != "script" or CLIENT_TEMPLATE.search(tag.attribute("type") or ""):
            return
        for hole in self.markup.holes_within(*tag.body):
            if not safe_in_script(hole):
                self.add("xss", hole.start, "a value inside a script is not escaped for it: print it as JSON (tojson)")

    def unsafe_in_script(self, start: int, end: int) -> bool:
        return any(not safe_in_script(hole) for hole in self.markup.holes_within(start, end))

    def look_at_form(self, tag: Tag) -> None:
        action = tag.attribute("action")
        if action is not None and PLAIN_HTTP.match(action):
            self.add("insecure-form", tag.start, "the form is sent over plain HTTP: anyone on the way can read it")
        if self.markup.dialect in ("vue", "svelte") or (tag.attribute("method") or "").strip().lower() != "post":
            return
        if OTHER_ORIGIN.match(action or "") or (not self.markup.holes and not action):
            return
        closing = FORM_END.search(self.markup.covered, tag.end)
        form = self.markup.without_comments(tag.start, closing.start() if closing else len(self.markup.text))
        if not TOKEN.search(form):
            self.add("csrf", tag.start, "the form changes state and carries no CSRF token")

    def look_at_loading(self, tag: Tag) -> None:
        if tag.name == "link" and (tag.attribute("rel") or "").lower() != "stylesheet":
            return
        address = tag.attribute(LOADED.get(tag.name, "")) or ""
        if PLAIN_HTTP.match(address):
            self.add("mixed-content", tag.start, f"<{tag.name}> is loaded over plain HTTP", "warning")


def silenced(line: str, rule: str) -> bool:
    """A comment on the line says `nosec`, alone or with this rule's name."""
    match = SILENCED.search(line)
    return bool(match) and (
        not match or not match[1] or rule in re.split(r"[ ,]+", match[1]) or not _names_rule(match[1])
    )


def _names_rule(words: str) -> bool:
    return any(word in REFERENCES for word in re.split(r"[ ,]+", words))


def unescaped(hole: Hole, dialect: str) -> str | None:
    """Why the hole prints its value without escaping; None when it does not."""
    text = hole.text
    if hole.opener == "{%":
        return "automatic escaping is switched off from here" if AUTOESCAPE_OFF.match(text) else None
    if hole.opener == "{@html":
        return None if harmless(text) else "{@html} prints its value without escaping: sanitise it"
    if hole.opener == "<%":
        return _unescaped_erb(text) if dialect == "erb" else _unescaped_ejs(text)
    if hole.opener == "{{{" or (dialect == "handlebars" and text.lstrip("~ ").startswith("&")):
        inner = text.lstrip("~ &")
        return None if harmless(inner) or inner.startswith((">", "#", "/")) else "{{{ }}} prints without escaping"
    if dialect == "jinja" and UNESCAPED_FILTER.search(text) and not harmless(text):
        value = text.split("|")[0]
        return None if LITERAL.match(value) else "the safe filter switches off escaping of this value"
    return None


def harmless(text: str) -> bool:
    return bool(LITERAL.match(text) or LAYOUT.match(text) or CLEANED.search(text))


def _unescaped_ejs(text: str) -> str | None:
    if not text.startswith("-") or harmless(text[1:].rstrip("-_")) or "JSON.stringify" in text:
        return None
    return "<%- %> prints its value without escaping: use <%= %>"


def _unescaped_erb(text: str) -> str | None:
    if text.startswith("=="):
        return None if harmless(text[2:]) or RAILS_SAFE.search(text) else "<%== %> prints its value without escaping"
    if not text.startswith("=") or not RAILS_RAW.search(text) or RAILS_SAFE.search(text):
        return None
    value = re.sub(r"^=\s*raw[ (]|\.html_safe|\)?\s*-?$", "", text)
    return None if LITERAL.match(value.lstrip("= ")) else "raw and html_safe print the value without escaping"


def safe_in_script(hole: Hole) -> bool:
    return bool(IN_SCRIPT_SAFE.search(hole.text) or LITERAL.match(hole.text.lstrip("=-")))


def dialect_of(path: bytes, text: str) -> str:
    """The suffix's language, except that `.html` with `{{#` or `<%` blocks is what those are."""
    dialect = DIALECTS.get(os.path.splitext(path)[1].lower(), "jinja")
    if dialect == "jinja" and "{%" not in text:
        if "<%" in text:
            return "ejs"
        if "{{#" in text or "{{/" in text:
            return "handlebars"
    return dialect


def check(data: bytes, path: bytes, report: Report) -> None:
    """Report what is wrong in one template. Never raises, whatever the bytes."""
    text = data.decode("utf-8", "replace").replace(VALUE, "?").replace(CONTROL, "?")
    if len(data) > MAX_TEXT or max(map(len, text.split("\n"))) > MAX_LINE:
        report.add("not-analysed", "not checked: minified or too large", path, "info", category="security")
        return
    Checker(Markup(text, dialect_of(path, text)), path, report).run()


def checker(path: bytes) -> Callable[[bytes, bytes, Report], None] | None:
    return check if path.lower().endswith(SUFFIXES) else None


def main(arguments: list[str]) -> None:
    look(*arguments_of(arguments), checker, [])
