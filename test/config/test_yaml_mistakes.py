# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What people get wrong in YAML, and what they are told."""

from __future__ import annotations

import pytest
import yaml

from plexus_bridge.config.yaml_mistakes import yaml_mistake

NO_KEY = 'expected "key: value", with a space behind the colon'


def told(text: str) -> str:
    with pytest.raises(yaml.MarkedYAMLError) as raised:
        yaml.compose(text, Loader=yaml.SafeLoader)
    mistake = yaml_mistake(raised.value, text)
    return f'{mistake.line}:{mistake.column}: {mistake.text}'


@pytest.mark.parametrize(('text', 'expected'), [
    ('metrics:\n- topic: /a\n   fields: []\n',
     '3:4: this line is indented too far; expected to begin in column 3 as line 2, whose value '
     'stands in that line already'),
    ('source_id: x\n\n  tags: {a: b}\n',
     '3:3: this line is indented too far; expected to begin in column 1 as line 1, whose value '
     'stands in that line already'),
    ('metrics:\n  - topic: /a\n   type: b/c\n',
     '3:4: this line begins in column 4, where nothing above begins; expected column 3 to go on '
     'with what began in line 2'),
    ('tags:\n  a: b\n c: d\n',
     '3:2: this line begins in column 2, where nothing above begins; expected column 1 to go on '
     'with what began in line 1'),
    ('metrics:\n  - topic: /a\n  type: x/y\n',
     '3:3: expected the next "- " of the list that began in line 2; to belong to its last entry, '
     'this line has to be indented by two more spaces'),
    ('version: 1\nmetrics:\n - topic: /a\n- topic: /b\n',
     '4:1: saw an entry of a list ("- "), expected "key: value" as in line 1; a list under a key '
     'is indented, or stands right below it'),
    ('metrics:\n\t- topic: /a\n', '2:1: a tab stands here; lines are indented with spaces only'),
])
def test_a_slip_in_indentation_is_told_with_where_the_line_belongs(text, expected):
    assert told(text) == expected


@pytest.mark.parametrize(('text', 'expected'), [
    ('metrics:\n  - topic /a\n    type: x\n', f"2:3: 'topic /a' has no \": \"; {NO_KEY}"),
    ('a:1\nb: 2\n', f"1:1: 'a:1' has no \": \"; {NO_KEY}"),
    ('x: 1\na:1\nb: 2\n', f'2:1: this line has no key: {NO_KEY}'),
    ('gateway: url: http://x\n',
     '1:13: a second ": " in one line; put the value in quotes if the colon belongs to it, or '
     'begin a new line for it, indented by two more spaces'),
    ('a: "open\nb: 1\n', '1:4: the quote that opens here is never closed'),
    ("a: 'it's'\n", '1:8: nothing can follow here: the value before it is complete'),
    ('a: {x: 1\nb: 3\n',
     '2:2: a "," is missing before this, or the "}" that closes the "{" of line 1, column 4'),
    ('a: [}\n', '1:5: a value is missing before this "}"'),
    ('- {topic: /a}}\n', '1:14: nothing can follow here: the value before it is complete'),
    ('source_id: @foo\n', '1:12: a text that begins with "@" needs quotes'),
    ('topic: *x\n', '1:8: a text that begins with "*" needs quotes: "*x"'),
    ('a: "\\q"\n', '1:6: "\\q" means nothing between double quotes; write "\\\\q", or take '
     'single quotes'),
    ('a: 1\n---\nb: 1\n', '2:1: a second document begins here ("---"), expected only one'),
    ('a: 1\nb: &\n', "2:5: expected alphabetic or numeric character, but found '\\n'"),
])
def test_what_is_wrong_within_a_line_is_told_in_plain_words(text, expected):
    assert told(text) == expected


@pytest.mark.parametrize(('text', 'where', 'quoted'), [
    ('- {path: position[*], key: name}\n', '1:20', 'position[*]'),
    ('- {path: ranges[0].x, metric: a}\n', '1:16', 'ranges[0].x'),
    ('- {metric: {name}.position}\n', '1:18', '{name}.position'),
    ('metric: {part}{name}\n', '1:15', '{part}{name}'),
])
def test_a_text_that_yaml_takes_apart_is_to_be_quoted(text, where, quoted):
    assert told(text) == (f'{where}: quote this text, for its brackets or braces mean something '
                          f'to YAML: "{quoted}"')
