"""`taskmasterctl`: from the words of a command line, or from lines on a pipe, to an exit code.

This is the only file of the client that reads the environment.
"""

from __future__ import annotations

import os
import sys
import time

from taskmaster_common import __version__
from taskmaster_common.commands.actions import with_reason
from taskmaster_common.commands.table import Request, parse
from taskmaster_common.errors import ConfigError, RequestError, SystemFailure
from taskmaster_common.paths import default_places
from taskmaster_common.protocol import PROTOCOL_VERSION
from taskmaster_common.text.formats import with_real_time
from taskmasterctl.connect.client import wire_line
from taskmasterctl.connect.sockets import find_sockets
from taskmasterctl.conversation import FAILED, INTERRUPTED, Conversation, local_end
from taskmasterctl.options import Options, client_help, split_line, split_options
from taskmasterctl.output import ERR, OUT, write
from taskmasterctl.reply.render import Look
from taskmasterctl.reply.replies import reply_for
from taskmasterctl.terminal import (
    can_move_cursor,
    is_ours,
    look_of,
    may_page,
    terminal_size,
    timestamp,
    until_q,
    user_name,
    with_moments,
)
from taskmasterctl.visible import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from taskmasterctl.output import Write
    from taskmasterctl.reply.astext import Reply

BROKEN_PIPE = 141
COMPLETE = "_complete"
"""The hidden verb of the shells' completions."""


def main(words: Sequence[str]) -> int:
    """Run one command line, without the name of the program, and return the exit code. Raises nothing."""
    return _guarded(lambda: run(words))


def _guarded(command: Callable[[], int]) -> int:
    try:
        return command()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return BROKEN_PIPE
    except SystemFailure as failure:
        return _last_words(str(failure))
    except Exception as error:  # noqa: BLE001 - a traceback is for those who ask for it
        if os.environ.get("TASKMASTER_DEBUG") == "1":
            sys.excepthook(type(error), error, error.__traceback__)
            return FAILED
        return _last_words(f"internal error: {type(error).__name__}: {error} (TASKMASTER_DEBUG=1 shows where)")


def _last_words(text: str) -> int:
    write(((ERR, f"taskmasterctl: {clean(text)}\n"),))
    return FAILED


def run(words: Sequence[str]) -> int:
    """Run one command line. Without a verb: the shell on a terminal, the commands of standard input otherwise."""
    try:
        options, rest = split_options(words, Options())
    except RequestError as error:
        return _refuse(error, Options(json="--json" in words))
    if rest[:1] == [COMPLETE]:
        return _complete(options, *rest[1:2])
    if rest or options.version or options.help:
        return run_command(options, rest)
    if os.isatty(0):
        return _run_shell(options)
    return run_script(options, _stdin_lines())


def _run_shell(options: Options) -> int:
    from taskmasterctl.shell.shell import CommandLine, run_shell  # noqa: PLC0415 - no command line needs it

    try:
        sockets = find_sockets(options, os.environ)
    except ConfigError:
        return run_command(options, ["status"])  # fails for the same reason, with a message
    plain = not os.isatty(OUT) or not can_move_cursor(os.environ)
    state_dir = default_places(os.geteuid(), os.environ).state_dir
    colour = look_of(options, Request(""), os.environ).colour
    command_line = CommandLine(
        lambda given, words: _guarded(lambda: run_command(given, words)), write, user_name, colour
    )
    return run_shell(options, command_line, sockets, state_dir, plain=plain)


def run_script(options: Options, lines: Iterable[str]) -> int:
    """Run the commands of each line; return the exit code of the first that failed. `exit` ends the script."""
    code = 0
    for line in lines:
        if line.strip() in ("exit", "quit"):
            break
        for done in _script_line(options, line):
            code = code or done
            if done and (options.exit_on_error or done == INTERRUPTED):
                return code
    return code


