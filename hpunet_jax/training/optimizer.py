"""Learning-rate schedules and optimizers of Appendix D."""

import shlex
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax

from hpunet_jax.fields import Section
from hpunet_jax.training.state import Trainable


def learning_rate_schedule(
    initial: float,
    final: float,
    drops: int,
    steps: int,
    boundaries: Sequence[int] = (),
) -> optax.Schedule:
    """A learning rate lowered from `initial` to `final` in equal ratios.

    The paper names the two rates and the number of steps between them ("1e-4 that is lowered to
    0.5e-5 in 4 steps over the course of 240k iterations"), not where they lie: without
    `boundaries` the drops are spread evenly, so that each rate lasts equally long.

    Args:
      initial: the first rate.
      final: the last rate.
      drops: number of drops; 0 keeps `initial`.
      steps: number of training steps.
      boundaries: the steps at which the rate drops, one for each drop; () spreads them evenly.

    Returns:
      step -> rate.

    Raises:
      ValueError: if there are boundaries, but not one for each drop.
    """
    if boundaries and len(boundaries) != drops:
        raise ValueError(
            f"optimizer.learning_rate.boundaries has {len(boundaries)} entries, but "
            f"optimizer.learning_rate.drops is {drops}: give one step for each drop, or ()."
        )
    boundaries = tuple(boundaries) or _spread(drops, steps)
    rates = [initial * (final / initial) ** (i / max(drops, 1)) for i in range(drops + 1)]
    return optax.join_schedules([optax.constant_schedule(rate) for rate in rates], boundaries)


def _spread(drops: int, steps: int) -> tuple[int, ...]:
    return tuple(steps * i // (drops + 1) for i in range(1, drops + 1))


def changed_past(
    before: ml_collections.ConfigDict, now: ml_collections.ConfigDict, step: int
) -> str | None:
    """What is wrong with going on from `step` of one config with another's learning rates.

    Args:
      before: the config of the steps that are done.
      now: the config to go on with.
      step: number of steps that are done.

    Returns:
      None if both have the same rates for those steps; otherwise a sentence, with what to set.
    """
    old, new = (build_schedule(c.optimizer.learning_rate, c.training.steps) for c in (before, now))
    done = jnp.arange(step)
    rates = [jnp.broadcast_to(jnp.asarray(schedule(done)), done.shape) for schedule in (old, new)]
    changed = np.flatnonzero(np.asarray(rates[0]) != np.asarray(rates[1]))
    if not changed.size:
        return None
    first, section = int(changed[0]), before.optimizer.learning_rate
    was, would_be = (float(rate[first]) for rate in rates)
    boundaries = tuple(section.boundaries) or _spread(section.drops, before.training.steps)
    return (
        f"its learning rate at step {first:,} was {was:.3g}, but would have been {would_be:.3g} "
        f"with this config (training.steps={now.training.steps}). Drops that are spread evenly "
        "move with the number of steps: keep those of the run with "
        f"--config.optimizer.learning_rate.boundaries={shlex.quote(str(boundaries))} and its "
        "rates and drops, or start another run."
    )


def build_schedule(config: Section, steps: int) -> optax.Schedule:
    """The schedule that the section `optimizer.learning_rate` of a config describes."""
    return learning_rate_schedule(**config, steps=steps)


def build_optimizer(config: Section, steps: int) -> optax.GradientTransformation:
    """The optimizer that the `optimizer` section of a config describes.

    Args:
      config: `name` ("adam", or "adam_tf1" for TensorFlow 1's placing of epsilon), `b1`, `b2`,
        `epsilon`, `clip_norm` (greatest global gradient norm; 0: off), `learning_rate`, and
        `multiplier_lr_factor`, by which the objective's parameters (GECO's raw multiplier) learn
        faster than the network.
      steps: number of training steps, for the schedule.

    Returns:
      The transformation from gradients to updates of a `Trainable`.

    Raises:
      ValueError: for an unknown name.
    """
    scale = {"adam": optax.scale_by_adam, "adam_tf1": scale_by_adam_tf1}.get(config["name"])
    if scale is None:
        raise ValueError(f"optimizer.name must be 'adam' or 'adam_tf1', not {config['name']!r}.")
    clip = [optax.clip_by_global_norm(config["clip_norm"])] if config["clip_norm"] else []
    only_objective = Trainable(network=False, objective=True)
    return optax.chain(
        *clip,
        scale(config["b1"], config["b2"], config["epsilon"]),
        optax.masked(optax.scale(config["multiplier_lr_factor"]), only_objective),
        optax.scale_by_learning_rate(build_schedule(config["learning_rate"], steps)),
    )


def scale_by_adam_tf1(b1: float, b2: float, eps: float) -> optax.GradientTransformation:
    """Adam as in TensorFlow 1: epsilon is added before the second moment's bias is corrected.

        update = m · √(1 - b2ᵗ) / (1 - b1ᵗ) / (√v + ε)

    The first line after Section 2's Algorithm 1 of Kingma & Ba (2015), their "epsilon hat". It
    differs from `optax.scale_by_adam` only where gradients are about as small as epsilon.
    """

    def update(updates, state, params=None):
        del params
        count = optax.safe_increment(state.count)
        mu = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state.mu, updates)
        nu = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, state.nu, updates)
        rate = jnp.sqrt(1 - b2**count) / (1 - b1**count)
        scaled = jax.tree.map(lambda m, v: rate * m / (jnp.sqrt(v) + eps), mu, nu)
        return scaled, optax.ScaleByAdamState(count=count, mu=mu, nu=nu)

    return optax.GradientTransformation(optax.scale_by_adam(b1, b2, eps).init, update)
