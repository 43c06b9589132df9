"""What all programs share: how they start and how they fail."""

import collections
import io
import logging as standard_logging
import os
import pathlib
import re
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ml_collections
from absl import app, flags, logging
from ml_collections import config_flags
from tqdm import tqdm

from experiments import shipped
from hpunet_jax.buckets import AnyPath, place
from hpunet_jax.compilation.cache import use_cache
from hpunet_jax.config import check_config, check_overrides, flatten, load_config, schema
from hpunet_jax.files import is_file
from hpunet_jax.folders import check_local
from hpunet_jax.memory import keep_freed_memory, out_of_memory
from hpunet_jax.xla_flags import set_xla_flags

_TRACEBACK = flags.DEFINE_bool("traceback", False, "On an error, show where it came from.")

_COMPILATION_CACHE = flags.DEFINE_string(
    "compilation_cache",
    None,
    "Folder that keeps compiled programs for the next start; default: in the user's cache folder; "
    "off: none.",
)

# What the library raises for bad input; anything else is our mistake and keeps its traceback.
BAD_INPUT = (ValueError, OSError, FloatingPointError)

_STOP_AGAIN = 5.0  # seconds

IN_BUCKETS = ("workdir", "checkpoint", "out", "output", "json", "init_from", "training.init_from")
"""Flags and fields of a config that may be addresses of buckets."""


def run(main: Callable[[Sequence[str]], None], arguments: Sequence[str] | None = None) -> None:
    """Runs an absl program; bad input ends it with one sentence and exit code 1.

    Args:
      main: the program, called with what is left of the arguments.
      arguments: its name and flags; None takes those of the command line.
    """
    # TensorFlow only reads files here, and need not talk about it.
    os.environ.update({"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"})
    keep_freed_memory()
    set_xla_flags()
    for stream in (sys.stdout, sys.stderr):  # names of files need not be UTF-8
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    threading.excepthook = one_line_for_bad_input
    logging.get_absl_handler().addFilter(is_said_here)

    def guarded(argv: Sequence[str]) -> None:
        if not flags.FLAGS["verbosity"].present:
            logging.set_verbosity(logging.WARNING)
        if len(argv) > 1:
            print(f"error: unknown argument {argv[1]!r}; flags look like --name=value.")
            sys.exit(1)
        try:
            check_not_empty(flags.FLAGS)
            check_addresses(flags.FLAGS.flag_values_dict())
            use_cache(_COMPILATION_CACHE.value)
            main(argv)
        except BAD_INPUT as error:
            if _TRACEBACK.value:
                raise
            print(f"\nerror: {sentence_of(error)}", file=sys.stderr)
            sys.exit(1)
        except RuntimeError as error:  # JAX's are of this kind
            sentence = out_of_memory(error)
            if sentence is None or _TRACEBACK.value:
                raise
            print(f"\nerror: {sentence}", file=sys.stderr)
            sys.exit(1)
        except KeyboardInterrupt as error:
            signal.setitimer(signal.ITIMER_REAL, 0)
            print(f"\nstopped by {error.args[0] if error.args else 'Ctrl-C'}", file=sys.stderr)
            sys.exit(128 + (signal.SIGTERM if error.args else signal.SIGINT))

    try:
        argv = shipped.with_files(sys.argv if arguments is None else arguments)
    except ValueError as error:
        sys.exit(f"error: {error}")
    app.run(guarded, argv=argv, flags_parser=parse)


def heed_sigterm() -> None:
    """Lets SIGTERM end a program as Ctrl-C does, with nothing half-written left behind."""

    def stop(*_: Any) -> None:
        # Where Python happens to be in a callback, the error is printed and lost: once more then.
        signal.setitimer(signal.ITIMER_REAL, _STOP_AGAIN)
        raise KeyboardInterrupt("SIGTERM")

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGALRM, stop)


def sentence_of(error: Exception) -> str:
    """What a person is told of bad input; the system's errors, without their numbers."""
    if isinstance(error, OSError) and error.errno is not None and error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror}."
    return str(error)


def folder(value: str, name: str) -> AnyPath:
    """The folder that a flag names, which need not exist; raises a `ValueError` if it is a file."""
    path = place(value, name)
    if is_file(path):
        raise ValueError(f"{name}={value} is a file: give a folder.")
    return path


def with_default_config(arguments: Sequence[str], name: str) -> list[str]:
    """The arguments with `--config=name`, unless they have a --config."""
    program, *flags_given = arguments
    if any(re.match(r"--?config(=|$)", argument) for argument in flags_given):
        return list(arguments)
    return [program, f"--config={name}", *flags_given]