def _script_line(options: Options, line: str) -> Iterator[int]:
    """Run the commands of one line; yield the exit code of each."""
    try:
        for words in split_line(line):
            line_options, rest = split_options(words, options)
            yield run_command(line_options, rest) if rest or line_options != options else 0
    except RequestError as error:
        yield _refuse(error, options)


def _stdin_lines() -> Iterator[str]:
    with open(0, "rb", closefd=False) as stdin:
        for line in stdin:
            yield line.decode("utf-8", "surrogateescape")


def run_command(options: Options, words: Sequence[str]) -> int:
    """Run one verb with its words and return the exit code. The shell calls this too."""
    try:
        if options.version and options.json:
            return _say(options, "version", {"type": "client", "version": __version__, "protocol": PROTOCOL_VERSION})
        if options.version:
            write(((OUT, f"taskmasterctl {__version__}\n"),))
            return 0
        if options.help:
            return _paged_help(options, *words[:1])
        request = parse(["help", *words[1:]] if words[:1] == ["?"] else words)
        if request.verb == "help":
            return _paged_help(options, *request.targets)
        if request.has("list"):
            return _say(options, "signal", *_signals())
        if request.verb in OWN_WAYS:
            return OWN_WAYS[request.verb](options, request)
        _check_form(options, request)
        if request.verb in ("events", "logs"):
            request = with_moments(request)
        request = with_reason(request)
        line = wire_line(Request("subscribe", {}, request.targets) if request.has("watch") else request)
    except RequestError as error:
        return _refuse(error, options)
    reply, conversation = _reply_for(options, request), _conversation_of(request)
    if request.has("watch"):
        return until_q(conversation(options, request, line, reply, os.environ).run)
    return _paged(options, request, lambda show: conversation(options, request, line, reply, os.environ, show).run())


def _paged(options: Options, request: Request, run: Callable[[Write], int]) -> int:
    """Return what `run` returns, which gets what writes: through a pager if the answer may be long."""
    if not may_page(options, request, os.environ):
        return run(write)
    from taskmasterctl.pager import paged, pager_command  # noqa: PLC0415 - imports subprocess

    command = pager_command(os.environ, own=is_ours())
    return paged(run, command, terminal_size(), os.environ) if command else run(write)


def _reported(options: Options, request: Request, run: Callable[[Write], int]) -> int:
    """Return what `run` returns, even if somebody leaves the pager early. On a terminal its report goes through the pager, after its work."""
    if not may_page(options, request, os.environ):
        return run(write)
    held: list[tuple[int, str]] = []
    code = run(held.extend)
    at_terminal = os.isatty(ERR)
    chunks = [(OUT if at_terminal else stream, text) for stream, text in held]

    def report(show: Write) -> int:
        show(chunks)
        return code

    _paged(options, request, report)
    return code


def _paged_help(options: Options, verb: str = "") -> int:
    """Raises RequestError for an unknown verb."""
    said = {"type": "help", "text": client_help(verb)}
    return _paged(options, Request("help"), lambda show: _say(options, "help", said, show=show))


def _conversation_of(request: Request) -> type[Conversation]:
    if request.verb != "events" or not request.has("follow"):
        return Conversation
    from taskmasterctl.following import Following  # noqa: PLC0415 - only `events -f` needs it

    return Following


def _check_form(options: Options, request: Request) -> None:
    """Raises RequestError for a flag that --json has no use for."""
    if request.has("merge") and options.json:
        raise RequestError("usage", "--merge is for text: the objects of --json come as they are read", 2)


def _run_metrics(options: Options, request: Request) -> int:
    """Raises RequestError."""
    if options.json:
        raise RequestError("usage", "metrics has formats of its own, and --json is not one of them", 2)
    from taskmasterctl.metrics.run import run_metrics  # noqa: PLC0415 - no other verb needs it

    line, look = wire_line(Request("status", {}, request.targets)), look_of(options, request, os.environ)

    def ask(reply: Reply) -> int:
        return Conversation(options, request, line, reply, os.environ).run()

    return run_metrics(request, ask, lambda: reply_for(request, look, as_json=False))


