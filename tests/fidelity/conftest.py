"""The comparisons with the recorded numbers, computed once for each recorded set."""

import functools

import pytest

from benchmarks import fidelity
from benchmarks.recorded import Recording


@functools.cache
def _compared(folder, name):
    recording = Recording(folder, name)
    return recording, fidelity.compare(recording)


# Of several processes that run tests, one computes all comparisons of a set.
@pytest.fixture(
    params=[pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in fidelity.SETS]
)
def recorded_set(request) -> str:
    """The name of a recorded set."""
    return request.param


@pytest.fixture
def recording(golden_folder, recorded_set) -> Recording:
    """A recorded set and our network with its weights."""
    return _compared(golden_folder, recorded_set)[0]


@pytest.fixture
def comparisons(golden_folder, recorded_set):
    """(row of the table) -> the set's comparisons of that quantity; there must be some."""

    def of(*quantities: str):
        found = [c for c in _compared(golden_folder, recorded_set)[1] if c.quantity in quantities]
        assert {c.quantity for c in found} == set(quantities)
        return found

    return of


@pytest.fixture
def assert_reproduced(comparisons):
    """Asserts that all comparisons of some quantities agree to a relative error of 1e-5."""

    def check(*quantities: str, except_for: tuple[str, ...] = ()):
        failed = {
            c.key: c.relative_error
            for c in comparisons(*quantities)
            if not c.relative_error <= 1e-5 and c.key not in except_for
        }
        assert not failed

    return check
