"""Losses, gradients and optimizer steps beside those recorded from the official implementation."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.recorded import MULTIPLIER, Comparison, Pass, Recording, recorded_noise
from hpunet_jax.objectives import (
    GecoParams,
    Objective,
    Reconstruction,
    batch_kl,
    elbo,
    reconstruction_loss,
)
from hpunet_jax.training.optimizer import scale_by_adam_tf1

ADAM = (0.9, 0.999, 1e-8)


def losses_and_gradients(r: Recording, compiled: Pass) -> Iterator[Comparison]:
    """ELBO and GECO losses, their terms and their gradients; the weight-decay term."""
    yield r.compare("weight decay", "l2_reg_total", compiled.outputs()[1])
    ones = jnp.ones_like(r.mask)
    for group, objective, objective_params, mask, top_k, noise in (
        ("elbo_mean_beta2", elbo(2.0), (), ones, 1.0, None),
        ("stoch", elbo(1.0), (), ones, 1.0, recorded_noise(r)),
        ("geco_mean", r.geco, GecoParams(r.raw_multiplier), r.mask, r.top_k, None),
    ):
        state = objective.init()[1]
        loss = _loss(r, objective, mask, top_k)
        (value, terms), gradient, others = compiled.gradient(
            loss, objective_params, state, noise=noise
        )
        key = f"{group}/elbo_beta1_loss" if group == "stoch" else f"{group}/loss"
        yield r.compare("GECO loss" if group == "geco_mean" else "ELBO loss", key, value)
        for name, term in terms.items():
            if f"{group}/summary/{name}" in r:
                yield r.compare("terms of the losses", f"{group}/summary/{name}", term)
        yield from _gradients(r, group, r.by_name(gradient), others)


def _loss(r: Recording, objective: Objective, mask, top_k: float, with_weight_decay: bool = False):
    """Value and gradients of a loss of a pass's outputs; terms by the official summaries' names."""

    def loss(values, params, state):
        outputs, regularisation = values
        reconstruction = reconstruction_loss(outputs.logits, r.label, mask, top_k=top_k)
        gaussians = zip(outputs.posteriors, outputs.priors, strict=True)
        kls = [batch_kl(*q, *p) for q, p in gaussians]
        value = objective.loss(params, state, reconstruction, kls)
        terms = {
            "rec_loss_mean": reconstruction.mean,
            "rec_loss_sum": reconstruction.sum,
            "num_valid_pixels": reconstruction.num_selected,
            "kl_sum": sum(kls),
            **{f"kl_{i}": kl for i, kl in enumerate(kls)},
            "lagmul": value.diagnostics.get("lagrange_multiplier"),
            "ma_rec_loss_mean": value.diagnostics.get("moving_average_per_pixel"),
            "constraint": value.diagnostics.get("constraint"),
            "elbo_loss": value.loss,
            "geco_loss": value.loss,
            "reg": regularisation,
            "total": value.loss + regularisation,
            "state": value.state,
        }
        return value.loss + (regularisation if with_weight_decay else 0.0), terms

    return jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))


def _gradients(r: Recording, group: str, ours, objective_gradient) -> Iterator[Comparison]:
    """Each variable's gradient, or its norm and sum where the tensors were not recorded."""
    if objective_gradient:
        ours = {**ours, MULTIPLIER: np.asarray(objective_gradient.raw_multiplier)}
    names = [name.decode() for name in r[f"{group}/grad_names"]]
    if f"{group}/grad/{names[0]}" in r:
        for name in names:
            yield r.compare("gradient of a variable", f"{group}/grad/{name}", ours[name])
    gradients = [np.float64(ours[name]) for name in names]
    norms = [np.linalg.norm(g) for g in gradients]
    yield r.compare("gradient norms of all variables", f"{group}/grad_l2", norms)
    sums = [g.sum() for g in gradients]
    yield r.compare("gradient sums of all variables", f"{group}/grad_sum", sums)
    unused = np.concatenate([ours[name].ravel() for name in sorted(set(ours) - set(names))])
    yield Comparison("gradients that are zero", f"{group}/no gradient", unused, 0 * unused)


def geco_sequences(r: Recording) -> Iterator[Comparison]:
    """Five GECO updates of the multiplier alone, on given reconstruction and KL terms."""
    for name, scale in (("sgd", optax.identity()), ("adam", scale_by_adam_tf1(*ADAM))):
        step = jax.jit(_multiplier_step(r.geco, scale))
        for direction in ("down", "cross"):
            key = f"geco_seq/{direction}_{name}"
            params, state = GecoParams(r.raw_multiplier), r.geco.init()[1]
            carry, trace = (params, state, scale.init(params)), []
            for given in zip(
                *(r[f"{key}/{x}"] for x in ("rec_sum", "kl_sum", "num_valid_pixels")), strict=True
            ):
                carry, numbers = step(carry, r[f"{key}/lr"], *given)
                trace.append(numbers)
            for number in trace[0]:
                ours = np.stack([numbers[number] for numbers in trace])
                yield r.compare("GECO sequences", f"{key}/{number}", ours)


