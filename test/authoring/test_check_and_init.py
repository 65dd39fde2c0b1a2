# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""`plexus-bridge check` and `init` as users call them, without ROS: what they print and return."""

from __future__ import annotations

import argparse
from pathlib import Path

from cdr import write_cdr
import pytest
from rosbags.rosbag2 import Writer
from rosbags.typesys import get_typestore
from rosbags.typesys import Stores

from plexus_bridge.authoring.dry_run import dry_run
from plexus_bridge.authoring.proposal import propose
from plexus_bridge.authoring.report import report_text
from plexus_bridge.authoring.source import BagSource
from plexus_bridge.authoring.source import Definitions
from plexus_bridge.authoring.source import SourceMessage
from plexus_bridge.authoring.source import SourceTopic
from plexus_bridge.bags import Bag
from plexus_bridge.config.map import load_map
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.layout import PRIMITIVES
from plexus_bridge.mapping.layout import Sequence
from plexus_bridge.mapping.layout import String
from plexus_bridge.mapping.rules import Sampling
from plexus_bridge.nodes import check
from plexus_bridge.nodes import init

BEGIN_NS = 1_790_000_000_000_000_000
TYPES = {
    '/imu/data': ('sensor_msgs/msg/Imu', 100, {'angular_velocity': {'z': 0.5}}),
    '/battery': ('sensor_msgs/msg/BatteryState', 2, {'voltage': 24.5}),
    '/camera/image_raw': ('sensor_msgs/msg/Image', 5, {}),
    '/dock/_action/status': ('action_msgs/msg/GoalStatusArray', 1, {}),
    '/planner/transition_event': ('lifecycle_msgs/msg/TransitionEvent', 1, {}),
    '/rosout': ('rcl_interfaces/msg/Log', 3, {}),
    '/tf': ('tf2_msgs/msg/TFMessage', 3, {}),
    '/mission': ('std_msgs/msg/Header', 1, {}),
    '/plan': ('nav_msgs/msg/MapMetaData', 1, {'width': 7}),
    '/joy_feedback': ('sensor_msgs/msg/JoyFeedback', 1, {'intensity': 0.5}),
}


@pytest.fixture(scope='module')
def bag(tmp_path_factory) -> Path:
    """A recording of one second with topics of every sort."""
    path = tmp_path_factory.mktemp('bags') / 'drive'
    store = get_typestore(Stores.LATEST)
    definitions = Definitions({})
    with Writer(path, version=9) as writer:
        for topic, (kind, count, values) in TYPES.items():
            connection = writer.add_connection(topic, kind, typestore=store)
            for index in range(count):
                writer.write(connection, BEGIN_NS + index * 10_000_000,
                             write_cdr(definitions.layout(kind), values))
    return path


@pytest.fixture
def call(capsys):
    """Call a command's module; return its exit code, output and errors."""
    def run(module, *arguments: str) -> tuple[int, str, str]:
        parser = argparse.ArgumentParser()
        module.add_arguments(parser)
        code = module.run(parser.parse_args(arguments))
        output = capsys.readouterr()
        return code, output.out, output.err

    return run


@pytest.fixture
def robot_map(tmp_path):
    def write(rules: str) -> str:
        file = tmp_path / 'robot.yaml'
        file.write_text(f'version: 1\nmetrics:\n{rules}')
        return str(file)

    return write


def test_a_right_map_is_called_right(call, robot_map):
    code, out, err = call(check, robot_map('  - topic: /imu/data\n'))
    assert (code, err) == (0, '')
    assert '1 metric rule: no problem found' in out


def test_a_wrong_map_is_told_with_line_and_column(call, robot_map):
    code, out, err = call(check, robot_map('  - topc: /imu/data\n'))
    assert (code, out) == (78, '')
    assert "robot.yaml:3:5: metrics[0].topc: unknown key 'topc'; did you mean 'topic'?" in err
    assert "robot.yaml:3:5: metrics[0]: 'topic' is missing" in err


def test_a_dry_run_tells_what_comes_out_and_what_it_costs(call, robot_map, bag):
    code, out, err = call(check, '--bag', str(bag), robot_map(
        '  - topic: /imu/data\n    sampling: {mode: every}\n'
        '    fields: [{path: angular_velocity.z, metric: turn}]\n'
        '  - topic: /battery\n    sampling: {mode: every}\n'
        '    fields: [{path: voltage, metric: volts}, {path: charge, metric: never}]\n'
        '  - topic: /batery\n'
        '  - topic: /mission\n    fields: [{path: stamp.sec, metric: sec}]\n'))
    lines = [line.split() for line in out.splitlines()]
    assert (code, err) == (0, '')
    assert ['metrics[0]', '/imu/data', 'sensor_msgs/msg/Imu', '100', '100'] in lines
    # One second: 100 points of {"class":"metric","metric":"turn","value":0.5,"timestamp":…},
    turn = next(line for line in lines if line[:1] == ['turn'])
    assert turn[1] == '100'
    assert float(turn[2]) == pytest.approx(101, abs=2)
    assert float(turn[3]) == pytest.approx(101 * 74, rel=0.03)
    assert ['4', 'in', 'all'] in [line[:3] for line in lines]
    assert 'metrics[2] (/batery) gives nothing: no such topic in' in out
    assert 'did you mean /battery?' in out


