"""Faults of plan files: each with its exact line, column, key, message and hint."""
# ruff: noqa: E501 - a row of a table is one line

import textwrap

import pytest

from engine.errors import PlanError
from engine.plan.parse import MAX_FAULTS, parse_plan

OK_STEP = "steps: [{type: command, run: make}]\n"


def faults(text: str | bytes, file: str = "plan.yaml") -> list[str]:
    """`line:column key | message | hint` of each fault of a plan that must have some."""
    with pytest.raises(PlanError) as caught:
        parse_plan(text, file)
    found = caught.value.faults
    assert found
    assert all(fault.file == file and fault.line >= 1 and fault.column >= 1 for fault in found)
    assert [(f.line, f.column) for f in found] == sorted((f.line, f.column) for f in found)
    return [f"{f.line}:{f.column} {f.key} | {f.message} | {f.hint}" for f in found]


def one(text: str | bytes, file: str = "plan.yaml") -> str:
    found = faults(text, file)
    assert len(found) == 1, found
    return found[0]


def in_step(line: str, kind: str = "command", rest: str = "run: make") -> str:
    """The one fault of a step with `line` as its last line (line 5 of the file, key at column 5)."""
    return one(f"version: 1\nsteps:\n  - type: {kind}\n    {rest}\n    {line}\n")


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("nam: x", "1:1 nam | unknown key | did you mean name?"),
        ("stages: []", "1:1 stages | unknown key | did you mean steps?"),
        ("environment: {imge: a}", "1:15 environment.imge | unknown key | did you mean image?"),
        ("environment: [a]", "1:14 environment | expected a mapping (key: value), found a list | "),
        ("environment: {image: -v}", '1:22 environment.image | "-v" is an option, not an image | write a local image\'s name such as python:3.12-slim, or its id sha256:...'),
        ("environment: {setup: [make, ' ']}", '1:29 environment.setup[1] | the command is empty | write what to run, for example "pytest -q"'),
        ("image: python", "1:1 image | unknown key | write it under environment"),
        ("timeout: 3", "1:1 timeout | unknown key | write it under sandbox"),
        ("sandbox: {network: host}", '1:20 sandbox.network | this version has no network called "host" | steps run with network: none; what they need from the network goes into environment.setup'),
        ("sandbox: {memory: 1G}", '1:19 sandbox.memory | "1G" is not a size | write 1GiB (powers of 1024) or 1GB (powers of 1000)'),
        ("sandbox: {memory: 1MiB}", "1:19 sandbox.memory | 1MiB is out of bounds | from 16MiB to 1TiB is allowed"),
        ("sandbox: {pids: 2.5}", "1:17 sandbox.pids | expected a whole number, found the number 2.5 | "),
        ("sandbox: {pids: '9'}", '1:17 sandbox.pids | expected a whole number, found "9" | write 9 without quotes'),
        ("sandbox: {pids: 010}", "1:17 sandbox.pids | expected a whole number, found the number 010 | "),
        ("sandbox: {cpus: 0}", "1:17 sandbox.cpus | 0 is out of bounds | from 0.05 to 1024 is allowed"),
        ("sandbox: {cpus: .inf}", '1:17 sandbox.cpus | expected a number, found ".inf" | '),
        ("sandbox: {timeout: 1:30}", '1:20 sandbox.timeout | "1:30" is not a duration | write 1m30s'),
        ("sandbox: {timeout: 8d}", "1:20 sandbox.timeout | 8d is out of bounds | from 100ms to 7d is allowed"),
        ("sandbox: {output: true}", "1:19 sandbox.output | expected a size such as 512MiB, found true | "),
        ("sandbox: {timeout: [1]}", "1:20 sandbox.timeout | expected a duration such as 10m, found a list | "),
        ("sandbox: {hide: .env}", "1:17 sandbox.hide | expected a list, found text | write [.env]"),
        ("sandbox: {hide: [a, ../b]}", '1:21 sandbox.hide[1] | "../b" has a .. in it | only paths in the workspace can be hidden'),
        ("sandbox: {runtime: -x}", '1:20 sandbox.runtime | "-x" is not the name of a runtime | such as runc or runsc'),
        ("env: {A B: x}", "1:7 env[\"A B\"] | \"A B\" is not the name of an environment variable | a name is letters, digits and '_', and does not begin with a digit"),
        ("env: {A: }", '1:10 env.A | expected text, found nothing | for empty text write ""'),
        ("env: {A: [x]}", "1:10 env.A | expected text, found a list | "),
        ('env: {A: "x\\0"}', "1:10 env.A | the text has a NUL character | a command or variable cannot hold a NUL"),
        ("env: [A=1]", "1:6 env | expected a mapping (key: value), found a list | "),
        ("secrets: [A, A]", '1:10 secrets | "A" is listed twice | name it once'),
        ("secrets: [A=b]", "1:11 secrets[0] | \"A=b\" is not the name of an environment variable | a name is letters, digits and '_', and does not begin with a digit"),
        ("retry: 3", "1:8 retry | expected a mapping (key: value), found the number 3 | "),
        ("retry:", "1:7 retry | expected a mapping (key: value), found nothing | "),
        ("retry: {attempts: 21}", "1:19 retry.attempts | 21 is out of bounds | from 1 to 20 is allowed"),
        ("retry: {retries: 2}", "1:9 retry.retries | unknown key | known keys: attempts, initial, factor, max, jitter"),
        ("retry: {initial: 9s}", "1:8 retry.max | max is shorter than initial | max is the longest wait: make it at least initial"),
        ("on_failure: rolback", '1:13 on_failure | expected rollback, stop or continue, found "rolback" | did you mean rollback?'),
        ("rollback_to: mak", '1:14 rollback_to | no step has the id "mak" | did you mean make?'),
        ("checks: [lint, absent]", '1:16 checks[1] | this version has no check called "absent" | there are syntax, lint, type, security, quality, performance, accessibility, compile and test'),
        ("name: [x]", "1:7 name | expected text, found a list | "),
        ('name: "a\\nb"', "1:7 name | the name has a line break or control character | a name is one line of printable text"),
    ],
)  # fmt: skip
def test_a_fault_of_the_plan_tells_place_key_and_what_would_be_right(line: str, fault: str) -> None:
    assert one(f"{line}\nversion: 1\nsteps: [{{id: make, type: command, run: make}}]\n") == fault


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("tiemout: 3", "5:5 steps[0].tiemout | unknown key | did you mean timeout?"),
        ("depends_on: [a]", "5:5 steps[0].depends_on | unknown key | did you mean needs?"),
        ("content: x", "5:5 steps[0].content | unknown key | it belongs to file_create or file_edit steps"),
        ("needs: a", "5:12 steps[0].needs | expected a list, found text | write [a]"),
        ("needs: [a]", '5:13 steps[0].needs[0] | no step has the id "a" | '),
        ("needs: [step-1]", "5:13 steps[0].needs[0] | a step cannot name itself | name a step that comes before it"),
        ("flaky: yes", '5:12 steps[0].flaky | expected true or false, found "yes" | write true'),
        ("flaky: 1", "5:12 steps[0].flaky | expected true or false, found the number 1 | "),
        ("id: a b", "5:9 steps[0].id | \"a b\" is not a step id | an id is 1 to 64 letters, digits, '_', '.' or '-', and begins with a letter or digit"),
        ('id: ""', "5:9 steps[0].id | \"\" is not a step id | an id is 1 to 64 letters, digits, '_', '.' or '-', and begins with a letter or digit"),
        ("cwd: /etc", '5:10 steps[0].cwd | "/etc" is outside the workspace | write it relative to the workspace, or below /workspace/'),
        ("sandbox: {timeot: 3}", "5:15 steps[0].sandbox.timeot | unknown key | did you mean timeout?"),
        ("sandbox: {memory: 1GB, timeout: 0}", "5:37 steps[0].sandbox.timeout | 0s is out of bounds | from 100ms to 7d is allowed"),
        ("retry: {max: 1ms}", "5:18 steps[0].retry.max | max is shorter than initial | max is the longest wait: make it at least initial"),
        ("rollback_to: b", '5:18 steps[0].rollback_to | no step has the id "b" | '),
        ("stdin: {a: b}", "5:12 steps[0].stdin | expected text, found a mapping | "),
        ("checks: [x]", '5:14 steps[0].checks[0] | this version has no check called "x" | there are syntax, lint, type, security, quality, performance, accessibility, compile and test'),
        ("checks: lint", "5:13 steps[0].checks | expected a list, found text | write [lint]"),
    ],
)  # fmt: skip
def test_a_fault_of_a_step_tells_place_key_and_what_would_be_right(line: str, fault: str) -> None:
    assert in_step(line) == fault


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        ("type: comand", '1:19 steps[0].type | no step type is called "comand" | did you mean command?'),
        ("type: shell", '1:19 steps[0].type | no step type is called "shell" | there are file_create, file_edit, file_delete, command, validation, test'),
        ("type: [command]", "1:19 steps[0].type | expected a step type, found a list | "),
        ("type: ", "1:19 steps[0].type | expected a step type, found nothing | "),
        ("run: make", "1:12 steps[0].type | the key is missing | type: file_create, file_edit, file_delete, command, validation, test"),
        ("type: command", "1:12 steps[0].run | the key is missing | run: Text for /bin/sh, or a list of arguments that is run without a shell"),
        ("type: command, run: {a: b}", "1:33 steps[0].run | expected a command, found a mapping | write text or a list of arguments"),
        ("type: command, run: ''", '1:33 steps[0].run | the command is empty | write what to run, for example "pytest -q"'),
        ("type: command, run: []", "1:33 steps[0].run | the command is empty | name the program first, for example [pytest, -q]"),
        ("type: command, run: [a, [b]]", "1:37 steps[0].run[1] | expected text, found a list | "),
        ("type: command, run: ", '1:33 steps[0].run | expected text, found nothing | for empty text write ""'),
        ("type: test, run: x, junit: ../x", '1:40 steps[0].junit | "../x" has a .. in it | a path never leaves the workspace'),
        ("type: validation, checks: []", "1:39 steps[0].checks | the list is empty | checks: Checks to run"),
        ("type: validation, checks: [lint], paths: ['*.py']", '1:55 steps[0].paths[0] | "*.py" is a pattern | name files or directories; a directory stands for all that is in it'),
        ("type: validation, checks: [lint], paths: [a], changed: true", "1:12 steps[0] | a validation step takes `paths` or `changed`, not both | "),
        ("type: file_delete, path: a, recursive: on", '1:52 steps[0].recursive | expected true or false, found "on" | write true'),
        ("type: file_create, path: /etc/passwd, content: x", '1:38 steps[0].path | "/etc/passwd" is an absolute path | paths are relative to the workspace'),
        ("type: file_create, path: a, content: x, mode: 644", '1:59 steps[0].mode | "644" is not a file mode | write octal digits in quotes, such as "0644"'),
        ("type: file_create, path: a, content: x, mode: '4755'", "1:59 steps[0].mode | mode 4755 is more than permissions | set-user-id, set-group-id and sticky bits are not given"),
        ("type: file_edit, path: a", "1:12 steps[0] | a file_edit step needs exactly one of replace, insert, patch, content or instruction, found none of them | "),
        ("type: file_edit, path: a, content: x, patch: y", "1:12 steps[0] | a file_edit step needs exactly one of replace, insert, patch, content or instruction, found patch and content | "),
        ("type: file_edit, path: a, instruction: x", "1:52 steps[0].instruction | this version cannot ask a model for an edit | say the edit with replace, insert, patch or content"),
        ("type: file_edit, path: a, replace: {search: x}", "1:48 steps[0].replace.with | the key is missing | with: Text to put in its place; empty to delete it"),
        ("type: file_edit, path: a, replace: {search: '', with: x}", "1:57 steps[0].replace.search | the text is empty | write the text that is meant"),
        ("type: file_edit, path: a, insert: {text: x}", "1:47 steps[0].insert | insert needs exactly one of after, before or line, found none of them | "),
        ("type: file_edit, path: a, insert: {text: x, line: 0}", "1:63 steps[0].insert.line | 0 is out of bounds | from 1 to 10000000 is allowed"),
        ("type: file_edit, path: .git/config, content: x", '1:36 steps[0].path | ".git/config" is in a .git directory | steps that change files leave version control\'s own alone'),
    ],
)  # fmt: skip
def test_a_fault_of_a_step_type_tells_place_key_and_what_would_be_right(step: str, fault: str) -> None:
    assert one(f"{{steps:  [ {{{step}}} ], version: 1}}") == fault