def config_of(arguments: Sequence[str]) -> ml_collections.ConfigDict:
    """The config that a program reads from `--config=...` and `--config.<field>=...`.

    Raises:
      ValueError: if that program would refuse it.
    """
    arguments = shipped.with_files(arguments)
    config = _config_file(arguments)
    overrides = ["", *(flag for flag in arguments if flag.startswith("--config."))]
    values = flags.FlagValues()
    config_flags.DEFINE_config_dict("config", config, "", values, sys_argv=overrides)
    try:
        values(overrides)
    except flags.Error as error:
        raise ValueError(_in_our_words(str(error), config)) from error
    check_config(values["config"].value)
    return values["config"].value


def parse(arguments: Sequence[str]) -> list[str]:
    """Reads the flags and checks the config; what is wrong ends the program with one sentence."""
    config = None
    try:
        if "config" in flags.FLAGS:
            config = _config_file(arguments)
        rest = flags.FLAGS(arguments)
        if config is not None:
            check_config(flags.FLAGS["config"].value)
        return rest
    except (flags.Error, *BAD_INPUT) as error:
        sys.exit(f"error: {_in_our_words(str(error), config)}")


def _config_file(arguments: Sequence[str]) -> ml_collections.ConfigDict | None:
    """The config that --config names, without its overrides, whose fields it must have."""
    arguments = flags.FLAGS.read_flags_from_files(list(arguments), force_gnu=False)
    config, overrides = None, collections.Counter()
    for i, argument in enumerate(arguments):
        if match := re.match(r"--?config(?:\.([^=]+))?(?:=(.*))?$", argument, re.DOTALL):
            field, value = match.groups()
            if field:
                overrides[field] += 1
            elif value is not None or i + 1 < len(arguments):
                config = load_config(arguments[i + 1] if value is None else value)
    if config is not None:
        check_overrides(config, overrides)
    return config


def _in_our_words(message: str, config: ml_collections.ConfigDict | None) -> str:
    """absl's messages about missing flags, and about values of the wrong type by the schema."""
    missing = re.compile(r"flag --(\w+)=None: Flag --\1 must have a value other than None\.")
    if all(missing.fullmatch(line) for line in message.splitlines()):
        names = " and ".join(f"--{name}" for name in missing.findall(message))
        return f"{names} must be given; --help says what it is for."
    match = re.match(r"flag --config\.([^=]+)=(.*?): ", message, re.DOTALL)
    if match is None or config is None:
        return message
    field, value = match.groups()
    try:
        expected = schema(config.model.name)[field].expected
    except (AttributeError, KeyError):
        return message
    return f"--config.{field} must be {expected}, not {value!r}."


def parse_size(flag: str, values: list[str] | None) -> tuple[int, int] | None:
    """Height and width from a list flag; None if it was not given."""
    if values is None:
        return None
    try:
        height, width = map(int, values)
    except ValueError as error:
        raise ValueError(
            f"--{flag} is {','.join(values)}; expected height and width, such as 256,256."
        ) from error
    if height < 1 or width < 1:
        raise ValueError(f"--{flag} is {height},{width}; expected positive numbers.")
    return height, width


def warn(sentence: str | None) -> None:
    """Prints a warning, if there is one, without tearing a progress bar."""
    if sentence:
        tqdm.write(f"warning: {sentence}")


def check_not_empty(values: flags.FlagValues) -> None:
    """Raises a `ValueError` if a text is given as nothing, as by --workdir=$UNSET in a shell."""
    for name in values:
        flag = values[name]
        if flag.present and flag.value == "" and not name.startswith("config."):
            raise ValueError(f"--{name} is empty: give its value, or leave the flag out.")


def check_addresses(values: Mapping[str, Any]) -> None:
    """Raises a `ValueError` if a flag, or a field of a config, is an address that cannot be used.

    Runs, models and results may lie in buckets (`IN_BUCKETS`), all else on this machine.
    """
    for name, value in values.items():
        if isinstance(value, ml_collections.ConfigDict):
            fields = flatten(value)
            check_addresses({f"{name}.{field}": entry for field, entry in fields.items()})
        check = place if name.removeprefix("config.") in IN_BUCKETS else check_local
        for entry in value if isinstance(value, list | tuple) else [value]:
            if isinstance(entry, str) and "://" in entry:
                check(entry, f"--{name}")


def is_said_here(record: standard_logging.LogRecord) -> bool:
    """Whether a message is to be shown.

    Not Orbax's about errors that it hands to who waits, and not what TFDS finds beside a data set.
    """
    parts = pathlib.Path(record.pathname).parts
    return not ((record.exc_info and "orbax" in parts) or "tensorflow_datasets" in parts)


def one_line_for_bad_input(problem: threading.ExceptHookArgs) -> None:
    """For threads that fail: the main thread says the rest where it waits for them."""
    if type(problem.thread).__module__.startswith("orbax."):
        return  # handed to who waits for the checkpoint
    if issubclass(problem.exc_type, BAD_INPUT):
        print(f"\n{problem.exc_type.__name__}: {problem.exc_value}", file=sys.stderr)
    else:
        threading.__excepthook__(problem)
