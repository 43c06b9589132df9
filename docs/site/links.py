"""Links of the pages to files of the repository, turned into links to the generated pages.

In the repository `[step.py](../hpunet_jax/training/step.py)` opens the file; on the site the same
link leads to the module's place in the API reference, which shows the source.
"""

import posixpath
import re

_LINK = re.compile(r"\]\((?:\.\./)+((?:hpunet_jax|configs|experiments|tests|benchmarks)/[^)#]*)\)")


def on_page_markdown(markdown: str, page, config, files) -> str:
    """mkdocs calls this with each page's text before it is rendered."""
    here = posixpath.dirname(page.file.src_uri)

    def target(match: re.Match) -> str:
        path = match[1].rstrip("/")
        if path.startswith("hpunet_jax/"):
            module = path.removesuffix(".py").replace("/", ".")
            package = ".".join(module.split(".")[:2])
            anchor = f"#{module}" if path.endswith(".py") else ""
            return f"]({_relative(f'reference/api/{package}.md', here)}{anchor})"
        if path.startswith(("configs", "experiments")):
            page_name = "configs" if path.startswith("configs") else "programs"
            name = posixpath.basename(path).removesuffix(".py")
            anchor = f"#{name}" if path.endswith(".py") else ""
            return f"]({_relative(f'reference/{page_name}.md', here)}{anchor})"
        return "](#)" if path else match[0]

    return _LINK.sub(target, markdown)


def _relative(path: str, here: str) -> str:
    return posixpath.relpath(path, here or ".")
