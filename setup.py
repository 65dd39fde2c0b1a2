# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Build plexus_bridge, with colcon (ament_python) and with pip."""

from glob import glob

from setuptools import find_packages
from setuptools import setup

PACKAGE = 'plexus_bridge'

# Lower bounds are what Ubuntu 22.04 has by apt, the oldest system that the robot side runs on.
ROBOT = [
    'PyYAML>=5.4',
    'jsonschema>=3.2',
    'numpy>=1.21',
    'orjson>=3.6; implementation_name == "cpython"',
    'requests>=2.25',
    'websocket-client>=1.2.3',
]
EXTRAS = {
    'bags': ['rosbags>=0.11'],
    'gateway': ['fastapi>=0.110', 'uvicorn>=0.46', 'websockets>=12'],
    'hardware': ['cantools>=39', 'paho-mqtt>=1.6', 'python-can>=4.0', 'smbus2>=0.4'],
    'images': ['opencv-python-headless>=4.5,<5', 'simplejpeg>=1.6'],
    'parquet': ['pyarrow>=10'],
    'test': ['hypothesis>=6.36', 'httpx>=0.24', 'plexus-python>=0.16', 'pytest>=7'],
    'fuzz': ['schemathesis>=4'],
    'dev': [
        'colcon-bash', 'colcon-defaults', 'colcon-output', 'colcon-ros', 'mypy>=1.11', 'ruff>=0.6',
        'types-PyYAML', 'types-jsonschema', 'types-requests',
    ],
}

setup(
    name=PACKAGE,
    version='0.1.0',
    description='ROS 2 bridge to the Plexus telemetry platform',
    author='Plexus bridge contributors',
    maintainer='Plexus bridge maintainers',
    maintainer_email='maintainers@example.com',
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=find_packages(include=[PACKAGE, f'{PACKAGE}.*']),
    package_data={
        f'{PACKAGE}.config': ['*.json', '*.yaml'],
        f'{PACKAGE}.gateway': ['static/*', 'static/**/*'],
    },
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{PACKAGE}']),
        (f'share/{PACKAGE}', ['package.xml']),
        (f'share/{PACKAGE}/launch', sorted(glob('launch/*.launch.py'))),
        (f'share/{PACKAGE}/config', sorted(glob('config/*.*'))),
    ],
    install_requires=ROBOT,
    extras_require=EXTRAS,
    zip_safe=True,
    entry_points={
        'console_scripts': [
            'plexus-bridge = plexus_bridge.cli:main',
            'bridge = plexus_bridge.nodes.bridge:main',
            'gateway = plexus_bridge.gateway.serve:main',
            'play = plexus_bridge.nodes.play:main',
            'simulated_robot = plexus_bridge.nodes.simulated_robot:main',
        ],
    },
)
