"""How exactly the numbers recorded from the official implementation are reproduced.

    python -m benchmarks.fidelity                     # a Markdown table of relative errors
    python -m benchmarks.fidelity --json=errors.json

Loads the recorded weights of tests/golden, computes every recorded quantity with this library in
float32, and prints the relative error ‖ours - recorded‖ / ‖recorded‖, the greatest of each kind.
docs/fidelity.md has the table; tests/fidelity hold the same comparisons to 1e-5.
"""

import argparse
import json
import pathlib
from collections.abc import Callable, Iterator, Sequence
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.recorded import MULTIPLIER, Comparison, Pass, Recording
from hpunet_jax.files import write_aside
from hpunet_jax.objectives import (
    GecoParams,
    Objective,
    Reconstruction,
    batch_kl,
    elbo,
    kl_divergence,
    reconstruction_loss,
)
from hpunet_jax.objectives.cross_entropy import gumbel_noise
from hpunet_jax.training.optimizer import scale_by_adam_tf1

GOLDEN = pathlib.Path(__file__).parents[1] / "tests" / "golden"
SETS = ("tiny", "stitched", "lidc_thin")
ADAM = (0.9, 0.999, 1e-8)


def compare(recording: Recording) -> list[Comparison]:
    """Every recorded quantity of a set beside ours.

    Args:
      recording: the set.

    Returns:
      The comparisons, in the order of the table's rows.
    """
    compiled = Pass(recording)
    return [
        *sampling(recording),
        *training_passes(recording, compiled),
        *cross_entropies(recording),
        *losses_and_gradients(recording, compiled),
        *geco_sequences(recording),
        *five_steps(recording, compiled, scale_by_adam_tf1(*ADAM)),
    ]


def sampling(r: Recording) -> Iterator[Comparison]:
    """`encode`, `sample(mean=True)`, and `sample` with recorded latents."""
    features = jax.jit(r.network.encode)(r.params, r.image)
    for i, ours in enumerate(features):
        if f"mean/prior_encoder_{i}" in r:
            yield r.compare("encoder features", f"mean/prior_encoder_{i}", ours)
    means = jax.jit(lambda *args: r.network.sample(*args, None, mean=True))
    given = jax.jit(lambda *args: r.network.sample(*args[:2], None, latents=args[2]))
    samples = {
        "sample_mean": means(r.params, features),
        "sample_zq": given(r.params, features, r.latents("sample_zq")),
        "sample_mixed": given(r.params, features, r.latents("sample_mixed")),
    }
    for group, sample in samples.items():
        what = "sample(mean=True)" if group == "sample_mean" else "sample, given latents"
        yield r.compare(f"logits of {what}", f"{group}/logits", sample.logits)
        for i, (p, z) in enumerate(zip(sample.priors, sample.latents, strict=True)):
            yield r.compare("prior means", f"{group}/p_{i}_mean", p.mean)
            yield r.compare("prior log-stds", f"{group}/p_{i}_std", p.log_std)
            if group == "sample_mean":
                yield r.compare("latents", f"{group}/z_{i}", z)
    # Where the flags said so, the latents that were used are the prior's means.
    for i in np.flatnonzero(r["sample_mixed/mean_flags"]):
        mean = samples["sample_mixed"].priors[i].mean
        yield r.compare("latents", f"sample_mixed/z_{i}", mean)


def training_passes(r: Recording, compiled: Pass) -> Iterator[Comparison]:
    """Passes through the posterior: its means, its samples, and given latents; their KL terms."""
    logits = jax.jit(r.network.reconstruct)(r.params, r.image, r.label)
    yield r.compare("logits of reconstruct", "mean/rec_logits", logits)
    given = jax.jit(
        lambda params, z: r.network.train_outputs(params, None, r.image, r.label, latents=z)
    )
    passes = {
        "mean": compiled.outputs()[0],
        "fixed": given(r.params, r.latents("sample_zq")),
        "stoch": compiled.outputs(recorded_noise(r))[0],
    }
    for group, outputs in passes.items():
        yield r.compare("logits of training passes", f"{group}/rec_logits", outputs.logits)
        for i, (q, p) in enumerate(zip(outputs.posteriors, outputs.priors, strict=True)):
            yield r.compare("posterior means", f"{group}/q_{i}_mean", q.mean)
            yield r.compare("posterior log-stds", f"{group}/q_{i}_std", q.log_std)
            yield r.compare("prior means", f"{group}/p_{i}_mean", p.mean)
            yield r.compare("prior log-stds", f"{group}/p_{i}_std", p.log_std)
            yield r.compare("latents", f"{group}/z_{i}", outputs.latents[i])
            kl = kl_divergence(*q, *p)
            yield r.compare("KL of a scale", f"{group}/kl_{i}", batch_kl(*q, *p))
            yield r.compare("KL of an image", f"{group}/kl_per_instance_{i}", kl.sum(axis=(1, 2)))
            yield r.compare("KL of a position", f"{group}/kl_per_pixel_{i}", kl)