def _run_top(options: Options, request: Request) -> int:
    """Raises RequestError."""
    from taskmasterctl.top.run import TopNeeds, run_top  # noqa: PLC0415 - no other verb needs it

    line, look = wire_line(Request("status", {}, request.targets)), look_of(options, request, os.environ)
    means = TopNeeds(
        ask=lambda reply: Conversation(options, request, line, reply, os.environ).run(),
        errors=lambda: reply_for(request, look, as_json=options.json),
        run=lambda words: _guarded(lambda: run_command(options.replace(no_pager=True), words)),
        sockets=lambda: find_sockets(options, os.environ),
        look=look,
        stamp=timestamp,
        screen=os.isatty(0) and os.isatty(OUT) and can_move_cursor(os.environ),
        blocks=look.utf8 and os.environ.get("TERM") != "linux",
        as_json=options.json,
    )
    return run_top(request, means)


def _send(options: Options, request: Request) -> int:
    """Send input to programs. Raises RequestError for what cannot be asked, SystemFailure for a file that cannot be read."""
    from taskmasterctl.attach.sending import SendConversation, open_source  # noqa: PLC0415 - no other verb has input

    target, *words = request.targets
    path = request.text("file")
    if not (words or path or request.has("eof")):
        hint = f"send {target} TEXT, or --file FILE; `send {target} ''` sends an empty line"
        raise RequestError("usage", "send needs a text", 2, (hint,))
    flags = {**request.flags, "no_newline": True} if path or not words else request.flags
    asked = request.replace(targets=(target,), flags=flags)
    line, source = wire_line(asked), open_source(path) if path else -1
    conversation = SendConversation(options, asked, line, _reply_for(options, asked), os.environ)
    return conversation.of(" ".join(words).encode("utf-8", "surrogateescape"), source).run()


def _attach(options: Options, request: Request) -> int:
    """Raises RequestError."""
    from taskmasterctl.attach.session import run_attach  # noqa: PLC0415 - no other verb needs a whole terminal

    return run_attach(options, request, _reply_for(options, request), os.environ)


def _import(options: Options, request: Request) -> int:
    """Raises RequestError."""
    from taskmasterctl.convert.importing import run_import  # noqa: PLC0415 - no other verb converts

    return _reported(options, request, lambda show: run_import(request, os.environ, as_json=options.json, show=show))


def _export(options: Options, request: Request) -> int:
    """Raises RequestError."""
    from taskmasterctl.convert.export.run import run_export  # noqa: PLC0415 - no other verb converts

    config = options.config or ""
    return _reported(
        options, request, lambda show: run_export(request, os.environ, config=config, as_json=options.json, show=show)
    )


def _reply_for(options: Options, request: Request) -> Reply:
    look = look_of(options, request, os.environ)
    if request.verb in ("events", "why", "runs"):
        from taskmasterctl.reply.past import past_reply  # noqa: PLC0415 - status does without it

        return _with_figures(request, past_reply(request, look, as_json=options.json))
    if request.verb == "simulate":
        from taskmasterctl.reply.simulation import simulation_reply  # noqa: PLC0415 - status does without it

        return simulation_reply(request, look, as_json=options.json)
    if request.verb in ("disable", "enable", "overrides", "scale"):
        from taskmasterctl.reply.overlay import overlay_reply  # noqa: PLC0415 - status does without it

        return overlay_reply(request, look, as_json=options.json)
    if not request.has("watch") and request.verb != "subscribe":
        return _with_figures(request, reply_for(request, look, as_json=options.json))
    from taskmasterctl.reply.watching import Screen, watch_reply  # noqa: PLC0415 - status does without it

    screen = Screen(time.monotonic, lambda: time.strftime("%H:%M:%S"), timestamp, terminal_size)
    in_place = request.has("watch") and os.isatty(OUT) and can_move_cursor(os.environ)
    return watch_reply(request, look, screen, in_place=in_place, as_json=options.json)


