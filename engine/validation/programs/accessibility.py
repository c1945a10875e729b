"""Looks at rendered pages with axe-core in a headless Chromium; runs inside a sandbox of the image variant `web`.

    python3 -I PROGRAMS accessibility SKIPPED [LISTING]

Pages are the HTML files of the selection that are no templates. Each is opened as a file, its scripts run, there is
no network. Rules are those of WCAG 2.0 and 2.1, A and AA. A finding names the criterion, the selector, and for
contrast the colours and the ratio. What axe-core cannot decide is told as info. The last line also has `opened`.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from typing import Any
from urllib.parse import quote

from engine.validation.programs.browser import Browser, BrowserError
from engine.validation.programs.looking import Report, arguments_of, at_hand, done, read, selected

CHROMIUM = "/usr/lib/chromium/chromium-headless-shell"
AXE = "/opt/web/axe.min.js"
PAGES = (b".html", b".htm", b".xhtml")
MAX_PAGES = 200
LOAD_S = 10
RUN_S = 20

TEMPLATE = re.compile(rb"\{%|\{\{|<%|\{#")
TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa")
CRITERION = re.compile(r"wcag(\d)(\d)(\d{1,2})")
GRAVE = frozenset({"critical", "serious"})
RUN = """
axe.run(document, {runOnly: %s, resultTypes: ["violations", "incomplete"]}).then((found) => {
  const told = (rules, certain) => rules.flatMap((rule) => rule.nodes.map((node) => ({
    certain, rule: rule.id, impact: node.impact || rule.impact, help: rule.help, url: rule.helpUrl, tags: rule.tags,
    target: node.target.flat(3).join(" "), html: node.html, summary: node.failureSummary || "",
    data: [...node.any, ...node.all, ...node.none].map((check) => check.data).filter((it) => it && it.contrastRatio),
  })));
  return [...told(found.violations, true), ...told(found.incomplete, false)].slice(0, 500);
})"""


def main(arguments: list[str]) -> None:
    skipped, listing = arguments_of(arguments)
    report = Report()
    pages = [path for path in selected(listing, skipped, report) if path.lower().endswith(PAGES)]
    opened = 0
    if pages and not (os.path.exists(CHROMIUM) and os.path.exists(AXE)):
        report.add("tool-missing", "the image has no browser or no axe-core: it is not the variant web", pages[0])
    elif pages:
        with open(AXE, encoding="utf-8") as stream:
            axe = stream.read()
        with tempfile.TemporaryDirectory() as directory, Browser(CHROMIUM, directory) as browser:
            for path in pages[:MAX_PAGES]:
                opened += look(browser, axe, path, report)
    if len(pages) > MAX_PAGES:
        report.notes[f"pages beyond the first {MAX_PAGES} are not checked"] = len(pages) - MAX_PAGES
    done(report, opened, [], opened=opened)


def look(browser: Browser, axe: str, path: bytes, report: Report) -> bool:
    """Open one page and tell what is wrong with it. Returns whether it was opened."""
    at_hand(path)
    data = read(path, report)
    if data is None:
        return False
    if TEMPLATE.search(data):
        report.note("HTML templates are not checked")
        return False
    try:
        browser.open_page(LOAD_S)
        if not browser.navigate("file://" + quote(os.path.abspath(path)), LOAD_S):
            report.note("the page was still loading when it was looked at")
        browser.evaluate(axe + ";0", RUN_S)
        found = browser.evaluate(RUN % json.dumps(TAGS), RUN_S)
    except TimeoutError:
        report.add("page-failed", f"the page did not come to rest in {RUN_S} s", path)
        return True
    except BrowserError as error:
        report.add("page-failed", f"the page could not be looked at: {error}", path)
        return True
    for node in found if isinstance(found, list) else []:
        tell(node, data, path, report)
    return True


def tell(node: dict[str, Any], data: bytes, path: bytes, report: Report) -> None:
    """One finding for one element."""
    severity = "info" if not node["certain"] else "error" if node["impact"] in GRAVE else "warning"
    line, column = place(str(node["html"]), data)
    parts = [f"{node['help']}: {node['target']}"]
    for contrast in node["data"]:
        parts.append(
            f"contrast {contrast['contrastRatio']}:1 of {contrast.get('fgColor')} on {contrast.get('bgColor')},"
            f" {contrast.get('expectedContrastRatio')} is needed"
        )
    if not node["certain"]:
        parts.append("look at it yourself: it cannot be decided here")
    report.add(
        str(node["rule"]), "\n".join(parts), path, severity, line=line, column=column, category="accessibility",
        help_url=str(node["url"]), reference=criterion(node["tags"]),
    )  # fmt: skip


def criterion(tags: list[str]) -> str:
    """`WCAG 1.4.3` of `wcag143`."""
    for tag in tags:
        matched = CRITERION.fullmatch(tag)
        if matched:
            return f"WCAG {matched[1]}.{matched[2]}.{matched[3]}"
    return ""


def place(html: str, data: bytes) -> tuple[int | None, int | None]:
    """Where the element begins in the file: the first place with its start tag as the browser writes it, if any.

    A script can have made it, and the browser writes tags in its own way: then it is not known.
    """
    start = html[: html.find(">") + 1].encode("utf-8", "surrogatepass")
    tag = re.match(rb"<[a-zA-Z][\w-]*", start)
    if not tag:
        return None, None
    at = data.find(start)
    if at < 0 and len(re.findall(re.escape(tag[0]) + rb"[\s>/]", data, re.I)) == 1:
        found = re.search(re.escape(tag[0]) + rb"[\s>/]", data, re.I)
        at = found.start() if found else -1
    if at < 0:
        return None, None
    before = data[:at]
    return before.count(b"\n") + 1, len(before.rpartition(b"\n")[2].decode("utf-8", "replace")) + 1
