"""The released modules, written anew from their parameters, layers and order of layers, under the released names.

- SimAM: ZjjConan/SimAM, the code in its README; without parameters.
- GCT: z-x-yang/GCT, PyTorch/GCT.py, mode `l2`.
- Coordinate attention: houqb/CoordAttention, coordatt.py (MIT licence).
- Triplet attention: landskape-ai/triplet-attention, triplet_attention.py (MIT licence).
- Gather-excite: hujie-frank/GENet, models/RN50-GEPF.prototxt (theta-), RN50-GEP.prototxt (theta), RN50-GEPP.prototxt
  (theta+). Those of theta gather by a convolution as large as the map; here the gathering convolutions are handed in.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SimAM(nn.Module):
    """Variance over H W - 1 pixels; the inverse energy is d / (4 (v + lambda)) + 1/2."""

    def __init__(self, lambda_: float = 1e-4) -> None:
        super().__init__()
        self.lambda_ = lambda_

    def forward(self, x: Tensor) -> Tensor:
        d = (x - torch.mean(x, (2, 3), keepdim=True)) ** 2
        v = torch.sum(d, (2, 3), keepdim=True) / (x.shape[2] * x.shape[3] - 1)
        return torch.sigmoid(d / (4 * (v + self.lambda_)) + 0.5) * x


class GCT(nn.Module):
    """Parameters of shape (1, C, 1, 1); epsilon 1e-5 under both roots, in the second beside the mean over channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha, self.gamma, self.beta = (nn.Parameter(torch.ones(1, channels, 1, 1)) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        embedding = torch.sqrt(torch.sum(x**2, (2, 3), keepdim=True) + 1e-5) * self.alpha
        scale = self.gamma / torch.sqrt(torch.mean(embedding**2, 1, keepdim=True) + 1e-5)
        return (1 + torch.tanh(embedding * scale + self.beta)) * x


class CoordinateAttention(nn.Module):
    """Adaptive pooling along each axis, one 1x1 convolution with BN and h-swish, a 1x1 convolution for each axis."""

    def __init__(self, channels: int, reduction: int = 32) -> None:
        super().__init__()
        hidden = max(8, channels // reduction)
        self.conv1, self.bn1 = nn.Conv2d(channels, hidden, 1), nn.BatchNorm2d(hidden)
        self.conv_h, self.conv_w = nn.Conv2d(hidden, channels, 1), nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        rows = F.adaptive_avg_pool2d(x, (None, 1))
        columns = F.adaptive_avg_pool2d(x, (1, None)).permute(0, 1, 3, 2)
        y = self.bn1(self.conv1(torch.cat((rows, columns), 2)))
        y = y * (F.relu6(y + 3) / 6)
        rows, columns = torch.split(y, [x.shape[2], x.shape[3]], 2)
        gate_h, gate_w = self.conv_h(rows).sigmoid(), self.conv_w(columns.permute(0, 1, 3, 2)).sigmoid()
        return x * gate_w * gate_h


class ConvolutionNorm(nn.Module):
    """7x7 convolution of two maps without bias, BN of momentum 0.01."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(2, 1, 7, padding=3, bias=False), nn.BatchNorm2d(1, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.bn(self.conv(x))
        return y


class TripletGate(nn.Module):
    """Maximum and mean over the second axis, `ConvolutionNorm`, sigmoid."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = ConvolutionNorm()

    def forward(self, x: Tensor) -> Tensor:
        pooled = torch.cat((torch.max(x, 1, keepdim=True).values, torch.mean(x, 1, keepdim=True)), 1)
        return x * torch.sigmoid(self.conv(pooled))


class TripletAttention(nn.Module):
    """Three gates, of the map and of the map with channels swapped for rows, and for columns; a third of their sum."""

    def __init__(self) -> None:
        super().__init__()
        self.cw, self.hc, self.hw = TripletGate(), TripletGate(), TripletGate()

    def forward(self, x: Tensor) -> Tensor:
        swapped_rows = self.cw(x.permute(0, 2, 1, 3).contiguous()).permute(0, 2, 1, 3)
        swapped_columns = self.hc(x.permute(0, 3, 2, 1).contiguous()).permute(0, 3, 2, 1)
        y: Tensor = (self.hw(x) + swapped_rows + swapped_columns) / 3
        return y


class GatherExcite(nn.Module):
    """Gather, excite, sigmoid; the gate, resized where it is smaller than the map, scales what a block adds.

    Args:
        channels: C.
        kind: `GEPF` (theta-), `GEP` (theta) or `GEPP` (theta+).
        gather: The gathering convolutions with their BN; theta- averages the map.
    """

    def __init__(self, channels: int, kind: str, gather: nn.Module | None = None, reduction: int = 16) -> None:
        super().__init__()
        self.gather, self.kind = gather or nn.AdaptiveAvgPool2d(1), kind
        if kind == "GEPP":
            self.down = nn.Conv2d(channels, channels // reduction, 1)
            self.up = nn.Conv2d(channels // reduction, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        gathered = self.gather(x)
        if self.kind == "GEPP":
            gathered = self.up(torch.relu(self.down(torch.relu(gathered))))
        return x * F.interpolate(torch.sigmoid(gathered), size=x.shape[2:], mode="nearest")
