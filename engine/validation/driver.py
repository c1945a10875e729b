"""The shell script that runs checks inside one sandbox, and the reading of what it prints. Pure.

What the script does, in this order:

1. drops every directory of PATH that is relative or inside the workspace, so that no planted program is found;
2. reads from stdin the named paths, a blank line and the archive of our own programs, asks git which files differ from
   the commit when that is what to look at, and counts the Python files among what is named: the frame `selection`;
3. runs side by side the checks that run no code of the project, and prints their frames;
4. then runs, one after the other, those that do.

Tools get a fresh environment and an empty home, write to files of bounded size, and have a time limit each. The
limit is counted in ticks of a second, so that time for which the sandbox was frozen does not count. At its end the
tool's process group is killed, and what a tool leaves behind in its group is killed when it ends. Needs of the
image: a POSIX shell with the usual small programs (coreutils and findutils, or busybox) and `setsid`.
"""

from __future__ import annotations

import base64
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from engine.validation.archive import pack
from engine.validation.frames import END, SELECTION, Reading, read_frames
from engine.validation.selection import SKIPPED_DIRECTORIES, Selection
from engine.validation.validator import Check, ToolOutput, ToolPlaces
from sandbox.spec import MIB, ExecRequest, ExecResult

MAX_STDOUT_BYTES: Final = 4 * MIB
"""What one check may print; one that reaches it gave no answer."""

MAX_FILE_BYTES: Final = 256 * MIB
"""No file that a tool writes is larger; its output is not unless it asks for more, as browsers must for their own."""

MAX_STDERR_BYTES: Final = 16 * 1024
"""What is kept of a check's stderr: its end."""

_FRAMING_BYTES: Final = 1 * MIB
_INERT_SHARE: Final = 3
"""The checks that run no project code get at most one third of the time, so that the others have the rest."""

_FUNCTIONS: Final = """\
set -u -f
tool() {
  for name; do
    IFS=:
    for dir in $where; do
      if [ -f "$dir/$name" ] && [ -x "$dir/$name" ]; then
        printf '%s\\n' "$dir/$name"
        return 0
      fi
    done
  done
  printf '%s\\n' "no $* in $where" >&2
  return 127
}
scripts_there() {
  [ 0 -lt "$({ [ "$named" = 1 ] || printf '.\\n'; cat "$listed"; } | tr '\\n' '\\000' |
    xargs -0 -r sh -c 'find "$@" @SCRIPTS@' find 2>/dev/null | tr -cd '\\000' | wc -c)" ]
}
clean() {
  env -i PATH="$PATH" HOME="$work/home" XDG_CONFIG_HOME="$work/home" TMPDIR="$work/tmp" LANG=C.UTF-8 \\
    PYTHONSAFEPATH=1 PYTHONNOUSERSITE=1 PYTHONDONTWRITEBYTECODE=1 "$@"
}
"""

_SET_UP: Final = """\
set -u -f
export LC_ALL=C
root=$(pwd -P)
safe=
IFS=:
for dir in ${PATH:-/usr/local/bin:/usr/bin:/bin}; do
  case $dir in /*) dir=$(cd -P -- "$dir" 2>/dev/null && pwd -P) || continue ;; *) continue ;; esac
  case $dir/ in "$root"/*) ;; *) safe=${safe:+$safe:}$dir ;; esac
done
unset IFS
PATH=$safe
work=$(mktemp -d) && mkdir "$work/home" "$work/tmp" || exit 70
export PATH root work tools where=$tools:$PATH
targets=$work/targets listed=$work/listed missing=$work/missing tops=$work/tops choice=$work/choice
: >"$targets" && : >"$listed" && : >"$missing" && : >"$tops" && : >"$choice" || exit 70
name_path() {
  if [ -d "$path" ] && [ ! -h "$path" ]; then
    printf '%s\\n' "$path" >>"$listed"
    printf '%s\\n' "$path" >>"$targets"
    printf '%s/.\\n' "$path" >>"$tops"
  elif [ -e "$path" ] || [ -h "$path" ]; then
    printf '%s\\n' "$path" >>"$listed"
    if [ -f "$path" ] && [ ! -h "$path" ]; then
      case $path in *.py | *.pyi) printf '%s\\n' "$path" | tee -a "$targets" >>"$tops" ;; esac
    fi
  else
    printf '%s\\n' "$path" >>"$missing"
  fi
}
while IFS= read -r path; do
  case $path in ./*) name_path ;; *) break ;; esac
done
[ "$since_commit" = 0 ] || choose_changed
[ "$named" = 1 ] || printf '.\\n' | tee "$targets" >"$tops"
programs=$work/programs.zip
[ "$packed" = 0 ] || base64 -d >"$programs" || exit 70
"""