def _with_figures(request: Request, reply: Reply) -> Reply:
    """Return the reply, with what the client itself finds out about the processes where that was asked for."""
    if request.verb == "show":
        from taskmasterctl.reply.figures import WithTree  # noqa: PLC0415 - only `show` needs it
        from taskmasterctl.usage.once import tree_of  # noqa: PLC0415 - only `show` needs it

        return WithTree(reply, tree_of)
    if request.verb == "why" and os.geteuid() == 0:
        from taskmasterctl.reply.figures import WithKernel  # noqa: PLC0415 - only `why` needs it
        from taskmasterctl.usage.kernel import kernel_lines  # noqa: PLC0415 - only `why` needs it

        return WithKernel(reply, kernel_lines)
    if request.has("usage"):
        from taskmasterctl.reply.figures import WithUsage  # noqa: PLC0415 - only --usage needs it
        from taskmasterctl.usage.once import measure  # noqa: PLC0415 - only --usage needs it

        return WithUsage(reply, measure)
    return reply


def _completion(_options: Options, request: Request) -> int:
    """Raises RequestError, SystemFailure for a file that cannot be read."""
    from taskmasterctl.completions import script_of  # noqa: PLC0415 - no other command line needs it

    write([(OUT, script_of(request.targets))])
    return 0


def _runs(options: Options, request: Request) -> int:
    """Raises RequestError."""
    from taskmasterctl.ahead import run_ahead  # noqa: PLC0415 - no other verb needs it

    if request.has("timezone") and not request.has("cron"):
        raise RequestError("usage", "--timezone belongs to --cron: a program has a zone of its own", 2)
    if not request.has("cron"):
        line, reply = wire_line(request), _reply_for(options, request)
        return _paged(
            options, request, lambda show: Conversation(options, request, line, reply, os.environ, show).run()
        )
    if request.targets:
        raise RequestError("usage", "--cron is a line of its own: leave out the name", 2)
    return _paged(options, request, lambda show: run_ahead(request, os.environ, as_json=options.json, show=show))


OWN_WAYS: Mapping[str, Callable[[Options, Request], int]] = {
    "metrics": _run_metrics,
    "top": _run_top,
    "send": _send,
    "attach": _attach,
    "runs": _runs,
    "import": _import,
    "completion": _completion,
    "export": _export,
}
"""The verbs that are more than a request and its answer."""


def _refuse(error: RequestError, options: Options) -> int:
    """Show an error that was found before a request was sent."""
    reply = reply_for(Request(""), Look(), as_json=options.json)
    write(reply.take(local_end(error.code, error.message, error.hints, error.exit_code)))
    return error.exit_code


def _complete(options: Options, kind: str = "") -> int:
    """Print the candidates for Tab; print nothing, and no error, if the daemon cannot be asked."""
    from taskmasterctl.completions import completion_lines  # noqa: PLC0415 - no other command line needs it

    try:
        sockets = find_sockets(options, os.environ)
    except ConfigError:
        return 0
    write(((OUT, completion_lines(kind, sockets)),))
    return 0


def _say(options: Options, verb: str, *messages: dict[str, Any], show: Write = write) -> int:
    """Show messages that the client can answer without a daemon."""
    reply = reply_for(Request(verb), Look(), as_json=options.json)
    for message in (*messages, {"type": "end", "exit": 0}):
        show(reply.take(message))
    return 0


def _signals() -> list[dict[str, Any]]:
    import signal  # noqa: PLC0415 - its enums cost 3 ms

    found = with_real_time({each.name.removeprefix("SIG"): each.value for each in signal.Signals})
    return [{"type": "signal", "name": name, "number": number} for name, number in found.items()]
