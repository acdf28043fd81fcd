"""Modules of the baselines against their references, with every option."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from attnbench.attention import (
    CoordinateModule,
    GatherExciteModule,
    GCModule,
    GCTModule,
    NonLocalModule,
    SimAMModule,
    SKModule,
    TripletModule,
)
from attnbench.attention.gather_excite import Extent, Parameters
from attnbench.bench.modules import refined
from tests.attention.baselines import references
from tests.attention.parity.compare import Differences, Row, largest, randomise
from tests.attention.parity.layers import Layers, values_of

CHANNELS = 12
Make = Callable[[], nn.Module]
Reference = Callable[[Layers, Tensor], Tensor]


def gather_excite(parameters: Parameters, extent: Extent) -> tuple[Make, Reference]:
    make = partial(GatherExciteModule, CHANNELS, parameters, extent, reduction=3)
    return make, partial(references.gather_excite, parameters=parameters, extent=extent)


CASES: dict[tuple[str, str, str], tuple[Make, Reference]] = {
    ("coordinate", "paper", "equations 4 to 9"): (partial(CoordinateModule, CHANNELS), references.coordinate),
    ("simam", "paper", "equations 5 and 6"): (SimAMModule, references.simam),
    ("simam", "lambda = 0.1", "equations 5 and 6"): (
        partial(SimAMModule, 0.1),
        partial(references.simam, lambda_=0.1),
    ),
    ("triplet", "paper", "equations 1 to 4"): (TripletModule, references.triplet),
    ("gather_excite", "θ−", "section 3"): gather_excite("none", 0),
    ("gather_excite", "θ−, extent 2", "section 3"): gather_excite("none", 2),
    ("gather_excite", "θ−, extent 4", "section 3"): gather_excite("none", 4),
    ("gather_excite", "θ, extent 2", "section 3"): gather_excite("gather", 2),
    ("gather_excite", "θ, extent 8", "section 3"): gather_excite("gather", 8),
    ("gather_excite", "θ+, extent 4", "section 3"): gather_excite("both", 4),
    ("gct", "paper", "equations 2 to 5"): (partial(GCTModule, CHANNELS), references.gct),
    ("gc", "paper", "equation 5"): (partial(GCModule, CHANNELS, 3), references.global_context),
    ("non_local", "paper", "equations 1 to 6"): (partial(NonLocalModule, CHANNELS), references.non_local),
    ("sk", "paper", "equations 1 to 6"): (partial(SKModule, CHANNELS, CHANNELS), references.sk),
    ("sk", "grouped convolutions", "equations 1 to 6"): (partial(SKModule, CHANNELS, CHANNELS, 1, 4), references.sk),
}


def measure(make: Make, reference: Reference, training: bool) -> Differences:
    """Compare outputs, gradients and the mean square of a module's map."""
    torch.manual_seed(0)
    module, x = make(), torch.randn(4, CHANNELS, 11, 7, dtype=torch.float64)
    for parameter in module.parameters():
        if not parameter.any():
            nn.init.normal_(parameter)
    randomise(module, x)
    module.train(training)
    sources = [x.requires_grad_(), *module.parameters()]
    results = refined(module(x)), reference(Layers(values_of(module), training), x)
    losses = [result.square().mean() for result in results]
    gradients = [list(torch.autograd.grad(loss, sources)) for loss in losses]
    return Differences(largest([results[0]], [results[1]]), largest(*gradients), largest(losses[:1], losses[1:]))


ROWS = [Row(*cells, partial(measure, make, reference)) for cells, (make, reference) in CASES.items()]