def recorded_noise(r: Recording) -> list[jax.Array]:
    """The noise behind the recorded posterior samples."""
    return [
        jnp.asarray((r[f"stoch/z_{i}"] - r[f"stoch/q_{i}_mean"]) / r[f"stoch/q_{i}_std"])
        for i in r.scales
    ]


def cross_entropies(r: Recording) -> Iterator[Comparison]:
    """Cross-entropy of the recorded logits: all pixels, the worst, and Gumbel top-k."""
    logits = jnp.asarray(r["mean/rec_logits"])
    for masking, mask in (("nomask", jnp.ones_like(r.mask)), ("mask", r.mask)):
        for selection, top_k in (("full", 1.0), ("top002", 0.02), ("top010", 0.1)):
            loss = reconstruction_loss(logits, r.label, mask, top_k=top_k)
            yield from _cross_entropy(r, f"ce/{masking}_{selection}", loss)
        group = f"ce/{masking}_gumbel010"
        noise = gumbel_noise(jnp.asarray(r[f"{group}/uniform"])).reshape(mask.shape)
        with mock.patch("hpunet_jax.objectives.cross_entropy.gumbel_noise", lambda _, n=noise: n):
            loss = reconstruction_loss(logits, r.label, mask, top_k=0.1, key=jax.random.key(0))
        yield from _cross_entropy(r, group, loss)


def _cross_entropy(r: Recording, group: str, loss: Reconstruction) -> Iterator[Comparison]:
    yield r.compare("cross-entropy", f"{group}/mean", loss.mean)
    yield r.compare("cross-entropy", f"{group}/sum", loss.sum)
    mask = np.asarray(loss.mask).reshape(len(r.mask), -1)
    yield r.compare("selected pixels", f"{group}/mask", mask)


def losses_and_gradients(r: Recording, compiled: Pass) -> Iterator[Comparison]:
    """ELBO and GECO losses, their terms and their gradients; the weight-decay term."""
    yield r.compare("weight decay", "l2_reg_total", compiled.outputs()[1])
    params, state = GecoParams(r.raw_multiplier), r.geco.init()[1]
    noise = recorded_noise(r)
    for group, objective, arguments, top_k in (
        ("elbo_mean_beta2", elbo(2.0), ((), ()), 1.0),
        ("stoch", elbo(1.0), ((), ()), 1.0),
        ("geco_mean", r.geco, (params, state), r.top_k),
    ):
        loss = _loss(r, objective, arguments[1], r.mask if top_k < 1 else None, top_k)
        (value, terms), gradient, others = compiled.gradient(
            loss, arguments[0], noise if group == "stoch" else None
        )
        key = f"{group}/elbo_beta1_loss" if group == "stoch" else f"{group}/loss"
        yield r.compare("GECO loss" if group == "geco_mean" else "ELBO loss", key, value)
        for name, term in terms.items():
            if f"{group}/summary/{name}" in r:
                yield r.compare("terms of the losses", f"{group}/summary/{name}", term)
        yield from _gradients(r, group, r.by_name(compiled.unravel(gradient)), others)


def _loss(r: Recording, objective: Objective, state, mask, top_k: float, decay: float = 0.0):
    """The loss of a pass's outputs, with its terms by the official summaries' names."""

    @jax.jit
    def loss(values, params, state=state):
        outputs, regularisation = values
        valid = jnp.ones_like(r.mask) if mask is None else mask
        reconstruction = reconstruction_loss(outputs.logits, r.label, valid, top_k=top_k)
        gaussians = zip(outputs.posteriors, outputs.priors, strict=True)
        kls = [batch_kl(*q, *p) for q, p in gaussians]
        value = objective.loss(params, state, reconstruction, kls)
        diagnostics = {**value.diagnostics}
        terms = {
            "rec_loss_mean": reconstruction.mean,
            "rec_loss_sum": reconstruction.sum,
            "num_valid_pixels": reconstruction.num_selected,
            "kl_sum": sum(kls),
            **{f"kl_{i}": kl for i, kl in enumerate(kls)},
            "lagmul": diagnostics.get("lagrange_multiplier"),
            "ma_rec_loss_mean": diagnostics.get("moving_average_per_pixel"),
            "constraint": diagnostics.get("constraint"),
            "elbo_loss": value.loss,
            "geco_loss": value.loss,
            "reg": regularisation,
            "total": value.loss + regularisation,
            "state": value.state,
        }
        return value.loss + decay * regularisation, terms

    return loss


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
    """Five GECO updates of the multiplier alone, on given reconstruction terms."""
    for group, scale in (
        ("down_sgd", optax.identity()),
        ("down_adam", scale_by_adam_tf1(*ADAM)),
        ("cross_sgd", optax.identity()),
        ("cross_adam", scale_by_adam_tf1(*ADAM)),
    ):
        key = f"geco_seq/{group}"
        optimizer = optax.chain(scale, optax.scale(-float(r[f"{key}/lr"])))
        steps = [
            {
                "rec_sum": np.float32(r[f"{key}/rec_sum"][i]),
                "kl_sum": r[f"{key}/kl_sum"][i],
                "num_valid_pixels": r[f"{key}/num_valid_pixels"][i],
            }
            for i in range(len(r[f"{key}/rec_sum"]))
        ]
        trace = _multiplier_steps(r.geco, optimizer, r.raw_multiplier, steps)
        for name in trace[0]:
            ours = np.stack([step[name] for step in trace])
            yield r.compare("GECO sequences", f"{key}/{name}", ours)