def _multiplier_step(objective: Objective, scale: optax.GradientTransformation):
    def loss(params, rec_sum, state, pixels, kl):
        reconstruction = Reconstruction(rec_sum, rec_sum / pixels, pixels, None)
        value = objective.loss(params, state, reconstruction, [kl])
        return value.loss, value

    differentiate = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)

    def step(carry, rate, rec_sum, kl, pixels):
        params, state, scale_state = carry
        (_, value), (gradient, by_rec_sum) = differentiate(params, rec_sum, state, pixels, kl)
        updates, scale_state = scale.update(gradient, scale_state)
        updated = jax.tree.map(lambda p, u: p - rate * u, params, updates)
        numbers = {
            "raw_before": params.raw_multiplier,
            "raw_after": updated.raw_multiplier,
            "lagmul": value.diagnostics["lagrange_multiplier"],
            "loss": value.loss,
            "ma": value.diagnostics["moving_average"],
            "constraint": value.diagnostics["constraint"],
            "grad_raw": gradient.raw_multiplier,
            "grad_wrt_rec_sum": by_rec_sum,
            "ma_var_after": value.state.moving_average,
            "initialized_before": jnp.float32(state.initialized),
        }
        return (updated, value.state, scale_state), numbers

    return step


def five_steps(r: Recording, compiled: Pass, scale, label: str = "") -> Iterator[Comparison]:
    """Five optimizer steps on GECO plus weight decay, from the recorded weights."""
    optimizer = optax.chain(scale, optax.scale(-float(r["traj/lr"])))
    params, state = (r.params, GecoParams(r.raw_multiplier)), r.geco.init()[1]
    vector = _Vector(params)  # of all parameters, since Adam works element by element
    flat = vector.join(params)
    optimizer_state = optimizer.init(flat)
    loss = _loss(r, r.geco, r.mask, r.top_k, with_weight_decay=True)
    trace = []
    for _ in range(5):
        (_, terms), *gradient = compiled.gradient(loss, params[1], state, params=params[0])
        updates, optimizer_state = optimizer.update(vector.join(tuple(gradient)), optimizer_state)
        flat = optax.apply_updates(flat, updates)
        before, params, state = params[1].raw_multiplier, vector.split(flat), terms["state"]
        extra = {
            "lag_raw_before": before,
            "lag_raw_after": params[1].raw_multiplier,
            "ma_var_after": state.moving_average,
        }
        trace.append({**terms, **extra})
    for name in trace[0]:
        if f"traj/{name}" in r:
            ours = np.stack([step[name] for step in trace])
            yield r.compare(f"five steps{label}: {_STEP_ROWS[name]}", f"traj/{name}", ours)
    pixels = np.float64(r["traj/num_valid_pixels"])
    constraint = np.float64(r["traj/ma_rec_loss_mean"]) * pixels - r.kappa * pixels
    ours = np.stack([step["constraint"] for step in trace])
    yield Comparison(f"five steps{label}: constraint", "traj/constraint", ours, constraint)
    yield from _final_weights(r, params, label)


class _Vector:
    """A pytree as one vector and back; on the host, as nothing here is worth compiling."""

    def __init__(self, tree):
        leaves, self._structure = jax.tree.flatten(tree)
        self._shapes = [np.shape(leaf) for leaf in leaves]
        self._ends = np.cumsum([np.size(leaf) for leaf in leaves])[:-1]

    def join(self, tree) -> jax.Array:
        return jnp.asarray(np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)]))

    def split(self, flat):
        parts = zip(np.split(np.asarray(flat), self._ends), self._shapes, strict=True)
        return jax.tree.unflatten(self._structure, [part.reshape(shape) for part, shape in parts])


_STEP_ROWS = {
    "total": "loss",
    "geco_loss": "loss",
    "reg": "weight decay",
    "rec_loss_sum": "reconstruction",
    "rec_loss_mean": "reconstruction",
    "num_valid_pixels": "reconstruction",
    "kl_sum": "KL",
    "ma_rec_loss_mean": "moving average",
    "ma_var_after": "moving average",
    "lagmul": "multiplier",
    "lag_raw_before": "multiplier",
    "lag_raw_after": "multiplier",
}


def _final_weights(r: Recording, params, label: str) -> Iterator[Comparison]:
    weights = r.by_name(params[0])
    ours = {**weights, MULTIPLIER: np.asarray(params[1].raw_multiplier)}
    names = [name.decode() for name in r["traj/final_names"]]
    norms = [np.linalg.norm(np.float64(ours[name])) for name in names]
    yield r.compare(f"five steps{label}: weights after", "traj/final_l2", norms)
    for name in names:
        if f"traj/final/{name}" in r:
            key = f"traj/final/{name}"
            yield r.compare(f"five steps{label}: weights after", key, ours[name])
