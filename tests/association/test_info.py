"""The info column of dosages: their variance over that of known genotypes."""

import numpy as np
import pytest

import henderson as hd


def test_info_by_hand():
    rng = np.random.default_rng(3)
    p = rng.uniform(0.2, 0.8, (30, 1))
    true = rng.binomial(2, p, (30, 200))
    dosages = (0.6 * true + 0.4 * 2 * p + rng.normal(scale=0.02, size=true.shape)).clip(0, 2)
    dosages[3, :7] = np.nan
    source = hd.ArraySource.of(dosages)
    people = {"IID": source.samples.iid, "y": rng.normal(size=200)}
    table = hd.scan("y ~ 1", people, source, relationship="grm", test="null").table
    held = source.calls.astype(float)
    q = np.nanmean(held, axis=1) / 2
    expected = np.nanvar(held, axis=1) / (2 * q * (1 - q))
    assert table["info"].to_numpy() == pytest.approx(expected, rel=1e-9)
    assert np.median(expected) < 0.6
    by_rule = hd.scan(
        "y ~ 1", people, source, relationship="grm", test="null", rules=hd.ScanRules(min_info=0.4)
    )
    left_out = by_rule.table["status"] == "info below 0.4"
    assert (left_out == (expected < 0.4)).all()


def test_hard_calls_have_none():
    source = hd.ArraySource.of(np.random.default_rng(1).integers(0, 3, (20, 50)))
    people = {"IID": source.samples.iid, "y": np.random.default_rng(2).normal(size=50)}
    assert "info" not in hd.scan("y ~ 1", people, source, relationship="grm").table
    with pytest.raises(hd.DataError, match="info"):
        hd.scan("y ~ 1", people, source, relationship="grm", rules=hd.ScanRules(min_info=0.5))
