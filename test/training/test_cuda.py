"""What only a GPU can show; tools/check_gpu.sh runs it where there is one."""

import dataclasses

import numpy as np
import pytest
import torch
from tiny import TINY, first_step, write_pictures

from ssd_perception.core.metadata import Metadata
from ssd_perception.data.layout import read_split
from ssd_perception.inference.runtimes.torch import TorchRuntime
from ssd_perception.model.ssd import SSD
from ssd_perception.training.trainer import Trainer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device here')


def test_a_step_on_the_gpu_is_the_step_on_the_cpu(tmp_path):
    samples = read_split(write_pictures(tmp_path / 'data'), 'train')
    recipe = dataclasses.replace(TINY, precision='fp32', drop_path=0.0)
    torch.backends.cudnn.allow_tf32 = False
    found = {}
    for device in ('cpu', 'cuda'):
        trainer = Trainer(recipe, samples, {}, tmp_path / device, device)
        trainer.folder.open(recipe, 0)
        trainer.step(first_step(trainer, samples))
        found[device] = {key: value.cpu() for key, value in trainer.model.state_dict().items()}
    for key, value in found['cpu'].items():
        torch.testing.assert_close(found['cuda'][key], value, atol=2e-4, rtol=2e-3, msg=key)


@pytest.mark.parametrize('precision', ['bf16', 'fp16'])
def test_training_in_half_precision_follows_training_on_the_cpu(tmp_path, precision):
    samples = read_split(write_pictures(tmp_path / 'data'), 'train')
    early = {}
    for device, used in (('cpu', 'fp32'), ('cuda', precision)):
        recipe = dataclasses.replace(TINY, iterations=200, warmup=5, precision=used,
                                     evaluate_every=1000, checkpoint_every=1000)
        trainer = Trainer(recipe, samples, {}, tmp_path / device, device)
        trainer.run(progress=False)
        losses = [row['classes'] + row['boxes'] for row in trainer.folder.rows()
                  if 'classes' in row]
        assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:10])
        early[device] = np.mean(losses[50:60])
    # Later, rounding leads them apart. In 60 steps on an H200 fp16 ended at 1.5367, the CPU at
    # 1.5365.
    assert early['cuda'] == pytest.approx(early['cpu'], rel=0.01)


@pytest.mark.parametrize('precision', ['fp32', 'fp16', 'bf16'])
def test_cuda_graphs_give_the_cpus_answers(precision):
    torch.manual_seed(0)
    model, metadata = SSD(TINY.architecture, 1).eval(), Metadata(('cone',), TINY.architecture)
    plain = TorchRuntime(model, metadata, 'cpu')
    recorded = TorchRuntime(model, metadata, 'cuda', precision, graphs=True)
    rng = np.random.default_rng(0)
    tolerance = {'fp32': 2e-3, 'fp16': 0.05, 'bf16': 0.3}[precision]
    for count in (1, 3, 1):  # a graph for each batch size; the first is used again
        batch = rng.integers(0, 255, (count, 64, 64, 3), np.uint8)
        for ours, wanted in zip(recorded(batch), plain(batch)):
            np.testing.assert_allclose(ours, wanted, atol=tolerance)
