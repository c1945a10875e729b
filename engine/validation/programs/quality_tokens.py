"""Cuts source of several languages into the tokens that clones are looked for in. Pure; of the check `quality`.

A token is a number: names are all one, so are literals; keywords and signs keep their own. Comments, docstrings and
imports are no tokens. The patterns take what is unfinished to the end of the line or file, so that each character is
looked at a bounded number of times whatever the text.
"""

from __future__ import annotations

import keyword
import re
from array import array
from typing import NamedTuple

LITERAL = 1
NAME = 2

C_COMMENTS = r"//[^\n]*|/\*(?:[^*]+|\*(?!/))*(?:\*/)?"
QUOTED = r'"(?:[^"\\\n]+|\\.)*"?'
SINGLE = r"'(?:[^'\\\n]+|\\.)*'?"
TICKED = r"`(?:[^`\\]+|\\.)*`?"
CHARACTER = r"'(?:[^'\\\n]|\\[^\n']+|\\')'"
TRIPLE = r'"""(?:[^"\\]+|\\.|"(?!""))*(?:""")?'
TRIPLE_SINGLE = r"'''(?:[^'\\]+|\\.|'(?!''))*(?:''')?"
REST = r"|(?P<word>[^\W\d]\w*)|(?P<number>\d[\w.]*)|(?P<sign>[^\w\s])"


class Language(NamedTuple):
    """How a language is cut. imports: begins a statement that is left out, to its end."""

    pattern: re.Pattern[str]
    keywords: frozenset[str]
    imports: re.Pattern[str]


def language(comments: str, strings: str, keywords: str, imports: str) -> Language:
    pattern = f"(?P<comment>{comments})|(?P<string>{strings}){REST}"
    return Language(re.compile(pattern, re.DOTALL), frozenset(keywords.split()), re.compile(imports, re.MULTILINE))


JAVASCRIPT = language(
    C_COMMENTS,
    f"{QUOTED}|{SINGLE}|{TICKED}",
    "async await break case catch class const continue debugger default delete do else export extends finally for "
    "function get if in instanceof let new of return set static super switch this throw try typeof var void while "
    "yield",
    r"^import\b[^;'\"]{0,800}['\"][^'\"\n]*['\"];?|^[ \t]*(?:const|let|var)\b[^=;]{0,300}=\s*require\([^)\n]*\);?",
)

LANGUAGES = {
    "python": language(
        r"#[^\n]*",
        f"{TRIPLE}|{TRIPLE_SINGLE}|{QUOTED}|{SINGLE}",
        " ".join(keyword.kwlist),
        r"^[ \t]*(?:from\s+[\w.]+\s+)?import\s*(?:\([^)]{0,1500}\)|[^\n(]*(?:\\\n[^\n]*){0,50})",
    ),
    "javascript": JAVASCRIPT,
    "go": language(
        C_COMMENTS,
        rf"{QUOTED}|`[^`]*`?|{CHARACTER}",
        "break case chan const continue default defer else fallthrough for func go goto if import interface map "
        "package range return select struct switch type var",
        r"^import\s*(?:\([^)]{0,3000}\)|[^\n(]*)|^package\b[^\n]*",
    ),
    "java": language(
        C_COMMENTS,
        f"{TRIPLE}|{QUOTED}|{CHARACTER}",
        "abstract assert boolean break byte case catch char class const continue default do double else enum extends "
        "final finally float for goto if implements import instanceof int interface long native new package private "
        "protected public return short static super switch synchronized this throw throws transient try void volatile "
        "while",
        r"^(?:import|package)\b[^;\n]*;",
    ),
    "rust": language(
        C_COMMENTS,
        rf'r#"(?:[^"]+|"(?!#))*(?:"#)?|"(?:[^"\\]+|\\.)*"?|{CHARACTER}',
        "as async await break const continue crate dyn else enum extern fn for if impl in let loop match mod move mut "
        "pub ref return self static struct super trait type union unsafe use where while",
        r"^[ \t]*(?:pub )?use\b[^;]{0,1500};|^[ \t]*#!?\[[^\n]*\]$",
    ),
    "c": language(
        C_COMMENTS,
        f"{QUOTED}|{CHARACTER}",
        "auto break case char const continue default do double else enum extern float for goto if inline int long "
        "register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while",
        r"^[ \t]*#[ \t]*include\b[^\n]*",
    ),
}


class Tokens:
    """The tokens of one file. kinds: what clones have in common. names: a number for each name, 0 for all else."""

    __slots__ = ("kinds", "lines", "names")

    def __init__(self) -> None:
        self.kinds = array("i")
        self.names = array("i")
        self.lines = array("i")


class Vocabulary:
    """Numbers for words and signs, the same in all files."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[str, str], int] = {}

    def number(self, kind: str, text: str) -> int:
        return self.numbers.setdefault((kind, text), len(self.numbers) + NAME + 1)


def cut(data: bytes, name: str, vocabulary: Vocabulary) -> Tokens:
    """name: one of LANGUAGES."""
    made = Tokens()
    rules = LANGUAGES[name]
    text = rules.imports.sub(lambda it: re.sub(r"[^\n]", " ", it[0]), data.decode("utf-8", "replace"))
    line, seen = 1, 0
    fresh = True  # nothing but comments since a statement could have begun: a string here is documentation
    for match in rules.pattern.finditer(text):
        kind, word = match.lastgroup, match[0]
        line += text.count("\n", seen, match.start())
        seen = match.start()
        if kind == "comment" or (kind == "string" and name == "python" and fresh and word[:3] in ('"""', "'''")):
            continue
        fresh = word == ":"
        if kind == "word" and word not in rules.keywords:
            made.kinds.append(NAME)
            made.names.append(vocabulary.number("name", word))
        elif kind in ("string", "number"):
            made.kinds.append(LITERAL)
            made.names.append(0)
        else:
            made.kinds.append(vocabulary.number("sign", word))
            made.names.append(0)
        made.lines.append(line)
    return made
