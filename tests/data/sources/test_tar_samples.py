"""Which files of a tar file make up a sample, whatever dots are in their names."""

from collections.abc import Sequence

import pytest

from attnbench.data.sources.tar_samples import SampleError, samples_of

SAMPLES: dict[str, tuple[Sequence[str], str, dict[str, str], dict[str, int]]] = {
    "dots in names": (
        ("bird 2.7.png", "bird 2.7.cls", "bird 2.8.cls", "bird 2.8.png"),
        "auto",
        {"bird 2.7": "bird 2.7.png", "bird 2.8": "bird 2.8.png"},
        {},
    ),
    "dots in some": (
        ("bird 2.jpg", "bird 2.cls", "bird 2.7.jpg", "bird 2.7.cls"),
        "auto",
        {"bird 2": "bird 2.jpg", "bird 2.7": "bird 2.7.jpg"},
        {},
    ),
    "dates": (("a/2024.05.01_1.JPG", "a/2024.05.01_1.json"), "auto", {"a/2024.05.01_1": "a/2024.05.01_1.JPG"}, {}),
    "one type of image": (
        ("x.input.png", "x.cls", "y.cls", "y.input.png"),
        "auto",
        {"x": "x.input.png", "y": "y.input.png"},
        {},
    ),
    "a mask beside the image": (
        ("k.seg.png", "k.JPG", "k.cls"),
        "auto",
        {"k": "k.JPG"},
        {"further files of samples": 1},
    ),
    "a mask with a description": (
        ("7.jpg", "7.cls", "7.mask.png", "7.mask.json"),
        "auto",
        {"7": "7.jpg"},
        {"further files of samples": 2},
    ),
    "a description of the sample": (
        ("7.jpg", "7.json", "7.camera.json"),
        "species",
        {"7": "7.jpg"},
        {"further files of samples": 1},
    ),
    "a mask of a name with dots": (
        ("a.b.jpg", "a.b.cls", "a.b.mask.png"),
        "auto",
        {"a.b": "a.b.jpg"},
        {"further files of samples": 1},
    ),
    "rarer formats": (("a.gif", "a.cls", "b.TIFF", "b.cls"), "auto", {"a": "a.gif", "b": "b.TIFF"}, {}),
    "the usual format first": (("a.tif", "a.jpg", "a.cls"), "auto", {"a": "a.jpg"}, {"further files of samples": 1}),
    "other files": (
        ("a.jpg", "a.cls", "a.txt", "b/._a.jpg", "readme", "a.seg.npy"),
        "auto",
        {"a": "a.jpg"},
        {".txt": 1, "hidden": 1, "without an extension": 1, ".npy": 1},
    ),
    "labels in one type of json": (
        ("c.v1.png", "c.v1.json", "c.v2.png", "c.v2.json"),
        "species",
        {"c.v1": "c.v1.png", "c.v2": "c.v2.png"},
        {},
    ),
}


@pytest.mark.parametrize("case", SAMPLES)
def test_files_are_put_together(case: str) -> None:
    names, label, expected, left_out = SAMPLES[case]
    samples, found = samples_of(((name, (place, 1)) for place, name in enumerate(names)), label)
    assert {sample.key: names[sample.image[0]] for sample in samples} == expected
    assert found.counts == left_out
    assert all(names[sample.label[0]].endswith(f".{sample.kind}") for sample in samples)


MISTAKES: dict[str, Sequence[str]] = {
    "x has two images, .input.png and .target.png": ("x.input.png", "x.target.png", "x.cls"),
    "a.b has no label: no .cls or .json": ("a.b.png",),
    "a.b has no image (jpg ": ("a.b.cls",),
    "a.b.png is in it twice": ("a.b.png", "a.b.PNG", "a.b.cls"),
}


@pytest.mark.parametrize("expected", MISTAKES)
def test_what_does_not_fit_is_named(expected: str) -> None:
    with pytest.raises(SampleError) as caught:
        samples_of(((name, (place, 1)) for place, name in enumerate(MISTAKES[expected])), "auto")
    assert expected in str(caught.value)
