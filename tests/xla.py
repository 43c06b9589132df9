"""XLA's flags in the tests: programs are compiled in a seventh of the time, and run slower."""

import importlib.metadata

QUICK = {"xla_backend_optimization_level": "0", "xla_llvm_disable_expensive_passes": "true"}
if importlib.metadata.version("jax").startswith("0.10."):  # others end at a flag they do not know
    QUICK["xla_cpu_use_fusion_emitters"] = "false"


def xla_flags(devices: int) -> str:
    """The environment variable XLA_FLAGS for a number of devices."""
    flags = {"xla_force_host_platform_device_count": devices, **QUICK}
    return " ".join(f"--{name}={value}" for name, value in flags.items())
