"""The paper's HPU-Net on your own instances (Section 3.3, Appendix D.2): told apart by random ids.

    hpunet check_data --dir=mydata
    hpunet train --config=own_instances --config.data.dir=mydata --workdir=runs/mydata
    hpunet evaluate --workdir=runs/mydata
    hpunet segment --checkpoint=runs/mydata --images=slices/ --out=instances

Needs: a folder as docs/own_data.md describes it, with maps of instances in `instances` (any ids, 0
    is background). As it is, a GPU or TPU; --config=own_instances:small is for a CPU.
Takes: not timed at this size. Expect: what your data allow.
"""

import ml_collections

from configs import demo_neurites, own_data, snemi3d_hpunet


def get_config(size: str = "paper") -> ml_collections.ConfigDict:
    """The paper's SNEMI3D config, on a folder of files.

    Args:
      size: "paper", or "small" for the network and the 2,000 steps of configs/demo_neurites.py;
        what follows the colon in --config=configs/own_instances.py:small.
    """
    parents = {"paper": snemi3d_hpunet, "small": demo_neurites}
    if size not in parents:
        raise ValueError(f"own_instances:{size} is no size: expected {' or '.join(parents)}.")
    config = parents[size].get_config().unlock()
    own = own_data.get_config().data
    for name in own:  # where the files are and how they are read
        if name not in ("crop", "augmentation"):
            config.data[name] = own[name]
    config.data.augmentation.translate = 0.0  # crops come from anywhere as it is
    config.evaluation.protocol = "instances"
    config.evaluation.min_region = 100  # pixels of an instance that counts, as of Cityscapes
    config.evaluation.tile = (1024, 1024)
    return config.lock()
