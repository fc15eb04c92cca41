"""`alerts:`: what the decoder makes of a rule, and what it says of a wrong one."""

from __future__ import annotations

from typing import Any

import pytest

from taskmaster_common.config.alerts.rule import AlertRule
from taskmaster_common.config.alerts.words import batch_of, limit_of, shown_destination
from taskmaster_common.paths import default_places
from taskmaster_common.schema import effective_text
from tests.support.host import load, problems

PROGRAMS = "programs: {web: {cmd: x, numprocs: 2}, db: {cmd: x}}\ngroups: {all-of-it: [web, db]}\n"


def rule(text: str) -> AlertRule:
    """Return the rule `page` with these keys, as the daemon gets it."""
    return AlertRule.from_data(load(f"{PROGRAMS}alerts: {{page: {text}}}").config.alerts["page"])


def wrong(text: str, **changes: Any) -> str:
    """Return what is wrong with the rule `page`, without its place."""
    (problem,) = problems(f"{PROGRAMS}alerts: {{page: {text}}}", **changes)
    return problem.partition("error: alerts.")[2].removeprefix("page").removeprefix(".").removeprefix(": ")


def doubted(text: str, **changes: Any) -> list[str]:
    """Return the warnings about the rule `page`, without their places."""
    found = load(f"{PROGRAMS}alerts: {{page: {text}}}", **changes).warnings
    return [line.splitlines()[0].partition("warning: alerts.page.")[2] for line in found if "alerts.page" in line]


def test_a_rule_has_defaults_that_depend_on_its_destination() -> None:
    mail, cmd = rule("{mail: {to: ops@example.org}}"), rule("{cmd: ./tell a}")
    assert (mail.events, mail.targets, mail.for_, mail.timeout, mail.give_up) == (
        *(("trouble", "recovered"), ()),
        *(0.0, 30.0, 86_400.0),
    )
    assert [(batch_of(each), limit_of(each)) for each in (mail, cmd, rule("{syslog: 'udp:h'}"))] == [
        *((30.0, (30, 3600.0)), (0.0, (600, 3600.0)), (0.0, None)),
    ]
    assert (cmd.cmd, cmd.workingdir) == ({"cmd": ["./tell", "a"]}, "/etc/tm")


def test_included_files_have_rules_too_and_names_are_given_once() -> None:
    main = "include: [b.yaml]\nprograms: {web: {cmd: x}}\nalerts: {a: {cmd: x}}\n"
    assert [*load(main, {"/etc/tm/b.yaml": "alerts: {b: {cmd: x}}"}).config.alerts] == ["a", "b"]
    (problem,) = problems(main, {"/etc/tm/b.yaml": "alerts: {a: {cmd: x}}"})
    assert "a rule of that name is in taskmaster.yaml, line 3" in problem


