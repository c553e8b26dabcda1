"""Fits in files: what comes back, and what is refused."""

import json
import pickle
import zipfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import henderson as hd
from henderson.fit import saved

FORMULA = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(scope="module")
def data():
    data = hd.example_data("sleepstudy")
    return data.assign(
        w=np.linspace(0.5, 2.0, len(data)),
        grp=np.where(data.index % 3 == 0, "low", "high"),
        size=pd.Categorical.from_codes(data.index % 4, ["s", "m", "l", "xl"], ordered=True),
        late=data["Days"] > 4,
    )


@pytest.fixture(scope="module")
def fit(data):
    return hd.lmer(FORMULA, data)


@pytest.fixture
def path(fit, tmp_path):
    path = tmp_path / "sleep.fit"
    fit.save(path)
    return path


CALLS = [
    (FORMULA, {}),
    (FORMULA, {"REML": False, "weights": "w", "na_action": "exclude"}),
    (FORMULA, {"subset": "Days > 1", "start": [1.0, 0.0, 0.5], "control": hd.Control(max_iterations=50)}),
    ("log(Reaction) ~ Days * grp + size + late + (1 | Subject)", {"contrasts": {"grp": "sum"}}),
    ("Reaction ~ poly(Days, 2) + scale(w) + (1 | Subject/grp)", {}),
    ("Reaction ~ bs(Days, df = 4) + offset(w) + (1 | Subject) + (0 + Days | Subject)", {}),
    ("Reaction ~ Days + I(2 * Days) + (1 | Subject)", {"contrasts": None}),
    ("Reaction ~ size + (1 | factor(Days)) + (1 | Subject)", {"contrasts": {"size": np.eye(4)[:, 1:]}}),
    ("Reaction ~ Days + diag(grp | Subject)", {}),
    ("Reaction ~ relevel(grp, ref = 'low') + ns(Days, df = 3) + cut(w, 3) + (1 | Subject)", {}),
]


@pytest.mark.parametrize(("formula", "arguments"), CALLS, ids=lambda x: x if isinstance(x, str) else "")
def test_all_answers_come_back(formula, arguments, data, tmp_path):
    holes = data.copy()
    holes.loc[[2, 50], "Reaction"] = np.nan
    fit = hd.lmer(formula, holes, **arguments)
    fit.save(tmp_path / "a.fit")
    again = hd.load(tmp_path / "a.fit")
    pickled = pickle.loads(pickle.dumps(fit))

    assert str(again) == str(pickled) == str(fit)
    assert repr(again) == repr(fit)
    assert repr(again.call) == repr(pickled.call) == repr(fit.call)
    pd.testing.assert_frame_equal(again.tidy(), fit.tidy())
    pd.testing.assert_frame_equal(again.glance(), fit.glance())
    pd.testing.assert_frame_equal(again.vcov, fit.vcov)
    for name in ("theta", "fitted", "residuals", "weights", "offset"):
        np.testing.assert_array_equal(getattr(again, name), getattr(fit, name))
    assert again.optimum.log[-1].objective == fit.optimum.log[-1].objective
    modes, expected = again.ranef(), fit.ranef()
    for group in expected:
        pd.testing.assert_frame_equal(modes[group], expected[group])
        for a, b in zip(modes.cond_var[group], expected.cond_var[group], strict=True):
            np.testing.assert_array_equal(a, b)
    rows = holes.iloc[[5, 100, 33]]
    np.testing.assert_array_equal(again.predict(rows), fit.predict(rows))
    np.testing.assert_array_equal(again.predict(), fit.predict())
    # the same fit, the same bytes
    again.save(tmp_path / "b.fit")
    assert (tmp_path / "a.fit").read_bytes() == (tmp_path / "b.fit").read_bytes()

    whole = hd.load(tmp_path / "a.fit", holes)
    assert whole.criterion == fit.criterion
    assert whole.update(REML=not fit.reml).criterion == fit.update(REML=not fit.reml).criterion
    y = fit.fitted[~np.isnan(fit.fitted)] + np.sin(np.arange(fit.nobs))
    np.testing.assert_allclose(whole.refit(y).theta, fit.refit(y).theta, rtol=1e-6, atol=1e-9)


