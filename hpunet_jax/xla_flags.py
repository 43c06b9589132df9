"""Flags of XLA with which this package's networks run faster, by platform.

XLA reads them once, when the first device is looked for. They change a process for good, so a
program sets them, never the library. docs/speed.md says what each was measured to give.
"""

import os
from collections.abc import MutableMapping

FLAGS = {
    # CPUs: the library that JAX sends most convolutions to runs each on one thread, Eigen on all.
    # Every version that setup.py accepts knows the flag; XLA ends a process for one that it lacks.
    "XLA_FLAGS": {"xla_cpu_experimental_ynn_fusion_type": "-individual_convolution"},
    # TPUs: with fewer than 8 images on a device, the compiler splits images by columns into more
    # images, which takes what lies in blocks (networks/blocks.py) apart again.
    "LIBTPU_INIT_ARGS": {
        "xla_tpu_run_space_to_batch": "false",
        "xla_tpu_run_space_to_batch_on_new_platforms": "false",
    },
}


def set_xla_flags(environment: MutableMapping[str, str] | None = None) -> None:
    """Adds `FLAGS` to the variables that XLA reads; what they say already stays.

    Args:
      environment: variables by name; None: those of this process.
    """
    variables = os.environ if environment is None else environment
    for variable, flags in FLAGS.items():
        given = variables.get(variable, "").split()
        names = {flag.lstrip("-").partition("=")[0] for flag in given}
        ours = [f"--{name}={value}" for name, value in flags.items() if name not in names]
        variables[variable] = " ".join([*given, *ours])