@pytest.mark.parametrize(
    ("text", "mail"),
    [
        ("to: a@b", {"to": ["a@b"], "tls": "off", "host": "localhost", "port": 25, "server": "localhost:25"}),
        (
            "to: [a@b, c@d], server: 'mail.x', ca: c.pem",
            {
                "to": ["a@b", "c@d"],
                "tls": "starttls",
                "host": "mail.x",
                "port": 25,
                "server": "mail.x:25",
                "ca": "/etc/tm/c.pem",
            },
        ),
        ("to: a@b, server: 'x:465'", {"to": ["a@b"], "tls": "on", "host": "x", "port": 465, "server": "x:465"}),
        (
            "to: a@b, server: '[::1]:587'",
            {"to": ["a@b"], "tls": "off", "host": "::1", "port": 587, "server": "[::1]:587"},
        ),
        (
            "to: a@b, auth: {user: u, password_file: p}",
            {
                "to": ["a@b"],
                "tls": "starttls",
                "host": "localhost",
                "port": 25,
                "server": "localhost:25",
                "auth": {"user": "u", "password_file": "/etc/tm/p"},
            },
        ),
        ("to: a@b, sendmail: yes", {"to": ["a@b"], "sendmail": True}),
        ("to: a@b, sendmail: /x", {"to": ["a@b"], "sendmail": "/x"}),
        (
            "to: a@b, server: x, tls: off, insecure: true",
            {"to": ["a@b"], "tls": "off", "host": "x", "port": 25, "server": "x:25"},
        ),
    ],
)
def test_mail_is_decoded_with_tls_wherever_it_leaves_this_host(text: str, mail: dict[str, Any]) -> None:
    assert rule(f"{{mail: {{{text}}}}}").mail == mail


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}", "has no destination; write exactly one of cmd, mail, http and syslog"),
        ("{cmd: a, mail: {to: a@b}}", "names cmd and mail; write exactly one of cmd, mail, http and syslog"),
        ("{cmd: a, event: fatal}", "event: unknown key; did you mean events?"),
        ("{cmd: a, events: [fatl]}", 'events: there is no event "fatl"; did you mean fatal?'),
        ("{cmd: a, events: [nosuch]}", 'events: there is no event "nosuch"; there are trouble, recovered, crash, oom, started,'),
        ("{http: 'http://x/secret'}", "http: expected a mapping, not a value; write http: {url: …}"),
        ("{mail: a@b}", "mail: expected a mapping, not a value; write mail: {to: …}"),
        ("{cmd: a, after: 3s}", "after: unknown key; did you mean for?"),
        ("{webhook: 'http://x/'}", "webhook: unknown key; webhook is called http here"),
        ("{email: a@b}", "email: unknown key; email is called mail here"),
        ("{maill: {to: a@b}}", "maill: unknown key; did you mean mail?"),
        ("{slack: 'http://x/'}", "slack: unknown key; it is written http: {url: …, format: slack} here"),
        ("{cmd: a, events: ['x*']}", 'events: "x*" matches no event'),
        ("{cmd: a, events: []}", "events: names nobody"),
        ("{cmd: a, events: alert-failed}", "events: no rule can be about alert-failed"),
        ("{cmd: a, targets: [weg]}", 'targets: there is no program or group "weg"; did you mean web?'),
        ("{cmd: a, targets: ['web:7']}", 'targets: web has no instance "7"; it has 0 to 1'),
        ("{cmd: a, at_most: 4}", 'at_most: "4" is not a number of messages and a time, such as 30/1h'),
        ("{cmd: a, at_most: 4/0.1s}", 'at_most: "0.1s" is less than 1 s'),
        ("{cmd: a, for: soon}", 'for: "soon" is not a duration'),
        ("{cmd: {shell: true}}", "cmd: cmd is missing"),
        ("{cmd: ''}", "cmd: has no value; write a command"),
        ("{cmd: a, env: {TASKMASTER_ROLE: x}}", "env: TASKMASTER_ROLE is set by taskmasterd itself"),
        ("{mail: {from: a@b}}", "mail: to is missing"),
        ("{mail: {to: x}}", 'mail: to: "x" is not a mail address such as ops@example.org'),
        (r'{mail: {to: "a@b\r\nBcc: c@d"}}', r'mail: to: "a@b\r\nBcc: c@d" is not a mail address'),
        ("{mail: {to: a@b, server: 'x:0'}}", 'mail: server: "x:0" has no port from 1 to 65535'),
        ("{mail: {to: a@b, server: 'smtp://x'}}", 'mail: server: "smtp://x" is not a server such as'),
        ("{mail: {to: a@b, tls: maybe}}", 'mail: tls: "maybe" is not one of starttls, on, off'),
        ("{mail: {to: a@b, server: x, tls: off}}", "mail: tls: off to x can be read by everybody on the way"),
        ("{mail: {to: a@b, tls: off, auth: {user: u, password_file: p}}}", "mail: auth: a password is never sent without TLS"),
        ("{mail: {to: a@b, auth: {user: u, password: p}}}", "mail: auth: password: a password in the configuration is known"),
        ("{mail: {to: a@b, auth: {user: u}}}", "mail: auth: password_file is missing"),
        ("{mail: {to: a@b, sendmail: true, server: x}}", "mail: sendmail knows its server itself; remove server"),
        ("{http: {format: json}}", "http: write one of url and url_file"),
        ("{http: {url: 'ftp://x'}}", "http: url: it is no URL that begins with https:// or http:// and a host"),
        ("{http: {url: 'http://u:p@x/'}}", "http: url: a password belongs into header_files"),
        (r'{http: {url: "http://x/\r\nA: b"}}', "http: url: a URL has printable ASCII characters and no blanks"),
        ("{http: {url: 'http://x/', format: xml}}", 'http: format: "xml" is not one of json, slack, text'),
        ("{http: {url: 'http://x/', format: json, body: a}}", "http: body is the whole text; remove format"),
        ("{http: {url: 'http://x/', headers: {'A b': c}}}", 'http: headers: "A b" cannot be the name of a header'),
        (r'{http: {url: "http://x/", headers: {A: "b\r\nC: d"}}}', r'http: headers: "b\r\nC: d" is not one line of text'),
        ("{http: {url: 'http://x/', headers: {Host: c}}}", "http: headers: the header Host is written by taskmasterd itself"),
        ("{syslog: /dev/log}", 'syslog: "/dev/log" is not unix:/PATH, udp:HOST:PORT or tcp:HOST:PORT'),
        ("{syslog: {to: 'udp:h:x'}}", 'syslog: to: "h:x" has no port'),
        ("{syslog: {to: 'udp:h', facility: x}}", 'syslog: facility: "x" is not one of kern, user'),
        ("{syslog: {to: 'udp:h', tag: 'a b'}}", 'syslog: tag: "a b" is not 1 to 32 letters'),
        ("{syslog: 'udp:h', user: www}", "user: user belongs to cmd; remove it"),
        ("{cmd: a, user: nobodyx}", 'user: there is no user "nobodyx"'),
        ("{cmd: a, group: nobodyx}", 'group: there is no group "nobodyx"'),
    ],
)  # fmt: skip
def test_a_wrong_rule_is_refused_with_what_to_write(text: str, says: str) -> None:
    assert wrong(text).startswith(says)


