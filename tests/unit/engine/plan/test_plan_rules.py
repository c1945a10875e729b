"""Rules on single values: hostile paths, names, images, commands, modes."""

import contextlib
from collections.abc import Callable

import pytest

from engine.plan import rules
from engine.plan.refusal import ValueRefusedError, did_you_mean, shown

HOSTILE_PATHS = [
    "../x",
    "a/../../x",
    "a/..",
    "/etc/x",
    "/",
    "~",
    "~/x",
    "~root/x",
    "",
    ".",
    "./a",
    "a/./b",
    "a//b",
    "a/",
    "a\0b",
    "a\nb",
    "a\x1b[2Jb",
    "C:\\x",
    "c:/x",
    "\\\\server\\share",
    "x" * 256,
    "é" * 128,
    "a/" * 2500 + "b",
]


@pytest.mark.parametrize("path", HOSTILE_PATHS)
@pytest.mark.parametrize("rule", [rules.check_path, rules.check_file_path])
def test_a_path_that_is_not_plainly_inside_the_workspace_is_refused(rule: Callable[[str], str], path: str) -> None:
    with pytest.raises(ValueRefusedError) as caught:
        rule(path)
    assert caught.value.hint
    assert len(str(caught.value)) < 400
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "path", ["a", "src/main.py", "..x", "a..b/c", ".env", "-rf", " ", "é/ü", "a\\b", "x" * 255, "a:b", ".gitignore"]
)
def test_a_path_inside_the_workspace_is_kept_as_it_is(path: str) -> None:
    assert rules.check_file_path(path) == path


@pytest.mark.parametrize("path", [".git", ".git/x", "a/.git/hooks/pre-commit", ".GIT/config", "sub/.Git"])
def test_steps_that_change_files_leave_git_directories_alone(path: str) -> None:
    with pytest.raises(ValueRefusedError, match=r"\.git"):
        rules.check_file_path(path)
    assert rules.check_path(path) == path


def test_an_absolute_path_in_the_workspace_is_refused_with_its_relative_form() -> None:
    with pytest.raises(ValueRefusedError) as caught:
        rules.check_path("/workspace/src/a.py")
    assert caught.value.hint == "write src/a.py"


@pytest.mark.parametrize(
    ("cwd", "relative"),
    [
        (".", "."),
        ("./", "."),
        ("/workspace", "."),
        ("/workspace/", "."),
        ("src", "src"),
        ("src/", "src"),
        ("/workspace/src/deep", "src/deep"),
    ],
)
def test_a_working_directory_is_kept_relative_to_the_workspace(cwd: str, relative: str) -> None:
    assert rules.check_cwd(cwd) == relative


@pytest.mark.parametrize(
    "cwd", ["..", "/", "/etc", "/workspace/..", "/workspaces/x", "/workspace//etc", "~", "a/../..", "", "a\0"]
)
def test_a_working_directory_outside_the_workspace_is_refused(cwd: str) -> None:
    with pytest.raises(ValueRefusedError):
        rules.check_cwd(cwd)


@pytest.mark.parametrize(
    "image",
    [
        "python",
        "python:3.12-slim",
        "sandstone/runner",
        "localhost:5000/a/b:tag",
        "example.com/a__b/c.d-e:1_2.3",
        "python@sha256:" + "a" * 64,
        "python:3@sha256:" + "0" * 64,
        "sha256:" + "f" * 64,
    ],
)
def test_an_image_is_named_as_the_engine_names_it(image: str) -> None:
    assert rules.check_image(image) == image


@pytest.mark.parametrize(
    "image",
    [
        "--privileged",
        "-v/:/h",
        "x;id",
        "a b",
        "",
        "a" * 10_000,
        "a:",
        ":a",
        "a/",
        "/a",
        "a//b",
        "a:b:c:d",
        "a@sha256:12",
        "sha256:12",
        "$(id)",
        "a\n",
        "../a",
        "é",
    ],
)
def test_what_the_engine_could_misread_is_no_image(image: str) -> None:
    with pytest.raises(ValueRefusedError):
        rules.check_image(image)


@pytest.mark.parametrize("piece", ["a", "a.", "a-", "a.-", "a--", "a_", "a/", "a:", "A.", "a.a-"])
@pytest.mark.parametrize("end", ["", "!", "/a!", ":", "/"])
@pytest.mark.timeout(5)
def test_a_hostile_image_name_is_judged_in_linear_time(piece: str, end: str) -> None:
    name = (piece * 300)[: 511 - len(end)] + end
    for candidate in (name, "a." + name[2:], "localhost/" + name[10:]):
        with contextlib.suppress(ValueRefusedError):
            rules.check_image(candidate)


