"""Arguments of public functions: what passes, and the sentence for what does not."""

import fractions

import jax.numpy as jnp
import numpy as np
import pytest

from hpunet_jax.arguments import (
    GREATEST_SEED,
    check_array,
    check_choice,
    check_flag,
    check_integer,
    check_number,
    check_seed,
    check_subset,
)


def test_integers_of_python_and_numpy_pass_and_nothing_else_does():
    for good in (3, np.int64(3), np.uint8(3)):
        assert check_integer("n", good, 1, 5) == 3
        assert type(check_integer("n", good)) is int
    for bad in (2.5, 3.0, True, np.True_, "3", None, [3], np.array([3]), float("nan"), 1j):
        with pytest.raises(ValueError, match=r"^n must be an integer from 1 to 5, not "):
            check_integer("n", bad, 1, 5)
    for bad, message in ((0, "from 1 to 5, not 0"), (6, "not 6"), (2**70, "not 1180591")):
        with pytest.raises(ValueError, match=message):
            check_integer("n", bad, 1, 5)
    with pytest.raises(ValueError, match="erosion must be an odd integer of 1 or more, not 4"):
        check_integer("erosion", 4, 1, odd=True)


def test_seeds_are_what_jax_and_numpy_both_take():
    assert check_seed(0) == 0
    assert check_seed(np.uint32(GREATEST_SEED)) == 2**31 - 1
    for bad in (-1, 2**31, 2**32 + 5, 1.0, "0", None, [0, 1], True):
        with pytest.raises(ValueError, match=r"^seed must be an integer from 0 to 2147483647"):
            check_seed(bad)


def test_numbers_are_finite_and_no_bools():
    for good in (1, 1.0, np.float32(1), np.int8(1), fractions.Fraction(1)):
        assert check_number("rate", good, 0, 1) == 1.0
    for bad in (np.nan, np.inf, -0.1, 1.1, True, "1", None, 1j, 10**400, np.ones(1)):
        with pytest.raises(ValueError, match=r"^rate must be a number from 0 to 1, not "):
            check_number("rate", bad, 0, 1)


def test_flags_and_choices_name_what_is_allowed():
    assert check_flag("mean", np.True_) is True
    for bad in (0, 1, "yes", None):
        with pytest.raises(ValueError, match=r"^mean must be True or False, not"):
            check_flag("mean", bad)
    assert check_choice("absent", "nan", ("one", "nan")) == "nan"
    for bad in ("two", 1, None, ["one"]):
        with pytest.raises(ValueError, match=r"^absent must be one of 'one', 'nan', not"):
            check_choice("absent", bad, ("one", "nan"))


def test_subsets_are_different_integers_that_exist():
    for good in ([0, 2], (0, 2), np.array([0, 2]), [np.int64(0), 2], range(0, 3, 2)):
        assert check_subset("scales", good, 3, "latent scale") == (0, 2)
    assert check_subset("scales", [], 0, "latent scale") == ()
    for bad, message in (
        ("02", "scales must be a list of integers, not '02'"),
        (1, "must be a list"),
        ({0: 1}, "must be a list"),
        (np.zeros((1, 1), int), "must be a list"),
        ([0, "1"], "must hold integers, not '1'"),
        ([True], "must hold integers, not True"),
        ([0.0], r"not 0\.0"),
        ([-1], "scales has latent scale -1, but there are only 0 to 2"),
        ([3], "latent scale 3, but"),
        ([0, 1, 0], "has 0 twice"),
    ):
        with pytest.raises(ValueError, match=message):
            check_subset("scales", bad, 3, "latent scale")
    with pytest.raises(ValueError, match="must be empty"):
        check_subset("scales", [0], 0, "latent scale")


def test_arrays_are_of_the_kind_and_shape_asked_for():
    def check(value, kinds="iu"):
        return check_array("labels", value, kinds, (1, None), "[B, H]")

    for good in ([[1, 2]], np.ones((1, 5), np.uint8), jnp.ones((1, 2), int)):
        assert check(good).dtype.kind in "iu"
    assert check(jnp.ones((1, 2), jnp.bfloat16), "f").dtype == np.float32
    for bad, message in (
        ([[1.0]], r"labels must be integers of shape \[B, H\], not float64 of shape \(1, 1\)"),
        ([[True]], "must be integers of shape .*, not bool"),
        ([["a"]], "must be integers of shape .*, not <U1"),
        ([[None]], "must be integers of shape .*, not object"),
        ([[1, 2], [3]], "labels must be an array, not nested lists"),
        ([1], r"of shape \[B, H\], not int64 of shape \(1,\)"),
        ([[1], [2]], r"of shape \[B, H\], not int64 of shape \(2, 1\)"),
    ):
        with pytest.raises(ValueError, match=message):
            check(bad)
    with pytest.raises(
        ValueError, match=r"of shape \(1, 2\), not int64 of shape \(1, 3\): \[B, H\]"
    ):
        check_array("labels", [[1, 2, 3]], "iu", (1, 2), "[B, H]")