def test_a_section_and_a_rule_are_maps() -> None:
    assert "expected a mapping of names to rules, not a list" in problems(f"{PROGRAMS}alerts: [a]")[0]
    assert (
        "expected a mapping with one of cmd, mail, http and syslog, not a value"
        in problems(f"{PROGRAMS}alerts: {{a: b}}")[0]
    )
    assert "cannot be a name" in problems(f"{PROGRAMS}alerts: {{'a b': {{cmd: x}}}}")[0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{cmd: a, targets: ['x*']}", ['targets: "x*" matches no program']),
        ("{cmd: a, targets: [web, 'web:1', 'w*', all-of-it, all]}", []),
        ("{mail: {to: a@b}, batch: 0}", ["batch: each event becomes a mail of its own; 30 is the usual batch"]),
        (
            "{http: {url: 'http://x.org/a'}}",
            ["http: everybody on the way to x.org can read http, and the URL; write https"],
        ),
        ("{http: {url: 'http://127.0.0.1:80/a'}}", []),
        ("{http: {url: 'https://x.org/a'}}", []),
    ],
)
def test_what_is_hardly_meant_is_a_warning(text: str, says: list[str]) -> None:
    assert doubted(text) == says


def test_the_host_is_asked_about_files_commands_and_the_mail_server() -> None:
    both = (("it is odd", False), ("it is wrong", True))
    assert wrong("{mail: {to: a@b}}", destination_doubts=lambda _place, _user: both) == "mail: it is wrong"
    assert wrong("{cmd: a}", writable_command=lambda *_words: both) == "cmd: it is wrong"
    assert doubted("{cmd: a}", find_command=lambda *_words: "a is not found in PATH") == ["cmd: a is not found in PATH"]
    assert doubted("{cmd: a, user: www}", writable_command=lambda *_words: both) == []


def test_a_command_runs_where_its_user_may_be() -> None:
    nobody: dict[str, Any] = {"may_enter": lambda directory, _user: directory == "/"}
    loaded = load(
        f"{PROGRAMS}alerts: {{a: {{cmd: x}}, b: {{cmd: x, workingdir: /y}}, c: {{cmd: x, workingdir: /}}}}", **nobody
    )
    found = [AlertRule.from_data(each).workingdir for each in loaded.config.alerts.values()]
    assert found == ["/", "/y", "/"]
    assert doubted("{cmd: x, workingdir: /y, user: www}", **nobody) == ["workingdir: www may not enter /y"]


def test_of_a_url_only_scheme_and_host_are_shown() -> None:
    secret = "https://hooks.example.org/services/SECRET?token=SECRET"
    config = load(f"{PROGRAMS}alerts: {{page: {{http: {{url: '{secret}', headers: {{A: SECRET}}}}}}}}").config
    assert shown_destination(AlertRule.from_data(config.alerts["page"])) == "http https://hooks.example.org"
    text = effective_text(config, {}, default_places(0, {}), values=False)
    assert 'http: {url: "https://hooks.example.org", headers: {A: "***"}}' in text
    assert "SECRET" not in text


def test_a_problem_with_a_rule_is_public_only_without_quotes() -> None:
    hidden, shown = "{http: {url: 'ftp://SECRET'}}", "{cmd: a, at_most: SECRET}"
    for text in (hidden, shown):
        with pytest.raises(Exception, match="error") as caught:
            load(f"{PROGRAMS}alerts: {{page: {text}}}")
        assert "SECRET" not in "".join(caught.value.public)  # type: ignore[attr-defined]


def test_the_effective_text_means_the_same() -> None:
    text = f"""{PROGRAMS}alerts:
  a: {{cmd: ./x y, for: 2s, env: {{A: b, C: null}}, user: www, at_most: 5/1m}}
  b: {{mail: {{to: [o@x.org], server: 'h:1', tls: off, insecure: true}}, targets: [web]}}
  c: {{syslog: {{to: 'unix:/dev/log', tag: t}}, events: ['*', fatal]}}
  d: {{cmd: {{cmd: 'x ${{A}} | y', shell: true}}}}
  e: {{http: {{url_file: u, body: '{{text}}', header_files: {{A: f}}}}, batch: 1m}}
"""
    config = load(text).config
    again = load(effective_text(config, {}, default_places(0, {}), values=True)).config
    for name, data in config.alerts.items():
        before, after = AlertRule.from_data(data), AlertRule.from_data(again.alerts[name])
        assert after.replace(batch=None, at_most=None) == before.replace(batch=None, at_most=None)
        assert (batch_of(after), limit_of(after)) == (batch_of(before), limit_of(before))


@pytest.mark.parametrize(
    "destination", ["cmd: x", "mail: {to: a@b}", "http: {url: 'https://x'}", "syslog: 'tcp:h:514'"]
)
def test_no_delivery_can_be_done_within_0_seconds(destination: str) -> None:
    assert "timeout: is less than 0.1 s; write that or more" in wrong(f"{{{destination}, timeout: 0}}")
    assert wrong(f"{{{destination}, timeout: 0.01}}").endswith("write that or more")