def test_all_faults_are_told_at_once_in_file_order() -> None:
    text = textwrap.dedent("""\
        version: 2
        nam: x
        retry: {attempts: 0}
        secrets: [TOKEN]
        steps:
          - {id: a, type: comand, run: ls}
          - id: a
            type: command
            run: make
            tiemout: 3
            env: {TOKEN: x}
            needs: [unti, last]
          - {id: unit, type: test, run: pytest, needs: [a], timeout: 1m, sandbox: {timeout: 2m}}
          - just text
          - {id: last, type: file_edit, path: ../x, content: x, rollback_to: unit, on_failure: stop}
    """)
    assert [fault.split(" | ")[0] for fault in faults(text)] == [
        "1:10 version",
        "2:1 nam",
        "3:19 retry.attempts",
        "6:19 steps[0].type",
        "7:9 steps[1].id",
        "10:5 steps[1].tiemout",
        "13:62 steps[2].timeout",
        "14:5 steps[3]",
        "15:39 steps[4].path",
    ]


def test_a_faulty_step_does_not_make_what_needs_it_faulty() -> None:
    text = "version: 1\nsteps:\n- {id: a, type: command}\n- {type: command, run: x, needs: [a]}\n"
    assert one(text).startswith("3:3 steps[0].run")


def test_needs_may_only_name_earlier_steps_so_there_are_no_cycles() -> None:
    text = textwrap.dedent("""\
        version: 1
        steps:
          - {id: a, type: command, run: x, needs: [b]}
          - {id: b, type: command, run: x, needs: [a, c, b, a1]}
    """)
    later = "steps run in order: name a step that comes before this one, or move that one up"
    assert faults(text) == [
        f'3:44 steps[0].needs[0] | "b" comes later, as steps[1] | {later}',
        '4:47 steps[1].needs[1] | no step has the id "c" | ',
        "4:50 steps[1].needs[2] | a step cannot name itself | name a step that comes before it",
        '4:53 steps[1].needs[3] | no step has the id "a1" | did you mean a?',
    ]


