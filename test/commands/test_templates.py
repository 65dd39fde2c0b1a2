# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from plexus_bridge.commands.templates import fill
from plexus_bridge.commands.templates import fill_text
from plexus_bridge.commands.templates import names_in
from plexus_bridge.errors import CommandError

PARAMS = {'n': 3, 'x': 0.5, 'on': True, 'text': 'a {n} b'}


@pytest.mark.parametrize(('template', 'filled'), [
    ('{n}', 3), ('{on}', True), ('bay {n}', 'bay 3'), ('{n}{x}', '30.5'), ('{on}!', 'true!'),
    ('{{n}}', '{n}'), ('{{{n}}}', '{3}'), ('plain', 'plain'), (7, 7), (None, None),
    ('{text}', 'a {n} b'), ('<{text}>', '<a {n} b>'),
    ({'a': '{n}', 'b': ['{x}', {'c': '{on}'}]}, {'a': 3, 'b': [0.5, {'c': True}]}),
    ({'a': '{absent}', 'b': '{n}', 'c': ['{absent}', 1]}, {'b': 3, 'c': [1]})])
def test_parameters_are_filled_in(template, filled):
    assert fill(template, PARAMS) == filled


@pytest.mark.parametrize('text', ['{', '}', 'a { b', '{a}}', '{{a}'])
def test_a_brace_that_stands_alone_is_told(text):
    with pytest.raises(ValueError, match='brace stands alone'):
        names_in(text)


def test_a_text_that_is_needed_may_not_be_absent():
    assert fill_text('{n}', PARAMS) == '3'
    assert fill_text('on {n}', PARAMS) == 'on 3'
    with pytest.raises(CommandError, match=r'params\.absent: is missing'):
        fill_text('{absent}', PARAMS)
