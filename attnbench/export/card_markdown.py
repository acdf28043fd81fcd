"""A model card as Markdown."""

import json
from collections.abc import Iterator

from attnbench.export.card import Card
from attnbench.export.network import LOGITS, PROBABILITIES
from attnbench.formatting import big

SHOWN_CLASSES = 20


def to_markdown(card: Card, file_name: str) -> str:
    """Return a card as Markdown.

    Args:
        card: the card.
        file_name: of the network's file, for the example.
    """
    return "\n".join([*_heading(card), *_use(card, file_name), *_results(card), *_data(card), *_made(card)]) + "\n"


def _heading(card: Card) -> Iterator[str]:
    choices = card["choices"]
    yield f"# {card['name']}"
    yield ""
    yield (
        f"An image classifier: backbone `{choices['backbone']}`, attention `{choices['attention']}`, trained on "
        f"`{choices['data']}`. Weights of the {card['checkpoint']} checkpoint (epoch {card['epoch']}, seed "
        f"{card['seed']}); {big(card['parameters'])} parameters, {big(card['multiply_adds'])} multiply-adds an image."
    )


def _use(card: Card, file_name: str) -> Iterator[str]:
    images = card["input"]
    size, kind = images["image_size"], "uint8" if images["pixels"] == "uint8" else "float32 from 0 to 1"
    yield ""
    yield "## Use"
    yield ""
    yield "```python"
    yield "from attnbench.export.rebuild import load_safetensors"
    yield ""
    yield f'network = load_safetensors("{file_name}")'
    yield f"outputs = network(pixels)  # {kind} (B, {images['channels']}, {size}, {size})"
    yield f'outputs["{PROBABILITIES}"]  # (B, {len(card["classes"])}); also "{LOGITS}"'
    yield "```"
    yield ""
    yield "Pixels are not normalised beforehand: the network does it."
    yield ""
    names = card["classes"][:SHOWN_CLASSES]
    more = f" and {len(card['classes']) - len(names)} more (in the file)" if len(card["classes"]) > len(names) else ""
    yield f"Classes, in the order of the outputs: {', '.join(names)}{more}."


def _results(card: Card) -> Iterator[str]:
    yield ""
    yield "## Results"
    yield ""
    if not card["metrics"]:
        yield "The run recorded none."
        return
    yield "| metric | % | 95 % interval | n |"
    yield "|---|---|---|---|"
    for name, found in card["metrics"].items():
        interval, words = found.get("interval"), name.replace("_", " ")
        bounds = (
            f"{100 * interval['low']:.2f} to {100 * interval['high']:.2f} ({interval['method']})" if interval else "–"
        )
        count = f"{found['n']} {found['n_of']}" if "n" in found else "–"
        yield f"| test {words} | {100 * found['value']:.2f} | {bounds} | {count} |"


def _data(card: Card) -> Iterator[str]:
    data = card["data"]
    part = f" of {data['all_classes']}" if data["all_classes"] != data["classes"] else ""
    counts = (f"{data[key]} for {word}" for key, word in _COUNTS.items() if data[key] is not None)
    yield ""
    yield "## Data"
    yield ""
    yield f"`{data['name']}`, {data['classes']}{part} classes; images: {', '.join(counts)}."
    yield ""
    yield f"Terms of the data: {data['terms']}."


_COUNTS = {"train_images": "training", "validation_images": "validation", "test_images": "test"}


def _made(card: Card) -> Iterator[str]:
    trained = card["code"]["trained_with"]
    packages = ", ".join(f"{name} {version}" for name, version in trained["packages"].items())
    commit = f", commit {trained['commit']}" if "commit" in trained else ""
    changed = " with uncommitted changes" if trained.get("uncommitted_changes") else ""
    yield ""
    yield "## Code and configuration"
    yield ""
    yield f"Trained with attnbench {trained['attnbench']}{commit}{changed}; {packages}."
    yield f"Exported with attnbench {card['code']['exported_with']['attnbench']}."
    yield ""
    yield "```json"
    yield json.dumps(card["config"], indent=2)
    yield "```"