def test_arrays_are_kept_with_the_call(data, tmp_path):
    shuffled = data["w"].sample(frac=1.0, random_state=2)
    fit = hd.lmer(FORMULA, data, weights=shuffled, offset=np.arange(180.0), subset=data["Days"] > 1)
    fit.save(tmp_path / "a.fit")
    again = hd.load(tmp_path / "a.fit", data)
    np.testing.assert_array_equal(again.call.arguments["weights"], data["w"])
    assert again.update().criterion == pytest.approx(fit.criterion, rel=1e-12)


def test_relationship_matrices_are_given_again(tmp_path):
    rng = np.random.default_rng(3)
    names = [f"p{k}" for k in range(40)]
    A = rng.normal(size=(40, 60))
    G = {"iid": pd.DataFrame(A @ A.T / 60, index=names, columns=names)}
    data = pd.DataFrame({"iid": names, "y": rng.normal(size=40)})
    fit = hd.lmer("y ~ 1 + (1 | iid)", data, relationship=G)
    fit.save(tmp_path / "a.fit")
    assert (tmp_path / "a.fit").stat().st_size < 8 * 40 * 40

    assert hd.load(tmp_path / "a.fit").icc == fit.icc
    with pytest.raises(
        hd.HendersonError, match="fitted with relationship=, which a file or pickle leaves out"
    ):
        hd.load(tmp_path / "a.fit", data)
    again = hd.load(tmp_path / "a.fit", data, relationship=G)
    assert again.heritability() == fit.heritability()
    with pytest.raises(hd.DataError, match="these are not the data of the fit: its criterion"):
        hd.load(tmp_path / "a.fit", data, relationship={"iid": G["iid"] + np.eye(40)})
    with pytest.raises(hd.DataError, match="relationship= goes with the data"):
        hd.load(tmp_path / "a.fit", relationship=G)


def test_other_data_are_refused(path, fit, data):
    changed = data.copy()
    changed.loc[90, "Reaction"] += 1.0
    with pytest.raises(hd.DataError, match=rf"was {fit.criterion:.10g} and is 17\d\d\.\d+ with them"):
        hd.load(path, changed)
    with pytest.raises(hd.DataError, match="its rows were 180 and are 170 with them"):
        hd.load(path, data.iloc[:170])
    # the order of the rows is of no account
    again = hd.load(path, data.sample(frac=1.0, random_state=1))
    assert again.criterion == fit.criterion


def test_without_data_some_questions_are_refused(path):
    again = hd.load(path)
    for ask in (
        lambda: again.engine,
        lambda: again.refit(np.zeros(180)),
        again.heritability,
        again.augment,
        lambda: again.get_me("Z"),
    ):
        with pytest.raises(hd.HendersonError, match="read back from a pickle or file"):
            ask()
    assert again.get_me("b").shape == (36,)


def test_an_older_file_is_replaced_whole_or_not_at_all(path, fit, monkeypatch):
    before = path.read_bytes()

    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", fail)
    with pytest.raises(hd.DataError, match="cannot be written"):
        fit.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_what_a_file_cannot_hold(data, tmp_path):
    fit = hd.lmer(FORMULA, data)
    odd = hd.LmerResult(fit._e, fit.call.changed(FORMULA, {"contrasts": {"g": len}}), None)
    with pytest.raises(
        hd.DataError, match="cannot be saved with its contrasts=: a builtin_function_or_method"
    ):
        odd.save(tmp_path / "a.fit")
    with pytest.raises(hd.DataError, match="there is no folder"):
        fit.save(tmp_path / "nowhere" / "a.fit")
    assert not list(tmp_path.iterdir())


