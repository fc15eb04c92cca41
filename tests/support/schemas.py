"""The public schemas of formats that exports write, as the packages that are installed for tests have them."""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import Any

from jsonschema import Draft7Validator, Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

KUBERNETES = "kubernetes-json-schema"


@functools.cache
def _compose() -> Draft7Validator:
    path = resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    return Draft7Validator(json.loads(path.read_text()))


def compose_problems(data: object) -> list[str]:
    """Return what is wrong with a Compose file. Source: the schema of the Compose specification."""
    return [error.message for error in _compose().iter_errors(data)]


@functools.cache
def _kubernetes(kind: str) -> Draft202012Validator:
    versions = resources.files("kubernetes_validate") / KUBERNETES
    newest = max(
        (each for each in versions.iterdir() if each.name.endswith("-local-strict")),
        key=lambda each: _numbers(each.name),
    )
    schema, definitions = (json.loads((newest / name).read_text()) for name in (f"{kind}.json", "_definitions.json"))
    registry: Registry[Any] = Registry().with_resources(
        (name, Resource.from_contents(each, default_specification=DRAFT202012))
        for name, each in ((schema.get("$id", ""), schema), (definitions.get("$id", "_definitions.json"), definitions))
    )
    return Draft202012Validator(schema, registry=registry)


def _numbers(name: str) -> list[int]:
    return [int(part) for part in name.removeprefix("v").partition("-")[0].split(".")]


def kubernetes_problems(document: dict[str, Any]) -> list[str]:
    """Return what is wrong with an object. Source: the schemas of its API."""
    kind = f"{document['kind'].lower()}-{document['apiVersion'].replace('/', '-')}"
    return [error.message for error in _kubernetes(kind).iter_errors(document)]
