"""Encoders and decoders of the formats: a network as the bytes of a file, and such bytes as a function."""

import io
import json
import logging
from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from attnbench.errors import UserError
from attnbench.export.card import Card
from attnbench.export.formats import FORMATS
from attnbench.export.network import INPUT, PixelClassifier
from attnbench.export.rebuild import CARD, from_safetensors
from attnbench.export.trace import Run, Trace, first_line, holds_elsewhere, quiet, trace

LOG = logging.getLogger("attnbench.export")
PROTOBUF_LIMIT = 2**31
"""Bytes that an ONNX file may have without further files for its weights."""


class Codec(ABC):
    """Writes and reads one format."""

    @abstractmethod
    def encode(self, network: PixelClassifier, traced: Trace | None, card: Card) -> bytes:
        """Return the content of a file.

        Args:
            network: in evaluation mode.
            traced: its graph; None for formats without one.
            card: goes into the file's metadata.
        """

    @abstractmethod
    def load(self, content: bytes) -> Run:
        """Return the network in a file's content, as a user would run it."""


class Onnx(Codec):
    """ONNX, for onnxruntime and others."""

    def encode(self, network: PixelClassifier, traced: Trace | None, card: Card) -> bytes:
        assert traced is not None
        model = _onnx_model(traced)
        _remove_paths(model)
        model.metadata_props.add(key=CARD, value=json.dumps(card))
        if model.ByteSize() >= PROTOBUF_LIMIT:
            raise UserError("--format onnx: the network has more than 2 GiB, which one ONNX file cannot hold")
        content: bytes = model.SerializeToString()
        return content

    def load(self, content: bytes) -> Run:
        from onnxruntime import InferenceSession

        session = InferenceSession(content, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]

        def run(pixels: Tensor) -> dict[str, Tensor]:
            try:
                found = session.run(names, {INPUT: pixels.numpy()})
            except Exception as error:  # onnxruntime's errors have no class in common
                raise RuntimeError(first_line(error)) from error
            return {name: torch.from_numpy(values) for name, values in zip(names, found, strict=True)}

        return run


def _onnx_model(traced: Trace) -> Any:
    """Translate a graph to a `ModelProto`. Raises `UserError` if ONNX lacks one of its operations."""
    with quiet():
        try:
            program = torch.onnx.export(
                traced.program, (traced.example,), dynamo=True, verbose=False,
                input_names=[INPUT], output_names=list(traced.names),
            )  # fmt: skip
        except torch.onnx.OnnxExporterError as error:
            reason = f"torch.onnx cannot translate this network: {first_line(error)}"
            raise UserError(f"--format onnx: {reason}") from error
    assert program is not None
    return program.model_proto


def _remove_paths(model: Any) -> None:
    """Remove stack traces, which name files of this machine."""
    for part in (model, model.graph, *model.graph.node, *model.functions):
        del part.metadata_props[:]
    for function in model.functions:
        for node in function.node:
            del node.metadata_props[:]


class TorchExport(Codec):
    """The graph of torch.export, which `torch.export.load` reads without attnbench."""

    def encode(self, network: PixelClassifier, traced: Trace | None, card: Card) -> bytes:
        assert traced is not None
        content = io.BytesIO()
        torch.export.save(traced.program, content, extra_files={CARD: json.dumps(card)})
        return content.getvalue()

    def load(self, content: bytes) -> Run:
        run: Any = torch.export.load(io.BytesIO(content)).module()
        return run


class Safetensors(Codec):
    """Weights, and what is needed to build the network again (see `rebuild`)."""

    def encode(self, network: PixelClassifier, traced: Trace | None, card: Card) -> bytes:
        from safetensors.torch import save

        weights = {key: value.contiguous() for key, value in network.net.state_dict().items()}
        content: bytes = save(weights, metadata={"format": "pt", CARD: json.dumps(card)})
        return content

    def load(self, content: bytes) -> Run:
        return from_safetensors(content, own_code=True)


CODECS: dict[str, Codec] = {"onnx": Onnx(), "torch_export": TorchExport(), "safetensors": Safetensors()}


def encode(name: str, network: PixelClassifier, size: int, card: Card) -> tuple[bytes, bool]:
    """Return the content of a file, and whether the network in it takes images of any size.

    Args:
        name: of the format.
        network: in evaluation mode.
        size: height and width of the run's images.
        card: goes into the file's metadata.

    Raises:
        UserError: the network cannot be exported.
    """
    codec = CODECS[name]
    if not FORMATS[name].traced:
        return codec.encode(network, None, card), holds_elsewhere(network, network, size)
    traced = trace(network, size)
    if traced.free_size:
        try:
            content = codec.encode(network, traced, card)
            if holds_elsewhere(codec.load(content), network, size):
                return content, True
        except UserError as error:
            LOG.debug("%s: not for any size: %s", name, error)
        traced = trace(network, size, free_size=False)
    return codec.encode(network, traced, card), False
