"""The models that ship with the package: files of at most 5 MB, each with a card beside it.

A card is Markdown. Its title names the model and says in a line what it does; its paragraphs say
what it was trained on (Data), by which commands (Made by), how well it does (Scores), and what it
is not for (Limits).
"""

import pathlib
from typing import NamedTuple

FOLDER = pathlib.Path(__file__).parents[1] / "pretrained"


class Shipped(NamedTuple):
    """One model.

    Attributes:
      name: `hpunet_jax.load(f"pretrained/{name}")` loads it.
      title: what it does, in a line.
      card: the whole card.
      file: the model file.
    """

    name: str
    title: str
    card: str
    file: pathlib.Path


def shipped_models() -> dict[str, Shipped]:
    """All models that ship with the package, by name."""
    models = {}
    for file in sorted(FOLDER.glob("*.npz")):
        card = file.with_suffix(".md").read_text(encoding="utf-8")
        title = card.partition("\n")[0].removeprefix(f"# {file.stem}: ")
        models[file.stem] = Shipped(file.stem, title, card, file)
    return models
