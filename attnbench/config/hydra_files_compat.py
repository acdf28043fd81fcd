"""Config files as Hydra reads them, with one clear line for a file that is no text or no mapping."""

import io
from collections.abc import Callable
from pathlib import Path

import yaml
from hydra._internal.config_repository import IConfigRepository
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import Container, OmegaConf

from attnbench.errors import UserError


class ConfigFolder(FileConfigSource):
    """A folder of configs that notes which files Hydra asks for, also those that do not exist.

    Args:
        provider: who added the folder.
        path: of the folder.
        note: called with the path of each file and folder before it is read.
    """

    def __init__(self, provider: str, path: str, note: Callable[[str], None]) -> None:
        super().__init__(provider, path)
        self.note = note

    def is_group(self, config_path: str) -> bool:
        self.note(f"{self.path}/{config_path}")
        return super().is_group(config_path)

    def is_config(self, config_path: str) -> bool:
        self.note(f"{self.path}/{self._normalize_file_name(config_path)}")
        return super().is_config(config_path)

    def load_config(self, config_path: str) -> ConfigResult:
        """Load a file, without the byte-order mark that some editors put at its start."""
        path = Path(self.path) / self._normalize_file_name(config_path)
        text = _NamedText(path)
        header = ConfigSource._get_header_dict(text.read(512))
        text.seek(0)
        return ConfigResult(
            config=_load(text), path=f"{self.scheme()}://{self.path}", provider=self.provider, header=header
        )


def watch(repository: IConfigRepository, note: Callable[[str], None] = lambda _: None) -> None:
    """Let a repository of Hydra's read its folders through `ConfigFolder`."""
    sources = repository.get_sources()
    sources[:] = [
        ConfigFolder(source.provider, source.full_path(), note)
        if source.scheme() == FileConfigSource.scheme()
        else source
        for source in sources
    ]


def load_mapping(path: Path) -> Container:
    """Return the content of a config file, without composing anything.

    Raises:
        UserError: it is no text, or no mapping of keys to values.
        YAMLError, OmegaConfBaseException: what is in it cannot be read.
    """
    return _load(_NamedText(path))


def _load(text: "_NamedText") -> Container:
    _require_mapping(text)
    text.seek(0)
    try:
        return OmegaConf.load(text)
    except (OSError, RecursionError):  # a mapping of another type, such as a set, is an OSError to OmegaConf
        raise UserError(f"{text.name}: must be a mapping of keys to values") from None


def _require_mapping(text: "_NamedText") -> None:
    """Raise `UserError` unless a YAML text is a mapping, or empty; only its beginning is read.

    OmegaConf would take a list for a config, and a word for a key without a value.
    """
    first = next((event for event in yaml.parse(text) if isinstance(event, yaml.NodeEvent)), None)
    if isinstance(first, yaml.SequenceStartEvent):
        raise UserError(f"{text.name}: must be a mapping of keys to values; it is a list")
    if isinstance(first, yaml.ScalarEvent) and first.value:  # of a document without content the value is ""
        raise UserError(f"{text.name}: must be a mapping of keys to values; it is the value {first.value}")


class _NamedText(io.StringIO):
    """The text of a file, under whose name the YAML parser reports mistakes. Raises `UserError` for what is no text."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        try:
            super().__init__(path.read_text(encoding="utf-8-sig"))
        except UnicodeDecodeError:
            raise UserError(f"{path}: it is not text in UTF-8") from None
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
