"""The numbers recorded from the official implementation, and our network with the same weights."""

import pathlib
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np

from hpunet_jax.checkpoints import params_from_tf1, read_tf1
from hpunet_jax.checkpoints.tf1 import tf1_names
from hpunet_jax.networks import TrainOutputs, build_network
from hpunet_jax.objectives import geco, weight_decay

SCOPE = "model/HPUNet/"
MULTIPLIER = f"{SCOPE}snt_lagrange_multiplier/lagrange_multiplier/w"


class Comparison(NamedTuple):
    """A recorded array and ours.

    Attributes:
      quantity: what kind it is, a row of the table.
      key: its key in the npz file; tests/golden/README.md explains them.
      ours: what this library computes.
      recorded: what the official implementation computed.
    """

    quantity: str
    key: str
    ours: np.ndarray
    recorded: np.ndarray

    @property
    def relative_error(self) -> float:
        """‖ours - recorded‖ / ‖recorded‖, in float64."""
        ours, recorded = np.float64(self.ours), np.float64(self.recorded)
        if ours.shape != recorded.shape:
            raise ValueError(f"{self.key}: ours has shape {ours.shape}, not {recorded.shape}.")
        norm = np.linalg.norm(recorded)
        return float(np.linalg.norm(ours - recorded) / norm) if norm else float(np.any(ours))


class Recording:
    """A recorded set: its numbers, its inputs, and our network with its weights."""

    def __init__(self, folder: pathlib.Path, name: str):
        """Args:
        folder: where `<name>.npz` and the checkpoint `<name>_ckpt` lie.
        name: the set.
        """
        with np.load(folder / f"{name}.npz") as file:
            self.numbers: Mapping[str, np.ndarray] = {key: file[key] for key in file.files}
        checkpoint = read_tf1(folder / f"{name}_ckpt" / "tf_graph_data.ckpt")
        self.model = checkpoint.model
        self.raw_multiplier = jnp.asarray(checkpoint.raw_multiplier)
        self.network = build_network(checkpoint.model)
        shapes = self.network.param_shapes()
        self.params = jax.tree.map(jnp.asarray, params_from_tf1(checkpoint.variables, shapes))
        self.names = tf1_names(shapes)
        self.image = jnp.asarray(self["img"])
        self.mask = jnp.asarray(self["mask"])
        self.label = jnp.argmax(self["seg"], axis=-1).astype(jnp.int32)
        self.scales = range(self.network.num_latent_scales)
        settings = {key: float(self[f"loss_kwargs/{key}"]) for key in ("kappa", "decay", "rate")}
        self.kappa = settings["kappa"]
        self.geco = geco(**settings)
        self.top_k = float(self["loss_kwargs/top_k_percentage"])

    def __getitem__(self, key: str) -> np.ndarray:
        return self.numbers[key]

    def __contains__(self, key: str) -> bool:
        return key in self.numbers

    def compare(self, quantity: str, key: str, ours: Any) -> Comparison:
        """Our array beside the recorded one; standard deviations as their logarithms."""
        recorded = self[key]
        if key.endswith("_std"):
            recorded = np.log(np.float64(recorded))
        return Comparison(quantity, key, np.asarray(ours), recorded)

    def latents(self, group: str) -> list[jax.Array]:
        """The recorded latents of a group of keys, coarse to fine."""
        return [jnp.asarray(self[f"{group}/z_{scale}"]) for scale in self.scales]

    def by_name(self, params: Any) -> dict[str, np.ndarray]:
        """Parameters, or their gradients, by the official variables' names."""
        return {
            f"{SCOPE}{self.names[module]}/{leaf}": np.asarray(value)
            for module, leaves in params.items()
            for leaf, value in leaves.items()
        }


class Pass:
    """The training pass with given noise (0: posterior means) and its gradient, compiled once.

    One program serves every loss of a set, since compiling a deep network's backward pass takes
    much longer than running it: a loss is differentiated with respect to the network's outputs,
    and this pulls the result back to the parameters.
    """

    def __init__(self, recording: Recording):
        self._params = recording.params
        self._no_noise = [jnp.zeros_like(z) for z in recording.latents("mean")]

        def outputs(params, noise) -> tuple[TrainOutputs, jax.Array]:
            passed = recording.network.train_outputs(
                params, noise, recording.image, recording.label
            )
            return passed, weight_decay(params, 1e-5)

        def run(params, noise, cotangents):
            values, pull_back = jax.vjp(lambda params: outputs(params, noise), params)
            return values, pull_back(cotangents)[0]

        # The package's attribute `hpunet` is the function, not its module.
        module = sys.modules["hpunet_jax.networks.hpunet"]
        with mock.patch.object(module, "sampled", _with_noise):
            like = jax.eval_shape(outputs, self._params, self._no_noise)
            self._no_cotangents = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), like)
            lowered = jax.jit(run).lower(self._params, self._no_noise, self._no_cotangents)
        self._run = lowered.compile()

    def outputs(self, noise=None, params=None) -> tuple[TrainOutputs, jax.Array]:
        """The pass's outputs and the weight-decay term."""
        return self._pull_back(self._no_cotangents, noise, params)[0]

    def gradient(self, differentiate: Callable, *arguments: Any, noise=None, params=None):
        """Differentiates a loss.

        Args:
          differentiate: (what `outputs` returns, *arguments) -> (anything, gradients with respect
            to the outputs and to the first argument), from `jax.value_and_grad`.
          *arguments: the loss's other arguments.
          noise: standard normal noise of each latent scale; None: posterior means.
          params: the parameters; None: the recorded ones.

        Returns:
          (anything, gradient of the parameters, gradient of the first argument).
        """
        values = self.outputs(noise, params)
        value, (cotangents, others) = differentiate(values, *arguments)
        return value, self._pull_back(cotangents, noise, params)[1], others

    def _pull_back(self, cotangents, noise, params):
        noise = self._no_noise if noise is None else noise
        return self._run(self._params if params is None else params, noise, cotangents)


def recorded_noise(r: Recording) -> list[jax.Array]:
    """The noise behind the recorded posterior samples."""
    return [
        jnp.asarray((r[f"stoch/z_{i}"] - r[f"stoch/q_{i}_mean"]) / r[f"stoch/q_{i}_std"])
        for i in r.scales
    ]


def _with_noise(noise, mean, num_scales):
    """Stands in for `networks.latents.sampled`: the noise is given in the place of keys."""
    del mean, num_scales
    return lambda scale, gaussian: gaussian.mean + jnp.exp(gaussian.log_std) * noise[scale]
