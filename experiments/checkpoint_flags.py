"""The flags by which programs choose a checkpoint of a work directory: --step and --weights."""

import os

from absl import flags

import hpunet_jax
from hpunet_jax.config.schema import WEIGHTS as CHOICES


class _StepParser(flags.ArgumentParser[int | str]):
    """Reads the number of a step, or "best"."""

    syntactic_help = 'a step, or "best"'

    def parse(self, argument: int | str) -> int | str:
        text = str(argument)
        if text == "best":
            return text
        if not (text.isascii() and text.isdecimal()):
            raise ValueError('expected the number of a step, or "best"')
        return int(text)


STEP = flags.DEFINE(
    _StepParser(),
    "step",
    None,
    'Which checkpoint: a step, or "best" by training.keep_best_by; default: the newest.',
    serializer=flags.ArgumentSerializer(),
)
WEIGHTS = flags.DEFINE_enum(
    "weights", CHOICES[0], CHOICES, "Its weights, or their exponential moving average."
)


def load(path: str | os.PathLike[str], step: int | None = None) -> hpunet_jax.Model:
    """The model of a work directory, or of a model file, that the flags choose, on all devices.

    Args:
      path: the work directory or file.
      step: the step that --step means, where it is known already.
    """
    chosen = STEP.value if step is None else step
    return hpunet_jax.load(path, chosen, weights=WEIGHTS.value, device="all")