_CHANGED: Final = """\
plain_git() {
  env -i PATH="$PATH" HOME="$work/home" git -c safe.directory='*' -c core.bare=false -c core.quotePath=false "$@"
}
differing() {
  git=$work/git
  commit=$(plain_git --git-dir="$root/.git" rev-parse --verify --quiet 'HEAD^{commit}') &&
    form=$(plain_git --git-dir="$root/.git" rev-parse --show-object-format) &&
    plain_git init --quiet --bare --template= --object-format="$form" "$git" &&
    mkdir -p "$git/objects/info" "$git/info" || return 1
  printf '%s\\n' "$root/.git/objects" >"$git/objects/info/alternates"
  [ ! -f "$root/.git/info/exclude" ] || cp "$root/.git/info/exclude" "$git/info/exclude" || return 1
  plain_git --git-dir="$git" --work-tree="$root" read-tree "$commit" || return 1
  plain_git --git-dir="$git" --work-tree="$root" update-index -q --refresh >/dev/null
  plain_git --git-dir="$git" --work-tree="$root" diff-files --name-only --diff-filter=d -z >"$work/differing" &&
    plain_git --git-dir="$git" --work-tree="$root" ls-files --others --exclude-standard -z >>"$work/differing"
}
choose_changed() {
  if [ ! -d .git ] || [ -h .git ] || ! command -v git >/dev/null || ! differing 2>"$work/git.err"; then
    printf 'no_commit\\n' >"$choice"
    return
  fi
  named=1
  tr '\\n\\000' '\\001\\n' <"$work/differing" >"$work/names"
  grep '[[:cntrl:]]' <"$work/names" >"$choice"
  grep -v '[[:cntrl:]]' <"$work/names" | sed 's|^|./|' >"$work/speakable"
  while IFS= read -r path; do [ ! -e "$path" ] || name_path; done <"$work/speakable"
}
"""
"""What differs from the commit, and what git does not know and does not ignore. Neither the repository's configuration
nor its index is used, because they can name programs that git would run: its objects are only read."""

_COUNT: Final = """\
python_files=$(tr '\\n' '\\000' <"$tops" | xargs -0 -r sh -c 'find "$@" %s' find 2>/dev/null | tr -cd '\\000' | wc -c)
python_files=$((python_files))
"""
"""A directory was written as `name/.` so that it is looked into also when it is called like a skipped one."""

