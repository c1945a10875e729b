"""What the trees of each language call the things that count. Data; of the check `quality`.

JavaScript and TypeScript share their names; a grammar is a module and the function in it that gives the language.
"""

from __future__ import annotations

from typing import NamedTuple

JAVASCRIPT_GRAMMARS = {
    b".js": ("tree_sitter_javascript", "language"),
    b".mjs": ("tree_sitter_javascript", "language"),
    b".cjs": ("tree_sitter_javascript", "language"),
    b".jsx": ("tree_sitter_javascript", "language"),
    b".ts": ("tree_sitter_typescript", "language_typescript"),
    b".mts": ("tree_sitter_typescript", "language_typescript"),
    b".cts": ("tree_sitter_typescript", "language_typescript"),
    b".tsx": ("tree_sitter_typescript", "language_tsx"),
}


class Grammar(NamedTuple):
    """Types of nodes. functions: measured each for itself. closures: count as part of the function around them.

    ifs to ternaries cost one more the deeper they stand; cases: one way each through a choice. tries: count for nesting
    only. logical: may join conditions, by one of `operators`. calls: with the field that names what is called. jumps:
    cost one when they name where to.
    """

    functions: frozenset[str]
    closures: frozenset[str]
    ifs: frozenset[str]
    loops: frozenset[str]
    switches: frozenset[str]
    cases: frozenset[str]
    catches: frozenset[str]
    ternaries: frozenset[str]
    tries: frozenset[str]
    logical: frozenset[str]
    calls: tuple[str, str]
    operators: frozenset[str]
    jumps: frozenset[str]


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def grammar(
    functions: str,
    loops: str,
    switches: str,
    cases: str,
    closures: str = "",
    ifs: str = "if_statement",
    catches: str = "",
    ternaries: str = "",
    tries: str = "",
    logical: str = "binary_expression",
    calls: tuple[str, str] = ("call_expression", "function"),
    operators: str = "&& ||",
) -> Grammar:
    jumps = "break_statement continue_statement goto_statement break_expression continue_expression"
    return Grammar(
        functions=words(functions),
        closures=words(closures),
        ifs=words(ifs),
        loops=words(loops),
        switches=words(switches),
        cases=words(cases),
        catches=words(catches),
        ternaries=words(ternaries),
        tries=words(tries),
        logical=words(logical),
        calls=calls,
        operators=words(operators),
        jumps=words(jumps),
    )


GRAMMARS = {
    "javascript": grammar(
        "function_declaration function_expression arrow_function method_definition generator_function "
        "generator_function_declaration",
        "for_statement for_in_statement while_statement do_statement",
        "switch_statement",
        "switch_case",
        catches="catch_clause",
        ternaries="ternary_expression",
        tries="try_statement with_statement",
        operators="&& || ??",
    ),
    "go": grammar(
        "function_declaration method_declaration",
        "for_statement",
        "expression_switch_statement type_switch_statement select_statement",
        "expression_case type_case communication_case",
        closures="func_literal",
    ),
    "java": grammar(
        "method_declaration constructor_declaration compact_constructor_declaration",
        "for_statement enhanced_for_statement while_statement do_statement",
        "switch_expression",
        "switch_label",
        closures="lambda_expression",
        catches="catch_clause",
        ternaries="ternary_expression",
        tries="try_statement try_with_resources_statement",
        calls=("method_invocation", "name"),
    ),
    "rust": grammar(
        "function_item",
        "for_expression while_expression loop_expression",
        "match_expression",
        "match_arm",
        closures="closure_expression",
        ifs="if_expression",
        logical="binary_expression let_chain",
    ),
    "c": grammar(
        "function_definition",
        "for_statement while_statement do_statement",
        "switch_statement",
        "case_statement",
        ternaries="conditional_expression",
    ),
}

SUFFIXES = {
    **{suffix: ("javascript", *place) for suffix, place in JAVASCRIPT_GRAMMARS.items()},
    b".go": ("go", "tree_sitter_go", "language"),
    b".java": ("java", "tree_sitter_java", "language"),
    b".rs": ("rust", "tree_sitter_rust", "language"),
    b".c": ("c", "tree_sitter_c", "language"),
    b".h": ("c", "tree_sitter_c", "language"),
}
"""By the end of a file's name: which of GRAMMARS, and where the parser's half is."""