def test_a_generated_id_may_not_be_taken() -> None:
    text = "version: 1\nsteps:\n- {id: step-2, type: command, run: x}\n- {type: command, run: x}\n"
    assert one(text).startswith(
        '4:3 steps[1].id | the id "step-2" is taken by steps[0] | give each step an id of its own'
    )


def test_a_variable_is_either_a_secret_or_in_the_environment() -> None:
    text = "version: 1\nenv: {A: x}\nsecrets: [A, B]\nsteps:\n- {type: command, run: x, env: {B: y}}\n"
    assert faults(text) == [
        "3:11 secrets[0] | A is in env too | a variable has one value: keep one of the two",
        "5:36 steps[0].env.B | B is one of the plan's secrets | give it another name",
    ]


def test_a_sandbox_key_stands_on_the_step_or_under_its_sandbox_not_both() -> None:
    text = "version: 1\nsteps:\n- {type: command, run: x, pids: 9, sandbox: {pids: 9, cpus: 1}}\n"
    assert one(text) == "3:33 steps[0].pids | the key is also under this step's sandbox | keep one of the two"


@pytest.mark.parametrize(
    ("head", "step", "place"),
    [
        ("on_failure: stop\nrollback_to: a", "{type: command, run: x}", "2:14 rollback_to"),
        ("on_failure: stop\nname: x", "{type: command, run: x, rollback_to: a}", "6:40 steps[1].rollback_to"),
        ("name: x\nname2: x", "{type: command, run: x}", "2:1 name2"),
    ],
)
def test_a_rollback_target_that_nothing_goes_back_to_is_a_fault(head: str, step: str, place: str) -> None:
    text = f"{head}\nversion: 1\nsteps:\n- {{id: a, type: command, run: x}}\n- {step}\n"
    assert one(text).startswith(f"{place} | ")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "1:1  | the file is empty | a plan begins with version: 1"),
        (" \n\n", "1:1  | the file is empty | a plan begins with version: 1"),
        ("# only a comment\n", "1:1  | the file is empty | a plan begins with version: 1"),
        ("---\n...\n", "1:1  | the file is empty | a plan begins with version: 1"),
        ("- a", "1:1  | expected a plan (a mapping), found a list | begin with version: 1"),
        ("hello", "1:1  | expected a plan (a mapping), found text | begin with version: 1"),
        ("12", "1:1  | expected a plan (a mapping), found the number 12 | begin with version: 1"),
        ("version: 1\n", "1:1 steps | the key is missing | steps: the list of what to do, in order"),
        (OK_STEP, "1:1 version | the key is missing | version: Version of the plan language: 1"),
        (OK_STEP + "version: 1.0", "2:10 version | expected a whole number, found the number 1.0 | "),
        (OK_STEP + "version: '1'", '2:10 version | expected a whole number, found "1" | write 1 without quotes'),
        ("version: 1\nsteps: []", '2:8 steps | the list of steps is empty | each step begins with "- ", for example "- {type: command, run: make}"'),
        ("version: 1\nsteps:", '2:7 steps | expected a list of steps, found nothing | each step begins with "- ", for example "- {type: command, run: make}"'),
        ("version: 1\nsteps: {a: {}}", '2:8 steps | expected a list of steps, found a mapping | each step begins with "- ", for example "- {type: command, run: make}"'),
        (b"version: 1\nname: \xff", "2:7  | the byte 0xff is not UTF-8 | save the file as UTF-8"),
        (b"\xff\xfev\0", "1:1  | the byte 0xff is not UTF-8 | save the file as UTF-8"),
        ("name: \u00e9\x07", '1:8  | the character U+0007 is not allowed in a plan file | write it as an escape in double quotes, such as "\\u001b"'),
        ("a\0b", '1:2  | the character U+0000 is not allowed in a plan file | write it as an escape in double quotes, such as "\\u001b"'),
        ("a: \ud800", '1:4  | the character U+D800 is not allowed in a plan file | write it as an escape in double quotes, such as "\\u001b"'),
        ("\tversion: 1", "1:1  | the file is not YAML: found character that cannot start any token | indent with spaces, not tabs"),
        ("version: 1\nsteps:\n\t- a", "3:1  | the file is not YAML: found character that cannot start any token | indent with spaces, not tabs"),
        ("name: a: b", "1:8  | the file is not YAML: mapping values are not allowed in this context | put a value that holds ': ' in quotes, and check the indentation"),
        ("hide: [*.pem]", "1:9  | the file is not YAML: did not find expected alphabetic or numeric character | a value that begins with one of * & ! % @ ` must be put in quotes"),
        ("name: @x", "1:7  | the file is not YAML: found character that cannot start any token | a value that begins with one of * & ! % @ ` must be put in quotes"),
        ("name: [a", "2:1  | the file is not YAML: did not find expected ',' or ']' | check that brackets and braces are closed and items parted by commas"),
        ('name: "a', "1:9  | the file is not YAML: found unexpected end of stream | a quote is not closed"),
        ("name: x\n steps: []", "2:7  | the file is not YAML: mapping values are not allowed in this context | put a value that holds ': ' in quotes, and check the indentation"),
        ("a: " + "[" * 40 + "]" * 40, "1:35  | lists and mappings are nested more than 32 deep | "),
        ("x" * ((4 << 20) + 1), "1:1  | the file has more than 4 MiB | let a command make large files"),
        ("[" + "a," * 300_001 + "]", "1:600000  | the file has more than 300000 keys and values | "),
    ],
    ids=lambda value: repr(value)[:40],
)  # fmt: skip
def test_text_that_is_no_plan_at_all_has_one_fault(text: str | bytes, fault: str) -> None:
    assert one(text) == fault


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("name: b", "3:1 name | the key is there twice | first in line 2"),
        ("env: {A: x, B: y, A: z}", "3:19 env.A | the key is there twice | first in line 3"),
        ("1: x", '3:1  | a key must be text, found the number 1 | put it in quotes: "1"'),
        ("env: {true: x}", '3:7 env | a key must be text, found true | put it in quotes: "true"'),
        ("env: {~: x}", '3:7 env | a key must be text, found nothing | put it in quotes: "~"'),
        ("? [a]\n: x", "3:3  | a key must be text, found a list or mapping | "),
        ("env: &e {A: x}", "3:6 env | the anchor &e is not allowed in a plan | write the value out where it is needed; a value that begins with one of * & ! % @ ` must be put in quotes"),
        ("env: {<<: {A: x}}", "3:7 env | the merge key << is not allowed in a plan | write the value out where it is needed"),
        ("env: {A: !!python/object/apply:os.system [id]}", "3:10 env.A | the tag !!python/object/apply:os.system is not allowed in a plan | a value that begins with one of * & ! % @ ` must be put in quotes"),
        ("env: {A: !!str 3}", "3:10 env.A | the tag !!str is not allowed in a plan | a value that begins with one of * & ! % @ ` must be put in quotes"),
        ("env: {A: ! x}", "3:10 env.A | the tag ! is not allowed in a plan | a value that begins with one of * & ! % @ ` must be put in quotes"),
    ],
)  # fmt: skip
def test_what_yaml_has_and_a_plan_has_not_is_a_fault_of_its_own(line: str, fault: str) -> None:
    assert one(f"{OK_STEP}name: a\n{line}\nversion: 1\n") == fault


