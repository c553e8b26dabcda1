"""Views of a source: the genotypes of plain indexing, and no more read than needed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from henderson.genotype import ArraySource
from henderson.genotype.chromosomes import Kind
from henderson.genotype.ploidy import SexAware, sex_aware
from henderson.genotype.selection import Selection, select
from plink_files import random_genotypes

M, N = 40, 9
CALLS = random_genotypes(M, N, missing=0.1)


class Watched(ArraySource):
    """Remembers what was read of it."""

    def read(self, variants, samples=None):
        self.log.append((variants.start, variants.stop))
        return ArraySource.read(self, variants, samples)

    log: list = []  # noqa: RUF012


def watched(calls):
    Watched.log = []
    return Watched.of(calls)


def rows(size):
    """Positions among so many, in any order, some of them twice."""
    return st.lists(st.integers(0, size - 1), min_size=1, max_size=size + 3).map(np.array)


@settings(deadline=None)
@given(st.data(), st.sampled_from([1, 1 << 13]))
def test_a_view_of_a_view_is_plain_indexing(data, read_through):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("henderson.genotype.selection._READ_THROUGH", read_through)
        source, expected = ArraySource.of(CALLS), CALLS
        names, people = source.variants.identifier, source.samples.iid
        for _ in range(data.draw(st.integers(1, 3))):
            variants = data.draw(st.none() | rows(len(expected)))
            samples = data.draw(st.none() | rows(expected.shape[1]))
            source = select(source, variants=variants, samples=samples)
            if variants is not None:
                expected, names = expected[variants], names[variants]
            if samples is not None:
                expected, people = expected[:, samples], people[samples]
        m, n = expected.shape
        assert source.variants.identifier.tolist() == names.tolist()
        assert source.samples.iid.tolist() == people.tolist()
        assert not isinstance(getattr(source, "source", None), Selection)
        start = data.draw(st.integers(0, m))
        part = slice(start, data.draw(st.integers(start, m)))
        chosen = data.draw(st.none() | rows(n))
        found = source.read(part, chosen)
        assert found.dtype == np.int8
        assert np.array_equal(found, expected[part] if chosen is None else expected[part][:, chosen])


def test_truth_values():
    mask = np.arange(M) % 3 == 1
    assert np.array_equal(select(ArraySource.of(CALLS), variants=mask).read(slice(0, M)), CALLS[mask])


def test_a_variant_may_be_wanted_twice():
    """So that there are as many as between the first and the last, but not those."""
    rows = np.array([0, 0, 2])
    assert np.array_equal(select(ArraySource.of(CALLS), variants=rows).read(slice(0, 3)), CALLS[rows])


def test_everything_is_the_source_itself():
    source = ArraySource.of(CALLS)
    assert select(source) is source
    assert select(source, variants=np.ones(M, dtype=bool), samples=np.arange(N)) is source
    assert select(source, samples=np.arange(N)[::-1]) is not source


def test_dosages_and_what_is_known_of_people_and_variants():
    source = ArraySource.of(CALLS.astype(float))
    sex = np.arange(N).astype(np.int8) % 3
    kind = np.full(M, Kind.AUTOSOME, dtype=np.int8)
    kind[-1] = Kind.MT
    source = replace(
        source,
        samples=replace(source.samples, sex=sex),
        variants=replace(source.variants, kind=kind),
    )
    view = select(source, variants=np.array([39, 2]), samples=np.array([5, 1]))
    assert view.has_dosages
    assert view.read(slice(0, 2)).dtype == np.float32
    assert view.variants.kind.tolist() == [Kind.MT, Kind.AUTOSOME]
    assert view.samples.sex.tolist() == [2, 1]


def test_contiguous_variants_are_one_call():
    source = watched(random_genotypes(100, 50))
    select(source, variants=np.arange(20, 90)).read(slice(5, 30))
    assert source.log == [(25, 50)]


def test_sparse_variants_are_read_in_runs_and_dense_ones_at_once():
    source = watched(np.zeros((3000, 100)))
    view = select(source, variants=np.array([3, 4, 5, 1000, 1002, 2500]))
    view.read(slice(0, 6))
    assert source.log == [(3, 6), (1000, 1003), (2500, 2501)]
    source.log.clear()
    select(source, variants=np.arange(0, 3000, 2)).read(slice(100, 200))
    assert source.log == [(200, 399)]
    many_people = watched(np.zeros((20, 9000)))
    select(many_people, variants=np.array([3, 5])).read(slice(0, 2))
    assert many_people.log == [(3, 4), (5, 6)]


def test_nothing_is_read_for_nothing():
    view = select(ArraySource.of(CALLS), variants=np.array([3]), samples=np.array([1, 2]))
    assert view.read(slice(1, 1)).shape == (0, 2)


def test_selection_and_sex_awareness_may_come_in_either_order():
    calls = random_genotypes(4, N, seed=3)
    source = ArraySource.of(calls)
    source = replace(
        source,
        samples=replace(source.samples, sex=np.arange(N).astype(np.int8) % 3),
        variants=replace(source.variants, chromosome=np.array(["1", "X", "Y", "MT"])),
    )
    chosen = {"variants": np.array([3, 1, 0]), "samples": np.array([8, 2, 1, 4])}
    one, other = sex_aware(select(source, **chosen)), select(sex_aware(source), **chosen)
    assert isinstance(one, SexAware)
    assert np.array_equal(one.read(slice(0, 3)), other.read(slice(0, 3)))
    assert np.array_equal(one.variants.kind, other.variants.kind)
    assert (one.read(slice(0, 3)) == -1).any()
