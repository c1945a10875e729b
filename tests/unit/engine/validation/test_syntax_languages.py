"""What the syntax program says of each language: a good file, the same with a fault, and what it cannot know."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.validation.archive import pack
from engine.validation.syntax import SyntaxCheck

TOOLS = str(Path(sys.executable).parent)
"""Of the tests: holds oxlint and a Python with the parsers."""

HTML = "<!doctype html>\n<html><body>\n<ul><li>one<li>two</ul>\n<p>text\n<img src=a.png>\n</body></html>\n"
CSS = "@media (width > 40em) {\n  a:hover > b { color: red; &:focus { --x: {a:b} } }\n}\n@import 'x.css'"
GO = 'package main\n\nimport "fmt"\n\nfunc main() {\n\tfmt.Println("x")\n}\n'
RUST = 'fn main() {\n    let x: Vec<u8> = vec![1, 2];\n    println!("{:?}", x);\n}\n'
JAVA = "class A<T> {\n  record B(int x) {}\n  void f() { var y = (Runnable) () -> {}; }\n}\n"
C = "#include <stdio.h>\n\nint main(void) {\n  int x = 1;\n  return x;\n}\n"
DOCKERFILE = (
    "FROM debian:bookworm AS base\nRUN --mount=type=cache,target=/x apt-get update && \\\n  true\nCOPY --from=base a b"
)
SHELL = '#!/bin/bash\nfor x in a b; do\n  [[ $x == a ]] && echo $((1 + 2)) <<< "$x"\ndone\n'
SQL = "CREATE TABLE t (id SERIAL PRIMARY KEY, name TEXT);\nSELECT id, count(*) OVER () FROM t WHERE name ~ 'x';\n"
YAML = "a: &x [1, 2]\nb: *x\n---\nc: !Ref thing\nd: !!python/object:os.system {}\n"
TYPESCRIPT = "export class A<in out T> {\n  constructor(private x: T) {}\n}\nexport default function (): void {}\n"
JSX = "export const A = () => (\n  <div className='a'>{[1].map((x) => <b key={x} />)}</div>\n);\n"
JAVASCRIPT = "import x from './x.js';\nexport { x as void };\nawait x?.y ?? 1_000n;\nclass A { #p = 1; static {} }\n"

CASES = [
    ("a.html", HTML, HTML.replace("</ul>", ""), "unclosed-element", 3),
    ("b.htm", HTML, HTML.replace("<p>text", "<p>text</div>"), "stray-end-tag", 4),
    ("a.css", CSS, CSS.replace("red; &:focus { --x: {a:b} }", "red; &:focus { --x: {a:b}"), "unclosed-block", 1),
    ("b.css", CSS, "a { color: red }\n}\nb { color: blue }\n", "syntax-error", 2),
    ("c.css", CSS, "a { color: red }\nb > c", "syntax-error", 2),
    ("main.go", GO, GO.replace('("x")', '("x"'), "syntax-error", 6),
    ("main.rs", RUST, RUST.replace("Vec<u8> = ", "Vec<u8> == "), "syntax-error", 2),
    ("A.java", JAVA, JAVA.replace("void f()", "void f("), "syntax-error", 3),
    ("main.c", C, C.replace("return x;\n}", "return x;\n"), "syntax-error", 5),
    ("Dockerfile", DOCKERFILE, DOCKERFILE.replace("COPY", "COPPY"), "syntax-error", 4),
    ("deploy/web.dockerfile", DOCKERFILE, "RUNN x\n", "syntax-error", 1),
    ("Dockerfile.web", DOCKERFILE, "FORM debian\n", "syntax-error", 1),
    ("a.sh", SHELL, SHELL.replace("done", "fi"), "syntax-error", 4),
    ("b.bash", SHELL, SHELL.replace("<<< \"$x\"", "<<< \"$x"), "syntax-error", 3),
    ("a.sql", SQL, SQL.replace("FROM t WHERE", "FROM WHERE t ("), "syntax-error", 2),
    ("a.yaml", YAML, YAML.replace("b: *x", "b: [1"), "invalid-yaml", 3),
    ("b.yml", YAML, "a: 1\n\tb: 2\n", "invalid-yaml", 2),
    ("a.ts", TYPESCRIPT, TYPESCRIPT.replace("x: T", "x: "), "syntax-error", 2),
    ("a.tsx", JSX, JSX.replace("</div>", ""), "syntax-error", 2),
    ("a.jsx", JSX, JSX.replace(")}</div>", ")</div>"), "syntax-error", 2),
    ("a.mjs", JAVASCRIPT, JAVASCRIPT.replace("as void }", "as void"), "syntax-error", 2),
    ("a.js", "const x = <b/>;\nmodule.exports = x;\n", "let ä = 'ü', b = = 1;\n", "syntax-error", 1),
    ("a.cjs", "with (a) { b }\n", "let x = 1;\nlet x = 2;\n", "syntax-error", 1),
    ("a.d.ts", "declare const x: number;\n", "declare const x: number\nlet = ;\n", "syntax-error", 2),
]  # fmt: skip


def run(root: Path, part: str = "all", tools: str = TOOLS, path: str | None = None) -> tuple[list[dict[str, Any]], Any]:
    """The findings and the last line of the program over everything in `root`."""
    archive = root.parent / "programs.zip"
    archive.write_bytes(pack(frozenset(SyntaxCheck.programs)))
    environment = {"TOOLS": tools, "PART": part, "TMPDIR": str(root.parent), "PATH": path or os.environ["PATH"]}
    with open(root.parent / "stderr", "w+b") as stderr:
        done = subprocess.run(
            [sys.executable, "-I", str(archive), "syntax", ".git"],
            cwd=root,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=stderr,
            check=True,
        )
    *records, end = [json.loads(line) for line in done.stdout.splitlines()]
    return records, end


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "workspace"
    made.mkdir()
    return made


def write(root: Path, name: str, text: str | bytes) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)


@pytest.mark.parametrize(("name", "good", "bad", "rule", "line"), CASES, ids=[case[0] for case in CASES])
def test_a_fault_is_found_where_it_is_and_the_same_without_it_is_silent(
    root: Path, name: str, good: str, bad: str, rule: str, line: int
) -> None:
    write(root, name, good)
    assert run(root)[0] == []
    write(root, name, bad)
    records, end = run(root)
    assert (name, rule, line, "error") in [(it["file"], it["rule"], it.get("line"), it["severity"]) for it in records]
    assert {it["file"] for it in records} == {name}
    assert end["files"] == 1


@pytest.mark.parametrize(
    ("name", "text", "column"),
    [
        ("a.js", "let s = 'äöü😀', t = = 1;\n", 21),
        ("a.ts", "let s = 'äöü😀', t: = 1;\n", 20),
        ("Ä.java", "/* äöü */ class { }\n", 11),
    ],
)
def test_columns_count_characters(root: Path, name: str, text: str, column: int) -> None:
    write(root, name, text)
    first = run(root)[0][0]
    assert (first["line"], first["column"]) == (1, column)


@pytest.mark.parametrize(
    ("name", "text", "note"),
    [
        ("a.html", "{% if x %}<div>{% endif %}", "HTML templates"),
        ("a.css", "a { color: {{ color }}; }", "CSS templates"),
        ("a.js", "{% autoescape off %}\nlet x = ;", "JavaScript templates"),
        ("a.js", "/* @flow */\ntype A = {| x: ?number |};\n", "Flow types"),
        ("a.min.js", "let = ;", "minified"),
        ("a.yaml", "a:\n{{- if .x }}\n  b: {{ .y }}\n{{- end }}\n", "YAML templates"),
        ("a.sql", "DELIMITER //\nCREATE PROCEDURE p() BEGIN WHILE 1 DO X; END WHILE; END //\n", "procedural code"),
        ("a.sql", "SELECT 1;\n" * 30_000, "not checked"),
        ("a.sh", "#!/usr/bin/env fish\nif true\nend\n", "shells other than sh"),
        ("a.ts", "<?xml version='1.0'?><TS/>", "hold no TypeScript"),
        ("a.c", "EXPORT(int) f(int x) FOO(bar) { return x }\n", "macros"),
    ],
)
def test_what_cannot_be_known_is_told_and_not_called_a_fault(root: Path, name: str, text: str, note: str) -> None:
    write(root, name, text)
    records, end = run(root)
    assert records == []
    assert any(note in told and "1 file" in told for told in end["notes"])


def test_a_macro_of_rust_takes_what_it_wants(root: Path) -> None:
    write(root, "a.rs", 'fn main() {\n    html!{ <p class="x">{ y }</p> };\n}\n')
    assert run(root)[0] == []


@pytest.mark.parametrize(
    "name", ["a.html", "a.css", "a.go", "a.rs", "A.java", "a.c", "a.js", "a.yaml", "a.sql", "a.sh"]
)
def test_deep_nesting_ends_with_an_answer(root: Path, name: str) -> None:
    texts = {
        "a.html": "<div>" * 20_000, "a.css": "a{" * 20_000, "a.yaml": "[" * 20_000, "a.sql": "SELECT " + "(" * 5_000,
        "a.sh": "$(" * 2_000,
    }  # fmt: skip
    write(root, name, texts.get(name, "(" * 20_000))
    records, end = run(root)
    assert {it["file"] for it in records} == {name}
    assert end["done"] is True


def test_one_file_that_crashes_the_parser_takes_no_other_with_it(root: Path) -> None:
    write(root, "deep.js", "(" * 2_000_000)
    for number in range(7):
        write(root, f"good{number}.js", "let x = 1;\n")
    write(root, "bad.js", "let = = ;\n")
    records, end = run(root)
    assert {it["file"] for it in records} == {"bad.js", "deep.js"}
    assert end["files"] == 9


@pytest.mark.parametrize("text", [b"let x = '\xff';\n", b"\xef\xbb\xbflet x = '\xe4';\n"])
def test_a_script_that_is_no_text_is_an_error(root: Path, text: bytes) -> None:
    write(root, "a.js", text)
    assert [(it["rule"], "UTF-8" in it["message"]) for it in run(root)[0]] == [("syntax-error", True)]


def test_the_project_cannot_tell_the_parser_what_to_leave_out(root: Path) -> None:
    write(root, "a.js", "let = = ;\n")
    write(root, ".oxlintrc.json", '{"ignorePatterns": ["**/*"]}')
    write(root, ".eslintignore", "*.js\n")
    assert {it["file"] for it in run(root)[0]} == {"a.js"}


def test_a_parser_that_is_missing_is_told_once_a_language(root: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for name in ("a.js", "b.ts", "a.sh", "b.sh"):
        write(root, name, "x\n")
    records, _ = run(root, tools=str(empty), path=str(empty))
    assert sorted((it["rule"], it["message"]) for it in records) == [
        ("tool-missing", "the image has no parser for JavaScript: oxlint is missing"),
        ("tool-missing", "the image has no parser for shell: bash is missing"),
    ]


def test_the_parts_share_the_languages_between_them(root: Path) -> None:
    for name, _, bad, _, _ in CASES:
        write(root, name, bad)
    write(root, "a.py", "def f(:\n")
    write(root, "a.toml", "a = \n")
    whole = run(root)[0]
    own, parsed = run(root, "own")[0], run(root, "parsed")[0]
    assert {it["file"] for it in whole} == {it["file"] for it in own} | {it["file"] for it in parsed}
    assert not {it["file"] for it in own} & {it["file"] for it in parsed}