_RUNNING: Final = """\
frame() {
  first=$(head -c "$max_out" <"$3" | wc -c)
  second=$(tail -c "$max_err" <"$4" | wc -c)
  printf '%s %s %s %d %d\\n' "$nonce" "$1" "$2" "$first" "$second"
  head -c "$first" <"$3"
  tail -c "$second" <"$4"
  printf '\\n'
}
begin() {
  (
    ulimit -S -f "$blocks" && ulimit -H -f "$most_blocks"
    exec setsid /bin/sh -c "$3" "$1" </dev/null >"$work/$1.out" 2>"$work/$1.err"
  ) &
  pid=$!
  (
    ticks=0
    while [ "$ticks" -lt "$2" ]; do
      sleep 1
      ticks=$((ticks + 1))
    done
    : >"$work/$1.hung"
    kill -s KILL "$pid"
  ) </dev/null >/dev/null 2>&1 &
  dog=$!
}
finish() {
  wait "$2"
  status=$?
  kill -s KILL "$3"
  kill -s KILL -- "-$2"
  [ ! -e "$work/$1.hung" ] || status=hung
  frame "$1" "$status" "$work/$1.out" "$work/$1.err"
} 2>/dev/null
"""


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What a batch left. outputs: by check name. problem: why the others have none, "" when all have one.

    missing: named paths that are not in the workspace. unspeakable: files that differ from the commit and whose names
    cannot be handed to a tool. no_commit: there is no commit to compare with.
    """

    outputs: dict[str, ToolOutput]
    missing: tuple[bytes, ...]
    problem: str
    unspeakable: tuple[bytes, ...] = ()
    no_commit: bool = False


def batches(checks: Sequence[Check]) -> list[list[Check]]:
    """The checks by sandbox: those of one image that run no project code and one that does share the first. One that
    writes into the workspace has its own.

    Each further one that runs project code gets a sandbox of its own, because what such a check leaves behind
    could write the results of those that come after it.
    """
    shares = []
    for variant in dict.fromkeys(check.variant for check in checks):
        own = [check for check in checks if check.variant == variant]
        inert = [check for check in own if not check.runs_project_code]
        others = [check for check in own if check.runs_project_code and not check.writes]
        first = [*inert, *others[:1]]
        shares += [*([first] if first else []), *([check] for check in others[1:])]
        shares += [[check] for check in own if check.writes]
    return shares


def batch_request(
    batch: Sequence[Check], selection: Selection, places: ToolPlaces, nonce: str, timeout: timedelta
) -> ExecRequest:
    """The request that runs a batch. Preconditions: `nonce` is hexadecimal; `batch` came from `batches`."""
    return ExecRequest(
        command=("/bin/sh", "-c", _script(batch, selection, places, nonce, timeout)),
        cwd=places.root,
        stdin=f"{selection.listing()}\n{_archive(batch)}",
        timeout=timeout,
        output_limit_bytes=len(batch) * (MAX_STDOUT_BYTES + MAX_STDERR_BYTES) + _FRAMING_BYTES,
    )


def read_batch(batch: Sequence[Check], places: ToolPlaces, nonce: str, result: ExecResult) -> BatchResult:
    """What the sandbox printed, as outputs of the checks. Total.

    When the sandbox hit a limit or the script did not end well, what was printed by checks that run no code
    of the project still counts: it was complete before any such code ran.
    """
    out = result.stdout
    names = [SELECTION, *(check.name for check in batch), END]
    reading = read_frames(out.head if out.omitted_bytes else out.head + out.tail, nonce, names)
    problem = _problem(reading, result)
    if SELECTION not in reading.frames:
        return BatchResult({}, (), problem)
    start = reading.frames[SELECTION]
    outputs = {
        check.name: ToolOutput(
            exit_code=frame.status,
            stdout=frame.first,
            stderr=frame.second,
            python_files=start.status or 0,
            root=places.root,
            overflow=len(frame.first) >= MAX_STDOUT_BYTES,
        )
        for check in batch
        if (frame := reading.frames.get(check.name)) and not (problem and check.runs_project_code)
    }
    missing = tuple(line.removeprefix(b"./") for line in start.first.split(b"\n") if line)
    choice = [line for line in start.second.split(b"\n") if line]
    no_commit = choice == [b"no_commit"]
    unspeakable = () if no_commit else tuple(line.replace(b"\1", b"\n") for line in choice)
    return BatchResult(outputs, missing, problem, unspeakable, no_commit)


def time_limits(batch: Sequence[Check], timeout: timedelta) -> list[int]:
    """Whole seconds for each check, at least one: together they end before the sandbox's own limit does."""
    total = max(2, int(timeout.total_seconds()))
    shared = any(check.runs_project_code for check in batch) and not all(check.runs_project_code for check in batch)
    inert = max(1, total // _INERT_SHARE) if shared else total - 1
    others = max(1, total - 1 - inert) if shared else total - 1
    return [min(check.time_limit_seconds(), others if check.runs_project_code else inert) for check in batch]


def _problem(reading: Reading, result: ExecResult) -> str:
    if result.verdict is not None:
        return result.detail or f"the sandbox ended it: {result.verdict.value}"
    if reading.problem:
        tail = (result.stderr.head + result.stderr.tail)[-500:].decode("utf-8", "replace").strip()
        return f"{reading.problem} (exit code {result.exit_code}){f': {tail}' if tail else ''}"
    return "" if result.exit_code == 0 else f"the driver ended with exit code {result.exit_code}"


def _script(batch: Sequence[Check], selection: Selection, places: ToolPlaces, nonce: str, timeout: timedelta) -> str:
    limits = time_limits(batch, timeout)
    return "".join(
        (
            f"nonce={nonce} tools={shlex.quote(places.tools)} named={0 if selection.whole else 1}"
            f" packed={int(any(check.programs for check in batch))} since_commit={int(selection.since_commit)}\n",
            f"max_out={MAX_STDOUT_BYTES} max_err={MAX_STDERR_BYTES} blocks={MAX_STDOUT_BYTES // 512}"
            f" most_blocks={MAX_FILE_BYTES // 512}\n",
            _CHANGED,
            _SET_UP,
            _COUNT % _find_expression("*.py", "*.pyi"),
            "export named targets listed programs python_files\n",
            _RUNNING,
            f'frame {SELECTION} "$python_files" "$missing" "$choice"\n',
            *(_begin(n, check, limits[n]) for n, check in enumerate(batch) if not check.runs_project_code),
            *(_finish(n, check) for n, check in enumerate(batch) if not check.runs_project_code),
            *(
                _begin(n, check, limits[n]) + _finish(n, check)
                for n, check in enumerate(batch)
                if check.runs_project_code
            ),
            f"frame {END} 0 /dev/null /dev/null\n",
        )
    )


def _archive(batch: Sequence[Check]) -> str:
    """The programs of the batch in base64; "" when there are none."""
    modules = frozenset(name for check in batch for name in check.programs)
    return base64.b64encode(pack(modules)).decode("ascii") if modules else ""


def _begin(number: int, check: Check, limit: int) -> str:
    script = shlex.quote(_FUNCTIONS_OF_CHECKS + check.script())
    return f"begin {check.name} {limit} {script}\npid_{number}=$pid dog_{number}=$dog\n"


def _finish(number: int, check: Check) -> str:
    return f'finish {check.name} "$pid_{number}" "$dog_{number}"\n'


def _find_expression(*names: str) -> str:
    """find's words for files of these names outside the skipped directories; a named one itself is never skipped."""
    skipped = " -o ".join(f"-name {name}" for name in SKIPPED_DIRECTORIES)
    wanted = " -o ".join(f'-name "{name}"' for name in names)
    return f'-type d "(" {skipped} ")" -prune -o -type f "(" {wanted} ")" -print0'


_SCRIPTS: Final = (
    "*.js", "*.mjs", "*.cjs", "*.jsx", "*.ts", "*.mts", "*.cts", "*.tsx", "*.vue", "*.svelte", "*.astro",
)  # fmt: skip
_FUNCTIONS_OF_CHECKS: Final = _FUNCTIONS.replace("@SCRIPTS@", _find_expression(*_SCRIPTS))