def test_what_is_no_saved_fit(tmp_path):
    (tmp_path / "text").write_text("not a fit")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("a.txt", "a")
    with zipfile.ZipFile(tmp_path / "packed.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(saved.MANIFEST, "{}" * 100)
    for name in ("text", "other.zip", "packed.zip"):
        with pytest.raises(hd.DataError, match="is not a fit that henderson saved"):
            hd.load(tmp_path / name)
    with pytest.raises(hd.DataError, match="No such file"):
        hd.load(tmp_path / "absent")


def tampered(path, change=None, arrays=None):
    """The file with its manifest, or some arrays, changed; checksums are right."""
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    if change is not None:
        manifest = json.loads(held[saved.MANIFEST])
        change(manifest)
        held[saved.MANIFEST] = json.dumps(manifest).encode()
    held |= arrays or {}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in held.items():
            archive.writestr(name, content)


def fields(manifest):
    return manifest["estimates"]["fields"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda m: m.update(version=2, henderson="9.1"),
            "has version 2 .* written by henderson 9.1; .* newer",
        ),
        (lambda m: m.update(format="other"), "not a fit that henderson saved"),
        (lambda m: m["estimates"].update({"class": "Popen"}), "holds a 'Popen', which no fit has"),
        (lambda m: m.update(estimates={"tuple": []}), "holds no fit"),
        (lambda m: fields(m).pop("beta"), "Estimates has not the parts"),
        (lambda m: fields(m).update(extra=1), "Estimates has not the parts"),
        (lambda m: fields(m).update(sigma2="1"), "'sigma2' of its Estimates is not what it should be"),
        (lambda m: fields(m).update(reml=1), "'reml' of its Estimates"),
        (lambda m: fields(m).update(x_names={"tuple": ["a", 1]}), "'x_names' of its Estimates"),
        (lambda m: fields(m).update(x_names={"tuple": ["a"]}), "the fixed effects do not fit together"),
        (lambda m: fields(m).update(beta=fields(m)["cov_beta"]), "the fixed effects do not fit together"),
        (lambda m: fields(m).update(beta={"array": 99}), "damaged"),
        (lambda m: fields(m).update(beta={"other": 1}), "this version cannot read"),
        (lambda m: fields(m).update(terms={"tuple": []}), "random terms and the formula do not fit"),
        (lambda m: m.pop("call"), "damaged"),
        (lambda m: m.pop("satterthwaite"), "damaged"),
        (
            lambda m: m["satterthwaite"]["fields"].update(A=m["satterthwaite"]["fields"]["slopes"]),
            "the degrees of freedom and the parameters do not fit together",
        ),
    ],
)
def test_tampering_is_seen(path, change, message):
    tampered(path, change)
    with pytest.raises(hd.DataError, match=message):
        hd.load(path)


def test_pickles_inside_are_not_read(path, tmp_path):
    evil = tmp_path / "evil.npy"
    np.save(evil, np.array([print], dtype=object), allow_pickle=True)
    tampered(path, arrays={"arrays/0.npy": evil.read_bytes()})
    with pytest.raises(hd.DataError, match="damaged"):
        hd.load(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.data())
def test_damage_is_told_in_a_sentence(path, fit, changes):
    """Flip, cut or double bytes anywhere: either nothing that matters was hit, or a sentence says so."""
    whole = path.read_bytes()
    kind = changes.draw(st.sampled_from(["flip", "cut", "double"]))
    at = changes.draw(st.integers(0, len(whole) - 1))
    if kind == "flip":
        flip = changes.draw(st.integers(1, 255))
        damaged = whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :]
    elif kind == "cut":
        damaged = whole[:at]
    else:
        damaged = whole[: at + 20] + whole[at:]
    spoilt = path.with_name("spoilt.fit")
    spoilt.write_bytes(damaged)
    message, again = None, None
    try:
        again = hd.load(spoilt)
    except hd.HendersonError as error:
        message = str(error)
    if again is None:
        assert message.startswith(f"{spoilt} ")
        assert "\n" not in message
    else:
        assert str(again) == str(fit)
        np.testing.assert_array_equal(again.fitted, fit.fitted)
