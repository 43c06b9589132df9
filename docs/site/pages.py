"""The generated pages of the site: the first page, programs, configs and the API reference.

Programs and configs are read as text, not imported: a flag is what a program's file defines. The
fields of configs are those of the schema.
"""

import ast
import pathlib
import re
from collections.abc import Iterator

import mkdocs_gen_files

from hpunet_jax.config import fields_reference
from hpunet_jax.config.schema import NETWORKS

ROOT = pathlib.Path(__file__).parents[2]
_FLAG_KINDS = {"DEFINE_bool": "true or false", "DEFINE_integer": "a whole number",
               "DEFINE_float": "a number", "DEFINE_list": "values separated by commas",
               "DEFINE_enum": "one of several words", "DEFINE_config_file": "a config"}  # fmt: skip


def write(path: str, text: str) -> None:
    """Writes a page of the site."""
    with mkdocs_gen_files.open(path, "w") as page:
        page.write(text)


def front_page() -> str:
    """The README, with its links as seen from docs/."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"\]\(docs/", "](", text)
    return re.sub(r"\]\((?!http|#|pictures|[\w/]+\.md)([\w./]+)\)", r"](../\1)", text)


def programs() -> str:
    """A section for each program: its docstring and its flags, with those that it shares."""
    start = "Started with `hpunet <name>`, in a clone also with `python -m experiments.<name>`."
    parts = [f"# Programs\n\n{start}\n"]
    for path in sorted((ROOT / "experiments").glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        flags = sorted(flag for part in [tree, *_flag_modules(tree)] for flag in _flags(part))
        if path.stem.startswith("_") or "main" not in {getattr(n, "name", "") for n in tree.body}:
            continue
        parts.append(f"## {path.stem} {{#{path.stem}}}\n\n{_docstring(tree)}\n")
        if flags:
            parts.append("| flag | takes | default | meaning |\n| --- | --- | --- | --- |")
            parts += [
                f"| `--{n}` | {kind} | {default} | {text} |" for n, kind, default, text in flags
            ]
        parts.append("")
    parts.append(
        "All programs also take `--traceback`, which shows where an error came from, and "
        "`--compilation_cache`, the folder that keeps compiled programs for the next start "
        "(`off`: none).\n"
    )
    return "\n".join(parts)


def _docstring(tree: ast.Module) -> str:
    """A file's docstring, in which <workdir> outside of code is text, not HTML."""
    lines = (ast.get_docstring(tree) or "").split("\n")
    return "\n".join(
        line if line.startswith("    ") else line.replace("<", "&lt;") for line in lines
    )


def _flag_modules(tree: ast.Module) -> Iterator[ast.Module]:
    """The modules of flags that a program imports from experiments/, such as checkpoint_flags."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "experiments":
            for alias in node.names:
                if alias.name.endswith("_flags"):
                    path = ROOT / "experiments" / f"{alias.name}.py"
                    yield ast.parse(path.read_text(encoding="utf-8"))


def _flags(tree: ast.Module) -> Iterator[tuple[str, str, str, str]]:
    """(name, what it takes, default, help) of the flags that a module defines."""
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            continue
        kind = call.func.attr
        arguments = call.args[1:] if kind == "DEFINE" else call.args  # without its parser
        if not kind.startswith("DEFINE") or not isinstance(arguments[0], ast.Constant):
            continue
        name, default, text = arguments[0].value, ast.unparse(arguments[1]), arguments[-1]
        takes = _FLAG_KINDS.get(kind, "text")
        if kind == "DEFINE_enum":
            takes = f"one of {ast.unparse(call.args[2])}"
        shown = "" if default == "None" else f"`{default}`"
        help_text = text.value if isinstance(text, ast.Constant) else ast.unparse(text)
        escaped = str(help_text).replace("|", "\\|").replace("<", "&lt;")
        yield name, takes, shown, escaped


def configs() -> str:
    """A section for each config: its docstring, and its file."""
    parts = [
        "# Configs\n\nEach is a file of `configs/`; any field can be changed on the command line, "
        "as in `--config.training.seed=3`. A derived config states only its difference.\n"
    ]
    for path in sorted((ROOT / "configs").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        if path.stem == "__init__":
            continue
        body = text[text.index('"""', 3) + 3 :].strip()
        parts += [f"## {path.stem} {{#{path.stem}}}\n\n{_docstring(tree)}\n"]
        parts += [f'??? note "configs/{path.name}"\n']
        parts += ["    ```python", *(f"    {line}" for line in body.splitlines()), "    ```\n"]
    return "\n".join(parts)


def fields() -> str:
    """A table of all fields for each section of a config."""
    parts = [
        "# Fields of configs\n\nEach field, what it takes, and its value where a config has none. "
        "`hpunet_jax.config.check_config` refuses everything else.\n"
    ]
    rows = fields_reference()
    for section in dict.fromkeys(row.name.split(".")[0] for row in rows):
        parts += [f"## {section}\n", "| field | takes | if missing | meaning |"]
        parts.append("| --- | --- | --- | --- |")
        for row in rows:
            if row.name.split(".")[0] == section:
                default = f"`{row.default}`" if row.default else "refused"
                some = len(row.networks) < len(NETWORKS)
                only = f" ({', '.join(row.networks)})" if some else ""
                meaning = row.meaning.replace("|", "\\|")
                parts.append(f"| `{row.name}` | {row.allowed} | {default} | {meaning}{only} |")
        parts.append("")
    return "\n".join(parts)


def api() -> None:
    """A page for each package and module of the library, and one that lists them."""
    index = [
        "# API\n\nThe packages and modules of the library.\n",
        "| name | what it holds |",
        "| --- | --- |",
    ]
    packages = sorted(p.parent for p in (ROOT / "hpunet_jax").glob("*/__init__.py"))
    for package in packages:
        modules = [_name(path) for path in sorted(package.rglob("*.py"))]
        summary = (ast.get_docstring(ast.parse((package / "__init__.py").read_text())) or "").split(
            "\n"
        )
        name = f"hpunet_jax.{package.name}"
        index.append(f"| [{name}](api/{name}.md) | {summary[0]} |")
        text = "\n\n".join(_section(module) for module in modules)
        write(f"reference/api/{name}.md", f"# {name}\n\n{text}\n")
    for path in sorted((ROOT / "hpunet_jax").glob("*.py")):
        if path.stem == "__init__":
            continue
        name = _name(path)
        summary = (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n")
        index.append(f"| [{name}](api/{name}.md) | {summary[0]} |")
        write(f"reference/api/{name}.md", f"# {name}\n\n::: {name}\n")
    write("reference/api.md", "\n".join(index) + "\n")


def _section(module: str) -> str:
    """A module's section; of a package its docstring alone, since its names stand in its files."""
    package = (ROOT / module.replace(".", "/")).is_dir()
    return f"::: {module}" + ("\n    options:\n      members: []" if package else "")


def _name(path: pathlib.Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


write("index.md", front_page())
write("reference/programs.md", programs())
write("reference/configs.md", configs())
write("reference/fields.md", fields())
# Names in the first column of a table stay whole, and wide tables have room.
STYLE = ".md-typeset td:first-child code { white-space: nowrap; }\n.md-grid { max-width: 76rem; }\n"
write("tables.css", STYLE)
api()
