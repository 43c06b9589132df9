"""Config files that cannot be read: one sentence with file and line."""

import pytest

from hpunet_jax.config import load_config

DEMO = "from configs import demo\ndef get_config():\n    config = demo.get_config()\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def get_config(:\n", "line 1: SyntaxError: invalid syntax"),
        ("x = 1\ny = z\n", "line 2: NameError: name 'z' is not defined"),
        ("x = 1\n", "has no function `get_config`"),
        ("get_config = 1\n", "has no function `get_config`"),
        (
            "def get_config():\n    return {}\n",
            "must return an ml_collections.ConfigDict, not dict",
        ),
        (f"{DEMO}", "must return an ml_collections.ConfigDict, not NoneType"),
        (f"{DEMO}    config.data.foo = 3\n", 'line 4: AttributeError: \'Key "foo" does not exist'),
        (f"{DEMO}    return 1 / 0\n", "line 4: ZeroDivisionError: division by zero"),
        (f"{DEMO}    open('nothing.txt')\n", "line 4: FileNotFoundError"),
        ("def get_config(name):\n    return name\n", "needs an argument after a colon"),
        ("import nothing_of_this_name\n", "line 1: ModuleNotFoundError"),
        ("\0", "SyntaxError"),
    ],
)
def test_what_is_wrong_with_a_config_file_is_said_with_its_place(tmp_path, text, message):
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"mine\.py") as refused:
        load_config(str(path))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_config_file_must_be_there_and_be_python(tmp_path):
    for path in ("", "nothing.py", str(tmp_path)):
        with pytest.raises(FileNotFoundError, match="there is no config file"):
            load_config(path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="its name must end in"):
        load_config(str(tmp_path / "config.json"))
    with pytest.raises(ValueError, match="takes no argument after a colon"):
        load_config("configs/lidc_hpunet.py:lidc_unet")


def test_a_config_comes_locked_and_may_take_an_argument():
    config = load_config("configs/demo.py:lidc_spunet")
    assert config.model.name == "spunet"
    assert config.is_locked
