"""Fits in files: one ZIP archive of JSON and NumPy arrays, which can hold no code.

``manifest.json`` names the format and its version, and holds the call and the estimates with arrays by
number; ``arrays/<k>.npy`` are the arrays. Nothing is compressed.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson import __version__
from henderson.errors import DataError, HendersonError
from henderson.fit.call import Call
from henderson.fit.encoding import Decoder, Encoder
from henderson.fit.estimates import Estimates, ResidualEstimate, RowValues, TermModes
from henderson.fit.fitted_model import FittedModel
from henderson.fit.optimize import Control, Optimum, Step
from henderson.fit.satterthwaite import SatterthwaitePieces
from henderson.formula import ModelSpec, design, syntax
from henderson.formula.grouping_factors import Group
from henderson.formula.groups import Grouping, PooledGrouping
from henderson.formula.matrix import Matrix, Variable
from henderson.formula.spec import RandomSpec
from henderson.formula.terms import TermSet
from henderson.io.whole_files import whole_files

FORMAT = "henderson fit"
VERSION = 1
MANIFEST = "manifest.json"
#: Two evaluations of a criterion at one theta agree to this part of it.
AGREEMENT = 1e-8
EPOCH = (1980, 1, 1, 0, 0, 0)  # one fit, one sequence of bytes

CLASSES: dict[str, type] = {
    "Binary": syntax.Binary,
    "Call": Call,
    "Control": Control,
    "Estimates": Estimates,
    "FunctionCall": syntax.Call,
    "Group": Group,
    "Grouping": Grouping,
    "Matrix": Matrix,
    "ModelSpec": ModelSpec,
    "Name": syntax.Name,
    "Number": syntax.Number,
    "Optimum": Optimum,
    "Paren": syntax.Paren,
    "PooledGrouping": PooledGrouping,
    "RandomSpec": RandomSpec,
    "ResidualEstimate": ResidualEstimate,
    "RowValues": RowValues,
    "SatterthwaitePieces": SatterthwaitePieces,
    "Step": Step,
    "String": syntax.String,
    "Structure": design.Structure,
    "TermModes": TermModes,
    "TermSet": TermSet,
    "Unary": syntax.Unary,
    "Variable": Variable,
}


def save(path: str | os.PathLike[str], fit: FittedModel) -> None:
    """Write a fit; see `LmerResult.save`."""
    encoder, call = Encoder(CLASSES), fit.call
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "henderson": __version__,
        "call": None if call is None else _encoded_call(encoder, call.without("relationship")),
        "estimates": encoder.encode(fit.estimates),
        "satterthwaite": encoder.encode(fit.satterthwaite),
    }
    with whole_files(Path(path)) as [file], zipfile.ZipFile(file, "w") as archive:
        text = json.dumps(manifest, allow_nan=False, ensure_ascii=False)
        archive.writestr(zipfile.ZipInfo(MANIFEST, EPOCH), text)
        for k, array in enumerate(encoder.arrays):
            held = io.BytesIO()
            np.lib.format.write_array(held, np.asarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(_place(k), EPOCH), held.getbuffer())


def load(
    path: str | os.PathLike[str], data: Any = None, *, relationship: Mapping[str, Any] | None = None
) -> FittedModel:
    """Read a fit; see `henderson.load`."""
    estimates, call, pieces = _read(Path(path))
    if data is not None:
        return _with_data(estimates, call, data, relationship)
    if relationship is not None:
        raise DataError("relationship= goes with the data: hd.load(path, data, relationship=...)")
    return FittedModel(estimates, call, None, satterthwaite=pieces)


def _place(k: int) -> str:
    return f"arrays/{k}.npy"


def _encoded_call(encoder: Encoder, call: Call) -> Any:
    for name, value in call.arguments.items():
        try:
            Encoder(CLASSES).encode(value)
        except DataError as error:
            raise DataError(f"the fit cannot be saved with its {name}=: {error}") from None
    return encoder.encode(call)


def _read(path: Path) -> tuple[Estimates, Call | None, SatterthwaitePieces]:
    try:
        with path.open("rb") as file:
            beginning = file.read(4)
    except OSError as problem:
        raise DataError(f"{path} cannot be read ({problem.strerror or problem})") from None
    if beginning != b"PK\x03\x04":
        raise DataError(f"{path} is not a fit that henderson saved")
    try:
        with zipfile.ZipFile(path) as archive:
            return _read_archive(archive)
    except HendersonError as error:
        raise DataError(f"{path} cannot be used: {error}") from None
    except Exception as error:  # a damaged archive can make the readers of ZIP, JSON and NumPy raise anything
        raise DataError(
            f"{path} is damaged or cut short ({type(error).__name__}): copy it, or save the fit, again"
        ) from error


def _read_archive(archive: zipfile.ZipFile) -> tuple[Estimates, Call | None, SatterthwaitePieces]:
    if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
        raise DataError("it is not a fit that henderson saved")
    if MANIFEST not in archive.namelist():
        raise DataError("it is not a fit that henderson saved")
    manifest = json.loads(archive.read(MANIFEST))
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise DataError("it is not a fit that henderson saved")
    if manifest["version"] != VERSION:
        raise DataError(
            f"it has version {manifest['version']} of the format and was written by henderson "
            f"{manifest['henderson']}; this is henderson {__version__}, which reads version "
            f"{VERSION}: install a newer one"
        )
    decoder = Decoder(CLASSES, lambda k: _array(archive, k))
    parts = (decoder.decode(manifest[name]) for name in ("estimates", "call", "satterthwaite"))
    estimates, call, pieces = parts
    if not (
        isinstance(estimates, Estimates)
        and isinstance(call, Call | None)
        and isinstance(pieces, SatterthwaitePieces)
    ):
        raise DataError("it holds no fit")
    problem = _misshapen(estimates, pieces)
    if problem:
        raise DataError(f"{problem} do not fit together")
    return estimates, call, pieces


def _array(archive: zipfile.ZipFile, k: int) -> NDArray[Any]:
    with archive.open(_place(k)) as file:
        array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        if file.read(1):
            raise DataError(f"array {k} is longer than it should be")
    array.setflags(write=False)
    return array


def _misshapen(e: Estimates, pieces: SatterthwaitePieces) -> str | None:
    """What in the estimates has not the shape that it should have."""
    p = len(e.x_names)
    columns = len(e.spec.fixed.names)
    if not (e.beta.shape == e.kept.shape == (p,) and e.cov_beta.shape == (p, p)):
        return "the fixed effects"
    if not ((e.kept >= 0) & (e.kept < columns)).all() or p + len(e.dropped) != columns:
        return "the fixed effects and the formula"
    if len(e.terms) != len(e.spec.random):
        return "the random terms and the formula"
    for t, spec in zip(e.terms, e.spec.random, strict=True):
        n_levels, q = len(t.levels), len(t.names)
        shapes = (t.T.shape, t.b.shape, t.cond_var.shape, t.theta.shape)
        if shapes != ((q, q), (n_levels, q), (n_levels, q, q), (len(t.theta_names),)):
            return f"the random effects of '{t.group}'"
        if tuple(t.names) != spec.names or len(spec.grouping.levels) != n_levels:
            return f"the random effects of '{t.group}' and the formula"
    r = e.residual
    if r is not None and (r.R0.shape, r.theta.shape) != ((len(r.names),) * 2, (len(r.theta_names),)):
        return "the residual covariance"
    variables = [v for m in (e.spec.fixed, *(s.effects for s in e.spec.random)) for v in m.variables]
    for v in variables:
        if v.contrast is not None and v.contrast.shape != (len(v.levels or ()), len(v.suffixes)):
            return f"the levels of '{v.name}'"
    if e.rows is not None:
        given = (e.rows.y, e.rows.fitted, e.rows.mean, e.rows.position)
        optional = (e.rows.weights, e.rows.offset, e.rows.relative_sd, e.rows.padded)
        if any(a.shape != (e.nobs,) for a in (*given, *(a for a in optional if a is not None))):
            return "the values by row"
    k = e.theta.size + 1
    if (pieces.A.shape, pieces.slopes.shape) != ((k, k), (k, p, p)):
        return "the degrees of freedom and the parameters"
    return None


def _with_data(
    estimates: Estimates, call: Call | None, data: Any, relationship: Mapping[str, Any] | None
) -> FittedModel:
    """The fit with the engine of its data, once it is sure that they are its data."""
    from henderson.fit.fitting import fit_formula

    if call is None:
        raise DataError("this fit was not made by lmer(), and cannot be put together with data")
    if relationship is not None:
        call = call.changed(call.formula, {"relationship": relationship})
    call.check_complete()
    start = {"REML": estimates.reml, "start": estimates.theta, "control": Control(max_iterations=0)}
    again = fit_formula(call.formula, data, **{**call.arguments, **start})
    source = again.source
    for what, stored, found in (
        ("rows", estimates.nobs, again.nobs),
        ("fixed effects", estimates.x_names, tuple(again.fixef.index)),
        ("random effects", {t.group: len(t.levels) for t in estimates.terms}, again.ngroups),
    ):
        if stored != found:
            raise DataError(
                f"these are not the data of the fit: its {what} were {stored} and are {found} with them"
            )
    for stored_term, term in zip(estimates.terms, again.estimates.terms, strict=True):
        if list(stored_term.levels) != list(term.levels):
            raise DataError(
                f"the levels of '{term.group}' are not those of the fit, or in another order: give the "
                "relationship in the order that the fit had"
            )
    criterion = source.fitted.engine.criterion(estimates.theta)
    stored_value = estimates.reml_criterion if estimates.reml else estimates.deviance
    value = criterion.profiled(estimates.reml)
    if not abs(value - stored_value) <= AGREEMENT * max(1.0, abs(stored_value)):
        raise DataError(
            "these are not the data of the fit: its criterion at the stored estimates was "
            f"{stored_value:.10g} and is {value:.10g} with them"
        )
    fitted = replace(source.fitted, theta=estimates.theta, criterion=criterion, optimum=estimates.optimum)
    return FittedModel(estimates, call, replace(source, fitted=fitted))
