"""The config that another is derived from: what a config file states is its difference from it."""

import ast
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import ml_collections

from hpunet_jax.config.files import load_config


class Parent(NamedTuple):
    """A config that another is derived from.

    Attributes:
      name: the name of its file, without the suffix.
      config: the config.
    """

    name: str
    config: ml_collections.ConfigDict


def parent_config(path: str) -> Parent | None:
    """The config that a config file begins with.

    It is the config file in the same folder whose `get_config` the file calls first: directly, or
    as demo.py does, the one that its own argument names. The file is read, not run.

    Args:
      path: the file, maybe with an argument after a colon.

    Returns:
      The parent; None if the file has none.
    """
    file, _, argument = path.partition(":")
    folder = pathlib.Path(file).parent
    try:
        tree = ast.parse(pathlib.Path(file).read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return None
    for name in (*_called(tree), argument, *_defaults(tree)):
        other = folder / f"{name}.py"
        if name.isidentifier() and other.is_file() and other.stem != pathlib.Path(file).stem:
            return Parent(name, load_config(str(other)))
    return None


def _called(tree: ast.Module) -> Iterator[str]:
    """The modules whose `get_config` is called, in the order of the lines."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for call in sorted(calls, key=lambda node: (node.lineno, node.col_offset)):
        match call.func:
            case ast.Attribute(value=ast.Name(id=name), attr="get_config"):
                yield name


def _defaults(tree: ast.Module) -> Iterator[str]:
    """The texts that the arguments of `get_config` are without being given."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == "get_config":
            for default in node.args.defaults:
                if isinstance(default, ast.Constant) and isinstance(default.value, str):
                    yield default.value
