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
    assert '2 commands: no problem found' in told.out
    assert told.err == ('command elsewhere: nobody_msgs/srv/DoIt is not installed here, so it was '
                        'not looked at\n')


def test_what_does_not_fit_an_installed_type_is_told_with_line_and_column(tmp_path, capsys):
    (tmp_path / 'm.yaml').write_text(GOOD.replace('{data:', '{date:'))
    assert cli.main(['check', str(tmp_path / 'm.yaml')]) == EXIT_CONFIGURATION
    assert capsys.readouterr().err.endswith(
        "m.yaml:4:64: commands[0].service.request.date: request: std_srvs/srv/SetBool request has "
        "no field 'date'; did you mean 'data'?\n")


def check_map(tmp_path, text: str) -> int:
    (tmp_path / 'm.yaml').write_text(f'version: 1\n{text}')
    return cli.main(['check', str(tmp_path / 'm.yaml')])


def test_rules_that_name_a_type_are_checked_as_run_does_and_told_at_their_field(
        tmp_path, capsys):
    assert check_map(tmp_path, '''metrics:
  - topic: /gps
    type: sensor_msgs/msg/NavSatFixx
  - topic: /imu
    type: sensor_msgs/Imu
    fields:
      - {path: angular_velocity.z, metric: a}
      - {path: orientatoin.x, metric: b}
events:
  - topic: /doors
    type: std_msgs/msg/Bool
    fields: [{path: date, event: doors}]
''') == EXIT_CONFIGURATION
    gps, imu, doors = capsys.readouterr().err.splitlines()
    assert 'm.yaml:4:5: metrics[0].type: type sensor_msgs/msg/NavSatFixx: package ' in gps
    assert ("m.yaml:9:10: metrics[1].fields[1].path: path orientatoin.x: sensor_msgs/msg/Imu has "
            "no field 'orientatoin'; did you mean 'orientation'?") in imu
    assert 'm.yaml:13:15: events[0].fields[0].path: path date: std_msgs/msg/Bool has no' in doors


def test_a_rule_of_a_package_that_is_not_installed_is_told_and_no_error(tmp_path, capsys):
    assert check_map(tmp_path, 'metrics: [{topic: /a, type: nobody_msgs/A}]\n') == 0
    assert capsys.readouterr().err == (
        'metrics[0]: nobody_msgs/msg/A is not installed here, so it was not looked at\n')


def test_parts_of_a_map_are_counted_each_by_itself(tmp_path, capsys):
    assert check_map(tmp_path, 'metrics: [{topic: /a}, {topic: /b}]\n'
                     'video: [{topic: /c, camera_id: c}]\n') == 0
    assert 'm.yaml: 2 metric rules, 1 camera: no problem' in capsys.readouterr().out
    assert check_map(tmp_path, 'execute: {allow: ["/bin/echo *"]}\n') == 0
    told = capsys.readouterr()
    assert (told.err, 'm.yaml: execute: no problem' in told.out) == ('', True)
