"""Read configuration files: YAML of plain values, with the line of every value.

YAML 1.2's core: `true` and `false` are the only booleans, dates stay text, and a name stands once
in a mapping. Aliases are resolved up to MAX_VALUES.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

MAX_FILE_BYTES: Final = 16 * 1024 * 1024
MAX_FILES: Final = 1_000
# Values of all files together: aliases of aliases grow without bound.
MAX_VALUES: Final = 1_000_000
MAX_DEPTH: Final = 32
MERGE_TAG: Final = "tag:yaml.org,2002:merge"
SUFFIXES: Final = (".yaml", ".yml", ".json")

ValuePath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands; `line` counts from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in a file, and where."""

    place: Place
    path: ValuePath
    text: str

    def __str__(self) -> str:
        where = ".".join(self.path)
        return f"{self.place}: {where}: {self.text}" if where else f"{self.place}: {self.text}"


class BadConfigFile(Exception):
    """The files cannot be applied. `problems`: all that was found, never empty."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(map(str, self.problems)))


@dataclass(slots=True)
class ConfigDocument:
    """What the files say: sections by name, and the place of each value by its path.

    `source`: the file or folder.
    """

    values: dict[str, Any] = field(default_factory=dict)
    places: dict[ValuePath, Place] = field(default_factory=dict)
    source: str = ""

    def find_place(self, path: ValuePath) -> Place:
        """Return where a value stands, or the nearest mapping that would hold it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places[path]

    def make_problem(self, path: ValuePath, text: str) -> Problem:
        return Problem(self.find_place(path), path, text)


def read_config_files(source: Path) -> ConfigDocument:
    """Read a file, or all of a folder by name. Raises BadConfigFile."""
    files = _list_files(source)
    document = ConfigDocument(places={(): Place(str(source), 1)}, source=str(source.absolute()))
    count = 0
    for file in files:
        reader = _FileReader(file, count)
        values = reader.read()
        count = reader.count
        _merge_sections(document, values, reader.places)
    return document


def read_foreign_file(file: Path) -> ConfigDocument:
    """Read a file of another program, within the same bounds. Raises BadConfigFile.

    Unlike in ours, `<<` merges mappings, as in YAML 1.1.
    """
    reader = _FileReader(file, 0, merges=True)
    values = reader.read()
    return ConfigDocument(values, {(): Place(str(file), 1)} | reader.places)


def _list_files(source: Path) -> list[Path]:
    if not source.is_dir():
        return [source]
    files = sorted(each for each in source.iterdir() if each.suffix in SUFFIXES)
    if not files or len(files) > MAX_FILES:
        text = f"Must hold 1 to {MAX_FILES} files named *{', *'.join(SUFFIXES)}, not {len(files)}."
        raise BadConfigFile([Problem(Place(str(source), 1), (), text)])
    return files


def _merge_sections(
    document: ConfigDocument, values: Mapping[str, Any], places: Mapping[ValuePath, Place]
) -> None:
    """Add a file's sections; an object must not be in two files. Raises BadConfigFile."""
    for section, objects in values.items():
        present = document.values.get(section)
        if not (isinstance(present, dict) and isinstance(objects, dict)):
            if section in document.values:
                first = document.places[section,]
                text = f"Stands in {first} already."
                raise BadConfigFile([Problem(places[section,], (section,), text)])
            document.values[section] = objects
            continue
        for name, one in objects.items():
            if name in present:
                where = (section, name)
                text = f"Stands in {document.places[where]} already."
                raise BadConfigFile([Problem(places[where], where, text)])
            present[name] = one
    for path, place in places.items():
        document.places.setdefault(path, place)


