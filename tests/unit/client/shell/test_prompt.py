"""The line editor below the terminal: keys go in through a pipe, lines come out."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from taskmasterctl.connect.sockets import Sockets
from taskmasterctl.options import Options
from taskmasterctl.reply.mirror import Mirror
from taskmasterctl.shell.feed import Feed
from taskmasterctl.shell.history import HistoryFile
from taskmasterctl.shell.news import News
from taskmasterctl.shell.prompt import Prompt, toolbar
from taskmasterctl.shell.shell import CommandLine, Shell
from tests.support.fakedaemon import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    Typed = Callable[..., list[str]]

CTRL_C, CTRL_D, TAB = "\x03", "\x04", "\t"


@pytest.fixture
def news(short_dir: Path) -> News:
    mirror = Mirror()
    mirror.take({"type": "daemon", "version": "9.9", "uptime_s": 60.0}, 0.0)
    mirror.take({"type": "snapshot", "sequence": 0, "count": 3}, 0.0)
    rows = [process("nginx"), process("cron", "STOPPED"), process("bad", "FATAL")]
    mirror.take({"type": "processes", "processes": rows}, 0.0)
    return News(Feed(Sockets((str(short_dir / "nobody"),)), mirror))


@pytest.fixture
def typed(news: News, short_dir: Path) -> Iterator[Typed]:
    """Type keys into a fresh prompt; return as many lines as are asked for."""

    def lines(keys: str, count: int = 1) -> list[str]:
        with create_pipe_input() as keyboard:
            history = HistoryFile(str(short_dir / "history"))
            prompt = Prompt(lambda _line: None, lambda: None, news, history, terminal=(keyboard, DummyOutput()))
            keyboard.send_text(keys)
            return [prompt.read() for _ in range(count)]

    yield lines
    asyncio.set_event_loop(None)


def test_a_line_is_what_was_typed(typed: Typed) -> None:
    assert typed("stop web\r") == ["stop web"]


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (f"sto{TAB}", "stop "),
        (f"start c{TAB}", "start cron "),
        (f"signal h{TAB}", "signal HUP "),
        (f"stop nginx --no{TAB}", "stop nginx --no-wait "),
        (f"pid nginx;stop ng{TAB}", "pid nginx;stop nginx "),
        (f"frob {TAB}", "frob "),
    ],
)
def test_tab_completes_the_only_candidate_with_a_blank_after_it(typed: Typed, keys: str, line: str) -> None:
    assert typed(f"{keys}\r") == [line]


def test_what_is_typed_ahead_behind_a_tab_comes_after_the_completion(typed: Typed) -> None:
    assert typed(f"ver{TAB}st{TAB}\r") == ["version st"]


def test_ctrl_c_and_ctrl_d_are_exceptions(typed: Typed) -> None:
    with pytest.raises(KeyboardInterrupt):
        typed(f"half{CTRL_C}")
    with pytest.raises(EOFError):
        typed(CTRL_D)


def test_earlier_lines_come_back_with_the_arrow(typed: Typed) -> None:
    typed("stop nginx\rstatus\r", 2)
    assert typed("\x1b[A\x1b[A\r") == ["stop nginx"]


def test_the_toolbar_counts_and_says_when_there_is_no_connection(news: News) -> None:
    assert "no connection to taskmasterd at " in str(toolbar(news))
    news.feed.connected = True
    text = "".join(str(fragment[1]) for fragment in toolbar(news))
    assert text.startswith(" 1/3 running  1 stopped   1 fatal  | taskmasterd 9.9 up ")


class Keyboard:
    """A reader whose lines are there already."""

    def __init__(self, *lines: str, yes: bool = False) -> None:
        self.lines = list(lines)
        self.yes = yes
        self.questions: list[str] = []

    def read(self) -> str:
        if not self.lines:
            raise EOFError
        return self.lines.pop(0)

    def confirm(self, question: str) -> bool:
        self.questions.append(question)
        return self.yes


class Ran:
    """What a shell ran, and what it wrote."""

    def __init__(self, codes: dict[str, int] | None = None) -> None:
        self.commands: list[str] = []
        self.written = ""
        self._codes = codes or {}

    def command_line(self) -> CommandLine:
        def run(_options: Options, words: Sequence[str]) -> int:
            self.commands.append(" ".join(words))
            return self._codes.get(self.commands[-1], 0)

        def write(chunks: Iterable[tuple[int, str]]) -> None:
            self.written += "".join(text for _stream, text in chunks)

        return CommandLine(run, write)


def served(news: News, keyboard: Keyboard, codes: dict[str, int] | None = None) -> Ran:
    ran = Ran(codes)
    Shell(Options(), ran.command_line(), news).serve(keyboard)
    return ran


def test_each_command_of_a_line_runs_whether_the_one_before_failed_or_not(news: News) -> None:
    ran = served(news, Keyboard("stop web; ;status;;pid # and so on", "", "taskmasterctl version"), {"stop web": 1})
    assert ran.commands == ["stop web", "status", "pid", "version"]


def test_each_line_of_pasted_text_is_a_command_of_its_own(news: News) -> None:
    ran = served(
        news, Keyboard("stop web # first\n\nstart 'a b'; pid\nwhy db\n", "status 'a\nb'", "pid 'x\npid", "version")
    )
    assert ran.commands == ["stop web", "start a b", "pid", "why db", "status a\nb", "version"]
    assert "no closing quotation" in ran.written


def test_ctrl_c_ends_the_rest_of_the_line(news: News) -> None:
    ran = served(news, Keyboard("logs -f web; status", "pid"), {"logs -f web": 130})
    assert ran.commands == ["logs -f web", "pid"]


def test_shutdown_is_asked_for_and_its_help_is_not(news: News) -> None:
    no = Keyboard("shutdown", "shutdown --no-wait", "shutdown --help", "shutdown now")
    assert served(news, no).commands == ["shutdown", "shutdown now"]
    assert len(no.questions) == 2
    assert served(news, Keyboard("shutdown", yes=True)).commands == ["shutdown"]


def test_exit_leaves_at_once_and_takes_nothing(news: News) -> None:
    assert served(news, Keyboard("pid; exit; status", "status")).commands == ["pid"]
    ran = served(news, Keyboard("quit now", "status"))
    assert ran.commands == ["status"]
    assert 'quit does not take "now"' in ran.written


def test_notify_says_how_it_is_and_takes_on_and_off_only(news: News) -> None:
    ran = served(news, Keyboard("notify off", "notify", "notify maybe"))
    assert ran.written.startswith("notify is off\nnotify is off\n")
    assert 'notify takes on or off, not "maybe"' in ran.written
    assert not news.notify


def test_help_knows_the_words_of_the_shell_too(news: News) -> None:
    ran = served(news, Keyboard("help", "help notify", "help quit", "help stop", "help frobnicate"))
    assert ran.commands == []
    for text in (
        "notify\nTARGET is",
        "usage: notify [on|off]",
        "exit: leave the shell",
        "usage: stop [--no-wait] [--dependents] [--run] TARGET...",
    ):
        assert text in ran.written
    assert 'unknown verb "frobnicate"' in ran.written


def test_a_question_mark_is_help_and_help_all_is_that_of_the_command_line(news: News) -> None:
    assert served(news, Keyboard("?")).written == served(news, Keyboard("help")).written
    assert served(news, Keyboard("? stop")).written == served(news, Keyboard("help stop")).written
    assert served(news, Keyboard("? all")).commands == ["help all"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("logs web | grep y", "there are no pipes here\n  in a shell of the system:  taskmasterctl logs web | grep y"),
        ("status > file", "no output goes into a file from here"),
        ("start a && start b", "`;` separates commands here"),
        ("stop a &", "`--no-wait` returns at once"),
        ("!ls -l", "no commands of the system here: ls -l\n  leave with Ctrl-D"),
        ("!", "no commands of the system here: !"),
    ],
)
def test_what_another_shell_would_understand_is_answered_with_what_to_do(news: News, line: str, said: str) -> None:
    ran = served(news, Keyboard(line, "pid"))
    assert ran.commands == ["pid"]
    assert said in ran.written


def test_a_text_to_send_may_be_anything(news: News) -> None:
    assert served(news, Keyboard("send web a '|' b", "stop -- '&'")).commands == ["send web a | b", "stop -- &"]


def test_what_cannot_be_read_is_an_error_of_one_line_and_the_shell_goes_on(news: News) -> None:
    ran = served(news, Keyboard("stop 'web", "--frob status", "pid"))
    assert ran.commands == ["pid"]
    assert 'taskmasterctl: cannot read "stop \'web": no closing quotation' in ran.written
    assert 'unknown option "--frob"' in ran.written
