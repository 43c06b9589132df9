"""What the configs of all networks have in common: fields, checks and the rule of doubling."""

import dataclasses

DTYPES = ("float32", "bfloat16")
PRECISIONS = ("default", "high", "highest")


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """The hyperparameters that every network has.

    Attributes:
      image_channels: channels of the image.
      num_classes: number of classes C, background included.
      num_scales: processing scales, each half as high and wide as the one before.
      base_channels: feature maps at full resolution.
      max_channels: feature maps double with each down-sampling up to this number.
      dtype: "float32" or "bfloat16", of activations. Parameters are float32; so is the computation
        of Gaussians and logits.
      precision: "default", "high" or "highest", of the products in convolutions. TPUs and recent
        GPUs multiply float32 numbers rounded to bfloat16 or TF32 by default, "highest" in float32.
        On CPUs all are float32.
      init_gain: of the orthogonal kernels that training starts from. The paper's is 1, with which
        relu halves a signal's variance at every convolution; 2 ** 0.5 keeps it.
    """

    image_channels: int = 1
    num_classes: int = 2
    num_scales: int = 5
    base_channels: int = 32
    max_channels: int = 192
    dtype: str = "float32"
    precision: str = "default"
    init_gain: float = 1.0

    def __post_init__(self):
        if self.num_scales < 1:
            raise ValueError(f"model.num_scales must be 1 or more, not {self.num_scales}.")
        if not self.init_gain > 0:
            raise ValueError(f"model.init_gain must be above 0, not {self.init_gain}.")
        for name, known in (("dtype", DTYPES), ("precision", PRECISIONS)):
            if (value := getattr(self, name)) not in known:
                *others, last = known
                raise ValueError(
                    f"model.{name} must be {', '.join(others)} or {last}, not {value!r}."
                )

    def on(self, platform: str) -> "NetworkConfig":
        """The same network, laid out as suits a platform, such as "cpu", "gpu" or "tpu"."""
        del platform
        return self

    @property
    def size_multiple(self) -> int:
        """Height and width of an image must be multiples of this."""
        return 2 ** (self.num_scales - 1)

    @property
    def doubled_channels(self) -> tuple[int, ...]:
        """Feature maps of each scale, fine to coarse, by the rule of doubling."""
        return tuple(
            min(self.base_channels * 2**scale, self.max_channels)
            for scale in range(self.num_scales)
        )
