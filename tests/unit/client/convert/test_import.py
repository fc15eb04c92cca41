"""`import` as a command: kinds, exit codes, where the outcome and the report go."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from taskmaster_common.commands.flags import IMPORTED
from taskmasterctl.cli import main
from taskmasterctl.convert.kinds.table import KINDS
from tests.support.converting import Importer
from tests.support.daemon import ROOT

EXACT = "[program:web]\ncommand=/bin/sleep 1\nstopasgroup=true\n"
LOSSES = EXACT + "serverurl=http://elsewhere\n"
WRONG = EXACT + "autostart=perhaps\n"


def test_the_command_table_has_the_kinds_that_can_be_read() -> None:
    assert tuple(KINDS) == IMPORTED


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("compose.yaml", "services: {}\n", "inside its image only"),
        ("stack.yml", "services:\n  web: {}\n", "inside its image only"),
        ("ecosystem.config.js", "module.exports = {}\n", "cannot be read without running it"),
        ("x.txt", "module.exports = {}\n", "cannot be read without running it"),
        ("notes.txt", "nothing\n", "of which kind is it? say --from supervisor"),
    ],
)
def test_a_kind_that_is_refused_or_unknown_is_a_mistake_of_usage(
    importer: Importer, name: str, content: str, words: str
) -> None:
    done = importer({name: content})
    assert (done.code, done.text) == (2, "")
    assert words in "\n".join(done.report)


def test_two_kinds_at_once_are_refused(importer: Importer) -> None:
    done = importer({"a.conf": EXACT, "compose.yaml": "services: {}\n"}, "a.conf", "compose.yaml")
    assert done.code == 2


def test_a_directory_is_refused_with_the_pattern_to_write(importer: Importer) -> None:
    importer.write({"conf.d/a.conf": EXACT})
    assert main(["import", str(importer.directory / "conf.d")]) == 2
    assert "conf.d/*.conf" in importer.errors()


def test_several_files_make_one_outcome(importer: Importer) -> None:
    done = importer({"a.conf": EXACT, "b.conf": EXACT.replace("web", "db")}, "a.conf", "b.conf")
    assert [each.name for each in done.config.programs] == ["web", "db"]
    assert "from a.conf, b.conf (supervisor)" in done.text.splitlines()[0]


@pytest.mark.parametrize(("text", "code"), [(EXACT, 0), (LOSSES, 3), (WRONG, 6)])
def test_the_exit_code_says_what_became_of_it(importer: Importer, text: str, code: int) -> None:
    done = importer({"web.conf": text})
    assert done.code == code
    assert bool(done.text) == (code != 6)


def test_strict_writes_nothing_where_something_is_lost(importer: Importer) -> None:
    done = importer({"web.conf": LOSSES}, "--strict", "-o", "out.yaml")
    assert (done.code, done.text) == (3, "")
    assert not (importer.directory / "out.yaml").exists()
    assert done.report[-1] == "nothing is written: --strict"
    assert importer({"web.conf": EXACT}, "--strict").code == 0


def test_a_file_that_cannot_be_read_is_another_code(importer: Importer) -> None:
    importer.write({"web.conf": EXACT})
    assert main(["import", "--from", "supervisor", str(importer.directory / "missing.conf")]) == 4
    assert "missing.conf: no such file" in importer.errors()


def test_standard_input_needs_its_kind(importer: Importer) -> None:
    assert main(["import", "-"]) == 2
    assert "--from" in importer.errors()
    command = [sys.executable, "-m", "taskmasterctl", "import", "--from", "supervisor", "-"]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'common'}"}
    done = subprocess.run(command, input=EXACT, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0
    assert done.stdout.startswith("# from stdin (supervisor)")


def test_an_existing_file_is_replaced_only_by_force(importer: Importer) -> None:
    importer.write({"out.yaml": "mine\n"})
    path = importer.directory / "out.yaml"
    done = importer({"web.conf": EXACT}, "-o", "out.yaml")
    assert (done.code, path.read_text()) == (1, "mine\n")
    assert "it exists; --force replaces it" in done.report[-1]
    assert importer({"web.conf": EXACT}, "-o", "out.yaml", "--force").code == 0
    assert path.read_text().startswith("# from web.conf")
    assert sorted(each.name for each in importer.directory.iterdir()) == ["out.yaml", "web.conf"]


def test_force_takes_the_place_of_nothing_but_a_regular_file(importer: Importer) -> None:
    path = importer.directory / "out.yaml"
    os.mkfifo(path)  # as /dev/null would be: root may rename a file over it
    done = importer({"web.conf": EXACT}, "-o", "out.yaml", "--force")
    assert done.code == 1
    assert "it is no regular file, and stays as it is" in done.report[-1]
    assert path.is_fifo()


@pytest.mark.parametrize(("name", "mode"), [("MODE", 0o644), ("DB_PASSWORD", 0o600), ("API_TOKEN", 0o600)])
def test_a_file_with_secrets_is_its_owners_alone(importer: Importer, name: str, mode: int) -> None:
    importer({"web.conf": f"{EXACT}environment={name}=x\n"}, "-o", "out.yaml")
    assert stat.S_IMODE((importer.directory / "out.yaml").stat().st_mode) == mode


def test_a_directory_that_does_not_exist_cannot_be_written_to(importer: Importer) -> None:
    done = importer({"web.conf": EXACT}, "-o", "no/out.yaml")
    assert done.code == 1
    assert "cannot write no/out.yaml: no such file" in done.report[-1]


def test_the_report_as_json_goes_to_standard_output_beside_a_file(importer: Importer) -> None:
    done = importer({"web.conf": LOSSES}, "--json", "-o", "out.yaml")
    found = json.loads(done.text)
    assert (found["schema"], found["kind"], found["programs"]) == (1, "supervisor", 1)
    first = found["problems"][0]
    assert {name: first[name] for name in ("file", "line", "section", "option", "value", "word")} == {
        "file": "web.conf", "line": 4, "section": "program:web", "option": "serverurl", "value": "http://elsewhere", "word": "dropped",
    }  # fmt: skip
    assert {each["word"] for each in found["problems"]} == {"dropped", "note"}
    assert done.lines("dropped"), "the text report goes to stderr, too"
    assert importer({"web.conf": LOSSES}, "--json").code == 2


def test_check_tells_what_this_machine_lacks_from_what_is_our_fault(importer: Importer) -> None:
    text = f"{EXACT}user=no-such-user\ndirectory=/no/such\nenvironment=A=%(ENV_NO_SUCH_VARIABLE)s\n"
    done = importer({"web.conf": text.replace("/bin/sleep", "/no/such/command")}, "--check")
    assert done.code == 0
    for thing in ("user no-such-user", "directory /no/such", "variable NO_SUCH_VARIABLE", "command /no/such/command"):
        assert f"warning: {thing}: not on this machine" in done.report
    unknown = importer({"web.conf": f"{EXACT}autorestart=%(ENV_NO_SUCH_VARIABLE)s\n"}, "--check")
    assert unknown.code == 0
    assert [line for line in unknown.report if line.startswith("warning: a variable that is not on this machine")]
    faulty = importer({"web.conf": f"{EXACT}umask=7777\n"}, "--check")
    assert faulty.code == 1
    assert "a fault of taskmasterctl import" in "\n".join(faulty.report)
    assert faulty.text, "the outcome is written all the same"


def test_the_same_input_gives_the_same_bytes_and_yaml_reads_them(importer: Importer) -> None:
    files = {"web.conf": LOSSES + EXACT.replace("web", "db") + EXACT.replace("web", "mail")}
    text = importer(files).text
    assert importer(files).text == text
    assert text.endswith("\n")
    assert list(yaml.safe_load(text)["programs"]) == ["web", "db", "mail"]


def test_what_all_of_three_programs_share_is_a_default(importer: Importer) -> None:
    same = "".join(f"[program:{name}]\ncommand=/bin/true\nautorestart=true\nstartsecs=5\n" for name in "ab")
    two = importer({"web.conf": same})
    assert "defaults:" not in two.text
    three = importer({"web.conf": same + "[program:c]\ncommand=/bin/true\nautorestart=true\n"})
    found = yaml.safe_load(three.text)
    assert found["defaults"] == {"autorestart": "always", "stopasgroup": "leader"}
    assert found["programs"]["a"] == {"cmd": "/bin/true", "starttime": 5}


def test_set_gives_a_variable_its_value_and_may_be_repeated(importer: Importer) -> None:
    text = "[program:web]\ncommand=/bin/run %(ENV_A)s %(ENV_B)s %(host_node_name)s\n"
    done = importer({"web.conf": text}, "--set", "ENV=1", "--set", "A=x", "--set", "B=y=z", "--set", "host_node_name=h")
    assert done.program("web").cmd == ("/bin/run", "x", "y=z", "h")
    assert importer({"web.conf": text}, "--set", "A").code == 2


def test_a_value_that_nothing_asks_for_is_noted(importer: Importer) -> None:
    assert importer({"web.conf": EXACT}, "--set", "X=1").line("--set X: nothing in the input asks for it")


@pytest.mark.parametrize("flag", ["--ordered", "--strict-stop", "--supervisor-env"])
def test_a_flag_of_another_kind_is_a_mistake_of_usage(importer: Importer, flag: str) -> None:
    done = importer({"Procfile": "web: run\n"}, flag)
    assert done.code == 2
    assert f"{flag} is for supervisor, not for procfile" in done.report[0]
    assert importer({"Procfile": "web: run\n"}, "--workdir", "/").code == 2


def test_a_name_that_taskmaster_does_not_allow_is_changed(importer: Importer) -> None:
    done = importer({"web.conf": "".join(f"[program:{name}]\ncommand=/bin/true\n" for name in ("all", ".x", "ä"))})
    assert done.code == 3
    assert [each.name for each in done.config.programs] == ["all-2", "x", "program"]
    assert len(done.lines("changed")) == 3


def test_an_import_loads_no_connection_and_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "web.conf").write_text(EXACT)
    code = (
        "import sys; from taskmasterctl.cli import main; main(sys.argv[1:]); "
        "print(*sys.modules, sep='\\n', file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code, "import", str(tmp_path / "web.conf")],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'common'}"},
        check=False,
    )
    loaded = set(done.stderr.splitlines())
    assert "taskmasterctl.convert.importing" in loaded
    assert not loaded & {"yaml", "prompt_toolkit", "socket", "subprocess", "taskmaster_common.schema"}
