"""Handing the runs of a sweep to others: to Slurm, and to Cloud TPU by XManager."""

import os
import pathlib
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any


def submit_to_slurm(
    commands: Mapping[str, Sequence[str]],
    log_folder: str | os.PathLike[str],
    parameters: Mapping[str, Any],
    cluster: str | None = None,
) -> dict[str, Any]:
    """Submits each run as a job of its own, by submitit.

    Args:
      commands: the command that makes each run, by its name.
      log_folder: for the jobs' scripts and outputs; all machines must see it.
      parameters: of submitit's AutoExecutor, such as {"timeout_min": 600, "gpus_per_node": 1};
        those of Slurm alone begin with "slurm_", as "slurm_partition".
      cluster: "local" for processes of this machine in place of Slurm's jobs; None: Slurm.

    Returns:
      submitit's job of each run.

    Raises:
      ValueError: if submitit is not installed, there is no Slurm, or it refuses the parameters.
    """
    try:
        import submitit
    except ImportError as error:
        raise ValueError(
            "--launcher=slurm needs the package submitit: `pip install '.[slurm]'` in a clone."
        ) from error
    try:
        executor = submitit.AutoExecutor(
            folder=pathlib.Path(log_folder), cluster=cluster or "slurm"
        )
        executor.update_parameters(**parameters)
        jobs = {}
        for name, command in commands.items():
            executor.update_parameters(name=name)
            jobs[name] = executor.submit(submitit.helpers.CommandFunction(list(command)))
    except (RuntimeError, NameError, TypeError) as error:
        raise ValueError(f"--launcher=slurm: {error}") from error
    return jobs


def parse_parameters(texts: Sequence[str]) -> dict[str, Any]:
    """Parameters of submitit from "name=value" texts; whole numbers become integers."""
    parameters: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise ValueError(f"--slurm={text} must be name=value, as timeout_min=600.")
        parameters[name] = int(value) if value.isdecimal() else value
    return parameters


def xmanager_script(arguments: Mapping[str, Sequence[str]], title: str, tpu: str) -> str:
    """A launch script of XManager that makes each run on a Cloud TPU of its own.

    It has not been tried: there was no Cloud project to try it in.

    Args:
      arguments: the arguments of `experiments.sweep` that make each run, by its name.
      title: the experiment's title.
      tpu: type and number of cores, as "v3-8".

    Returns:
      The text of a Python file, for `xmanager launch`.

    Raises:
      ValueError: if `tpu` is none.
    """
    kind, _, cores = tpu.partition("-")
    if not kind.isalnum() or not cores.isdecimal():
        raise ValueError(f"--tpu={tpu} must be a type and a number of cores, as v3-8.")
    runs = "".join(
        f"    {name!r}: [\n"
        + "".join(f"        {argument!r},\n" for argument in of_run)
        + "    ],\n"
        for name, of_run in arguments.items()
    )
    return textwrap.dedent(
        '''\
        """Launches a sweep on Cloud TPU: `xmanager launch THIS_FILE`, from the clone's folder.

        Written by `hpunet sweep --launcher=xmanager`. Not tried by those who wrote that program.
        """

        from xmanager import xm, xm_local

        RUNS = {{
        {runs}}}


        def main(_):
            with xm_local.create_experiment(experiment_title={title!r}) as experiment:
                (executable,) = experiment.package(
                    [
                        xm.python_container(
                            executor_spec=xm_local.Vertex.Spec(),
                            path=".",
                            entrypoint=xm.CommandList(
                                [
                                    "pip install --editable .[tpu]",
                                    'python -m experiments.sweep "$@"',
                                ]
                            ),
                        )
                    ]
                )
                for arguments in RUNS.values():
                    experiment.add(
                        xm.Job(
                            executable=executable,
                            executor=xm_local.Vertex(
                                requirements=xm.JobRequirements(TPU_{kind}={cores})
                            ),
                            args=arguments,
                        )
                    )


        if __name__ == "__main__":
            from absl import app

            app.run(main)
        '''
    ).format(runs=runs, title=title, kind=kind.upper(), cores=cores)
