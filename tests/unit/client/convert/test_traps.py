"""What other importers get wrong in supervisor's files."""

from __future__ import annotations

import pytest

from tests.support.converting import Importer


def command(importer: Importer, value: str, more: str = "", **environment: str) -> tuple[str, ...]:
    """Return the words of a command as the daemon runs it."""
    done = importer({"web.conf": f"[program:web]\ncommand={value}\n{more}"}, environment=environment)
    return done.program("web").cmd


def test_the_shells_own_variables_are_left_to_the_shell(importer: Importer) -> None:
    assert command(importer, "/bin/bash -c 'echo ${HOME} $X $${Y}'") == ("/bin/bash", "-c", "echo ${HOME} $X $${Y}")


def test_a_bare_variable_is_split_as_supervisor_splits_it(importer: Importer) -> None:
    done = importer({"web.conf": "[program:web]\ncommand=/bin/run 'a b' --queues=%(ENV_Q)s $x\n"})
    assert done.code == 3
    web = done.program("web")
    assert web.shell
    assert web.cmd == ("exec /bin/run 'a b' --queues=${Q} '$x'",)
    assert "before it splits the command" in done.line("changed")


def test_a_quoted_variable_is_one_word(importer: Importer) -> None:
    assert command(importer, '/bin/run "%(ENV_Q)s"', Q="a b") == ("/bin/run", "a b")


def test_a_dollar_before_a_variable_stays_one(importer: Importer) -> None:
    assert command(importer, "/bin/run '$%(ENV_Q)s' '$$%(ENV_Q)s'", Q="v") == ("/bin/run", "$v", "$$v")


def test_a_variable_of_the_programs_own_environment_is_put_in(importer: Importer) -> None:
    assert command(importer, "/bin/run %(ENV_PORT)s", 'environment=PORT="80 90"\n') == ("/bin/run", "80", "90")


def test_a_line_that_is_indented_deeper_belongs_to_the_one_above(importer: Importer) -> None:
    assert command(importer, "/bin/run\n    --one\n  --two=2", "autostart=false\n") == ("/bin/run", "--one", "--two=2")
    done = importer({"web.conf": "[program:web]\ncommand=/bin/run\n  autostart=false\n"})
    assert done.program("web").cmd == ("/bin/run", "autostart=false")
    assert done.program("web").autostart


def test_a_semicolon_after_a_blank_is_a_comment_even_in_quotes(importer: Importer) -> None:
    assert command(importer, "/bin/run a;b") == ("/bin/run", "a;b")
    assert importer({"web.conf": "[program:web]\ncommand=/bin/sh -c 'a ; b'\n"}).code == 6, "the quote is open now"


def test_single_quotes_hold_commas_and_equals_signs(importer: Importer) -> None:
    text = (
        '[program:web]\ncommand=/bin/run\nenvironment=A=\'x,y=z\',B="it\'s",C=/a.b+c-(d):e,URL="http://h/?a=%%20#x"\n'
    )
    env = dict(importer({"web.conf": text}).program("web").env)
    assert env == {"A": "x,y=z", "B": "it's", "C": "/a.b+c-(d):e", "URL": "http://h/?a=%20#x"}


