"""The wheel: it holds the tree and nothing else, and what it installs works from anywhere."""

from __future__ import annotations

import email
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from tests.support.daemon import ROOT, command_environment

PACKAGES = {
    "taskmasterd": ROOT / "taskmasterd",
    "taskmasterctl": ROOT / "taskmasterctl",
    "taskmaster_common": ROOT / "common" / "taskmaster_common",
}
PAGES = ("README.md", "CHANGELOG.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE", "AUTHORS")
SHARED = {
    "share/man/man1/taskmasterctl.1": "man/taskmasterctl.1",
    "share/man/man5/taskmaster.yaml.5": "man/taskmaster.yaml.5",
    "share/man/man8/taskmasterd.8": "man/taskmasterd.8",
    "share/bash-completion/completions/taskmasterctl": "config/completions/taskmasterctl.bash",
    "share/zsh/site-functions/_taskmasterctl": "config/completions/_taskmasterctl",
    "share/fish/vendor_completions.d/taskmasterctl.fish": "config/completions/taskmasterctl.fish",
    "share/taskmaster/42.yaml": "config/42.yaml",
    "share/taskmaster/image/Dockerfile": "config/image/Dockerfile",
    "share/taskmaster/logrotate/taskmaster": "config/logrotate/taskmaster",
    "share/taskmaster/reference.yaml": "config/reference.yaml",
    "share/taskmaster/systemd/taskmasterd.service": "config/systemd/taskmasterd.service",
    "share/taskmaster/systemd/user/taskmasterd.service": "config/systemd/user/taskmasterd.service",
    "share/taskmaster/sysusers.d/taskmaster.conf": "config/sysusers.d/taskmaster.conf",
    "share/taskmaster/taskmaster.schema.json": "config/taskmaster.schema.json",
    "share/taskmaster/taskmaster.yaml": "config/taskmaster.yaml",
    "share/taskmaster/tmpfiles.d/taskmaster.conf": "config/tmpfiles.d/taskmaster.conf",
    **{f"share/doc/taskmasterd/{page}": page for page in PAGES},
    **{
        f"share/doc/taskmasterd/{page.relative_to(ROOT)}": str(page.relative_to(ROOT))
        for page in sorted((ROOT / "docs").rglob("*"))
        if page.is_file()
    },
}
"""What the wheel installs besides the packages, each where others look for it."""
CONFIG = "programs:\n  web:\n    cmd: sleep 86400\n    starttime: 0\n"

pytestmark = [pytest.mark.sweep, pytest.mark.timeout(180)]  # a build costs as much as hundreds of other tests


