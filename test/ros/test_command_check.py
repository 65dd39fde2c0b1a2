# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""`plexus-bridge check` on a map with commands, with the interfaces that are installed here."""

from __future__ import annotations

from plexus_bridge import cli
from plexus_bridge.exit_codes import EXIT_CONFIGURATION

GOOD = '''version: 1
commands:
  - name: lights
    service: {name: /lights, type: std_srvs/SetBool, request: {data: "{on}"}}
    params: {"on": {type: boolean}}
  - name: elsewhere
    service: {name: /x, type: nobody_msgs/DoIt}
'''


def test_a_right_map_is_called_right_and_what_is_not_installed_is_told(tmp_path, capsys):
    (tmp_path / 'm.yaml').write_text(GOOD)
    assert cli.main(['check', str(tmp_path / 'm.yaml')]) == 0
    told = capsys.readouterr()
    assert '0 rules, 2 commands, no problem found' in told.out
    assert told.err == ('command elsewhere: nobody_msgs/srv/DoIt is not installed here, so it was '
                        'not looked at\n')


def test_what_does_not_fit_an_installed_type_is_told_with_line_and_column(tmp_path, capsys):
    (tmp_path / 'm.yaml').write_text(GOOD.replace('{data:', '{date:'))
    assert cli.main(['check', str(tmp_path / 'm.yaml')]) == EXIT_CONFIGURATION
    assert capsys.readouterr().err.endswith(
        "m.yaml:4:64: commands[0].service.request.date: request: std_srvs/srv/SetBool request has "
        "no field 'date'; did you mean 'data'?\n")
