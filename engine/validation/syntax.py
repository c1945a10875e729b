"""The `syntax` check: every file of a known language parses, with the image's own programs and with parsers of its
tools.

The image's own Python compiles Python, which is parsing and the checks after it; its own bash reads shell scripts;
what else there is comes from `/opt/tools`. Nothing of the project is run or imported. The work is done by
`programs/syntax.py`, in one interpreter where the image's Python is the one of its tools, else in two. Fails on every
finding of severity error; invalid escapes and the like are warnings and do not fail it. A file of a language whose
parser is not in the image is no answer.
"""

from __future__ import annotations

from typing import Final

from engine.validation.program import invocation, read_report, result_of
from engine.validation.validator import CheckResult, ToolOutput, ToolOutputError

_SCRIPT: Final = f"""\
own=$(where=$PATH:$tools tool python3) || exit 127
parsers=$(where=$tools tool python3 2>/dev/null) || parsers=
syntax() {{
python=$1 PART=$2
shift 2
{invocation("syntax", 'env TOOLS="$where" PART="$PART"')}}}
if [ -z "$parsers" ] || [ "$parsers" = "$own" ]; then
  syntax "$own" all
elif [ "$(readlink -f -- "$parsers")" = "$(readlink -f -- "$own")" ]; then
  syntax "$parsers" all
else
  syntax "$own" own && syntax "$parsers" parsed
fi
"""

_PARTS: Final = (("all",), ("own", "parsed"))


class SyntaxCheck:
    """Parsers over every file; see `engine.validation.validator.Check`."""

    name: Final = "syntax"
    python_only: Final = False
    runs_project_code: Final = False
    writes: Final = False
    variant: Final = ""
    programs: Final = (
        "looking",
        "oxlint",
        "syntax",
        "syntax_css",
        "syntax_data",
        "syntax_javascript",
        "syntax_python",
        "syntax_shell",
        "syntax_sql",
        "syntax_trees",
    )

    def time_limit_seconds(self) -> int:
        return 300

    def script(self) -> str:
        return _SCRIPT

    def parse(self, output: ToolOutput) -> CheckResult:
        report = read_report(output, self.name, "syntax")
        if tuple(end.get("part") for end in report.ends) not in _PARTS:
            raise ToolOutputError("it stopped between its parts")
        return result_of(self.name, output, report)
