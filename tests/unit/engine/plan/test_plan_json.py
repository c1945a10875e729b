"""Plans in JSON: read strictly, with places, and chosen by the file's name or first words."""
# ruff: noqa: E501 - a row of a table is one line

import json

import pytest

from engine.errors import PlanError
from engine.plan.json_reader import read_json
from engine.plan.parse import parse_plan
from engine.plan.source import Bare, UnreadableError, to_data

GOOD = '{"version": 1, "steps": [{"type": "command", "run": ["echo", "\\u00e9\\n\\ud83d\\ude00"], "cwd": "a"}]}'


def fault(text: str, file: str = "plan.json") -> str:
    with pytest.raises(PlanError) as caught:
        parse_plan(text, file)
    assert len(caught.value.faults) == 1, caught.value.faults
    found = caught.value.faults[0]
    return f"{found.line}:{found.column} {found.key} | {found.message} | {found.hint}"


def test_a_plan_in_json_is_the_same_plan_as_in_yaml() -> None:
    assert parse_plan(GOOD, "plan.json") == parse_plan(GOOD, "plan")
    assert parse_plan(GOOD, "x.json").steps[0].run == ("echo", "é\n😀")  # type: ignore[union-attr]


def test_text_without_a_known_ending_is_json_when_it_begins_like_json() -> None:
    assert fault('{"version": 1,}', "<plan>").startswith("1:15  | the file is not JSON")
    assert parse_plan("{version: 1, steps: [{type: command, run: x}]}", "<plan>").version == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"version": 1,\n "version": 1, "steps": [{"type":"command","run":"x"}]}', "2:2 version | the key is there twice | first in line 1, column 2"),
        ('{"version": 1, "steps": [{"type":"command","run":5}]}', '1:50 steps[0].run | expected text, found the number 5 | put it in quotes: "5"'),
        ('{"version": 1, "name": true, "steps": [{"type":"command","run":"x"}]}', '1:24 name | expected text, found true | put it in quotes: "true"'),
        ('{"version": 1, "steps": [{"type":"file_create","path":"a","content":"","mode":420}]}', '1:79 steps[0].mode | "420" is not a file mode | write octal digits in quotes, such as "0644"'),
        ('{"version": 1, "steps": [{"type":"command","run":"x","id":null}]}', '1:59 steps[0].id | expected text, found nothing | for empty text write ""'),
        ('{"version": 1\n"steps": []}', "2:1  | the file is not JSON: expected ',' or '}', found \"\"steps\": []}\" | "),
        ('{"version": 1,\n}', "2:1  | the file is not JSON: a comma before the closing bracket is not allowed in JSON, found \"}\" | "),
        ('{"steps": [1,]}', "1:14  | the file is not JSON: a comma before the closing bracket is not allowed in JSON, found \"]}\" | "),
        ('{"a": NaN}', '1:7  | the file is not JSON: expected a value, found "NaN}" | '),
        ('{"a": 01}', '1:7  | the file is not JSON: expected a value, found "01}" | '),
        ('{"a": 1x}', '1:7  | the file is not JSON: expected a value, found "1x}" | '),
        ("{'a': 1}", "1:2  | the file is not JSON: expected a key in double quotes, found \"'a': 1}\" | "),
        ('{"a": 1} // x', '1:10  | the file is not JSON: text after the end of the plan, found "// x" | JSON has no comments'),
        ('{"a" 1}', "1:6  | the file is not JSON: expected ':' after the key, found \"1}\" | "),
        ('{"a": "x\ny"}', '1:7  | the file is not JSON: the text in quotes is not closed, or has a line break or a wrong escape in it, found ""x" | '),
        ('{"a": "\\x41"}', '1:7  | the file is not JSON: the text in quotes is not closed, or has a line break or a wrong escape in it, found ""\\x41"}" | '),
        ('{"a": "\\ud800"}', '1:7  | the file is not JSON: half of a surrogate pair stands alone, found ""\\ud800"}" | '),
        ('{"a": ', "1:7  | the file is not JSON: expected a value, found the end of the line or file | "),
        ('{"a": ' + "[" * 10_000, "1:38  | lists and mappings are nested more than 32 deep | "),
        ('[' + "1," * 300_001 + "1]", "1:600000  | the file has more than 300000 keys and values | "),
        ("[]", "1:1  | expected a plan (a mapping), found a list | begin with version: 1"),
    ],
    ids=lambda value: repr(value)[:40],
)  # fmt: skip
def test_a_fault_in_json_tells_its_place(text: str, expected: str) -> None:
    assert fault(text) == expected


def test_values_of_an_environment_may_be_numbers_in_json_and_are_kept_as_written() -> None:
    text = '{"version": 1, "env": {"A": 1.10, "B": true, "C": "x"}, "steps": [{"type": "command", "run": "x"}]}'
    assert dict(parse_plan(text, "plan.json").env) == {"A": "1.10", "B": "true", "C": "x"}


@pytest.mark.parametrize(
    "text", ["{}", "[]", '"a"', '[{"a": [[], {}, "b\\\\", "\\/\\b\\f\\n\\r\\t\\""]}]', ' {"a":\r\n\t"b"} ']
)
def test_the_reader_and_the_standard_library_agree(text: str) -> None:
    node, misread = read_json(text)
    assert to_data(node) == json.loads(text)
    assert misread == []


@pytest.mark.parametrize("number", ["0", "-1", "1.5e+3", "9" * 5000])
def test_a_number_is_kept_as_written_however_long(number: str) -> None:
    value = to_data(read_json(number)[0])
    assert isinstance(value, Bare)
    assert value.text == number


def test_text_of_the_largest_size_is_read_without_recursion() -> None:
    assert to_data(read_json('"' + "\\n" * 2_000_000 + '"')[0]) == "\n" * 2_000_000
    with pytest.raises(UnreadableError):
        read_json('"' + "\\n" * 2_000_000)
