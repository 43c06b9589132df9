"""The paper's HPU-Net on your own images (Sections 2 and 3.2): any number of graders and classes.

    hpunet check_data --dir=mydata
    hpunet train --config=own_data --config.data.dir=mydata --workdir=runs/mydata

`hpunet init --dir=mydata` writes one that fits the images and the machine.

Needs: a folder as docs/own_data.md describes it; the checker says which classes and channels to
    set, for instance `--config.model.num_classes=3`. Images should show at least `data.crop`
    pixels, which must be multiples of 2 ** (model.num_scales - 1). As it is, a GPU or TPU.
Takes: not timed at this size. Expect: what your data allow.
"""

import ml_collections

from configs import lidc_hpunet


def get_config() -> ml_collections.ConfigDict:
    """The paper's LIDC config, on a folder of files."""
    config = lidc_hpunet.get_config().unlock()
    config.data.name = "own_data"
    config.data.dir = "mydata"  # holds train, val and test
    config.data.size = ()  # height and width to crop or pad all images to; (): as they are
    config.data.bits = 0  # 8 or 16, that all images must have; 0: as most of them
    config.data.foreground = 0  # 255: masks of 0 and 255; 1: 255 is ignored; 0: refuse such masks
    config.data.window = ()  # values that become 0 and 1, in the file's units; (): the type's
    config.data.percentiles = ()  # instead of a window, such as (1, 99) of each image or volume
    config.data.spacing = ()  # mm of rows and columns to resample to; (): as the files are
    config.data.scale = 1.0  # by which images are enlarged; 0.5 reduces them to half their size
    config.data.hdf5 = ()  # names of the data sets of images and masks in HDF5; (): the only one
    config.data.whole_images = True  # crops from anywhere; whole images are evaluated
    config.data.foreground_share = 1 / 3  # of the crops with something in them that is marked
    config.data.augmentation.translate = 0.0  # crops come from anywhere as it is
    config.model.num_scales = 7  # 2x2 latents in a crop: whole images have more, side by side
    config.data.cache_dir = ""  # where the data set is built; "": <data.dir>/.tfds
    # "one" or "nan": what a class counts as that two maps lack; None: "nan" above two classes
    config.evaluation.absent = ml_collections.config_dict.placeholder(str)
    config.evaluation.tile = (1024, 1024)  # greatest height and width that is sampled at once
    return config.lock()
