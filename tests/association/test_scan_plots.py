"""The trait by genotype at a variant of a scan: whom and what is drawn."""

import numpy as np
import pytest
from matplotlib.figure import Figure

import henderson as hd
from henderson.association.scan_plots import ScanPlots
from henderson.genotype import ArraySource, Samples, Variants
from plink_files import random_genotypes

N = 60


@pytest.fixture(scope="module")
def scan():
    """Variants without names at the same places of two chromosomes; a call of each is missing."""
    calls = random_genotypes(40, N, seed=2, low=0.3, high=0.7)
    calls[:, 7] = -1
    place = np.resize(np.arange(1, 21) * 1000, 40)
    chromosome = np.repeat(["1", "2"], 20)
    variants = Variants(chromosome, place, np.full(40, "."), np.full(40, "A"), np.full(40, "G"))
    people = np.array([f"p{k}" for k in range(N)])
    trait = np.random.default_rng(3).normal(size=N) + calls[25]
    # the table's people are in another order, and two are not in it
    order = np.random.default_rng(4).permutation(N)[2:]
    source = ArraySource(calls, Samples(people, people), variants)
    data = {"IID": people[order], "trait": trait[order]}
    return hd.scan("trait ~ 1", data, source, relationship="grm"), calls[:, order], trait[order]


def test_the_genotypes_that_were_called_and_the_effect_of_that_variant(scan):
    found, calls, trait = scan
    ax = ScanPlots(found).effect("2:6000:A:G", ax=Figure().add_subplot())
    counts = [int((calls[25] == k).sum()) for k in range(3)]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == [
        f"{name}\n{count}" for name, count in zip(["GG", "AG", "AA"], counts, strict=True)
    ]
    black = {tuple(line.get_xydata()[0].round(9)) for line in ax.lines if line.get_color() == "black"}
    assert black == {(k, round(float(trait[calls[25] == k].mean()), 9)) for k in range(3)}
    texts = [text.get_text() for text in ax.texts]
    assert any("1 person without genotype" in text for text in texts)
    beta = float(found.table["beta"].iloc[25])
    assert any(f"{beta:.3g}"[:4] in text for text in texts)
