# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
import sys

import pytest

from plexus_bridge import share


def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the code lie where no source tree is, as after an installation."""
    module = tmp_path / 'site-packages' / 'plexus_bridge' / 'share.py'
    module.parent.mkdir(parents=True)
    module.touch()
    monkeypatch.setattr(share, '__file__', str(module))


def test_the_source_tree_has_the_demos_files() -> None:
    assert 'metrics:' in share.shared_file('config/demo.yaml').read_text()
    assert share.shared_file('config/fastdds.xml').suffix == '.xml'


@pytest.mark.parametrize('where', ['ament', 'python'])
def test_installed_files_are_found(
        where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, monkeypatch)
    prefix = tmp_path / 'prefix'
    file = prefix / 'share' / 'plexus_bridge' / 'config' / 'demo.yaml'
    file.parent.mkdir(parents=True)
    file.touch()
    monkeypatch.setenv(
        'AMENT_PREFIX_PATH', f'/opt/ros/other:{prefix}' if where == 'ament' else '')
    monkeypatch.setattr(sys, 'prefix', '/nowhere' if where == 'ament' else str(prefix))
    assert share.shared_file('config/demo.yaml') == file


def test_a_file_that_is_nowhere_is_told_with_the_places(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, monkeypatch)
    monkeypatch.setenv('AMENT_PREFIX_PATH', '/opt/ros/other')
    monkeypatch.setattr(sys, 'prefix', '/nowhere')
    with pytest.raises(FileNotFoundError) as caught:
        share.shared_file('config/demo.yaml')
    assert '/opt/ros/other/share/plexus_bridge' in str(caught.value)
    assert '/nowhere/share/plexus_bridge' in str(caught.value)
