"""The compilation cache: where it lies, when it is off; a second start compiles nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hpunet_jax.compilation.cache import OFF, compile_or_load, use_cache, user_folder

_OPTIONS = (
    "jax_compilation_cache_dir",
    "jax_compilation_cache_max_size",
    "jax_persistent_cache_min_compile_time_secs",
    "jax_enable_compilation_cache",
)


@pytest.fixture
def without_cache():
    """JAX as it starts; afterwards as it was."""
    before = {name: jax.config.values[name] for name in _OPTIONS}
    jax.config.update("jax_compilation_cache_dir", None)
    jax.experimental.compilation_cache.compilation_cache.reset_cache()
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    jax.experimental.compilation_cache.compilation_cache.reset_cache()


def test_a_second_start_compiles_nothing(tmp_path, without_cache):
    folder = tmp_path / "with space"
    assert use_cache(folder) == str(folder)

    def compile_it():
        jax.jit(lambda x: jnp.sin(x) @ x)(np.ones((5, 5), np.float32)).block_until_ready()
        return {path.name for path in folder.iterdir() if path.name.endswith("-cache")}

    first = compile_it()
    assert first
    jax.clear_caches()  # as a new process would start
    misses = []
    jax.monitoring.register_event_listener(
        lambda event, **_: misses.append(event) if event.endswith("cache_misses") else None
    )
    assert compile_it() == first
    assert not misses


def test_the_users_cache_is_the_default_unless_the_environment_names_one(
    tmp_path, without_cache, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert use_cache() == str(user_folder())
    assert user_folder().parent == tmp_path / "hpunet_jax"
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "named"))  # by its variable
    assert use_cache() == str(tmp_path / "named")
    assert use_cache(OFF) is None
    assert not jax.config.values["jax_enable_compilation_cache"]


def test_a_home_that_cannot_be_written_to_is_no_error_but_a_folder_that_was_asked_for_is(
    tmp_path, without_cache, monkeypatch
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert use_cache() is None
    with pytest.raises(ValueError, match="nothing can be kept there"):
        use_cache(tmp_path / "file" / "cache")


def test_whether_a_program_was_compiled_or_loaded(tmp_path, without_cache):
    lowered = jax.jit(lambda x: jnp.cos(x) @ x).lower(np.ones((4, 4), np.float32))
    use_cache(tmp_path)
    compiled, anew = compile_or_load(lowered)
    assert anew
    jax.clear_caches()
    loaded, anew = compile_or_load(lowered)
    assert not anew
    x = np.full((4, 4), 0.5, np.float32)
    np.testing.assert_array_equal(loaded(x), compiled(x))
