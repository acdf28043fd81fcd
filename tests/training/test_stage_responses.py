"""Stages' responses are the mean absolute values of their outputs, and measuring them changes nothing."""

import torch
from torch import Tensor, nn

from attnbench.attention.bam import BAM
from attnbench.attention.base import Attention
from attnbench.backbones.base import ModuleOutput
from attnbench.backbones.preact_resnet import PreActResNet
from attnbench.classifier import Classifier
from attnbench.training.stage_responses import insert_probes, read_probes, use_batch_moments


class ImageCounter(nn.Module):
    """Hands on the map that it sees."""

    def forward(self, x: Tensor) -> ModuleOutput:
        return ModuleOutput(x, {"map": x})


def make(attention: Attention) -> Classifier:
    torch.manual_seed(0)
    return Classifier(PreActResNet(20, 10, width=8), attention).eval()


@torch.no_grad()
def test_they_are_mean_absolute_values_over_all_images() -> None:
    probed, looked_at = make(BAM(reduction=4)), make(BAM(reduction=4))
    probes = insert_probes(probed.backbone)
    for stage in looked_at.backbone.stages:
        looked_at.backbone.insert(f"{stage}.out", ImageCounter(), "seen")
    images = torch.randn(7, 3, 32, 32)
    logits = torch.cat([probed(images[:4]), probed(images[4:])])  # batches of different sizes
    output = looked_at.output(images)
    assert torch.allclose(logits, output.logits, atol=1e-5)
    found = read_probes(probes)
    assert list(found) == [f"test/response/{stage}" for stage in looked_at.backbone.stages]
    for stage in looked_at.backbone.stages:
        expected = output.features.taps[f"{stage}.out/seen/map"].abs().mean()
        assert abs(found[f"test/response/{stage}"] - float(expected)) < 1e-5 * float(expected)


def test_they_are_part_of_no_checkpoint() -> None:
    net = make(Attention())
    before = net.state_dict().keys()
    insert_probes(net.backbone)
    assert net.state_dict().keys() == before


def test_a_stage_that_was_not_reached_has_none() -> None:
    assert read_probes(insert_probes(make(Attention()).backbone)) == {}


@torch.no_grad()
def test_a_fresh_network_is_measured_as_its_first_step_computes_it() -> None:
    net, images = make(BAM(reduction=4)), torch.randn(8, 3, 32, 32)
    expected = net.train()(images)
    use_batch_moments(net.eval())
    assert torch.allclose(net(images), expected, atol=1e-5)
