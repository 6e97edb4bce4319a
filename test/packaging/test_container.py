"""The container's files agree with each other and with the package."""

import re
from pathlib import Path

import pytest
import yaml

import ssd_perception
from ssd_perception.ros.launching import DETECTOR

ROOT = Path(ssd_perception.__file__).parents[1]
DOCKERFILE = (ROOT / 'docker' / 'Dockerfile').read_text()
COMPOSE = yaml.safe_load((ROOT / 'docker' / 'compose.yaml').read_text())


def test_compose_builds_targets_that_exist():
    targets = set(re.findall(r'^FROM \S+ AS (\w+)$', DOCKERFILE, re.M))
    for service in COMPOSE['services'].values():
        assert service['build']['target'] in targets
        assert (ROOT / 'docker' / service['build']['context']).resolve() == ROOT
    assert targets == {service['build']['target'] for service in COMPOSE['services'].values()}


def test_all_share_memory_and_discovery():
    for name, service in COMPOSE['services'].items():
        assert (service['ipc'], service['network_mode']) == ('host', 'host'), name


def test_what_is_copied_exists_and_is_not_ignored():
    ignored = (ROOT / '.dockerignore').read_text().split()
    for source in re.findall(r'^COPY (\S+) ', DOCKERFILE, re.M):
        assert (ROOT / source).exists() and source.split('/')[0] not in ignored
    for needed in ('ssd_perception', 'launch', 'config', 'weights', 'resource', 'tools'):
        assert needed not in ignored


@pytest.mark.parametrize('line', DOCKERFILE.splitlines())
def test_paths_of_this_package_exist(line):
    for path in re.findall(r'(?:src/ssd_perception|share/ssd_perception)/([\w./]+\w)', line):
        assert (ROOT / path).exists(), path


def test_the_health_check_asks_the_node():
    assert f'ENV NODE=/{DETECTOR}\n' in DOCKERFILE
