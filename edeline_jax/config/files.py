"""Config files and their names: `configs/atari.py:breakout`, in short `atari:breakout`; found from every folder."""

import importlib.util
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType

from absl import flags
from ml_collections import ConfigDict, config_flags

import edeline_jax
from edeline_jax.runtime.errors import UserError

PACKAGE = Path(edeline_jax.__file__).parent
SHIPPED = next(folder for folder in (PACKAGE / "configs", PACKAGE.parent / "configs") if folder.is_dir())
flags.disclaim_key_flags()  # --config is a flag of the program that calls `define_flag`


def define_flag(help: str) -> flags.FlagHolder:
    """The flag `--config`, which takes a name as `locate` does."""
    holder = config_flags.DEFINE_config_file("config", None, help)
    flag = flags.FLAGS["config"]
    flag.parser = _Located(flag.parser)
    return holder


class _Located(flags.ArgumentParser):
    """Hands the path that a name means to another parser."""

    def __init__(self, parser: flags.ArgumentParser):
        self._parser = parser

    def parse(self, name: str) -> ConfigDict:
        return self._parser.parse(locate(name))

    def flag_type(self) -> str:
        return self._parser.flag_type()


def locate(name: str) -> str:
    """The path of a config file, with the `:SPEC` of its name.

    That is the file itself if it exists; otherwise the one of that name which comes with edeline-jax. When installed
    these lie inside the package, so `configs/atari.py` and `atari` mean the same file everywhere.

    Raises:
      UserError: there is no such file.
    """
    file, colon, spec = name.partition(":")
    if Path(file).is_file():
        return name
    shipped = {path.stem: path for path in sorted(SHIPPED.glob("[a-z]*.py"))}
    word = file.removeprefix("configs/").removesuffix(".py")
    if word not in shipped:
        raise UserError(
            f"--config={name}: no such file; give one, or a name ({', '.join(shipped)}) such as atari:breakout"
        )
    return f"{shipped[word]}{colon}{spec}"


def load_module(name: str) -> ModuleType:
    """The module of a config file; `name` as in `locate`, without a spec."""
    path = locate(name)
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load(name: str) -> ConfigDict:
    """The config that `--config=NAME` stands for; a config file begins with another's by this."""
    file, colon, spec = name.partition(":")
    return load_module(file).get_config(*[spec] if colon else [])


def apply_presets(
    config: ConfigDict, names: Iterable[str], known: Mapping[str, Callable[[ConfigDict], None]], file: str
) -> ConfigDict:
    """The config after the presets of these names, of those that its `file` knows.

    Raises:
      UserError: there is no such preset.
    """
    for name in names:
        if name not in known:
            raise UserError(f"{file}: unknown preset {name!r}; known: {', '.join(known)}")
        known[name](config)
    return config
