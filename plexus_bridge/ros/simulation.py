# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The simulated robot on the ROS graph: parameters, topics, services and its main loop."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
import threading
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Twist
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from rcl_interfaces.msg import FloatingPointRange
from rcl_interfaces.msg import IntegerRange
from rcl_interfaces.msg import ParameterDescriptor
from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import BatteryState
from sensor_msgs.msg import Image
from sensor_msgs.msg import Imu
from sensor_msgs.msg import JointState
from sensor_msgs.msg import LaserScan
from sensor_msgs.msg import NavSatFix
from std_srvs.srv import SetBool
from std_srvs.srv import Trigger

from plexus_bridge.ros import simulated_sensors as sensors
from plexus_bridge.simulation.battery import Battery
from plexus_bridge.simulation.camera import Camera
from plexus_bridge.simulation.drive import Drive
from plexus_bridge.simulation.drive import DriveLimits
from plexus_bridge.simulation.patrol import Patrol
from plexus_bridge.simulation.robot import Level
from plexus_bridge.simulation.robot import Robot
from plexus_bridge.simulation.room import furnished_room
from plexus_bridge.stopping import StopRequest

_QUEUE = 10


@dataclass
class _Output:
    """One topic: what reads its message, where it goes, and when it is due next (ns)."""

    publish: Callable[[Any], None]
    read: Callable[[Robot, int], Any]
    period_ns: int
    due_ns: int = 0


