# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What the packages say of themselves agrees, and names everything that the code imports."""

from __future__ import annotations

import ast
from pathlib import Path
import re
import sys
from typing import Any
from xml.etree import ElementTree

import pytest

from plexus_bridge import __version__
from plexus_bridge import cli

ROOT = Path(__file__).parents[2]
PACKAGE = ElementTree.parse(ROOT / 'package.xml').getroot()
MESSAGES = ElementTree.parse(ROOT / 'plexus_msgs/package.xml').getroot()

# By import: the rosdep key (None: there is none) and the name on the package index.
LIBRARIES = {
    'can': ('python3-can', 'python-can'),
    'cantools': (None, 'cantools'),
    'cv2': ('python3-opencv', 'opencv-python-headless'),
    'fastapi': ('python3-fastapi', 'fastapi'),
    'h11': ('python3-uvicorn', 'uvicorn'),
    'jsonschema': ('python3-jsonschema', 'jsonschema'),
    'numpy': ('python3-numpy', 'numpy'),
    'orjson': ('python3-orjson', 'orjson'),
    'paho': ('python3-paho-mqtt', 'paho-mqtt'),
    'pyarrow': (None, 'pyarrow'),
    'pydantic': ('python3-fastapi', 'fastapi'),
    'requests': ('python3-requests', 'requests'),
    'rosbags': (None, 'rosbags'),
    'simplejpeg': (None, 'simplejpeg'),
    'smbus2': ('python3-smbus2', 'smbus2'),
    'starlette': ('python3-fastapi', 'fastapi'),
    'uvicorn': ('python3-uvicorn', 'uvicorn'),
    'websocket': ('python3-websocket', 'websocket-client'),
    'websockets': ('python3-websockets', 'websockets'),
    'yaml': ('python3-yaml', 'PyYAML'),
}


@pytest.fixture(scope='module')
def setup_arguments() -> dict[str, Any]:
    """The arguments that setup.py gives to `setup`, read without running it."""
    names: dict[str, Any] = {}
    arguments: dict[str, Any] = {}
    for node in ast.parse((ROOT / 'setup.py').read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            names[node.targets[0].id] = ast.literal_eval(node.value)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            for keyword in node.value.keywords:
                value = keyword.value
                if isinstance(value, ast.Name):
                    arguments[str(keyword.arg)] = names[value.id]
                elif isinstance(value, (ast.Constant, ast.Dict)) and keyword.arg != 'package_data':
                    arguments[str(keyword.arg)] = ast.literal_eval(value)
    return arguments


def index_names(setup_arguments: dict[str, Any]) -> set[str]:
    """Names of everything that setup.py installs or offers as an extra."""
    lines = list(setup_arguments['install_requires'])
    for extra in setup_arguments['extras_require'].values():
        lines += extra
    return {re.split(r'[<>=;\[ ]', line)[0] for line in lines}


def third_party_imports() -> dict[str, Path]:
    """Top-level names that the code imports from elsewhere, each with a place where it does."""
    found = {}
    files = [*(ROOT / 'plexus_bridge').rglob('*.py'), *(ROOT / 'launch').glob('*.py')]
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [str(node.module)]
            for name in names:
                top = name.partition('.')[0]
                if top not in sys.stdlib_module_names and top != 'plexus_bridge':
                    found[top] = path
    return found


def depends(package: ElementTree.Element) -> set[str]:
    """Keys that a package needs to run."""
    return {tag.text or '' for kind in ('depend', 'exec_depend') for tag in package.iter(kind)}


def test_versions_agree(setup_arguments):
    assert PACKAGE.findtext('version') == setup_arguments['version']
    assert MESSAGES.findtext('version') == setup_arguments['version']
    assert __version__ == setup_arguments['version']


def test_names_and_people_agree(setup_arguments):
    assert PACKAGE.findtext('name') == setup_arguments['name'] == 'plexus_bridge'
    for package in (PACKAGE, MESSAGES):
        maintainer = package.find('maintainer')
        assert maintainer is not None
        assert maintainer.text == setup_arguments['maintainer']
        assert maintainer.get('email') == setup_arguments['maintainer_email']
        assert package.findtext('license') == setup_arguments['license'] == 'Apache-2.0'
    assert (ROOT / 'LICENSE').read_bytes() == (ROOT / 'plexus_msgs/LICENSE').read_bytes()


@pytest.mark.parametrize('folder', [ROOT, ROOT / 'plexus_msgs'], ids=['root', 'plexus_msgs'])
def test_catkin_accepts_the_package(folder):
    # colcon falls back to plain Python without a word where catkin_pkg does not.
    parser = pytest.importorskip('catkin_pkg.package', reason='catkin_pkg is not installed')
    package = parser.parse_package(str(folder / 'package.xml'))
    package.validate()
    assert package.package_format == 3


def test_everything_that_is_imported_is_declared(setup_arguments):
    on_index = index_names(setup_arguments)
    missing = []
    for name, path in third_party_imports().items():
        rosdep, index = LIBRARIES.get(name, (name, None))
        if rosdep is not None and rosdep not in depends(PACKAGE):
            missing.append(f'{path}: {name} has no <exec_depend>{rosdep}</exec_depend>')
        if index is not None and index not in on_index:
            missing.append(f'{path}: {name} is not in setup.py as {index}')
    assert missing == []


def test_no_dependency_keeps_the_package_from_being_released():
    # rosdep keys that end so are installed by pip, and bloom refuses them.
    assert [key for key in depends(PACKAGE) if key.endswith('-pip')] == []


def test_the_command_line_knows_where_each_library_comes_from(setup_arguments):
    for name, (package, extra, at_least) in cli.LIBRARIES.items():
        rosdep, index = LIBRARIES[name]
        assert package == (rosdep or ''), name
        lines = (setup_arguments['extras_require'][extra] if extra
                 else setup_arguments['install_requires'])
        assert any(line.startswith(f'{index}>={at_least}') for line in lines), name


def test_console_scripts_exist():
    names = re.findall(r"'([\w-]+) = ([\w.]+):main'", (ROOT / 'setup.py').read_text())
    assert {name for name, _ in names} == {
        'plexus-bridge', 'bridge', 'gateway', 'play', 'simulated_robot'}
    for _, module in names:
        path = ROOT / (module.replace('.', '/') + '.py')
        assert re.search(r'^def main\(', path.read_text(), re.MULTILINE), path


def test_every_interface_is_built():
    folder = ROOT / 'plexus_msgs'
    written = {str(path.relative_to(folder)) for kind in ('msg', 'srv', 'action')
               for path in (folder / kind).iterdir()}
    listed = set(re.findall(r'^  (\S+\.(?:msg|srv|action))$',
                            (folder / 'CMakeLists.txt').read_text(), re.MULTILINE))
    assert listed == written
