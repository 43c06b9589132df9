"""The paper's extrapolation task on SNEMI3D (Section 3.3, Fig. 5): neurites beyond what is seen.

configs/snemi3d_hpunet.py with a part of each training image hidden from one side; the network sees
the image and the segmentation of the rest. How large the hidden part was in the paper is not told.

    hpunet train --config=snemi3d_extrapolation \\
        --workdir=runs/snemi3d_extrapolation
    hpunet sample --workdir=runs/snemi3d_extrapolation

Needs: what configs/snemi3d_hpunet.py needs.
Takes: not timed at this size.
Expect: pictures of samples; the paper reports no number. configs/demo_extrapolation.py is the same
    in small.
"""

import ml_collections

from configs import demo_extrapolation, snemi3d_hpunet


def get_config() -> ml_collections.ConfigDict:
    """The paper's SNEMI3D config, with hidden parts."""
    return demo_extrapolation.extrapolate(snemi3d_hpunet.get_config())
