"""A stage follows the detector in a replay: in order, with weak boxes, also after an interrupt."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

for module in ('av', 'matplotlib', 'rosbags', 'tqdm'):
    pytest.importorskip(module)
import recordings  # noqa: E402
from orange_detector import OrangeDetector, interrupted  # noqa: E402
from replaying import FRAMES, files, messages, replay_in_chunks  # noqa: E402

from ssd_perception.core.detections import Detections  # noqa: E402
from ssd_perception.replay.work_folder import WorkFolderError  # noqa: E402

pytest_plugins = ['replaying']


class FrameCounter:
    """A stage with state: ids grow from frame to frame, and the weak cube is published too."""

    def __init__(self, low_score):
        self.frames, self.low_score = [], low_score

    def prepare(self, settings, class_names):
        return replace(settings, score_threshold=self.low_score)

    def __call__(self, frame, detections):
        self.frames.append(frame)
        ids = 10 * len(self.frames) + np.arange(len(detections))
        return Detections(detections.xyxy, detections.scores, detections.labels, ids)


@pytest.fixture
def made():
    return []


def options(made, low_score=0.25):
    made.append(FrameCounter(low_score))
    return {'stages': (made[-1],), 'stages_identity': f'counter {low_score}'}


def test_a_stage_sees_every_frame_in_order_and_chooses_what_is_published(
        detectors, recording, tmp_path, made):
    summary = replay_in_chunks(recording, tmp_path / 'out', '--workers', '3', **options(made))
    frames = made[0].frames
    assert [f.stamp_ns for f in frames] == [
        recordings.START_NS + i * recordings.PERIOD_NS for i in range(FRAMES)]
    assert {(f.camera, f.frame_id, f.image) for f in frames} == {
        (recordings.IMAGE, 'camera_optical', None)}
    # The cube has a score of 0.3, below the threshold of 0.5: the detector finds it all the same.
    assert summary.detections_per_class == {'cube': FRAMES, 'cone': FRAMES}
    lines = [json.loads(line) for line in
             (tmp_path / 'out' / 'detections.jsonl').read_text().splitlines()]
    assert [[d['id'] for d in line['detections']] for line in lines] == [
        [10 * i, 10 * i + 1] for i in range(1, FRAMES + 1)]
    published = messages(tmp_path / 'out', '/detections')
    assert [d.id for d in published[2].detections] == ['30', '31']


def test_weak_boxes_below_the_low_score_reach_no_stage(detectors, recording, tmp_path, made):
    summary = replay_in_chunks(recording, tmp_path / 'out', '--ground-truth', recordings.TRUTH,
                               **options(made, 0.35))
    assert summary.detections_per_class == {'cube': 0, 'cone': FRAMES}
    assert summary.ground_truth.accuracy.voc10_ap50 == 1.0


def test_an_interrupted_run_brings_the_stage_back_to_where_it_was(
        detectors, recording, tmp_path, made):
    replay_in_chunks(recording, tmp_path / 'one', **options(made))
    with interrupted(OrangeDetector, at=17), pytest.raises(KeyboardInterrupt):
        replay_in_chunks(recording, tmp_path / 'two', '--workers', '1', **options(made))
    with pytest.raises(WorkFolderError, match='other settings'):
        replay_in_chunks(recording, tmp_path / 'two', '--workers', '1', **options(made, 0.2))
    replay_in_chunks(recording, tmp_path / 'two', '--workers', '1', **options(made))
    assert detectors[-1].calls == FRAMES - 10 and len(made[-1].frames) == FRAMES
    assert files(tmp_path / 'two') == files(tmp_path / 'one')


def test_tracking_gives_each_object_one_id_and_publishes_what_it_continues(
        detectors, recording, tmp_path):
    # The cube's score of 0.3 is below the threshold, so that no track begins with it.
    replay_in_chunks(recording, tmp_path / 'out', '--tracking', '--track-confirmations', '3')
    lines = [json.loads(line) for line in
             (tmp_path / 'out' / 'detections.jsonl').read_text().splitlines()]
    assert [[(d['class'], d['id']) for d in line['detections']] for line in lines] == (
        [[]] * 2 + [[('cone', 1)]] * (FRAMES - 2))