def test_a_rule_that_gives_nothing_fails_only_a_strict_check(call, robot_map, bag):
    good = '  - topic: /imu/data\n'
    bad = f'{good}  - topic: /batery\n'
    assert call(check, '--strict', '--bag', str(bag), robot_map(good))[0] == 0
    assert call(check, '--bag', str(bag), robot_map(bad))[0] == 0
    code, out, err = call(check, '--strict', '--bag', str(bag), robot_map(bad))
    assert (code, err) == (1, 'plexus-bridge check: 1 rule gives nothing, see above\n')
    assert 'metrics[1] (/batery) gives nothing: no such topic in' in out


def test_a_camera_that_gives_nothing_is_told_and_fails_a_strict_check(call, robot_map, bag):
    file = robot_map('  - topic: /imu/data\nvideo:\n'
                     '  - {topic: /camera/image_rw, camera_id: a}\n'
                     '  - {topic: /battery, camera_id: b}\n')
    code, out, err = call(check, '--strict', '--bag', str(bag), file)
    assert (code, err) == (1, 'plexus-bridge check: 2 rules give nothing, see above\n')
    assert 'camera a (/camera/image_rw) gives nothing: no such topic in ' in out
    assert 'did you mean /camera/image_raw?' in out
    assert 'camera b (/battery) gives nothing: saw sensor_msgs/msg/BatteryState, exp' in out


def test_paths_that_the_recordings_types_do_not_have_are_told(call, robot_map, bag):
    code, _, err = call(check, '--bag', str(bag), robot_map(
        '  - topic: /battery\n    fields: [{path: voltag, metric: volts}]\n'))
    assert code == 78
    assert ('robot.yaml:4:15: metrics[0].fields[0].path: /battery: path voltag: '
            "sensor_msgs/msg/BatteryState has no field 'voltag'; did you mean 'voltage'?") in err


def test_all_problems_are_told_at_once_also_those_of_rules_with_a_type(call, robot_map, bag):
    file = robot_map('''  - topic: /imu/data
    type: sensor_msgs/msg/Imu
    fields: [{path: angular_velocity.w, metric: a}]
  - topic: /battery
    fields: [{path: voltag, metric: b}]
  - {topic: /plan, type: sensor_msgs/msg/Imu}
''')
    code, _, errors = call(check, file, '--bag', str(bag))
    assert code == 78
    assert [line.partition('robot.yaml:')[2].partition(': ')[0] for line in errors.splitlines()] \
        == ['5:15', '7:15', '8:5'], errors
    assert 'expected sensor_msgs/msg/Imu' in errors


def test_relative_names_follow_the_namespace_that_is_given(call, robot_map, bag):
    file = robot_map('''  - topic: data
    fields: [{path: angular_velocity.z, metric: a}]
  - topic: ~/data
video:
  - {topic: image_raw, camera_id: front}
''')
    code, output, _ = call(check, file, '--bag', str(bag))
    assert code == 0
    assert f'no topic /data in {bag}; a relative name follows --namespace, did you mean /imu?' \
        in output
    assert f'no topic /plexus_bridge/data in {bag}; a relative' in output
    assert f'no topic /image_raw in {bag}; a relative name follows --namespace, did you mean ' \
        '/camera?' in output
    code, output, _ = call(check, file, '--bag', str(bag), '--namespace', 'imu/')
    assert code == 0
    assert 'metrics[0]  /imu/data' in output
    assert 'no topic /imu/plexus_bridge/data' in output


def test_of_two_types_on_a_topic_the_one_that_is_asked_for_is_read(call, robot_map, tmp_path):
    store, definitions = get_typestore(Stores.LATEST), Definitions({})
    with Writer(tmp_path / 'mixed', version=9) as writer:
        for index, kind in enumerate(('std_msgs/msg/Int32', 'std_msgs/msg/Float64')):
            connection = writer.add_connection('/value', kind, typestore=store)
            writer.write(connection, BEGIN_NS + index,
                         write_cdr(definitions.layout(kind), {'data': 7}))
    file = robot_map('  - {topic: /value, type: std_msgs/msg/Int32}\n')
    code, output, errors = call(check, file, '--bag', str(tmp_path / 'mixed'))
    assert (code, errors) == (0, '')
    assert 'metrics[0]  /value  std_msgs/msg/Int32         1       1' in output
    assert 'could not be read' not in output


