"""`export`: from the words of the command line to files of another tool, a report and an exit code."""

from __future__ import annotations

import os

from taskmaster_common import __version__
from taskmaster_common.config import DaemonConfig
from taskmaster_common.errors import ConfigError, RequestError, system_reason
from taskmaster_common.jsontext import json_writer
from taskmaster_common.paths import config_candidates
from taskmaster_common.text.nearest import hint
from taskmaster_common.text.patterns import Targets, ungrouped
from taskmasterctl.convert.export.configuration import found_file, read_configuration
from taskmasterctl.convert.export.targets.draft import ExportContext
from taskmasterctl.convert.export.targets.table import TARGETS
from taskmasterctl.convert.files import write_outcome
from taskmasterctl.convert.machine import signal_numbers
from taskmasterctl.convert.report import CHANGED, DROPPED, LossReport, Problem, Where, counted
from taskmasterctl.output import ERR, OUT, write
from taskmasterctl.visible import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from taskmaster_common.commands.table import Request
    from taskmasterctl.convert.export.configuration import Read
    from taskmasterctl.convert.export.targets.outcome import ExportFiles, ExportTarget
    from taskmasterctl.convert.export.targets.source import ExportSource
    from taskmasterctl.output import Write

CANNOT_WRITE = 1
USAGE = 2
LOSSES = 3
CANNOT_READ = 4
WRONG = 6
OF_THE_DAEMON = {
    "umask": "", "user": "",  # carried with each program
    "roles": "who may do what is up to the target",
    "shutdown_timeout": "a stop of everything has no limit of its own",
    "exit_when": "nothing ends when all is done",
}  # fmt: skip
"""Why a key of `taskmasterd:` is lost, "" for those that programs carry. The others are about taskmasterd alone."""


def run_export(
    request: Request, environment: Mapping[str, str], *, config: str, as_json: bool, show: Write = write
) -> int:
    """Carry out `export`. `config` is the path of -c, "" for the usual places; `show` gets what is for people. Raises RequestError "usage"."""
    target = _target(request, as_json=as_json)
    settings = _settings(request)
    path = _path(config, environment)
    if not os.path.exists(path):
        return _said([f"taskmasterctl: cannot read {path}: no such file"], CANNOT_READ, show)
    try:
        read = read_configuration(path, environment)
    except ConfigError as error:
        return _said((line for each in error.problems for line in each.split("\n")), WRONG, show)
    context = ExportContext(
        daemon=read.config.daemon,
        sources=_chosen(request.targets[1:], read),
        groups=read.config.groups,
        signals=signal_numbers(),
        environment=environment,
        find=found_file,
        settings=settings,
        directory=os.path.dirname(read.config.path),
        file=path,
    )
    head = (f"from {path}, by taskmasterctl {__version__} export {target.kind}",)
    made = target.make(context, tuple(map(clean, head)))
    return _Finish(request, target, read, made, path).run(as_json=as_json, show=show)


def _target(request: Request, *, as_json: bool) -> ExportTarget:
    if as_json and not request.has("output"):
        raise RequestError("usage", "--json needs -o DIR: standard output is for one of the two", USAGE)
    return TARGETS[request.targets[0]]


def _settings(request: Request) -> dict[str, str]:
    values: dict[str, str] = {}
    for each in request.text("set").split("\0") if request.has("set") else ():
        name, equals, value = each.partition("=")
        if not equals or not value or not (name == "image" or name.endswith(".image")):
            raise RequestError("usage", f"--set image=NAME or --set PROGRAM.image=NAME, not {clean(each)}", USAGE)
        values[name] = value
    return values


def _path(config: str, environment: Mapping[str, str]) -> str:
    candidates = (config,) if config else config_candidates(os.geteuid(), environment)
    return next((path for path in candidates if os.path.exists(path)), candidates[0])


def _chosen(targets: Iterable[str], read: Read) -> dict[str, ExportSource]:
    """Return the programs that the targets name, all without one. Raises RequestError for a name of nothing."""
    wanted = tuple(targets)
    if not wanted:
        return dict(read.sources)
    names = ungrouped(wanted, read.config.groups)
    known = (*read.sources, *read.config.groups)
    for name in names:
        one = Targets((name,))
        if not any(one.select(program, 0) for program in read.sources):
            raise RequestError("unknown-name", f'no program named "{clean(name)}"{hint(name, known)}', USAGE)
    chosen = Targets(names)
    return {name: source for name, source in read.sources.items() if chosen.select(name, 0)}


