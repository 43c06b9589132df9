"""Validation, the best checkpoint and the average of the weights, in a run that is cut in two."""

import csv
import itertools

import jax
import ml_collections
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event

import hpunet_jax
from configs import own_instances
from hpunet_jax.checkpoints import Checkpoints
from hpunet_jax.config import check_config
from hpunet_jax.evaluation.protocols import evaluate
from hpunet_jax.tasks.crop import centre_crop
from hpunet_jax.training import train
from hpunet_jax.training.metrics_log import FILE_NAME
from hpunet_jax.training.validation import _cropped

pytestmark = pytest.mark.xdist_group("loop")

FIELDS = {
    "model.num_scales": 2,
    "model.latent_dims": (1,),
    "model.convs_per_block": 1,
    "training.checkpoint_every": 3,
    "training.keep_checkpoints": 0,
    "training.validate_every": 2,
    "training.validation_images": 6,
    "training.keep_best_by": "ema_reconstruction_per_pixel",
    "training.ema_decay": 0.75,
    "training.accumulate": 2,
    "evaluation.num_samples": 2,
}


class PowerCut(Exception):
    """Ends a run between two steps."""


@pytest.fixture(scope="module")
def data(module_examples):
    def batches_from(step):
        for i in itertools.count(step):
            yield {name: np.roll(array, i, axis=0) for name, array in module_examples.items()}

    def validation_batches():  # of graders who agree, so that it does not matter who is drawn
        for batch in itertools.islice(batches_from(1), 3):
            yield {**batch, "masks": batch["masks"][..., [1, 1]]}

    return batches_from, validation_batches


@pytest.fixture(scope="module")
def config(module_config):
    config = module_config.copy_and_resolve_references().unlock()
    config.data.augmentation = ml_collections.ConfigDict({"translate": 2.0})
    config.update_from_flattened_dict(FIELDS)
    return config.lock()


@pytest.fixture(scope="module")
def runs(tmp_path_factory, config, data):
    """The same run twice, once cut after step 3 (saved: 2 or 3), and what it said."""
    batches_from, validation_batches = data
    folder, said = tmp_path_factory.mktemp("runs"), []
    arguments = {"devices": jax.devices()[:1], "validation_batches": validation_batches}
    train(config, folder / "whole", batches_from, **arguments, say=said.append)

    def cut(step):
        yield from itertools.islice(batches_from(step), 3)
        raise PowerCut

    with pytest.raises(PowerCut):
        train(config, folder / "parts", cut, **arguments)
    train(config, folder / "parts", batches_from, **arguments)
    return folder, "\n".join(said)


def rows(workdir):
    with (workdir / FILE_NAME).open(newline="") as file:
        return [
            {name: value for name, value in row.items() if name != "images_per_second"}
            for row in csv.DictReader(file)
        ]


def test_a_resumed_run_has_the_same_validations_checkpoints_and_averages(runs):
    folder, _ = runs
    assert rows(folder / "whole") == rows(folder / "parts")
    with Checkpoints(folder / "whole") as whole, Checkpoints(folder / "parts") as parts:
        assert whole.steps() == parts.steps()
        assert {3, 4} <= set(whole.steps())
        assert whole.step("best") == parts.step("best")
        assert whole.validation(4) == parts.validation(4) != {}
    for step, weights in itertools.product((3, 4, "best"), ("trained", "ema")):
        a, b = (
            hpunet_jax.load(folder / run, step, weights=weights).digest()
            for run in ("whole", "parts")
        )
        assert a == b


def test_only_rows_of_validations_have_their_columns(runs):
    folder, _ = runs
    found = rows(folder / "whole")
    assert [row["step"] for row in found] == ["1", "2", "3", "4"]
    for name in ("ged2", "hungarian_iou", "reconstruction_iou", "loss", "kl_0", "ema_ged2"):
        column = [row[f"validation_{name}"] for row in found]
        assert [value == "nan" for value in column] == [True, False, True, False], name


def test_the_average_of_the_weights_is_their_exponential_moving_average(runs):
    folder, _ = runs
    before = hpunet_jax.load(folder / "whole", 3, weights="ema").params
    after, weights = (
        hpunet_jax.load(folder / "whole", 4, weights=name).params for name in ("ema", "trained")
    )
    expected = jax.tree.map(lambda old, new: 0.75 * old + 0.25 * new, before, weights)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), after, expected)