class _Loader(yaml.SafeLoader):
    """PyYAML's, with the booleans of YAML 1.2 and without dates."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


class _FileReader:
    """Turns a file's nodes into plain values, and notes their places."""

    def __init__(self, file: Path, count: int, *, merges: bool = False) -> None:
        self._file, self.count, self._merges = file, count, merges
        self._merge_depth = 0
        self.places: dict[ValuePath, Place] = {}

    def read(self) -> dict[str, Any]:
        """Return the file's sections. Raises BadConfigFile."""
        try:
            with self._file.open("rb") as opened:
                text = opened.read(MAX_FILE_BYTES + 1)
            if len(text) > MAX_FILE_BYTES:
                raise self._refuse(1, f"Must be {MAX_FILE_BYTES:,} bytes at most.")
            if self._file.suffix == ".json":
                text = text.replace(b"\t", b" ")  # which YAML forbids, and no JSON string holds
            self._loader = _Loader(text)
            root = self._loader.get_single_node()
        except (OSError, UnicodeDecodeError) as error:
            raise self._refuse(1, f"Cannot be read: {error}.") from error
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else 1
            raise self._refuse(line, f"Is no YAML: {error.problem or error.context}.") from error
        except (yaml.YAMLError, RecursionError) as error:
            raise self._refuse(1, f"Is no YAML: {error}.") from error
        if root is None:
            return {}
        if not isinstance(root, yaml.MappingNode):
            raise self._refuse(1, "Must be a mapping of sections.")
        values: dict[str, Any] = self._build(root, ())
        return values

    def _build(self, node: yaml.Node, path: ValuePath) -> Any:
        line = node.start_mark.line + 1
        self._count_values(1, node, path)
        self.places.setdefault(path, Place(str(self._file), line))
        if isinstance(node, yaml.MappingNode):
            return self._build_mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [
                self._build(each, (*path, str(number))) for number, each in enumerate(node.value)
            ]
        try:
            return self._loader.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            raise self._refuse(line, f"Cannot be read: {error}.", path) from error

    def _count_values(self, count: int, node: yaml.Node, path: ValuePath) -> None:
        self.count += count
        if self.count > MAX_VALUES or len(path) + self._merge_depth > MAX_DEPTH:
            text = f"Must hold {MAX_VALUES:,} values at most, {MAX_DEPTH} levels deep."
            raise self._refuse(node.start_mark.line + 1, text, path)

    def _build_mapping(self, node: yaml.MappingNode, path: ValuePath) -> dict[str, Any]:
        built: dict[str, Any] = {}
        merged: list[yaml.Node] = []
        for key, value in node.value:
            line = key.start_mark.line + 1
            if self._merges and key.tag == MERGE_TAG:
                merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
                continue
            if not isinstance(key, yaml.ScalarNode) or key.tag == MERGE_TAG:
                raise self._refuse(line, "Names must be plain text; << is not supported.", path)
            name = str(key.value)
            if name in built:
                first = self.places[*path, name]
                raise self._refuse(line, f"Stands in line {first.line} already.", (*path, name))
            self.places[*path, name] = Place(str(self._file), line)
            built[name] = self._build(value, (*path, name))
        for each in merged:
            self._merge_mapping(each, built, path)
        return built

    def _merge_mapping(self, node: yaml.Node, built: dict[str, Any], path: ValuePath) -> None:
        """Add what a mapping has no name for yet (https://yaml.org/type/merge.html)."""
        if not isinstance(node, yaml.MappingNode):
            text = "<< must name a mapping or a list of mappings."
            raise self._refuse(node.start_mark.line + 1, text, path)
        self._merge_depth += 1
        # Names that are there already are compared too: without counting them a bomb is free.
        self._count_values(1 + len(node.value), node, path)
        new = [
            pair
            for pair in node.value
            if not (isinstance(pair[0], yaml.ScalarNode) and pair[0].value in built)
        ]
        rest = yaml.MappingNode(node.tag, new, node.start_mark, node.end_mark)
        built.update(self._build_mapping(rest, path))
        self._merge_depth -= 1

    def _refuse(self, line: int, text: str, path: ValuePath = ()) -> BadConfigFile:
        return BadConfigFile([Problem(Place(str(self._file), line), path, text)])