class SimulatedRobot:
    """
    A simulated robot as the node's topics, services and parameters.

    The node's executor serves commands, services and parameters on any thread; `run` lets time
    pass on the calling one. Time is the node's clock, so `use_sim_time` slows the robot down too.
    """

    def __init__(self, node: Node):
        self._node = node
        self._lock = threading.Lock()
        self._declare_parameters()
        self._room = furnished_room()
        self._robot = Robot(
            self._room,
            drive=Drive(DriveLimits(speed=self._value('max_speed')),
                        self._value('cmd_vel_timeout_s')),
            battery=Battery(capacity_ah=self._value('battery_capacity_ah'),
                            charge=self._value('battery_charge')),
            patrol=Patrol(self._room) if self._value('patrol') else None)
        self._outputs = self._create_outputs()
        self._create_inputs()
        node.add_on_set_parameters_callback(self._on_parameters)

    def _value(self, name: str) -> Any:
        return self._node.get_parameter(name).value

    def _declare_parameters(self) -> None:
        def declare(name: str, default: Any, description: str, low: float | None = None,
                    high: float | None = None, *, changes: bool = False) -> None:
            descriptor = ParameterDescriptor(description=description, read_only=not changes)
            if low is not None and isinstance(default, float):
                descriptor.floating_point_range = [
                    FloatingPointRange(from_value=low, to_value=float(high or 0))]
            elif low is not None:
                descriptor.integer_range = [
                    IntegerRange(from_value=int(low), to_value=int(high or 0), step=1)]
            self._node.declare_parameter(name, default, descriptor)

        declare('stamped', False, 'cmd_vel is geometry_msgs/TwistStamped instead of Twist')
        declare('patrol', True, 'drive around when nobody sends commands', changes=True)
        declare('cmd_vel_timeout_s', 0.5, 'stop when no command came for so long [s]',
                0.05, 60.0, changes=True)
        declare('max_speed', 1.0, 'commands are clamped to this speed [m/s]',
                0.0, 5.0, changes=True)
        declare('imu_rate_hz', 50.0, 'rate of imu/data; 0 = off', 0.0, 1000.0)
        declare('odometry_rate_hz', 20.0, 'rate of odom; 0 = off', 0.0, 1000.0)
        declare('joint_rate_hz', 20.0, 'rate of joint_states; 0 = off', 0.0, 1000.0)
        declare('scan_rate_hz', 10.0, 'rate of scan; 0 = off', 0.0, 100.0)
        declare('camera_rate_hz', 10.0, 'rate of camera/image_raw; 0 = off', 0.0, 100.0)
        declare('image_width', 320, 'pixels', 16, 4096)
        declare('image_height', 240, 'pixels', 16, 4096)
        declare('battery_capacity_ah', 5.0, 'what a full battery holds [Ah]', 0.01, 1000.0)
        declare('battery_charge', 0.85, 'charge at start, 0 … 1', 0.0, 1.0)
        declare('frame_prefix', '', 'put before every frame_id, as in "robot1/"')

    def _create_outputs(self) -> list[_Output]:
        prefix = self._value('frame_prefix')
        width, height = self._value('image_width'), self._value('image_height')
        scan_hz = self._value('scan_rate_hz')
        table: list[tuple[type[Any], str, float, Any]] = [
            (Imu, 'imu/data', self._value('imu_rate_hz'), sensors.ImuSensor(f'{prefix}imu_link')),
            (Odometry, 'odom', self._value('odometry_rate_hz'),
             sensors.OdometrySensor(f'{prefix}odom', f'{prefix}base_link')),
            (JointState, 'joint_states', self._value('joint_rate_hz'), sensors.JointSensor()),
            (LaserScan, 'scan', scan_hz, sensors.ScanSensor(f'{prefix}laser_link', scan_hz)),
            (Image, 'camera/image_raw', self._value('camera_rate_hz'), sensors.CameraSensor(
                f'{prefix}camera_optical_frame', Camera(self._room, width, height),
                width, height)),
            (BatteryState, 'battery_state', 1.0, sensors.BatterySensor(f'{prefix}base_link')),
            (NavSatFix, 'fix', 1.0, sensors.FixSensor(f'{prefix}gps_link', sensors.Origin())),
            (DiagnosticArray, 'diagnostics', 1.0,
             sensors.DiagnosticSensor(self._node.get_name(), 'simulated'))]
        return [
            _Output(self._node.create_publisher(kind, topic, _QUEUE).publish, sensor.read,
                    round(1e9 / rate_hz))
            for kind, topic, rate_hz, sensor in table if rate_hz]

    def _create_inputs(self) -> None:
        node = self._node
        if self._value('stamped'):
            node.create_subscription(
                TwistStamped, 'cmd_vel', lambda message: self._on_twist(message.twist), _QUEUE)
        else:
            node.create_subscription(Twist, 'cmd_vel', self._on_twist, _QUEUE)
        for name in ('motors_enabled', 'emergency_stop', 'lights'):
            service = 'enable_motors' if name == 'motors_enabled' else name
            node.create_service(SetBool, f'~/{service}', self._switch(name))
        node.create_service(Trigger, '~/tare', self._on_tare)
        node.create_service(Trigger, '~/dock', self._on_dock)

    def _on_twist(self, twist: Twist) -> None:
        with self._lock:
            taken = self._robot.command(twist.linear.x, twist.angular.z)
        if not taken:
            self._node.get_logger().warning(
                'cmd_vel: a command that is not finite was ignored', throttle_duration_sec=1.0)

    def _switch(self, name: str) -> Callable[[Any, Any], Any]:
        def serve(request: Any, response: Any) -> Any:
            with self._lock:
                setattr(self._robot, name, request.data)
            response.success = True
            response.message = f'{name.replace("_", " ")}: {"yes" if request.data else "no"}'
            return response
        return serve

    def _on_tare(self, request: Any, response: Any) -> Any:
        with self._lock:
            self._robot.tare()
        response.success, response.message = True, 'odometry and wheel angles count from here'
        return response

    def _on_dock(self, request: Any, response: Any) -> Any:
        with self._lock:
            response.success = self._robot.dock()
        response.message = 'charging' if response.success else 'charging already, or full'
        return response

    def _on_parameters(self, parameters: Sequence[Parameter]) -> SetParametersResult:
        with self._lock:
            for parameter in parameters:
                if parameter.name == 'patrol':
                    self._robot.patrol = Patrol(self._room) if parameter.value else None
                elif parameter.name == 'cmd_vel_timeout_s':
                    self._robot.drive.timeout_s = parameter.value
                elif parameter.name == 'max_speed':
                    drive = self._robot.drive
                    drive.limits = replace(drive.limits, speed=parameter.value)
        return SetParametersResult(successful=True)

    def run(self, stop: StopRequest) -> None:
        """Let time pass and publish what is due, until a stop is asked for."""
        tick_ns = min(20_000_000, *(output.period_ns for output in self._outputs))
        clock = self._node.get_clock()
        before_ns = clock.now().nanoseconds
        next_tick = time.monotonic()
        while not stop.requested:
            now_ns = clock.now().nanoseconds
            with self._lock:
                self._pass_time(before_ns, now_ns, tick_ns // 2)
            before_ns = now_ns
            next_tick = max(next_tick + tick_ns / 1e9, time.monotonic() - 0.1)
            stop.wait(next_tick - time.monotonic())

    def _pass_time(self, before_ns: int, now_ns: int, tolerance_ns: int) -> None:
        if now_ns > before_ns:
            self._robot.step((now_ns - before_ns) / 1e9)
        self._tell()
        for output in self._outputs:
            late_ns = now_ns - output.due_ns
            if -2 * output.period_ns < late_ns < -tolerance_ns:
                continue
            # On schedule the next one is due a period after this one was; after a jump of the
            # clock, forwards or back, a period from now.
            on_schedule = abs(late_ns) <= output.period_ns
            output.due_ns = (output.due_ns if on_schedule else now_ns) + output.period_ns
            output.publish(output.read(self._robot, now_ns))

    def _tell(self) -> None:
        logger = self._node.get_logger()
        for happening in self._robot.happenings():
            # One line for each severity: rclpy refuses to change it between calls of one line.
            if happening.level is Level.ERROR:
                logger.error(happening.text)
            elif happening.level is Level.WARN:
                logger.warning(happening.text)
            else:
                logger.info(happening.text)