def run(*words: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command that has to succeed."""
    done = subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=120,
        **options,  # type: ignore[call-overload]
    )
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, built without network."""
    directory = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", directory, ROOT)
    (built,) = directory.glob("*.whl")
    return built


def test_the_wheel_holds_every_source_file_and_nothing_else(wheel: Path) -> None:
    tree = {
        f"{name}/{path.relative_to(directory)}"
        for name, directory in PACKAGES.items()
        for path in directory.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    held = {name for name in zipfile.ZipFile(wheel).namelist() if name.split("/")[0] in PACKAGES}
    assert held == tree
    assert {f"{name}/py.typed" for name in PACKAGES} <= held


def test_the_metadata_names_two_dependencies_two_commands_and_the_licence(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (folder,) = {name.split("/")[0] for name in archive.namelist() if ".dist-info/" in name}
    metadata = email.message_from_string(archive.read(f"{folder}/METADATA").decode())
    required = [text for text in metadata.get_all("Requires-Dist", []) if "extra ==" not in text]
    names = {text.split(">")[0].replace("-", "_").lower() for text in required}
    assert names == {"pyyaml", "prompt_toolkit"}
    assert metadata["Name"] == "taskmasterd"
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.10"
    assert archive.read(f"{folder}/licenses/LICENSE").startswith(b"MIT License")
    commands = archive.read(f"{folder}/entry_points.txt").decode()
    assert "taskmasterd = taskmasterd.__main__:main" in commands
    assert "taskmasterctl = taskmasterctl.__main__:main" in commands


def test_what_the_wheel_installs_runs_from_another_directory(wheel: Path, short_dir: Path) -> None:
    venv, home = short_dir / "venv", short_dir / "home"
    home.mkdir()
    run(sys.executable, "-m", "venv", "--without-pip", venv)
    run(sys.executable, "-m", "pip", "--python", venv / "bin" / "python", "install", "--no-deps", "--no-index", wheel)
    (site_packages,) = (venv / "lib").glob("python*/site-packages")
    # The dependencies are those of the interpreter that runs the tests; a .pth below a .pth's directory is not read.
    (site_packages / "dependencies.pth").write_text(f"{Path(yaml.__file__).parents[1]}\n")
    (home / "taskmaster.yaml").write_text(CONFIG)
    environment = command_environment(home)
    del environment["PYTHONPATH"]
    daemon, client = venv / "bin" / "taskmasterd", venv / "bin" / "taskmasterctl"

    share = venv / "share"
    assert (
        run(daemon, "--example", cwd="/", env=environment).stdout == (share / "taskmaster/taskmaster.yaml").read_text()
    )
    assert (
        run(daemon, "--schema", cwd="/", env=environment).stdout
        == (share / "taskmaster/taskmaster.schema.json").read_text()
    )
    for manager in ("system", "user"):
        unit = run(daemon, "--unit", manager, cwd="/", env=environment).stdout
        assert f"\nExecStart={daemon} -c " in unit
        assert f"\nExecReload={client} -c " in unit
    places = run(daemon, "--files", "-c", home / "taskmaster.yaml", cwd="/", env=environment).stdout
    assert f"examples          {share}/taskmaster  (installed)\n" in places
    assert f"documentation     {share}/doc/taskmasterd  (installed)\n" in places
    for shell in ("bash", "zsh", "fish"):
        assert (
            f"{shell} completion for taskmasterctl" in run(client, "completion", shell, cwd="/", env=environment).stdout
        )
    version = run(daemon, "-V", cwd="/", env=environment).stdout
    assert version.split() == ["taskmasterd", _version()]
    assert run(client, "-V", cwd="/", env=environment).stdout.split() == ["taskmasterctl", _version()]
    run(daemon, "-c", home / "taskmaster.yaml", cwd="/", env=environment)
    try:
        status = run(client, "status", cwd="/", env=environment).stdout
        pid = int(run(client, "pid", cwd="/", env=environment).stdout)
        loaded = Path(f"/proc/{pid}/cmdline")
        assert not loaded.exists() or str(site_packages).encode() in loaded.read_bytes()
    finally:
        run(client, "shutdown", cwd="/", env=environment)
    assert [line.split()[:2] for line in status.splitlines()[1:]] == [["web", "RUNNING"]]
    assert not os.path.exists(environment["TASKMASTER_SOCKET"])


def _version() -> str:
    text = (PACKAGES["taskmaster_common"] / "__init__.py").read_text()
    return text.partition('__version__ = "')[2].partition('"')[0]


def test_nothing_under_man_or_config_is_left_out() -> None:
    kept = {
        str(path.relative_to(ROOT))
        for directory in ("man", "config", "docs")
        for path in (ROOT / directory).rglob("*")
        if path.is_file()
    }
    assert kept | set(PAGES) == set(SHARED.values())


def test_the_wheel_holds_the_shared_files_and_no_others(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    archive = zipfile.ZipFile(wheel)
    held = {
        os.path.join(*name.split("/")[2:]): archive.read(name)
        for name in archive.namelist()
        if name.split("/")[0].endswith(".data") and name.split("/")[1] == "data"
    }
    assert set(held) == set(SHARED)
    assert all(content == (ROOT / SHARED[name]).read_bytes() for name, content in held.items())
