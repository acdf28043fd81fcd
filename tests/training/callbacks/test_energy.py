"""Energy is what counters say since a run began; none is told where nobody counts."""

from pathlib import Path

import pytest

from attnbench.training.callbacks import energy
from attnbench.training.callbacks.energy import EnergyMeter, counters_of, cpu_counters, meter_of


@pytest.fixture
def rapl(own_folder: Path) -> Path:
    """Two packages, one of them with a part, as Linux shows them."""
    for name, value in (("intel-rapl:0", 5_000_000), ("intel-rapl:0:0", 7), ("intel-rapl:1", 900)):
        folder = own_folder / name
        folder.mkdir()
        (folder / "energy_uj").write_text(f"{value}\n")
        (folder / "max_energy_range_uj").write_text("9999999\n")
    return own_folder


def test_packages_are_added_up(rapl: Path) -> None:
    meter = EnergyMeter(counters_of("cpu", rapl))
    assert meter.joules() == 0
    (rapl / "intel-rapl:0" / "energy_uj").write_text("7500000\n")
    (rapl / "intel-rapl:1" / "energy_uj").write_text("500900\n")
    assert meter.joules() == pytest.approx(3.0)


def test_cpus_that_processes_share_are_counted_by_the_first(rapl: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "counters_of", lambda device_type: counters_of(device_type, rapl))
    meters = [meter_of("cpu", local_rank) for local_rank in (0, 1)]
    (rapl / "intel-rapl:0" / "energy_uj").write_text("7500000\n")
    assert [meter.joules() for meter in meters] == [pytest.approx(2.5), 0]
    assert [len(meter_of("mps", local_rank).counters) for local_rank in (0, 1)] == [0, 0]


def test_a_counter_that_starts_again_goes_on(rapl: Path) -> None:
    meter = EnergyMeter(cpu_counters(rapl)[:1])
    (rapl / "intel-rapl:0" / "energy_uj").write_text("1000000\n")
    assert meter.joules() == pytest.approx(6.0)


def test_none_is_told_where_nobody_counts(own_folder: Path) -> None:
    assert EnergyMeter(counters_of("cpu", own_folder / "nowhere")).joules() is None
    assert EnergyMeter(counters_of("mps")).joules() is None


def test_what_may_not_be_read_does_not_count(rapl: Path) -> None:
    (rapl / "intel-rapl:0" / "max_energy_range_uj").unlink()
    assert len(cpu_counters(rapl)) == 1
