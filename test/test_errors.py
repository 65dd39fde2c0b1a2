# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ast
import inspect
from pathlib import Path
import re

import pytest

from plexus_bridge import errors
from plexus_bridge.errors import ConfigError
from plexus_bridge.errors import PlexusError
from plexus_bridge.errors import Problem

PACKAGE = Path(errors.__file__).parent
CLASSES = {name: found for name, found in inspect.getmembers(errors, inspect.isclass)
           if issubclass(found, BaseException)}


def drawn() -> dict[str, str]:
    """Return the parent of each exception in the docstring's tree, by its indentation."""
    parents: dict[str, str] = {}
    above = [(-1, 'PlexusError')]
    for line in (errors.__doc__ or '').splitlines():
        found = re.match(r'([ |]*)\+-- (\w+) ', line)
        if found:
            column = len(found[1])
            while above[-1][0] >= column:
                above.pop()
            parents[found[2]] = above[-1][1]
            above.append((column, found[2]))
    return parents


def public_exceptions_elsewhere(folder: Path) -> list[str]:
    """Return the places where a public exception class is defined outside of errors.py."""
    paths = [path for path in folder.rglob('*.py') if path.name != 'errors.py']
    classes = [(path, node) for path in paths for node in ast.walk(ast.parse(path.read_text()))
               if isinstance(node, ast.ClassDef)]
    bases = {node.name: {re.split(r'[.\[]', ast.unparse(base))[-1] for base in node.bases}
             for _, node in classes}
    known = set(CLASSES) | {'BaseException'} | {
        name for name, kind in vars(__import__('builtins')).items()
        if isinstance(kind, type) and issubclass(kind, BaseException)}
    while more := {name for name, of in bases.items() if of & known} - known:
        known |= more
    return [f'{path.relative_to(folder)}:{node.lineno}: {node.name}' for path, node in classes
            if not node.name.startswith('_')
            and (node.name in known or node.name.endswith(('Error', 'Exception')))]


def test_the_tree_is_drawn_as_it_is():
    assert drawn() == {
        name: kind.__mro__[1].__name__ for name, kind in CLASSES.items() if kind != PlexusError}
    assert PlexusError.__mro__[1] is Exception


def test_every_public_exception_of_the_package_is_in_the_tree():
    assert public_exceptions_elsewhere(PACKAGE) == []


def test_an_exception_elsewhere_is_found(tmp_path):
    (tmp_path / 'some.py').write_text(
        'class First(ValueError): pass\nclass Second(First): pass\nclass _Own(Exception): pass\n'
        'class Third(errors.BagError): pass\nclass Fourth(foreign.FourthError): pass\n'
        'class OddError(foreign.Thing): pass\nclass Fine(foreign.Thing): pass\n')
    assert public_exceptions_elsewhere(tmp_path) == [
        'some.py:1: First', 'some.py:2: Second', 'some.py:4: Third', 'some.py:6: OddError']


@pytest.mark.parametrize(('problem', 'text'), [
    (Problem('map.yaml', 3, 7, 'metrics[0].topic', 'saw 7, expected a text'),
     'map.yaml:3:7: metrics[0].topic: saw 7, expected a text'),
    (Problem('map.yaml', 3, 7, '', 'is no YAML'), 'map.yaml:3:7: is no YAML'),
    (Problem('map.yaml', 0, 0, '', 'no such file'), 'map.yaml: no such file'),
    (Problem('map.yaml', 0, 0, 'gateway', 'is missing'), 'map.yaml: gateway: is missing')])
def test_a_problem_reads_as_file_line_and_column(problem, text):
    assert str(problem) == text
    assert str(ConfigError([problem])) == text


def test_a_configuration_error_tells_all_problems_in_their_order():
    problems = [Problem('a.yaml', line, 1, f'metrics[{line}]', 'is wrong') for line in (2, 9, 4)]
    error = ConfigError(problems)
    assert error.problems == tuple(problems)
    assert str(error).splitlines() == [str(problem) for problem in problems]


def test_a_configuration_error_may_be_a_text_alone():
    error = ConfigError('no map was given: set config_file')
    assert str(error) == 'no map was given: set config_file'
    assert error.problems == (Problem('', 0, 0, '', 'no map was given: set config_file'),)