def test_a_second_document_is_a_fault() -> None:
    text = f"version: 1\n{OK_STEP}---\nversion: 1\n"
    assert one(text) == "3:1  | a second document begins here | a plan is one document"


def test_a_plan_with_very_many_faults_tells_the_first_and_that_there_are_more() -> None:
    text = "version: 1\nsteps:\n" + "- {type: command, run: x, needs: [a, b, c], nme: x}\n" * 5000
    found = faults(text)
    assert len(found) == MAX_FAULTS + 1
    assert found[0] == "3:45 steps[0].nme | unknown key | did you mean name?"
    assert found[-1].endswith(f" | there are more than {MAX_FAULTS} faults; the rest is not shown | ")


def test_a_plan_has_at_most_ten_thousand_steps() -> None:
    step = "- {type: command, run: x}\n"
    assert len(parse_plan("version: 1\nsteps:\n" + step * 10_000).steps) == 10_000
    assert one("version: 1\nsteps:\n" + step * 10_001) == "10003:3 steps[10000] | a plan has at most 10000 steps | "


@pytest.mark.parametrize("file", ["plan.yaml", "plan.json", "plan"])
def test_a_million_steps_are_refused_by_their_size_alone(file: str) -> None:
    assert one("- {}\n" * 1_000_000, file).endswith("the file has more than 4 MiB | let a command make large files")