def _multiplier_steps(objective: Objective, optimizer, raw, steps) -> list[dict[str, jax.Array]]:
    params, state = GecoParams(raw), objective.init()[1]
    optimizer_state = optimizer.init(params)

    @jax.jit
    def loss(params, rec_sum, state, pixels, kl):
        reconstruction = Reconstruction(rec_sum, rec_sum / pixels, pixels, None)
        value = objective.loss(params, state, reconstruction, [kl])
        return value.loss, value

    trace = []
    for step in steps:
        (_, value), (gradient, by_rec) = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(
            params, step["rec_sum"], state, step["num_valid_pixels"], step["kl_sum"]
        )
        updates, optimizer_state = optimizer.update(gradient, optimizer_state)
        before, params = params, optax.apply_updates(params, updates)
        trace.append(
            {
                "raw_before": before.raw_multiplier,
                "raw_after": params.raw_multiplier,
                "lagmul": value.diagnostics["lagrange_multiplier"],
                "loss": value.loss,
                "ma": value.diagnostics["moving_average"],
                "constraint": value.diagnostics["constraint"],
                "grad_raw": gradient.raw_multiplier,
                "grad_wrt_rec_sum": by_rec,
                "ma_var_after": value.state.moving_average,
                "initialized_before": np.float32(state.initialized),
            }
        )
        state = value.state
    return trace


def five_steps(r: Recording, compiled: Pass, scale, label: str = "") -> Iterator[Comparison]:
    """Five optimizer steps on GECO plus weight decay, from the recorded weights."""
    optimizer = optax.chain(scale, optax.scale(-float(r["traj/lr"])))
    params = (compiled.flat, GecoParams(r.raw_multiplier))
    optimizer_state, state = optimizer.init(params), r.geco.init()[1]
    loss = _loss(r, r.geco, state, r.mask, r.top_k, decay=1.0)
    trace = []
    for _ in range(5):
        (_, terms), *gradient = compiled.gradient(
            lambda values, p, state=state: loss(values, p, state), params[1], flat=params[0]
        )
        updates, optimizer_state = optimizer.update(tuple(gradient), optimizer_state)
        before, params = params[1].raw_multiplier, optax.apply_updates(params, updates)
        state = terms["state"]
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
    yield from _final_weights(r, compiled, params, label)


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


def _final_weights(r: Recording, compiled: Pass, params, label: str) -> Iterator[Comparison]:
    weights = r.by_name(compiled.unravel(params[0]))
    ours = {**weights, MULTIPLIER: np.asarray(params[1].raw_multiplier)}
    names = [name.decode() for name in r["traj/final_names"]]
    norms = [np.linalg.norm(np.float64(ours[name])) for name in names]
    yield r.compare(f"five steps{label}: weights after", "traj/final_l2", norms)
    for name in names:
        if f"traj/final/{name}" in r:
            key = f"traj/final/{name}"
            yield r.compare(f"five steps{label}: weights after", key, ours[name])


def greatest_errors(comparisons: Sequence[Comparison]) -> dict[str, float]:
    """The greatest relative error of each quantity."""
    errors: dict[str, float] = {}
    for comparison in comparisons:
        error = max(errors.get(comparison.quantity, 0.0), comparison.relative_error)
        errors[comparison.quantity] = error
    return errors


def markdown(errors: dict[str, dict[str, float]], show: Callable[[float], str]) -> str:
    """A table with a row for each quantity and a column for each set."""
    rows = list(dict.fromkeys(row for column in errors.values() for row in column))
    lines = [f"| quantity | {' | '.join(errors)} |", "|---|" + "---|" * len(errors)]
    for row in rows:
        cells = [show(column[row]) if row in column else "not recorded" for column in errors.values()]
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=pathlib.Path, help="also write every error to this file")
    arguments = parser.parse_args()
    errors, details = {}, {}
    for name in SETS:
        recording = Recording(GOLDEN, name)
        comparisons = compare(recording)
        errors[name] = greatest_errors(comparisons)
        details[name] = {c.key: c.relative_error for c in comparisons}
    print(markdown(errors, lambda error: f"{error:.0e}" if error else "0"))
    if arguments.json:
        with write_aside(arguments.json) as path:
            path.write_text(json.dumps({"greatest": errors, "all": details}, indent=2))


if __name__ == "__main__":
    main()