def test_one_odd_definition_stands_in_the_way_of_no_other_topic(call, robot_map, tmp_path):
    """And of one message nobody tells a rate."""
    definition = 'wstring<=5 label\nfloat64[<=3] few\n'
    layout = Message('x_msgs/msg/Thing', (
        ('label', String(wide=True)), ('few', Sequence(PRIMITIVES['float64']))))
    path = tmp_path / 'odd'
    with Writer(path, version=9) as writer:
        for topic, text in (('/thing', definition), ('/odd', 'this is ! nothing')):
            connection = writer.add_connection(
                topic, f'x_msgs/msg/{topic[1:].title()}', msgdef=text, rihs01='x')
            writer.write(connection, BEGIN_NS, write_cdr(layout, {'label': 'Grün', 'few': [1.5]}))
    file = robot_map('  - {topic: /thing, fields: [{path: label, metric: name}, '
                     '{path: "few[*]", metric: few}]}\n')
    code, output, errors = call(check, file, '--bag', str(path))
    assert (code, errors) == (0, '')
    assert 'metrics[0]  /thing  x_msgs/msg/Thing         1       2' in output
    assert 'few.0          1  -         -' in output
    code, _, errors = call(check, robot_map('  - topic: /odd\n'), '--bag', str(path))
    assert code == 78
    assert 'metrics[0]: /odd: type x_msgs/msg/' in errors
    _, output, _ = call(init, '--bag', str(path))
    assert '  # x_msgs/msg/Thing, 1 messages\n  - topic: /thing\n' in output
    assert '  # - topic: /odd  # type x_msgs/msg/' in output


def test_a_look_that_keeps_some_messages_only_tells_the_rates_of_all(robot_map):
    """A look at the graph forgets what is large."""
    source = OneTopic('/cloud', Message('a/msg/B', (('x', PRIMITIVES['float64']),)))
    source.topics['/cloud'] = SourceTopic('/cloud', ('a/msg/B',), 40)
    data = write_cdr(source.layout('a/msg/B'), {'x': 1.0})
    source.messages = lambda topics: [
        SourceMessage('/cloud', BEGIN_NS + index * 100_000_000, data) for index in range(8)]
    tried = load_map(robot_map(
        '  - {topic: /cloud, sampling: {mode: every}, fields: [{path: x, metric: m}]}\n'))
    lines = list(report_text(tried, dry_run(tried, source), source))
    assert 'metrics[0]  /cloud  a/msg/B  8 of 40        8' in lines
    assert any(line.split()[:3] == ['m', '8', f'{40 / source.seconds:.1f}'] for line in lines)


def test_a_recording_of_nothing_is_told(call, robot_map, tmp_path):
    with Writer(tmp_path / 'empty', version=9):
        pass
    for module, *arguments in ((check, robot_map('  - topic: /a\n')), (init,)):
        code, output, errors = call(module, *arguments, '--bag', str(tmp_path / 'empty'))
        assert (code, output) == (1, '')
        assert errors.endswith('empty: holds no topic\n')


def test_a_recording_that_is_not_there_is_told(call, robot_map):
    code, _, err = call(check, '--bag', 'nowhere', robot_map('  - topic: /a\n'))
    assert code == 1
    assert 'nowhere: there is no such file or folder' in err


def test_a_proposed_map_is_right_and_chooses_sensibly(call, bag, tmp_path):
    file = tmp_path / 'new.yaml'
    code, out, err = call(init, '--bag', str(bag), '--source-id', 'husky-01', '-o', str(file))
    assert (code, err) == (0, '')
    assert f'now: plexus-bridge check {file}' in out
    robot_map = load_map(file)
    rules = {rule.topic: rule for rule in robot_map.metrics}
    assert robot_map.source_id == 'husky-01'
    assert set(rules) == {'/battery', '/imu/data', '/joy_feedback', '/mission', '/plan'}
    assert rules['/imu/data'].sampling == Sampling('latest', rate_hz=10)
    assert rules['/battery'].sampling.mode == 'every'
    assert [str(field.path) for field in rules['/joy_feedback'].fields] == [
        'type', 'id', 'intensity']
    text = file.read_text()
    assert [(rule.topic, rule.camera_id, rule.max_width) for rule in robot_map.video] == [
        ('/camera/image_raw', 'camera', 1280)]
    assert sorted(rule.topic for rule in robot_map.events) == [
        '/dock/_action/status', '/planner/transition_event', '/rosout']
    assert '  - action: /dock\n' in text
    assert '  - lifecycle: /planner\n' in text
    assert '/tf' not in text
    code, out, err = call(check, '--bag', str(bag), str(file))
    assert (code, err) == (0, '')
    assert 'gives nothing' not in out


