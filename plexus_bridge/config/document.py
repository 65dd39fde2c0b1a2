# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads a YAML file, remembers where each value stands, and checks it against a JSON Schema."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
import difflib
import json
import math
import os
from pathlib import Path
import re
from typing import Any

import jsonschema
import yaml

from plexus_bridge.config.yaml_mistakes import yaml_mistake
from plexus_bridge.errors import ConfigError
from plexus_bridge.errors import Problem

Place = tuple[str | int, ...]

# A map needs neither; what has more is a mistake, or made to take all memory and time.
MAX_DEPTH = 50
MAX_NODES = 100_000

_VARIABLE = re.compile(r'\$\{([A-Za-z_][A-Za-z0-9_]*)\}')
# A number in YAML 1.2 and to everybody, a text in the YAML 1.1 of PyYAML.
_EXPONENT = re.compile(r'[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)[eE][-+]?[0-9]+')
# A key and a value that nothing separates are one text.
_NO_SPACE = re.compile(r'([A-Za-z_]+):(\S.*)')
_SURROGATE = re.compile('[\ud800-\udfff]')


@dataclass
class Document:
    """A YAML file's value, and line and column (from 1) of everything in it, by its path."""

    file: str
    value: Any = None
    places: dict[Place, tuple[int, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    # Where the problems are.
    wrong: set[Place] = field(default_factory=set)

    def problem(self, place: Place, text: str) -> None:
        """Note what is wrong at a place, or at the nearest place around it that has a line."""
        self.problems.append(self.problem_at(place, text))
        self.wrong.add(place)

    def is_whole(self, place: Place, but: str = '') -> bool:
        """
        Tell whether nothing is wrong with what stands at a place, so that it can be read on.

        The entries of its list `but` do not count: they can be asked for one by one.
        """
        depth = len(place)
        return not any(
            wrong == place[:len(wrong)] if len(wrong) <= depth
            else wrong[:depth] == place and (wrong[depth] != but or len(wrong) == depth + 1)
            for wrong in self.wrong if wrong)

    def problem_at(self, place: Place, text: str) -> Problem:
        """Return what is wrong at a place with its line and column, without a note of it."""
        known = place
        while known and known not in self.places:
            known = known[:-1]
        line, column = self.places.get(known, (0, 0))
        return Problem(self.file, line, column, place_text(place), text)

    def check(self, schema: Mapping[str, Any]) -> None:
        """Note every difference from a JSON Schema (draft 7)."""
        validator = jsonschema.Draft7Validator(schema)
        # One cause, one problem: what could not be read cannot fit the schema either.
        known = {problem.where for problem in self.problems}
        for error in validator.iter_errors(self.value):
            for place, text in _explain(error):
                if (where := place_text(place)) not in known:
                    known.add(where)
                    self.problem(place, text)

    def raise_problems(self) -> None:
        """Raise ConfigError with all problems, in the order of the file, if there are any."""
        if self.problems:
            raise ConfigError(sorted(
                self.problems, key=lambda problem: (problem.line, problem.column)))


def place_text(place: Place) -> str:
    """Return ``metrics[0].fields[2].path`` for its parts."""
    text = ''
    for part in place:
        text += f'[{part}]' if isinstance(part, int) else f'.{part}' if text else part
    return text


def read_document(file: Path | str, environment: Mapping[str, str] | None = None) -> Document:
    """
    Read a YAML file; ``${NAME}`` in its texts becomes the environment's value.

    Raises ConfigError where the file cannot be read or is no YAML; anything less is noted in
    `problems`, so that it can be told together with what `check` finds.
    """
    path = Path(file)
    try:
        text = path.read_text(encoding='utf-8')
    except FileNotFoundError:
        raise ConfigError([Problem(
            str(file), 0, 0, '', f'no such file; the working directory is {Path.cwd()}'
        )]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(str(file), 0, 0, '', f'cannot be read: {error}')]) from None
    document = Document(str(file))
    node = _compose(str(file), text)
    reader = _NodeReader(document, os.environ if environment is None else environment)
    document.value = reader.value(node, ()) if node is not None else None
    return document


def _compose(file: str, text: str) -> yaml.Node | None:
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except RecursionError:
        raise _too_deep(file) from None
    except yaml.MarkedYAMLError as error:
        mistake = yaml_mistake(error, text)
        raise ConfigError([Problem(
            file, mistake.line, mistake.column, '', f'is not YAML: {mistake.text}')]) from None
    except yaml.YAMLError as error:
        raise ConfigError([Problem(file, 0, 0, '', f'is not YAML: {error}')]) from None
    except (ValueError, OverflowError):
        raise ConfigError([Problem(
            file, 0, 0, '', 'is not YAML: a number or an escape such as "\\U00110000" in it is '
            'beyond what there is')]) from None
    return node


def _too_deep(file: str, line: int = 0, column: int = 0) -> ConfigError:
    return ConfigError([Problem(
        file, line, column, '', f'is nested too deeply; expected at most {MAX_DEPTH} levels')])


def load_schema(name: str) -> dict[str, Any]:
    """Return one of this package's JSON Schemas."""
    schema: dict[str, Any] = json.loads(
        (Path(__file__).parent / name).read_text(encoding='utf-8'))
    return schema


class _NodeReader:
    """Turns YAML nodes into values."""

    def __init__(self, document: Document, environment: Mapping[str, str]):
        self._document = document
        self._environment = environment
        self._scalars = yaml.constructor.SafeConstructor()
        self._open: list[yaml.Node] = []
        self._nodes = 0

    def value(self, node: yaml.Node, place: Place) -> Any:
        here = (node.start_mark.line + 1, node.start_mark.column + 1)
        self._document.places[place] = here
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise ConfigError([Problem(
                self._document.file, *here, '', 'holds too much, aliases followed; expected at '
                f'most {MAX_NODES} values')])
        if len(self._open) > MAX_DEPTH:
            raise _too_deep(self._document.file, *here)
        if any(node is outer for outer in self._open):
            self._document.problem(place, 'an alias contains itself')
            return None
        self._open.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, place)
            if isinstance(node, yaml.SequenceNode):
                return [self.value(item, (*place, index)) for index, item in enumerate(node.value)]
            return self._scalar(node, place)
        finally:
            self._open.pop()

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._document.problem(place, 'has a key that is a list or mapping, expected a '
                                       'text')
                continue
            key = str(key_node.value)
            here = (*place, key)
            if _SURROGATE.search(key):
                self._document.problem(place, _no_text(key))
                continue
            value = self.value(value_node, here)
            # What is said of an entry is shown at its key.
            self._document.places[here] = (
                key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if key in values:
                self._document.problem(here, 'stands here a second time')
            values[key] = value
        return values

    def _scalar(self, node: Any, place: Place) -> Any:
        if node.style is None and node.tag.endswith(':str') and _EXPONENT.fullmatch(node.value):
            return self._number(float(node.value), place)
        try:
            value = self._scalars.construct_object(node)
        except Exception as error:  # anything at all comes out of PyYAML for '!!bool foo'
            reason = error.problem if isinstance(error, yaml.MarkedYAMLError) else error
            self._document.problem(
                place, f'saw {_shown(node.value)}, which cannot be read as '
                f'{node.tag.rpartition(":")[2]}: {reason}')
            return None
        if isinstance(value, int | float):
            return self._number(value, place)
        if not isinstance(value, str):
            return value
        text = _VARIABLE.sub(lambda match: self._variable(match[1], place), value)
        if _SURROGATE.search(text):
            self._document.problem(place, _no_text(text))
            return None
        return text

    def _number(self, value: float, place: Place) -> float | None:
        try:
            if math.isfinite(value):
                return value
        except OverflowError:  # an integer that no float can hold
            pass
        self._document.problem(
            place, f'saw {value if isinstance(value, float) else "a number beyond 1.8e308"}, '
            'expected a finite number')
        return None

    def _variable(self, name: str, place: Place) -> str:
        if name not in self._environment:
            self._document.problem(
                place, f'${{{name}}} is not set; set this environment variable')
            return ''
        return self._environment[name]


def _no_text(text: str) -> str:
    return f'saw {text!a}, which holds half a surrogate pair and so is no text'


_TYPE_NAMES = {
    'object': 'a mapping', 'array': 'a list', 'string': 'a text', 'number': 'a number',
    'integer': 'a whole number', 'boolean': 'true or false'}


def _explain(error: jsonschema.ValidationError) -> Iterable[tuple[Place, str]]:
    place = tuple(error.absolute_path)
    wanted: Any = error.validator_value
    schema: Any = error.schema
    seen: Any = error.instance
    rule = error.validator
    if rule == 'additionalProperties' and wanted is False:
        known = list(schema.get('properties', {}))
        for key in seen:
            if key not in known:
                yield (*place, key), _unknown_key(str(key), known)
    elif rule == 'required':
        for key in wanted:
            if key not in seen:
                choices = schema.get('properties', {}).get(key, {}).get('enum')
                expected = f'; expected {", ".join(map(str, choices))}' if choices else ''
                yield place, f'{key!r} is missing{expected}'
    elif rule == 'type':
        names = [wanted] if isinstance(wanted, str) else wanted
        expected = ' or '.join(_TYPE_NAMES.get(name, name) for name in names)
        slip = _slip(seen, names) or _alone(seen, schema)
        yield place, f'saw {_shown(seen)}, expected {expected}{slip}'
    elif rule in ('enum', 'const'):
        choices = wanted if rule == 'enum' else [wanted]
        expected = ', '.join(str(choice) for choice in choices)
        yield place, f'saw {_shown(seen)}, expected {expected}{_near(str(seen), choices)}'
    elif rule == 'anyOf' and (nearest := _nearest_branch(error)):
        for inner in nearest:
            yield from _explain(inner)
    elif rule == 'anyOf' and (choices := _choices(error)):
        expected = ', '.join(choices)
        yield place, f'saw {_shown(seen)}, expected {expected}{_near(str(seen), choices)}'
    elif rule in ('pattern', 'anyOf'):
        description = schema.get('description', f'a text that fits {wanted}').partition('. ')[0]
        yield place, f'saw {_shown(seen)}, expected: {description}'
    elif rule in _BOUNDS:
        yield place, f'saw {_shown(seen)}, expected {_BOUNDS[rule].format(wanted)}'
    else:
        yield place, f'saw {_shown(seen)}: {error.message}'


# What the schema's bounds ask for.
_BOUNDS = {
    'minimum': 'at least {}', 'exclusiveMinimum': 'more than {}', 'maximum': 'at most {}',
    'exclusiveMaximum': 'less than {}', 'minItems': 'at least {} of them',
    'maxItems': 'at most {} of them', 'minProperties': 'at least {} entry',
    'maxProperties': 'at most {} entries', 'minLength': 'at least {} character',
    'maxLength': 'at most {} characters', 'uniqueItems': 'none of them twice'}


def _alone(seen: Any, schema: Mapping[str, Any]) -> str:
    """Return what was meant by a choice that stands where the mapping with it belongs."""
    for key, inner in schema.get('properties', {}).items():
        if isinstance(seen, str) and seen in inner.get('enum', ()):
            return f': {{{key}: {seen}}}'
    return ''


def _nearest_branch(error: jsonschema.ValidationError) -> list[jsonschema.ValidationError]:
    """
    Return what is wrong with the only alternative that is of the right type, if it is one.

    Nothing where that says less than the description of all alternatives.
    """
    branches: dict[object, list[jsonschema.ValidationError]] = {}
    for inner in error.context or ():
        branches.setdefault(inner.schema_path[0], []).append(inner)
    fitting = [inners for inners in branches.values() if not any(
        inner.validator in ('type', 'const') and not inner.relative_path for inner in inners)]
    return [inner for inner in fitting[0] if inner.relative_path or inner.validator == 'anyOf'] \
        if len(fitting) == 1 else []


def _choices(error: jsonschema.ValidationError) -> list[str]:
    """Return the texts that alternatives list, then what is said of the others."""
    listed: list[str] = []
    described: list[str] = []
    for inner in error.context or ():
        wanted: Any = inner.validator_value
        schema: Any = inner.schema
        if inner.validator == 'enum':
            listed += map(str, wanted)
        elif 'description' in schema:
            described.append(schema['description'])
    return [*listed, *described] if listed else []


def _slip(seen: Any, wanted: list[str]) -> str:
    """Return what was done if a value is of another type for a slip in YAML."""
    if isinstance(seen, dict) and 'array' in wanted:
        return ': each of its entries begins with "- "'
    if isinstance(seen, dict) and 'string' in wanted and not any(seen.values()):
        return f'; a text that begins with "{{" needs quotes: "{{{", ".join(seen)}}}"'
    if isinstance(seen, bool) and wanted == ['string']:
        return ('; YAML takes on, off, yes and no for true and false: put the text in quotes')
    if isinstance(seen, int | float) and wanted == ['string']:
        return f'; put it in quotes: "{seen}"'
    if isinstance(seen, str) and 'object' in wanted and (missing := _NO_SPACE.fullmatch(seen)):
        return f'; a space is missing behind the colon: "{missing[1]}: {missing[2]}"'
    return ''


def _unknown_key(key: str, known: list[str]) -> str:
    if (missing := _NO_SPACE.fullmatch(key)) and missing[1] in known:
        return (f'unknown key {key!r}; a space is missing behind the colon: '
                f'"{missing[1]}: {missing[2]}"')
    hint = _near(key, known) or f'; expected one of {", ".join(known)}'
    return f'unknown key {key!r}{hint}'


def _near(seen: str, known: Iterable[Any]) -> str:
    names = [str(name) for name in known]
    near = [name for name in names if name.lower() == seen.lower()] or \
        difflib.get_close_matches(seen, names, 1, 0.6)
    return f'; did you mean {near[0]!r}?' if near else ''


def _shown(value: Any) -> str:
    if value is None:
        return 'nothing'
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + '…'