def test_an_alias_bomb_is_refused_without_being_followed() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    found = faults("\n".join(lines))
    assert "1:5 a0 | the anchor &a0 is not allowed in a plan" in found[1]
    assert any("the alias *a3 is not allowed" in fault for fault in found)


def test_a_list_with_too_many_items_is_one_fault() -> None:
    text = "version: 1\nsteps:\n- {type: command, run: [" + "x," * 10_001 + "]}\n"
    assert one(text) == "3:24 steps[0].run | the list is too long: it may have 10000 items | "


def test_an_environment_that_is_too_large_for_a_process_is_a_fault() -> None:
    many = ", ".join(f"V{n}: x" for n in range(1001))
    assert "1001 variables with" in one(f"version: 1\nenv: {{{many}}}\n{OK_STEP}")
    large = ", ".join(f"V{n}: {'x' * 100_000}" for n in range(11))
    assert "11 variables with 1100" in one(f"version: 1\nenv: {{{large}}}\n{OK_STEP}")


def test_columns_are_counted_in_characters_and_lines_as_editors_do() -> None:
    assert one("version: 1\r\nname: x\r\nsteps: [{name: 'é😀', type: command, run: x, no: 1}]\r\n").startswith("3:45 ")
    assert one(
        '{"version": 1,\r\n "name": "é😀", "x": 1, "steps": [{"type": "test", "run": "x"}]}', "p.json"
    ).startswith("2:16 ")


