"""The command `hpunet`: starts the programs, from a clone as well as from an installed package.

    hpunet train --config=lidc_hpunet --workdir=runs/lidc

is `python -m experiments.train --config=configs/lidc_hpunet.py --workdir=runs/lidc` of a clone. An
installed package carries the folders `experiments` and `configs` inside of itself, where they take
nobody's name; only the process of this command, and those it starts, see them at the top level.
"""

import ast
import difflib
import os
import pathlib
import runpy
import sys
from collections.abc import Sequence

_PACKAGE = pathlib.Path(__file__).parent
_SHIPPED = _PACKAGE / "_shipped"  # setup.py puts them there


def programs_folder() -> pathlib.Path:
    """The folder that holds `experiments` and `configs`."""
    return _SHIPPED if _SHIPPED.is_dir() else _PACKAGE.parent


def programs(folder: pathlib.Path) -> dict[str, str]:
    """The programs and the first line of what each says of itself.

    Args:
      folder: what holds `experiments`.

    Returns:
      {name: first line}, by name. Read as text: nothing is imported.
    """
    found = {}
    for path in sorted((folder / "experiments").glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body):
            found[path.stem] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def help_text(known: dict[str, str]) -> str:
    """What `hpunet --help` prints."""
    width = max(map(len, known))
    lines = [f"  {name.ljust(width)}   {line}" for name, line in known.items()]
    return "\n".join(
        [
            "usage: hpunet PROGRAM --flag=value ...",
            "",
            *lines,
            "",
            "hpunet PROGRAM --help lists the flags of a program; --config takes the name of a",
            "shipped config, such as lidc_hpunet, or a file.",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a program in this process.

    Args:
      arguments: the program's name and its flags; None takes those of the command line.

    Raises:
      SystemExit: with the program's exit code; with a sentence if there is no such program.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    folder = programs_folder()
    known = programs(folder)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(help_text(known))
        return
    name, *flags = arguments
    if name == "--version":
        import hpunet_jax

        print(f"hpunet_jax {hpunet_jax.__version__}")
        return
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        sys.exit(f"error: there is no program {name!r}.{hint} `hpunet --help` lists them.")
    sys.path.insert(0, os.fspath(folder))
    paths = [os.fspath(folder), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)  # of its children
    sys.argv = [f"hpunet {name}", *flags]
    try:
        runpy.run_module(f"experiments.{name}", run_name="__main__", alter_sys=True)
    except KeyboardInterrupt:  # before the program itself has begun
        print("\nstopped by Ctrl-C", file=sys.stderr)
        sys.exit(130)
