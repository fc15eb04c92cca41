"""What the command line of an import says, as the kinds of input need it. Pure."""

from __future__ import annotations

from taskmaster_common.records import Record
from taskmasterctl.convert.outcome.texts import CONFIG_DIR, variable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Given(dict[str, str]):
    """The values of `--set`; `used` are the names that the input has asked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(values)
        self.used: set[str] = set()

    def __contains__(self, name: object) -> bool:
        self.used.add(str(name))
        return super().__contains__(name)

    def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
        """Return a value, or the default."""
        self.used.add(name)
        return super().get(name, default)


class ImportSettings(Record):
    """`base`: the directory in which taskmaster.yaml will be; `workdir`: where the old supervisor was started, "" if unknown.

    `ordered`, `strict_stop` and `supervisor_env` are flags for supervisor's files. `values`: `--set NAME=VALUE`.
    `cores` is the number of this machine.
    """

    base: str
    workdir: str = ""
    ordered: bool = False
    strict_stop: bool = False
    supervisor_env: bool = False
    values: Mapping[str, str] = {}
    cores: int = 1

    def beside(self, directory: str) -> str:
        """Return a directory as a text with variables: by CONFIG_DIR where it is the outcome's, or below."""
        if any(character.isspace() for character in directory):
            return directory  # other tools split it as any other text
        if directory == self.base:
            return variable(CONFIG_DIR)
        below = self.base.rstrip("/") + "/"
        return f"{variable(CONFIG_DIR)}/{directory[len(below) :]}" if directory.startswith(below) else directory