def test_messages_hold_nothing_that_could_steer_a_terminal() -> None:
    text = '"a\\e[2J\\u202e": 1\nversion: 1\nsteps: [{type: "\\e]0;x\\a", run: x}, {type: command, "\\e[31m": 1, run: x, id: "\\u202e"}]\n'
    found = faults(text)
    assert len(found) == 4
    assert all(fault.isprintable() for fault in found)


def test_messages_stay_short_whatever_is_in_the_plan() -> None:
    long = "x" * 100_000
    text = f"version: 1\nname: {long}\nenv: {{{'A' * 900}: x}}\non_failure: {long}\nsteps: [{{type: {long}, run: x}}]\n"
    assert len(faults(text)) == 4
    assert all(len(fault) < 400 for fault in faults(text))


def test_no_fault_speaks_in_the_words_of_a_library() -> None:
    text = """\
version: [1]
name: {a: b}
environment: 3
sandbox: [x]
env: {A: {b: c}}
secrets: 5
retry: yes
on_failure: [stop]
rollback_to: {}
checks: {}
steps:
  - {type: command, run: 5, needs: {}, env: 3, retry: 3, sandbox: 3, checks: 3, stdin: [], cwd: {}, id: [], hide: 3}
  - {type: file_edit, path: [], replace: 3, insert: [], patch: {}, content: [], instruction: []}
  - {type: file_create, path: {}, content: {}, mode: {}, overwrite: []}
  - {type: validation, checks: 3, paths: 3}
  - {type: test, run: {}, junit: []}
"""
    found = faults(text)
    assert len(found) == 33
    for fault in found:
        for word in (
            "Input should",
            "valid",
            "dictionary",
            "tuple",
            "string",
            "instance",
            "Extra",
            "None",
            "type=",
            "object",
        ):
            assert word not in fault.replace("file_edit", "").split(" | ")[1], fault
