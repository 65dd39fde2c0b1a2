# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a text that is no YAML, in words for people who write maps, not parsers."""

from __future__ import annotations

from dataclasses import dataclass
import re

import yaml

_CHARACTER = re.compile(r"found character '(.+)' that cannot start any token", re.DOTALL)
_GOT = re.compile(r"expected ',' or '([\]}])', but got '(.+)'")
_ALIAS = re.compile(r"found undefined alias '(.+)'")
_NO_VALUE = re.compile(r"expected the node content, but found '(.+)'")
_ESCAPE = re.compile(r"found unknown escape character '(.+)'")
_FOUND = re.compile(r"expected <block end>, but found '(.+)'")
# Texts of maps that mean something else to YAML: paths within braces, names from the topic.
_NEEDS_QUOTES = (
    re.compile(r'[\w./-]+(?:\[[^\]\s]*\][\w./-]*)+'),
    re.compile(r'\{\w+\}(?:\{\w+\}|[\w./-])+'))
_OPENED_BY = {']': '[', '}': '{'}


@dataclass(frozen=True)
class YamlMistake:
    """Line and column from 1 on (0 if nobody knows), and what is wrong there."""

    line: int
    column: int
    text: str


def yaml_mistake(error: yaml.MarkedYAMLError, text: str) -> YamlMistake:
    """Return what PyYAML's error about `text` comes to."""
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return YamlMistake(0, 0, f'{error.problem or error.context}')
    problem = error.problem or error.context or ''
    start = error.context_mark or mark
    lines = text.splitlines()
    if text_without := _without_quotes(_line(lines, mark.line), mark.column):
        return _at(mark, f'quote this text, for its brackets or braces mean something to YAML: '
                         f'"{text_without}"')
    if problem == 'mapping values are not allowed here':
        return _second_colon(lines, mark)
    if found := _FOUND.fullmatch(problem):
        return _at(mark, _out_of_place(lines, mark, start, found[1]))
    if got := _GOT.fullmatch(problem):
        opened = _OPENED_BY[got[1]]
        return _at(mark, f'a "," is missing before this, or the "{got[1]}" that closes the '
                         f'"{opened}" of {_place(start)}')
    if problem == 'found unexpected end of stream':
        return _at(start, 'the quote that opens here is never closed')
    if problem == "could not find expected ':'":
        return _at(start, 'this line has no key: expected "key: value", with a space behind the '
                          'colon')
    if alias := _ALIAS.fullmatch(problem):
        return _at(mark, f'a text that begins with "*" needs quotes: "*{alias[1]}"')
    if no_value := _NO_VALUE.fullmatch(problem):
        return _at(mark, f'a value is missing before this "{no_value[1]}"')
    if escape := _ESCAPE.fullmatch(problem):
        return _at(mark, f'"\\{escape[1]}" means nothing between double quotes; write '
                         f'"\\\\{escape[1]}", or take single quotes')
    if problem == 'but found another document':
        return _at(mark, 'a second document begins here ("---"), expected only one')
    if character := _CHARACTER.fullmatch(problem):
        return _at(mark, _odd_character(character[1]))
    return _at(mark, problem)


def _without_quotes(line: str, column: int) -> str:
    """Return the text around a column that YAML takes apart; '' if there is none."""
    for pattern in _NEEDS_QUOTES:
        for found in pattern.finditer(line):
            if found.start() < column <= found.end() and line[found.start() - 1] not in '"\'':
                return found[0]
    return ''


def _at(mark: yaml.Mark, text: str) -> YamlMistake:
    return YamlMistake(mark.line + 1, mark.column + 1, text)


def _place(mark: yaml.Mark) -> str:
    return f'line {mark.line + 1}, column {mark.column + 1}'


def _odd_character(character: str) -> str:
    if character == '\\t':
        return 'a tab stands here; lines are indented with spaces only'
    return f'a text that begins with "{character}" needs quotes'


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(' '))


def _entry(line: str) -> str:
    """Return what a line says, without its indentation and the dashes of lists."""
    return line.strip().lstrip('- ').partition(' #')[0].rstrip()


def _is_key(entry: str) -> bool:
    return ': ' in entry or entry.endswith(':')


def _line(lines: list[str], number: int) -> str:
    return lines[number] if 0 <= number < len(lines) else ''


def _second_colon(lines: list[str], mark: yaml.Mark) -> YamlMistake:
    """Explain a colon where no key can be."""
    line = _line(lines, mark.line)
    if _is_key(_entry(line[:mark.column])):
        return _at(mark, 'a second ": " in one line; put the value in quotes if the colon belongs '
                         'to it, or begin a new line for it, indented by two more spaces')
    above = mark.line - 1
    while above >= 0 and not _entry(_line(lines, above)):
        above -= 1
    if above < 0:
        return _at(mark, 'no key can stand here')
    before = _line(lines, above)
    if not _is_key(_entry(before)):
        return YamlMistake(above + 1, _indent(before) + 1, (
            f'{_entry(before)!r} has no ": "; expected "key: value", with a space behind the '
            'colon'))
    expected = len(before) - len(before.lstrip(' -')) + 1
    return YamlMistake(mark.line + 1, _indent(line) + 1, (
        f'this line is indented too far; expected to begin in column {expected} as line '
        f'{above + 1}, whose value stands in that line already'))


def _out_of_place(lines: list[str], mark: yaml.Mark, block: yaml.Mark, found: str) -> str:
    """Explain what stands where the entries of a list or mapping were to go on."""
    if _indent(_line(lines, mark.line)) != mark.column:
        return 'nothing can follow here: the value before it is complete'
    outer = block.column + 1
    in_list = _line(lines, block.line)[block.column:].startswith('-')
    if mark.column != block.column:
        return (f'this line begins in column {mark.column + 1}, where nothing above begins; '
                f'expected column {outer} to go on with what began in line {block.line + 1}')
    if in_list:
        return (f'expected the next "- " of the list that began in line {block.line + 1}; to '
                'belong to its last entry, this line has to be indented by two more spaces')
    if found == '-':
        return ('saw an entry of a list ("- "), expected "key: value" as in line '
                f'{block.line + 1}; a list under a key is indented, or stands right below it')
    return f'expected "key: value" as in line {block.line + 1}'
