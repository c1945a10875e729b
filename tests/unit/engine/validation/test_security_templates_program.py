"""The template part of the `security` check: what it finds, what it lets pass, and that nothing makes it fall over."""

from __future__ import annotations

import pytest

from engine.validation.programs import security_templates
from engine.validation.programs.security_templates import check
from tests.unit.engine.validation.security_corpus import CORPUS, findings, scores, table


def found(text: str, name: str = "a.html") -> list[tuple[str, int]]:
    return [(it["rule"], it["line"]) for it in findings(check, text.encode(), name)]


def test_the_corpus_is_told_apart() -> None:
    made = scores(check, "templates")
    print(table(made))  # noqa: T201
    assert all(it.recall >= 0.95 and it.precision >= 0.95 for it in made.values()), table(made)
    assert all(it.bad >= 6 and it.good >= 6 for it in made.values())
    assert made["xss"].bad >= 15


def test_every_rule_has_a_corpus() -> None:
    assert {path.name for path in (CORPUS / "templates").iterdir()} == set(security_templates.REFERENCES)


def test_a_finding_says_where_and_which_weakness() -> None:
    (it,) = findings(check, b"<p>\n  {{ x|safe }}</p>\n", "a.html")
    assert (it["rule"], it["line"], it["column"], it["severity"], it["reference"]) == ("xss", 2, 3, "error", "CWE-79")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("{{{ x }}}", "a.html"),
        ("{{#if a}}{{{ x }}}{{/if}}", "a.html"),
        ("<%- x %>", "a.html"),
        ("{{ a | upper | safe }}", "a.j2"),
        ("{%- autoescape off -%}<p>{{ x }}</p>", "a.djhtml"),
        ("{% filter safe %}<p>{{ x }}</p>{% endfilter %}", "a.jinja"),
        ("<a title = {{ x }} >", "a.hbs"),
        ("<img src='a' onerror='f(\"{{ x }}\")'>", "a.twig"),
        ("<a href=\" javascript:f('{{ x }}')\">", "a.html"),
        ("<SCRIPT>a = '{{ x }}'</SCRIPT>", "a.html"),
        ("<div v-html='a + b'>", "a.vue"),
        ("<p>it's</p><a href={{ x }}>", "a.html"),
    ],
)
def test_unsafe_output_is_found(text: str, name: str) -> None:
    assert [rule for rule, _ in found(text, name)] == ["xss"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("<!-- {{ x|safe }} -->", "a.html"),
        ("{% comment %}{{ x|safe }}{% endcomment %}", "a.html"),
        ("{{ form.media|safe }} {{ field.help_text|safe }}", "a.html"),
        ("{% autoescape off %}Hello {{ name }}{% endautoescape %}", "mail.html"),
        ("<%= x %> <%# <%- x %> %>", "a.ejs"),
        ("<%- x -%>", "a.erb"),
        ("{{> partial}} {{#each a}}{{this}}{{/each}}", "a.hbs"),
        ("<a href='{{ x }}' title=\"{{ y }}\" class={{ 'a b' if c }}-d>"[:38] + ">", "a.html"),
        ("<script src='{{ x }}'></script><script>f({{ x|tojson }}, {{ loop.index }})</script>", "a.html"),
        ("<style>a { color: {{ x }} }</style>", "a.html"),
        ("<div v-html=\"'<b>x</b>'\"></div>", "a.vue"),
        ("<p class={name} on:click={f}>{name}</p>", "a.svelte"),
        ("<form @submit.prevent='go' method='post'>", "a.vue"),
        ("<form method='dialog'></form><form></form>", "a.html"),
    ],
)
def test_safe_output_is_let_pass(text: str, name: str) -> None:
    assert found(text, name) == []


@pytest.mark.parametrize(
    "comment", ["{# nosec #}", "<!-- nosec -->", "{# nosec xss #}", "{# nosec: xss, csrf #}", "<!-- nosec why -->"]
)
def test_a_comment_on_the_line_silences(comment: str) -> None:
    assert found("{{ x|safe }} " + comment) == []


@pytest.mark.parametrize("comment", ["{# nosec csrf #}", "<!-- nosecret -->", "\n{# nosec #}"])
def test_other_comments_do_not_silence(comment: str) -> None:
    assert found("{{ x|safe }} " + comment) == [("xss", 1)]


@pytest.mark.parametrize(
    "text",
    [
        "{{" * 200_000,
        "<" * 200_000,
        "<a '" * 100_000,
        "<a b=" * 100_000,
        '<a "' * 50_000 + "<a '" * 50_000,
        "<script>" * 60_000,
        "<form method=post action=/a>{{ x }}" * 20_000,
        "{% raw %}" * 50_000,
        "<!--" * 100_000,
        "\0\xff\ue000",
        "",
    ],
)
@pytest.mark.timeout(60)
def test_no_text_makes_it_fall_over_or_run_on(text: str) -> None:
    lines = "\n".join(text[at : at + 5_000] for at in range(0, len(text), 5_000)).encode()
    for name in ("a.html", "a.ejs", "a.hbs", "a.vue"):
        assert all(it["category"] == "security" for it in findings(check, lines, name))


def test_what_is_minified_or_too_large_is_passed_over_and_said() -> None:
    for text in (b"{{ x|safe }}" * 3_000, b"{{ x|safe }}\n" * 100_000):
        assert [it["rule"] for it in findings(check, text, "a.html")] == ["not-analysed"]


def test_which_files_are_taken() -> None:
    names = (b"a.html", b"a.HTM", b"a.jinja2", b"a.html.erb", b"a.vue", b"a.svelte", b"a.twig", b"a.mustache")
    assert all(security_templates.checker(name) for name in names)
    assert not any(security_templates.checker(name) for name in (b"a.php", b"a.js", b"html"))
