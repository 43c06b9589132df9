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
from collections.abc import Iterator, Mapping, Sequence
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.recorded import Comparison, Pass, Recording, recorded_noise
from benchmarks.recorded_training import ADAM, five_steps, geco_sequences, losses_and_gradients
from hpunet_jax.files import write_aside
from hpunet_jax.objectives import Reconstruction, batch_kl, kl_divergence, reconstruction_loss
from hpunet_jax.objectives.cross_entropy import gumbel_noise
from hpunet_jax.training.optimizer import scale_by_adam_tf1

GOLDEN = pathlib.Path(__file__).parents[1] / "tests" / "golden"
SETS = ("tiny", "stitched", "lidc_thin")
_GUMBEL_NOISE = "hpunet_jax.objectives.cross_entropy.gumbel_noise"


def compare(recording: Recording) -> list[Comparison]:
    """Every recorded quantity of a set beside ours.

    Args:
      recording: the set.

    Returns:
      The comparisons, in the order of the table's rows.
    """
    return _compare(recording, Pass(recording))


def _compare(recording: Recording, compiled: Pass) -> list[Comparison]:
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
        kls = [batch_kl(*q, *p) for q, p in zip(outputs.posteriors, outputs.priors, strict=True)]
        recorded = np.array([r[f"{group}/kl_{i}"] for i in r.scales])
        yield Comparison("KL of all scales, as one vector", f"{group}/kl", np.array(kls), recorded)


def cross_entropies(r: Recording) -> Iterator[Comparison]:
    """Cross-entropy of the recorded logits: all pixels, the worst, and Gumbel top-k."""
    logits = jnp.asarray(r["mean/rec_logits"])
    cross_entropy = jax.jit(reconstruction_loss, static_argnames="top_k")

    @jax.jit
    def stochastic(mask, noise):
        with mock.patch(_GUMBEL_NOISE, return_value=noise):
            return reconstruction_loss(logits, r.label, mask, top_k=0.1, key=jax.random.key(0))

    for masking, mask in (("nomask", jnp.ones_like(r.mask)), ("mask", r.mask)):
        for selection, top_k in (("full", 1.0), ("top002", 0.02), ("top010", 0.1)):
            loss = cross_entropy(logits, r.label, mask, top_k=top_k)
            yield from _cross_entropy(r, f"ce/{masking}_{selection}", loss)
        group = f"ce/{masking}_gumbel010"
        noise = gumbel_noise(jnp.asarray(r[f"{group}/uniform"])).reshape(mask.shape)
        yield from _cross_entropy(r, group, stochastic(mask, noise))


def _cross_entropy(r: Recording, group: str, loss: Reconstruction) -> Iterator[Comparison]:
    yield r.compare("cross-entropy", f"{group}/mean", loss.mean)
    yield r.compare("cross-entropy", f"{group}/sum", loss.sum)
    mask = np.asarray(loss.mask).reshape(len(r.mask), -1)
    yield r.compare("selected pixels", f"{group}/mask", mask)


def greatest_errors(comparisons: Sequence[Comparison]) -> dict[str, float]:
    """The greatest relative error of each quantity."""
    errors: dict[str, float] = {}
    for comparison in comparisons:
        error = max(errors.get(comparison.quantity, 0.0), comparison.relative_error)
        errors[comparison.quantity] = error
    return errors


def markdown(errors: Mapping[str, Mapping[str, float]]) -> str:
    """A table with a row for each quantity and a column for each set."""
    rows = list(dict.fromkeys(row for column in errors.values() for row in column))
    lines = [f"| quantity | {' | '.join(errors)} |", "|---|" + "---:|" * len(errors)]
    for row in rows:
        cells = (_cell(column.get(row)) for column in errors.values())
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(error: float | None) -> str:
    if error is None:
        return "not recorded"
    return f"{error:.1e}" if error else "0"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=pathlib.Path, help="also write every error to this file")
    arguments = parser.parse_args()
    errors, details = {}, {}
    for name in SETS:
        recording = Recording(GOLDEN, name)
        compiled = Pass(recording)
        comparisons = _compare(recording, compiled)
        # For the table only: what another placing of Adam's epsilon changes.
        comparisons += five_steps(recording, compiled, optax.scale_by_adam(*ADAM), " (optax.adam)")
        errors[name] = greatest_errors(comparisons)
        details[name] = [
            {"quantity": c.quantity, "key": c.key, "relative_error": c.relative_error}
            for c in comparisons
        ]
    print(markdown(errors))
    if arguments.json:
        with write_aside(arguments.json) as path:
            path.write_text(json.dumps({"greatest": errors, "all": details}, indent=2))


if __name__ == "__main__":
    main()