class _Finish:
    """Reports and writes what was made."""

    def __init__(self, request: Request, target: ExportTarget, read: Read, made: ExportFiles, path: str) -> None:
        self._request = request
        self._target = target
        self._read = read
        self._made = made
        self._path = path
        self._report = _report(read, made, path)

    def run(self, *, as_json: bool, show: Write) -> int:
        """Write, report to `show`, check; return the exit code."""
        code = LOSSES if self._report.losses else 0
        if self._request.has("strict") and code:
            return _said([*self._lines(), "nothing is written: --strict"], code, show)
        directory = self._request.text("output")
        if not directory:
            show(((OUT, "\n".join(self._together())),))
        elif failure := self._write(directory):
            return _said([f"taskmasterctl: {failure}"], CANNOT_WRITE, show)
        _said(self._lines(), 0, show)
        if as_json:
            data = self._report.to_data(self._target.kind, len(self._made.drafts))
            show(((OUT, json_writer()(data) + "\n"),))
        return self._checked(code, show) if self._request.has("check") else code

    def _lines(self) -> Iterable[str]:
        drafts = self._made.drafts
        text = f"{self._path}: {counted(len({each.source.program or each.source.name for each in drafts}), 'program')}: {self._report.counts()}"
        needs = f"; needs {', '.join(self._made.needs)} in the environment" if self._made.needs else ""
        return self._report.lines(text + needs)

    def _together(self) -> Iterable[str]:
        """Yield the files for standard output: each with its name above it where there are several."""
        if len(self._made.files) == 1:
            yield from self._made.files.values()
            return
        for name, text in self._made.files.items():
            yield f"# {name}\n{text}"

    def _write(self, directory: str) -> str:
        """Write all files, or none where one is there already; return why that failed, or ""."""
        try:
            os.makedirs(directory, exist_ok=True)
        except OSError as error:
            return f"cannot make the directory {directory}: {system_reason(error)}"
        for name in self._made.files:
            if os.path.lexists(os.path.join(directory, name)):
                return f"cannot write {os.path.join(directory, name)}: it exists; remove it, or name another directory"
        for name, text in self._made.files.items():
            secret = name in self._made.secret
            if failure := write_outcome(os.path.join(directory, name), text, force=False, secret=secret):
                return failure
        return ""

    def _checked(self, code: int, show: Write) -> int:
        from taskmasterctl.convert.export.check import check_files  # noqa: PLC0415 - runs what checks

        faults, notes = check_files(self._target.check, self._made.files)
        _said([*self._read.warnings, *notes, *faults], 0, show)
        return CANNOT_WRITE if faults else code


def _report(read: Read, made: ExportFiles, path: str) -> LossReport:
    report = LossReport()
    seen: set[str] = set()
    for draft in made.drafts:
        for problem in draft.problems:
            if problem.line not in seen:
                seen.add(problem.line)
                report.add(problem)
        for note in draft.notes:
            report.note(note, draft.source.program or draft.source.name)
    report.carried = made.carried
    for word, option, text, instead in _of_the_whole(read):
        report.add(Problem(Where(path, 0, "", option), word, text, instead, option))
    for name in read.fixed:
        text = "has the value of this environment: nothing has it there"
        report.add(Problem(Where(path, 0, "", f"${{{name}}}"), CHANGED, text))
    for name in read.unset:
        report.add(Problem(Where(path, 0, "", f"${{{name}}}"), CHANGED, "is not set here: its default was taken"))
    return report


def _of_the_whole(read: Read) -> Iterable[tuple[str, str, str, str]]:
    """Yield what is lost of the sections that are about no program: word, option, text, what to do."""
    daemon = read.config.daemon
    for key, text in OF_THE_DAEMON.items():
        if text and getattr(daemon, key) != getattr(DaemonConfig, key):
            yield DROPPED, f"taskmasterd.{key}", text, ""
    for name in read.config.groups:
        yield DROPPED, f"groups.{name}", "a group has no name there", "name its members"
    for name in read.config.alerts:
        yield DROPPED, f"alerts.{name}", "there are no alerts there", "let your monitoring watch it"


def _said(lines: Iterable[str], code: int, show: Write) -> int:
    show(((ERR, "".join(f"{line}\n" for line in lines)),))
    return code
