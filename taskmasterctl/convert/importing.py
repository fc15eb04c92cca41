"""`import`: from the words of the command line to an outcome, a report and an exit code."""

from __future__ import annotations

import os

from taskmaster_common.errors import RequestError
from taskmaster_common.jsontext import json_writer
from taskmasterctl.convert.files import write_outcome
from taskmasterctl.convert.kinds.table import KINDS, one_kind
from taskmasterctl.convert.outcome.model import Draft
from taskmasterctl.convert.outcome.text import text_of
from taskmasterctl.convert.reading.files import STDIN, InputReader, Unreadable, WrongInput
from taskmasterctl.convert.report import LossReport, counted
from taskmasterctl.convert.settings import Given, ImportSettings
from taskmasterctl.output import ERR, OUT, write
from taskmasterctl.visible import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from taskmaster_common.commands.table import Request
    from taskmasterctl.output import Write

CANNOT_WRITE = 1
USAGE = 2
LOSSES = 3
CANNOT_READ = 4
WRONG = 6
FLAGS_OF_KINDS = {
    "workdir": ("supervisor", "circus", "process-compose"),
    "ordered": ("supervisor",),
    "strict_stop": ("supervisor",),
    "supervisor_env": ("supervisor",),
}
"""The kinds that have a use for a flag."""


def run_import(request: Request, environment: Mapping[str, str], *, as_json: bool, show: Write = write) -> int:
    """Carry out `import`; `--check` looks at the environment; `show` gets what is for people. Raises RequestError "usage"."""
    _check(request, as_json=as_json)
    report = LossReport()
    reader = InputReader()
    try:
        files = [reader.named(name) for name in request.targets]
        kind = one_kind(files, request.text("from"))
        _check_flags(request, kind)
        outcome = Draft(kind, report)
        outcome.sources = [file.name for file in files]
        settings = _settings(request, files[0].directory)
        KINDS[kind]()(files, settings, reader, outcome)
    except Unreadable as error:
        return _said([f"taskmasterctl: {error}"], CANNOT_READ, show)
    except WrongInput as error:
        return _said([*report.errors(), *(str(each) for each in error.args)], WRONG, show)
    if report.wrong:
        return _said(report.errors(), WRONG, show)
    for name in settings.values:
        if isinstance(settings.values, Given) and name not in settings.values.used:
            report.note(f"--set {name}: nothing in the input asks for it")
    if not request.has("output") and settings.base != os.getcwd():
        report.note(f"the outcome is meant for {settings.base}/taskmaster.yaml; -o FILE says another place")
    return _finish(request, outcome, settings, environment, as_json=as_json, show=show)


def _check(request: Request, *, as_json: bool) -> None:
    if not request.targets:
        raise RequestError("usage", "import needs a file", USAGE)
    if as_json and not request.has("output"):
        raise RequestError("usage", "--json needs -o FILE: standard output is for one of the two", USAGE)
    for name in request.targets:
        if name == STDIN and not request.has("from"):
            raise RequestError("usage", f"- is standard input and needs --from {'|'.join(KINDS)}", USAGE)
        if os.path.isdir(name):
            hint = f"{name.rstrip('/') or '/'}/*.conf"
            raise RequestError("usage", f"{name} is a directory; name its files, such as {hint}", USAGE)


def _check_flags(request: Request, kind: str) -> None:
    """Raises RequestError "usage" for a flag that means nothing for this kind."""
    for key, kinds in FLAGS_OF_KINDS.items():
        if request.has(key) and kind not in kinds:
            raise RequestError("usage", f"--{key.replace('_', '-')} is for {', '.join(kinds)}, not for {kind}", USAGE)


def _settings(request: Request, directory: str) -> ImportSettings:
    values: dict[str, str] = {}
    for each in request.text("set").split("\0") if request.has("set") else ():
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise RequestError("usage", f"--set NAME=VALUE, not {each}", USAGE)
        values[name] = value
    output = request.text("output")
    return ImportSettings(
        base=os.path.dirname(os.path.abspath(output)) if output else directory,
        workdir=request.text("workdir"),
        ordered=request.has("ordered"),
        strict_stop=request.has("strict_stop"),
        supervisor_env=request.has("supervisor_env"),
        values=Given(values),
        cores=os.cpu_count() or 1,
    )


def _finish(
    request: Request,
    outcome: Draft,
    settings: ImportSettings,
    environment: Mapping[str, str],
    *,
    as_json: bool,
    show: Write,
) -> int:
    report = outcome.report
    outcome.finish()
    code = LOSSES if report.losses else 0
    summary = _summary(outcome)
    if request.has("strict") and code:
        return _said([*report.lines(summary), "nothing is written: --strict"], code, show)
    text = text_of(outcome)
    output = request.text("output")
    if not output:
        show(((OUT, text),))
    elif failure := write_outcome(output, text, force=request.has("force"), secret=outcome.secret):
        return _said([f"taskmasterctl: {failure}"], CANNOT_WRITE, show)
    _said(report.lines(summary), 0, show)
    if as_json:
        show(((OUT, json_writer()(report.to_data(outcome.kind, len(outcome.living()))) + "\n"),))
    if request.has("check"):
        from taskmasterctl.convert.check import check_outcome  # noqa: PLC0415 - reads YAML

        faults, doubts = check_outcome(text, output or f"{settings.base}/taskmaster.yaml", environment)
        _said([line for each in (*faults, *doubts) for line in each.split("\n")], 0, show)
        code = CANNOT_WRITE if faults else code
    return code


def _summary(outcome: Draft) -> str:
    report = outcome.report
    things = f"{counted(len(outcome.living()), 'program')}, {counted(outcome.processes(), 'process')}"
    needs = f"; needs {', '.join(report.needs)} in the environment" if report.needs else ""
    return f"{outcome.sources[0]}: {things}: {report.counts()}{needs}"


def _said(lines: Iterable[str], code: int, show: Write) -> int:
    show(((ERR, "".join(f"{clean(line)}\n" for line in lines)),))
    return code