def test_scores_are_those_of_the_evaluation_and_terms_those_of_the_loss(runs, data):
    folder, _ = runs
    last = rows(folder / "whole")[-1]
    batches = list(data[1]())[:2]
    batches[1] = {name: array[:2] for name, array in batches[1].items()}  # 6 images
    terms = []
    for weights, prefix in (("trained", "validation_"), ("ema", "validation_ema_")):
        model = hpunet_jax.load(folder / "whole", weights=weights)
        scores = evaluate(model, model.config, batches, None, progress=False)
        for name, values in scores.rows["model"].items():
            known = values[~np.isnan(values)]
            expected = known.mean() if known.size else np.nan
            found = float(last[prefix + name])
            assert found == pytest.approx(expected, rel=1e-6, nan_ok=True), name
        terms.append(float(last[f"{prefix}reconstruction_per_pixel"]))
    assert terms[0] != terms[1]

    model = hpunet_jax.load(folder / "whole")
    total = 0.0
    for batch in batches:
        images, masks = (centre_crop(batch[name], (16, 16)) for name in ("image", "masks"))
        chances = model.reconstruct(images, masks[..., 0], probabilities=True)
        losses = -np.log(np.take_along_axis(chances, masks[..., :1].astype(int), axis=-1))
        worst = np.sort(losses.ravel())[-int(losses.size * model.config.objective.top_k) :]
        total += len(images) * worst.mean()
    assert terms[0] == pytest.approx(total / 6, rel=1e-4)


def test_pictures_of_fixed_cases_lie_in_the_workdir_and_in_tensorboard(runs):
    folder, _ = runs
    pictures = sorted(path.name for path in (folder / "whole" / "validation").iterdir())
    assert pictures == ["step0000002_samples.png", "step0000004_samples.png"]
    events = []
    for path in (folder / "whole").glob("events.out.tfevents.*"):
        events += [Event.FromString(record) for record in RawEventFileLoader(str(path)).Load()]
    values = [(event.step, value) for event in events for value in event.summary.value]
    shown = {step: value.image for step, value in values if value.tag == "validation_samples"}
    assert sorted(shown) == [2, 4]
    assert shown[4].encoded_image_string.startswith(b"\x89PNG")
    assert "validation_ema_ged2" in {value.tag for _, value in values}


def test_a_run_says_what_it_trains_and_what_a_step_costs(runs):
    _, said = runs
    for text in ("parameters (", "receptive field: ", "compiling", "4 images in 2 micro-batches"):
        assert text in said
    assert "GFLOP" in said


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"keep_best_by": "ged2"}, "but nothing is validated"),
        ({"keep_best_by": "ema_ged2", "validate_every": 1}, "no moving average"),
        ({"keep_best_by": "rand_error", "validate_every": 1}, "does not give: choose one of loss,"),
        ({"keep_best_by": "ged", "validate_every": 1}, "keep_best_by must be"),
        ({"init_step": "newest"}, "must be the number of a step"),
    ],
)
def test_fields_that_do_not_fit_together_are_refused(tiny_config, fields, message):
    with tiny_config.unlocked():
        tiny_config.training.update(fields)
    with pytest.raises(ValueError, match=message):
        check_config(tiny_config)


def test_own_instances_are_kept_by_scores_that_they_have():
    config = own_instances.get_config().unlock()
    config.training.validate_every = 100
    for score in ("rand_error", "average_precision"):
        config.training.keep_best_by = score
        check_config(config)
    config.training.keep_best_by = "ged2"
    with pytest.raises(ValueError, match=r"choose one of .*average_precision"):
        check_config(config)


def test_without_anything_to_validate_on_a_run_does_not_start(tmp_path, config, data):
    for batches, message in ((None, "no validation_batches"), (list, "'validation' is empty")):
        with pytest.raises(ValueError, match=message):
            train(config, tmp_path, data[0], jax.devices()[:1], validation_batches=batches)


def test_images_smaller_than_the_crop_are_mirrored_and_not_scored_beyond(data):
    (examples, *_) = data[1]()
    image, masks = (examples[name][:, :7, 2:] for name in ("image", "masks"))
    found = _cropped({"image": image, "masks": masks, "name": np.arange(4)}, (16, 16))
    assert found.keys() == {"image", "masks"}
    assert found["image"].shape == (4, 16, 16, 1)
    inside = (slice(None), slice(4, 11))
    np.testing.assert_array_equal(found["image"][inside], image[:, :, 3:19])
    np.testing.assert_array_equal(found["image"][:, 3], found["image"][:, 4])
    beyond = np.ones_like(found["masks"], bool)
    beyond[inside] = False
    assert np.all((found["masks"] == 255) == beyond)