def test_an_image_in_upper_case_is_refused_with_its_lower_case_form() -> None:
    with pytest.raises(ValueRefusedError) as caught:
        rules.check_image("Team/App:Latest")
    assert "team/app" in caught.value.hint


@pytest.mark.parametrize("name", ["", "A=B", "A B", "1A", "A-B", "A\n", "A\0", "é", "A" * 256, "${A}"])
def test_what_no_shell_takes_is_no_variable_name(name: str) -> None:
    with pytest.raises(ValueRefusedError):
        rules.check_env_name(name)


@pytest.mark.parametrize("step_id", ["", "-a", ".a", "_a", "a b", "a/b", "a" * 65, "a\n", "é"])
def test_what_could_not_be_part_of_a_path_is_no_step_id(step_id: str) -> None:
    with pytest.raises(ValueRefusedError):
        rules.check_step_id(step_id)


@pytest.mark.parametrize("step_id", ["a", "0", "step-1", "A_b.c-d", "a" * 64])
def test_a_step_id_is_kept(step_id: str) -> None:
    assert rules.check_step_id(step_id) == step_id


@pytest.mark.parametrize("command", ["", "  \n", "a\0b", "x" * 131_072, "é" * 65_536])
def test_a_command_that_no_process_can_be_given_is_refused(command: str) -> None:
    with pytest.raises(ValueRefusedError):
        rules.check_command_text(command)


def test_the_longest_command_that_a_process_can_be_given_is_taken() -> None:
    assert rules.check_command_text("x" * 131_071)


@pytest.mark.parametrize("argv", [(), ("",), ("a", *["x" * 100_000] * 11)])
def test_arguments_name_a_program_and_fit_into_one_exec(argv: tuple[str, ...]) -> None:
    with pytest.raises(ValueRefusedError):
        rules.check_argv(argv)


@pytest.mark.parametrize(("text", "mode"), [("0644", 0o644), ("755", 0o755), ("0o600", 0o600), ("000", 0)])
def test_a_mode_is_octal(text: str, mode: int) -> None:
    assert rules.read_mode(text) == mode


@pytest.mark.parametrize("text", ["4755", "1777", "2755", "888", "rwxr-xr-x", "", "7", "00644", "0x1ff", "-644"])
def test_a_mode_has_only_permissions(text: str) -> None:
    with pytest.raises(ValueRefusedError):
        rules.read_mode(text)


@pytest.mark.parametrize("pattern", [".env", "**/*.pem", "/secrets/", "!keep.pem", "a[bc]?", "dir/**"])
def test_a_pattern_to_hide_is_one_of_gitignore(pattern: str) -> None:
    assert rules.check_pattern(pattern) == pattern


@pytest.mark.parametrize(
    "pattern", ["", "  ", "# note", "../x", "a/../b", "a\nb", "a" * 5000, "*a*a*a*", "**/" * 5 + "x"]
)
def test_a_pattern_that_matches_nothing_or_too_slowly_is_refused(pattern: str) -> None:
    with pytest.raises(ValueRefusedError):
        rules.check_pattern(pattern)


@pytest.mark.parametrize("name", ["absent", "", "Lint", "../lint"])
def test_a_check_that_does_not_exist_is_refused_by_name_with_those_that_do(name: str) -> None:
    with pytest.raises(ValueRefusedError) as caught:
        rules.check_check_name(name)
    assert "lint" in caught.value.hint
    assert shown(name) in caught.value.message


@pytest.mark.parametrize("title", ["a\nb", "a\x1b]0;x\x07", "abc\u202edcb", "x" * 201])
def test_a_name_for_people_is_one_printable_line(title: str) -> None:
    with pytest.raises(ValueRefusedError):
        rules.check_title(title)


def test_a_listed_path_is_no_pattern() -> None:
    assert rules.check_listed_path(".") == "."
    assert rules.check_listed_path("app/[id]/page.py") == "app/[id]/page.py"
    with pytest.raises(ValueRefusedError, match="pattern"):
        rules.check_listed_path("src/*.py")


def test_values_are_shown_short_and_printable() -> None:
    assert shown("a\x1b\u202eb") == '"a\\x1b\\u202eb"'
    assert len(shown("x" * 10_000)) == 62


def test_a_hint_looks_at_no_more_than_what_stays_quick() -> None:
    assert did_you_mean("commnd", ["command"]) == "did you mean command?"
    assert did_you_mean("COMMAND", ["command"]) == "did you mean command?"
    assert did_you_mean("x" * 1000, ["x" * 999]) == ""
    assert did_you_mean("needle", [*(f"straw{n}" for n in range(10_000)), "needle"]) == ""
