"""The image recipe: built where an engine is there; otherwise its instructions are read, and its steps run without one."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from taskmaster_common.commands.table import parse
from taskmaster_common.paths import SYSTEM_CONFIG, default_places
from taskmasterctl.options import Options, split_options
from taskmasterd.launch import options
from tests.support.daemon import ROOT
from tests.support.wait import wait_until

DOCKERFILE = ROOT / "config" / "image" / "Dockerfile"
KNOWN = {"FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "ENTRYPOINT", "STOPSIGNAL", "HEALTHCHECK"}
PLACES = ("/opt/taskmaster", "/etc/taskmaster", "/run/taskmaster", "/var/lib/taskmaster")
"""The directories of the image that its instructions name."""
UNSHARE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")


def instructions() -> list[tuple[str, str]]:
    """Return (instruction, its text) in order, without comments; continued lines are one."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(word, text.strip()) for word, _, text in (line.partition(" ") for line in joined.splitlines() if line)]


def texts(wanted: str) -> list[str]:
    """Return the texts of all instructions of one kind."""
    return [text for word, text in instructions() if word == wanted]


def variables() -> dict[str, str]:
    """Return what ENV sets."""
    return dict(re.findall(r"(\w+)=(\S+)", " ".join(texts("ENV"))))


def copied() -> list[str]:
    """Return what is copied from the source tree."""
    return [source for text in texts("COPY") if not text.startswith("--") for source in text.split()[:-1]]


def test_the_instructions_are_known_and_the_last_stage_takes_only_what_is_installed() -> None:
    words = [word for word, _ in instructions()]
    assert set(words) <= KNOWN
    assert words[0] == "FROM"
    last = instructions()[len(words) - words[::-1].index("FROM") :]
    assert [text for word, text in last if word == "COPY"] == ["--from=build /opt/taskmaster /opt/taskmaster"]
    assert "pip" not in " ".join(text for word, text in last if word == "RUN")


def test_what_is_copied_exists_and_is_all_that_a_build_needs() -> None:
    sources = copied()
    assert [source for source in sources if not list(ROOT.glob(source))] == []
    project = (ROOT / "pyproject.toml").read_text()
    shared = re.findall(r'(?m)^"([^"]+)" = "share/', project)
    needed = {
        path.split("/")[0] for path in (*shared, "taskmasterd", "taskmasterctl", "common", "scripts", "pyproject.toml")
    }
    have = {path.name for source in sources for path in ROOT.glob(source)}
    assert sorted(needed - have) == []


def test_what_the_image_runs_are_commands_of_ours_that_understand_their_words() -> None:
    (entry,), (health,) = texts("ENTRYPOINT"), texts("HEALTHCHECK")
    command, *words = json.loads(entry)
    assert command == "taskmasterd"
    assert options.parse(words).config == SYSTEM_CONFIG
    command, *words = json.loads(health.removeprefix("CMD "))
    assert command == "taskmasterctl"
    assert parse(split_options(words, Options())[1]).verb == "health"


def test_it_runs_without_root_and_may_write_where_the_daemon_has_its_files() -> None:
    (user,) = texts("USER")
    (made,) = [text for text in texts("RUN") if "useradd" in text]
    assert user != "root"
    assert re.search(rf"useradd .*\b{user}\b", made)
    owned = shlex.split(made)[shlex.split(made).index("-d") :]
    places = default_places(1000, variables())
    assert f"-o {user} -g {user}" in made
    assert {places.run_dir, places.state_dir} <= set(owned)


def _engine() -> str:
    return next((name for name in ("docker", "podman") if _answers(name)), "")


def _answers(name: str) -> bool:
    return bool(shutil.which(name)) and not subprocess.run([name, "ps"], capture_output=True, check=False).returncode


@pytest.mark.sweep
@pytest.mark.timeout(600)
def test_an_engine_builds_it(tmp_path: Path) -> None:
    engine = _engine()
    if not engine:
        pytest.skip("no engine of containers here")
    mark = tmp_path / "id"
    run(engine, "build", "--iidfile", mark, "-f", DOCKERFILE, ROOT)
    version = run(engine, "run", "--rm", "--entrypoint", "taskmasterd", mark.read_text(), "-V")
    assert version.stdout.startswith("taskmasterd ")


def run(*words: object, **more: object) -> subprocess.CompletedProcess[str]:
    """Run a command that has to succeed."""
    done = subprocess.run(
        [str(word) for word in words],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, **more,  # type: ignore[call-overload]
    )  # fmt: skip
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done  # type: ignore[no-any-return]


@pytest.fixture
def image(short_dir: Path) -> Path:
    """A directory in which the steps of the recipe have run, without an engine and without the network.

    A venv also sees the packages of the interpreter that runs the tests, pip among them.
    """
    source, commands = short_dir / "source", short_dir / "commands"
    source.mkdir()
    commands.mkdir()
    for word in copied():
        for path in ROOT.glob(word):
            if path.is_dir():
                shutil.copytree(path, source / path.name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(path, source)
    packages = Path(yaml.__file__).parents[1]
    python = commands / "python"
    python.write_text(
        f'#!/bin/sh\n"{sys.executable}" "$@" --without-pip || exit\n'
        f'for d in "$3"/lib/python3*/site-packages; do echo "{packages}" > "$d/outside.pth"; done\n'
        'pip="$3/bin/pip"; printf \'#!/bin/sh\\nexec "${0%%/*}/python" -m pip "$@"\\n\' > "$pip"; chmod +x "$pip"\n'
    )
    python.chmod(0o755)
    environment = {"PATH": f"{commands}:{os.environ['PATH']}", "HOME": str(short_dir), "PIP_NO_INDEX": "1"}
    environment["PIP_NO_BUILD_ISOLATION"] = "0"
    build, last = texts("RUN")
    run("sh", "-euc", inside(build, short_dir), cwd=source, env=environment)
    steps = last.partition(" && ")[2].replace("-o taskmaster -g taskmaster ", "")  # a user is not made on this host
    run("sh", "-euc", inside(steps, short_dir), cwd="/", env=in_image(short_dir))
    return short_dir


def inside(text: str, image: Path) -> str:
    """Return a text with each directory of the image below `image`."""
    for place in PLACES:
        text = text.replace(place, f"{image}{place}")
    return text


def in_image(image: Path) -> dict[str, str]:
    """Return the variables of a container."""
    return {name: inside(value, image).replace("$PATH", os.environ["PATH"]) for name, value in variables().items()}


@pytest.mark.sweep
@pytest.mark.timeout(240)
def test_its_steps_make_a_daemon_that_starts_is_healthy_and_stops(image: Path) -> None:
    environment = in_image(image)
    entry = [inside(word, image) for word in json.loads(texts("ENTRYPOINT")[0])]
    health = json.loads(texts("HEALTHCHECK")[0].removeprefix("CMD "))
    assert shutil.which("taskmasterd", path=environment["PATH"]) == f"{image}/opt/taskmaster/bin/taskmasterd"
    as_first = (
        os.geteuid() == 0 and shutil.which("unshare") and not subprocess.run([*UNSHARE, "true"], check=False).returncode
    )
    words = [*UNSHARE, *entry] if as_first else [*entry, "-n"]
    log = image / "output"
    with log.open("wb") as output:
        daemon = subprocess.Popen(
            words, env=environment, cwd="/", stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        wait_until(
            lambda: not subprocess.run(health, env=environment, capture_output=True, check=False).returncode,
            within_s=20,
        )
        run("taskmasterctl", "shutdown", env=environment)
        assert daemon.wait(20) == 0, log.read_text()
    finally:
        daemon.kill()
        daemon.wait()
