"""The figures as tables in docs/benchmarks.md, as docs/benchmarks.json, and as one picture."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from benchmarks.common import ROOT, Figures

_JSON: Final = ROOT / "docs" / "benchmarks.json"
_PAGE: Final = ROOT / "docs" / "benchmarks.md"
_PLOT: Final = ROOT / "docs" / "benchmarks.svg"
_BEGIN, _END = "<!-- {name}: made by `make bench` -->", "<!-- end of {name} -->"


def read_figures() -> Figures:
    return json.loads(_JSON.read_text()) if _JSON.exists() else {}


def write_report(all_figures: Figures) -> None:
    """Write the file of figures, the page's tables and the picture."""
    _JSON.write_text(json.dumps(all_figures, indent=1) + "\n")
    page = _PAGE.read_text()
    tables = {
        "step_overhead": _step_overhead,
        "checkpoint_rollback": _checkpoint_rollback,
        "throughput": _throughput,
        "long_plan": _long_plan,
        "startup": _startup,
        "history": _long_plan,
        "service": _long_plan,
        "validation": _startup,
    }
    for name, table in tables.items():
        if name in all_figures:
            body = _about(all_figures[name]["about"]) + "\n\n" + table(all_figures[name]["figures"])
            page = _between(page, name, body)
    _PAGE.write_text(page)
    _plot({name: found["figures"] for name, found in all_figures.items()})


def _between(page: str, name: str, body: str) -> str:
    begin, end = _BEGIN.format(name=name), _END.format(name=name)
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n{body}\n{end}{after}"


def _about(about: Figures) -> str:
    return (
        f"_{about['date']}, commit {about['commit']}: Docker Engine {about['engine']}, kernel {about['kernel']}, "
        f"Python {about['python']}, {about['cores']} cores, {about['memory_gib']} GiB; "
        f"load average {about['load_before']} before, {about['load_after']} after._"
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return "\n".join(lines)


def _ms(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _spread(name: str, found: Figures) -> list[str]:
    return [name, _ms(found["p50"]), _ms(found["p95"]), _ms(found["min"]), str(found["n"])]


_SPREAD_HEAD: Final = ("", "p50 ms", "p95 ms", "min ms", "n")


def _step_overhead(figures: Figures) -> str:
    parts = []
    for variant, found in figures.items():
        rows = [_spread(name, row) for name, row in found.items() if isinstance(row, dict)]
        ratio = found["docker run / sandstone (p50)"]
        parts.append(
            f"A step that {variant}: `docker run` takes **{ratio} times** as long.\n\n" + _table(_SPREAD_HEAD, rows)
        )
    return "\n\n".join(parts)


def _checkpoint_rollback(figures: Figures) -> str:
    sizes = list(figures)
    names = list(figures[sizes[0]])
    head = ["p50 / p95 ms", *(f"{int(size):,} files" for size in sizes)]
    rows = [[n, *(f"{_ms(figures[s][n]['p50'])} / {_ms(figures[s][n]['p95'])}" for s in sizes)] for n in names]
    return _table(head, rows)


def _throughput(figures: Figures) -> str:
    names = list(next(iter(figures.values())))
    return _table(["executions at once", *names], [[at_once, *found.values()] for at_once, found in figures.items()])


def _long_plan(figures: Figures) -> str:
    rows = [_spread(name, row) for name, row in figures.items() if isinstance(row, dict) and "p50" in row]
    facts = [f"{name}: {value}" for name, value in figures.items() if not isinstance(value, dict)]
    return _table(_SPREAD_HEAD, rows) + "\n\n" + "; ".join(facts) + "."


def _startup(figures: Figures) -> str:
    return _table(_SPREAD_HEAD, [_spread(f"`{name}`", found) for name, found in figures.items()])


# -- the picture -----------------------------------------------------------------------------------


def _plot(figures: Figures) -> None:
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams |= {"svg.hashsalt": "sandstone", "svg.fonttype": "none"}
    from matplotlib import pyplot

    figure, ((steps, sizes), (rates, plan)) = pyplot.subplots(2, 2, figsize=(11, 7.5))
    if "step_overhead" in figures:
        _plot_steps(steps, figures["step_overhead"])
    if "checkpoint_rollback" in figures:
        _plot_sizes(sizes, figures["checkpoint_rollback"])
    if "throughput" in figures:
        _plot_rates(rates, figures["throughput"])
    if "long_plan" in figures:
        _plot_plan(plan, figures["long_plan"])
    figure.tight_layout()
    figure.savefig(_PLOT, metadata={"Date": None})
    pyplot.close(figure)
    # Without spaces at the ends of lines, which the picture's writer leaves.
    _PLOT.write_text("\n".join(line.rstrip() for line in _PLOT.read_text().splitlines()) + "\n")


def _plot_steps(axes: Any, figures: Figures) -> None:
    names = ("bwrap", "sandstone", "docker run")
    for offset, (variant, found) in zip((-0.2, 0.2), figures.items(), strict=True):
        heights = [found[name]["p50"] for name in names]
        bars = axes.bar([i + offset for i in range(len(names))], heights, 0.38, label=variant)
        axes.bar_label(bars, fmt="%.0f", fontsize=8)
    axes.set_yscale("log")
    axes.set_xticks(range(len(names)), names)
    axes.set(title="One step (p50)", ylabel="ms")
    axes.legend(fontsize=8)


def _plot_sizes(axes: Any, figures: Figures) -> None:
    sizes = [int(size) for size in figures]
    for name in next(iter(figures.values())):
        peer = name in ("cp -a", "git", "docker commit")
        axes.plot(sizes, [figures[str(s)][name]["p50"] for s in sizes], "--o" if peer else "-o", label=name, ms=4)
    axes.set(
        xscale="log", yscale="log", title="Checkpoint and rollback (p50)", xlabel="files in the project", ylabel="ms"
    )
    axes.legend(fontsize=7)


def _plot_rates(axes: Any, figures: Figures) -> None:
    for offset, name in ((-0.2, "steps/s"), (0.2, "bare containers/s")):
        bars = axes.bar(
            [i + offset for i in range(len(figures))], [f[name] for f in figures.values()], 0.38, label=name
        )
        axes.bar_label(bars, fmt="%.1f", fontsize=8)
    axes.set_xticks(range(len(figures)), list(figures))
    axes.set(title="Forty one-line steps", xlabel="executions at once", ylabel="per second")
    axes.legend(fontsize=8)


def _plot_plan(axes: Any, figures: Figures) -> None:
    series = figures["series"]
    axes.plot(series["edit_ms"], ".", ms=2, label="an edit, ms", rasterized=True)
    axes.set(title=f"A plan of {figures['steps']} steps", xlabel="step", ylabel="ms", yscale="log")
    other = axes.twinx()
    resident = series["resident_mib"]
    other.plot([i * series["resident_every"] for i in range(len(resident))], resident, "C1", label="resident, MiB")
    other.set(ylabel="MiB", ylim=(0, max(resident) * 1.3))
    axes.legend(fontsize=8, loc="lower left")
    other.legend(fontsize=8, loc="lower right")
