"""The paper's HPU-Net on LIDC "v1", the slices that most papers since 2020 use.

    hpunet build_data --name=lidc_v1 --source=downloads/lidc_v1
    hpunet train --config=lidc_v1_hpunet --workdir=runs/lidc_v1

Needs: data_lidc.pickle or its HDF5 form (docs/data.md), and a GPU or TPU.
Takes: not run at this size. Expect: not measured; configs/lidc_hpunet.py is the same on the
    paper's crops.
"""

import ml_collections

from configs import lidc_hpunet


def get_config() -> ml_collections.ConfigDict:
    """The paper's config with another data set, whose slices are as large as the crop."""
    config = lidc_hpunet.get_config().unlock()
    config.data.name = "lidc_v1"
    return config.lock()