def test_equal_options_and_sections_count_once_and_the_last_one_wins(importer: Importer) -> None:
    text = (
        "[program:web]\ncommand=/bin/one\nCommand=/bin/two\n[program:b]\ncommand=/bin/b\n[program:web]\nstartsecs=7\n"
    )
    done = importer({"web.conf": text})
    assert done.program("web").cmd == ("/bin/two",)
    assert done.program("web").policy.starttime == 7
    assert "the first, web.conf:2, does not count" in done.line("web.conf:3")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_ends_of_lines_and_a_byte_order_mark_make_no_difference(importer: Importer, end: str, mark: str) -> None:
    text = mark + "[program:web]\ncommand=/bin/run ä\nstartsecs=3\n".replace("\n", end)
    assert importer({"web.conf": text}).program("web").cmd == ("/bin/run", "ä")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[program:web]\ncommand=/bin/run \xe4\n", "web.conf:2: error: not UTF-8"),
        (b"[program:web]\ncommand=/bin/\0run\n", "web.conf:2: error: a NUL character"),
        (b"[program:a b]\ncommand=/bin/run\n", "does not allow ' ' in a name"),
        (b"[program:a/b]\ncommand=/bin/run\n", "does not allow '/' in a name"),
        (b"command=/bin/run\n[program:x]\n", "no [section] before this line"),
        (b"[program:web]\njust words\n", "no option=value"),
        (b"[program:web]\nautostart=true\n", "a program has a command"),
        (b"[program:web]\ncommand=/bin/run 'open\n", "no closing quotation"),
        (b"[program:web]\ncommand=/bin/run 100%\n", "begins no %(NAME)s"),
        (b"[program:web]\ncommand=/bin/run %(nothing)s\n", "supervisor has no such name"),
        (b"[program:web]\ncommand=/bin/run\nautostart=perhaps\n", "autostart=perhaps: neither true nor false"),
        (b"[program:web]\ncommand=/bin/run\nstartsecs=1.5\n", "not a whole number"),
        (b"[program:web]\ncommand=/bin/run\nexitcodes=256\n", "0 to 255"),
        (b"[program:web]\ncommand=/bin/run\numask=9\n", "not an octal number"),
        (b"[program:web]\ncommand=/bin/run\nstdout_logfile_maxbytes=1TB\n", "not a size"),
        (b"[program:web]\ncommand=/bin/run\nenvironment=A\n", "not KEY=value"),
        (b"[program:web]\ncommand=/bin/run\nnumprocs=2\n", "process_name has to hold"),
        (b"[program:web]\ncommand=/bin/run\nstopasgroup=true\nkillasgroup=false\n", "exclude each other"),
        (b"[include]\n[program:web]\ncommand=/bin/run\n", "[include] needs files="),
    ],
)
def test_what_supervisor_refuses_is_refused_with_its_place(importer: Importer, content: bytes, words: str) -> None:
    done = importer({"web.conf": content}, "--from", "supervisor")
    assert done.code == 6
    assert done.text == ""
    assert [line for line in done.report if words in line and line.startswith("web.conf")], done.report


def test_an_include_of_itself_is_read_once(importer: Importer) -> None:
    done = importer(
        {"a.conf": "[include]\nfiles=*.conf\n[program:web]\ncommand=/bin/run\n", "b.conf": "[include]\nfiles=a.conf\n"}
    )
    assert done.code == 0
    assert [each.name for each in done.config.programs] == ["web"]
    assert done.line("read already")
    assert "the main file only" in done.line("b.conf:2: ignored")


def test_a_million_sections_end_in_time(importer: Importer) -> None:
    text = "".join(f"[program:{number}]\n" for number in range(30_000))
    done = importer({"web.conf": text})
    assert done.code == 6
    assert done.report == ("web.conf:20001: error: more than 20000 sections",)


def test_a_file_beyond_the_bound_is_refused(importer: Importer) -> None:
    done = importer({"web.conf": b"[program:web]\n" + b"#" * (16 << 20)})
    assert (done.code, done.text) == (6, "")
    assert done.report == ("web.conf: error: more than 16 MiB",)


def test_secrets_of_the_environment_are_not_in_the_report(importer: Importer) -> None:
    text = "[program:web]\ncommand=/bin/run --api-key=hush %(ENV_X)s\nenviron=DB_PASS=hush\npriority=1\n"
    done = importer({"web.conf": text})
    assert "hush" not in "".join(done.report)
    assert done.line("command=…")
    assert done.line("environ=…")


FCGI = "[fcgi-program:pages]\ncommand=/bin/php\nstopasgroup=true\n"


def test_the_processes_of_an_fcgi_program_share_its_socket(importer: Importer) -> None:
    many = f"{FCGI}process_name=%(process_num)s\nsocket=unix:///run/p.sock\n"
    assert importer({"web.conf": f"{many}numprocs=4\n"}).program("pages").numprocs == 4
    apart = importer({"web.conf": f"{many}numprocs=2\nnumprocs_start=3\nenvironment=N=%(process_num)d\n"})
    assert [(each.name, each.sockets) for each in apart.config.programs] == [
        (name, ("fcgi\t\t\t/run/p.sock",)) for name in ("pages-3", "pages-4")
    ]


def test_two_sockets_of_one_address_have_equal_options(importer: Importer) -> None:
    text = f"{FCGI}socket=unix:///p\n[fcgi-program:second]\ncommand=/bin/php\nsocket=unix:///p\n"
    assert len(importer({"web.conf": text}).config.programs) == 2
    done = importer({"web.conf": f"{text}socket_mode=0777\n"})
    assert [each.name for each in done.config.programs] == ["pages"]
    assert "with other options" in done.line("dropped", "fcgi-program:second socket=")
