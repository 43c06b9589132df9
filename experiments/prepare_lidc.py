"""Makes the LIDC crops of Appendix C from the scans (DICOM) and readings (XML) of LIDC-IDRI.

    hpunet prepare_lidc --source=LIDC-IDRI --out=lidc

Then build them for training: hpunet build_data --name=lidc_crops/any_count
--source=lidc. A stopped run goes on where it was when started again with the same --out; scans that
were skipped are tried again, and scans whose files have changed are made anew. Writes report.json,
report.txt (counts, and each scan that was skipped and why) and split.json, which --split takes.
"""

from absl import flags

from experiments import program
from hpunet_jax.folders import check_local

_SOURCE = flags.DEFINE_string("source", None, "Folder of LIDC-IDRI as downloaded.")
_OUT = flags.DEFINE_string("out", None, "Folder for the crops.")
_SPLIT = flags.DEFINE_string("split", None, "Patient split, JSON; without it, one is drawn.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the patient split that is drawn.")
_WORKERS = flags.DEFINE_integer("workers", None, "Number of processes; default: one for each core.")
_WINDOW = flags.DEFINE_list("window", ["-1000", "400"], "Hounsfield units shown as 0 and 255.")
flags.mark_flags_as_required(["source", "out"])


def main(_) -> None:
    from hpunet_jax.data.lidc.prepare import prepare

    try:
        low, high = map(float, _WINDOW.value)
    except ValueError as error:
        raise ValueError(
            f"--window is {','.join(_WINDOW.value)}; expected two numbers, such as -1000,400."
        ) from error
    report = prepare(
        _SOURCE.value,
        check_local(_OUT.value, "--out"),
        seed=_SEED.value,
        split_file=_SPLIT.value,
        window=(low, high),
        workers=_WORKERS.value,
    )
    print(report.to_text(limit=3))
    print(f"all problems are in {_OUT.value}/report.txt and report.json")
    if not sum(report.images.values()):
        raise ValueError(f"no crops were made of {_SOURCE.value}; the report says why.")


if __name__ == "__main__":
    program.run(main)