@pytest.mark.parametrize('source_id', ['007', '1e5', '2020-01-01', 'no', 'null', '1_0', '0x1f'])
def test_a_proposed_map_says_what_was_given_whatever_yaml_may_take_it_for(
        call, bag, tmp_path, source_id):
    file = tmp_path / 'new.yaml'
    code, _, err = call(init, '--bag', str(bag), '--source-id', source_id, '-o', str(file))
    assert (code, err) == (0, '')
    assert load_map(file).source_id == source_id


class OneTopic:
    """A source of one topic of a type of the test's."""

    name = 'nowhere'
    seconds = 1.0

    def __init__(self, topic: str, layout: Message, data: bytes = b''):
        self.topics = {topic: SourceTopic(topic, (layout.name,), 2)}
        self._layout = layout
        self._data = data

    def layout(self, type_name: str) -> Message:
        return self._layout

    def messages(self, topics):
        return (SourceMessage(topic, BEGIN_NS, self._data) for topic in topics)


def test_fields_named_like_something_in_yaml_are_quoted(tmp_path):
    fields = ('on', 'no', 'null', 'y', 'x', 'true')
    layout = Message('a/msg/B', tuple((name, PRIMITIVES['float64']) for name in fields))
    file = tmp_path / 'new.yaml'
    file.write_text('\n'.join(propose(OneTopic('/no', layout), 'r-1', 'http://h')))
    assert [str(field.path) for field in load_map(file).metrics[0].fields] == list(fields)


def test_what_a_bridge_says_of_itself_and_what_is_hidden_is_not_proposed(tmp_path):
    number = Message('a/msg/B', (('x', PRIMITIVES['float64']),))
    source = OneTopic('/real', number)
    goals = 'action_msgs/msg/GoalStatusArray'
    for name, kind in (
            ('/r1/plexus_bridge/status', 'plexus_msgs/msg/BridgeStatus'),
            ('/r1/plexus_bridge/run_command/_action/status', goals),
            ('/r1/plexus_bridge/run_command/_action/feedback', 'plexus_msgs/action/R_Feedback'),
            ('/dock/_action/feedback', 'a/msg/B'), ('/_hidden', 'a/msg/B'),
            ('/dock/_action/status', goals)):
        source.topics[name] = SourceTopic(name, (kind,), 1)
    file = tmp_path / 'new.yaml'
    file.write_text('\n'.join(propose(source, 'r-1', 'http://h')))
    proposed = load_map(file)
    assert [rule.topic for rule in (*proposed.metrics, *proposed.events)] == [
        '/real', '/dock/_action/status']
    assert 'plexus_bridge/' not in file.read_text().replace('plexus-bridge', '')


class Broken:
    """A mapper that fails at every step with what nobody expects."""

    every = settles = True

    def take(self, data: bytes, received_ms: int) -> None:
        raise OverflowError('too large')

    def settle(self, now_ms: int) -> None:
        """Do nothing."""

    def finish(self) -> None:
        raise ZeroDivisionError


def test_no_message_ends_a_dry_run(robot_map, monkeypatch):
    monkeypatch.setattr('plexus_bridge.mapping.plan.make_mapper', lambda *_, **__: Broken())
    source = OneTopic('/t', Message('a/msg/B', (('x', PRIMITIVES['float64']),)))
    tried = load_map(robot_map('  - topic: /t\n'))
    result = dry_run(tried, source)
    assert result.counters.dropped() == {'unreadable': 2}
    assert (result.rules[0].unreadable, result.rules[0].nothing) == (2, 'too large')
    result.rules[0].nothing = ''
    assert 'metrics[0] (/t): 2 times a message could not be read: too large' in list(
        report_text(tried, result, source))


def test_a_proposed_map_never_overwrites(call, bag, tmp_path):
    file = tmp_path / 'mine.yaml'
    file.write_text('precious')
    code, _, err = call(init, '--bag', str(bag), '-o', str(file))
    assert code == 1
    assert 'is there already' in err
    assert file.read_text() == 'precious'


def test_a_wrong_source_id_is_refused(call, bag):
    code, _, err = call(init, '--bag', str(bag), '--source-id', 'My Robot')
    assert code == 1
    assert "source_id: saw 'My Robot'" in err


def test_a_recordings_own_definitions_are_used(bag):
    with Bag(bag) as opened:
        source = BagSource(opened)
        imu = 'sensor_msgs/msg/Imu'
        assert source.layout(imu) == Definitions({}).layout(imu)
        assert source.topics['/imu/data'].count == 100
        assert source.seconds == pytest.approx(0.99)
