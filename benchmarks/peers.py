"""The Python packages of the benchmark: one adapter each, run alone in a fresh process.

``python peers.py PEER DATA_FOLDER CASE REPEATS BUDGET OUT`` times PEER on CASE and writes a JSON result.

An adapter returns two functions: ``fit()``, the timed call from data frame to fitted object, and
``answer(fit)``. What a package needs in another shape than a data frame (a design matrix, integer groups) is
made before the clock starts, to its advantage.
"""

import gc
import importlib
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cases import CASES, Case, crossing, nested
from frames import read_frame

DENSE_LIMIT = 100_000_000
"""Numbers in the dense designs that statsmodels builds for several factors; larger fits are not tried."""

Answer = dict[str, Any]
Adapter = Callable[[Case, pd.DataFrame], tuple[Callable[[], Any], Callable[[Any], Answer]]]


class NotOffered(Exception):
    """The package has no such model; the message says which part it lacks."""


def henderson(case: Case, frame: pd.DataFrame) -> tuple[Callable[[], Any], Callable[[Any], Answer]]:
    """The package that is measured."""
    import henderson as hd

    def answer(fit: Any) -> Answer:
        return {
            "criterion": fit.reml_criterion,
            "fixef": _named(fit.fixef),
            "theta": _numbers(fit.theta),
            "sigma": fit.sigma,
        }

    return lambda: hd.lmer(case.formula, frame, REML=True), answer


def statsmodels(case: Case, frame: pd.DataFrame) -> tuple[Callable[[], Any], Callable[[Any], Answer]]:
    """`MixedLM`: one grouping factor; several scalar ones as dense variance components in the coarsest."""
    import statsmodels.formula.api as smf

    bars = case.bars
    if len(bars) == 1:
        left, (group,) = bars[0]
        extra = {"groups": frame[group].cat.codes.to_numpy(), "re_formula": f"~{left}"}
    else:
        if any(left != "1" for left, _ in bars):
            raise NotOffered("one grouping factor only, when it carries slopes")
        codes = {":".join(columns): crossing(frame, columns) for _, columns in bars}
        names = sorted(codes, key=lambda name: codes[name].max())
        if nested(frame, bars):
            outer, inner = codes[names[0]], names[1:]
        else:
            outer, inner = np.zeros(len(frame), int), names
        sizes = [len(np.unique(codes[name])) for name in inner]
        if len(frame) * sum(sizes) / (outer.max() + 1) > DENSE_LIMIT:
            raise NotOffered("crossed factors need a dense design of n x levels")
        columns = {f"factor{k}": codes[name] for k, name in enumerate(inner)}
        frame = frame.assign(**columns)
        extra = {"groups": outer, "vc_formula": {name: f"0 + C({name})" for name in columns}}
        if len(inner) < len(names):
            extra["re_formula"] = "1"

    def answer(fit: Any) -> Answer:
        variances = [*np.asarray(fit.cov_re).ravel(), *fit.vcomp]
        return {
            "criterion": -2 * fit.llf,
            "fixef": _named(fit.fe_params),
            "variances": _numbers(variances),
            "sigma": float(np.sqrt(fit.scale)),
            "converged": bool(fit.converged),
        }

    return lambda: smf.mixedlm(case.fixed, frame, **extra).fit(reml=True), answer


def mixedlm(case: Case, frame: pd.DataFrame) -> tuple[Callable[[], Any], Callable[[Any], Answer]]:
    """`mixedlm`: lme4's formulas in Python with a Rust core."""
    import mixedlm as mlm

    def answer(fit: Any) -> Answer:
        return {
            "criterion": fit.REMLcrit(),
            "fixef": _named(fit.fixef()),
            "theta": _numbers(fit.theta),
            "sigma": float(fit.sigma),
            "converged": bool(fit.converged),
        }

    return lambda: mlm.lmer(case.formula, frame, REML=True), answer


def mixedlm_rs(case: Case, frame: pd.DataFrame) -> tuple[Callable[[], Any], Callable[[Any], Answer]]:
    """`mixedlm-rs`: statsmodels' interface with a Rust core, one grouping factor."""
    import mixedlm_rs as mlm

    if len(case.bars) > 1:
        raise NotOffered("one grouping factor only")
    left, (group,) = case.bars[0]
    plain = frame.assign(**{group: frame[group].cat.codes})

    def answer(fit: Any) -> Answer:
        return {
            "criterion": -2 * fit.llf,
            "fixef": _named(fit.fe_params),
            "variances": _numbers(np.ravel(fit.cov_re)),
            "sigma": float(np.sqrt(fit.scale)),
            "converged": bool(fit.converged),
        }

    return lambda: mlm.mixedlm(case.fixed, plain, groups=group, re_formula=f"~{left}").fit(), answer


def glmm(case: Case, frame: pd.DataFrame) -> tuple[Callable[[], Any], Callable[[Any], Answer]]:
    """`glmm`: lme4's formulas, Rust core; its Satterthwaite pass, which lme4 does not do, is left out."""
    import glmm as package

    formula = case.formula
    if any(len(columns) > 2 for _, columns in case.bars):  # it parses a:b and a/b, but no third column
        crossed = {"_".join(columns): crossing(frame, columns) for _, columns in case.bars}
        frame = frame.assign(**{name: pd.Categorical(codes) for name, codes in crossed.items()})
        formula = " + ".join([case.fixed, *(f"({left}|{'_'.join(columns)})" for left, columns in case.bars)])

    def answer(fit: Any) -> Answer:
        return {
            "criterion": -2 * fit.loglik,
            "fixef": dict(zip(fit.names, _numbers(fit.beta), strict=True)),
            "variances": _numbers(np.concatenate([np.ravel(block) for block in fit.varcorr])),
            "sigma": float(np.sqrt(fit.dispersion)),
            "converged": bool(fit.converged),
            "evaluations": int(fit.n_eval),
        }

    return lambda: package.fit(frame, formula, satterthwaite=False), answer


def gpboost(case: Case, frame: pd.DataFrame) -> tuple[Callable[[], Any], Callable[[Any], Answer]]:
    """`gpboost`: maximum likelihood only, scalar random terms only; its criterion is -2 log-likelihood."""
    import gpboost as gpb
    from formulaic import model_matrix

    if any(left != "1" for left, _ in case.bars):
        raise NotOffered("random slopes are independent of intercepts")
    design = model_matrix(case.fixed, frame)
    y, x = np.ravel(design.lhs), np.asarray(design.rhs, float)
    names = list(design.rhs.columns)
    groups = np.column_stack([crossing(frame, columns) for _, columns in case.bars])

    def fit() -> Any:
        model = gpb.GPModel(group_data=groups, likelihood="gaussian", num_parallel_threads=1)
        return model.fit(y=y, X=x)

    def answer(model: Any) -> Answer:
        variances = np.ravel(model.get_cov_pars(format_pandas=False))
        return {
            "kind": "ML",
            "criterion": 2 * model.get_current_neg_log_likelihood(),
            "fixef": dict(zip(names, _numbers(np.ravel(model.get_coef(format_pandas=False))), strict=True)),
            "variances": _numbers(variances[1:]),
            "sigma": float(np.sqrt(variances[0])),
        }

    return fit, answer


ADAPTERS: dict[str, Adapter] = {
    "henderson": henderson,
    "statsmodels": statsmodels,
    "mixedlm": mixedlm,
    "mixedlm-rs": mixedlm_rs,
    "glmm": glmm,
    "gpboost": gpboost,
}

MODULES = {"statsmodels": "statsmodels.formula.api", "mixedlm-rs": "mixedlm_rs"}
"""What to import, where it is not the package's name."""


def status_mb(field: str) -> float:
    """``VmRSS`` or ``VmHWM`` of this process in MiB; elsewhere than on Linux the peak of `getrusage`."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith(field))
        return int(line.split()[1]) / 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def measure(peer: str, folder: Path, case: Case, repeats: int, budget: float) -> Answer:
    """Time the import, the first call, then `repeats` calls; fewer if they would take more than `budget`."""
    started = time.perf_counter()
    importlib.import_module(MODULES.get(peer, peer))
    result: Answer = {"import_s": time.perf_counter() - started, "kind": "REML"}
    frame = read_frame(folder)
    fit, answer = ADAPTERS[peer](case, frame)
    gc.collect()
    result["loaded_mb"] = status_mb("VmRSS")
    reset_high_water_mark()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        result["first"], fitted = timed(fit, calls=1)
    result["warnings"] = [str(warning.message).replace("\n", " ") for warning in caught]
    first = result["first"]["wall"]
    repeats = min(repeats, int(budget / first))
    result["repeats"] = []
    result["calls"] = 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if repeats:
            warm, fitted = timed(fit, calls=1)
            result["calls"] = int(max(1, min(20, 0.1 / warm["wall"])))
        for _ in range(repeats):
            one, fitted = timed(fit, calls=result["calls"])
            result["repeats"].append(one)
    result["peak_mb"] = status_mb("VmHWM")
    packages = [peer, "numpy", "scipy", "pandas", *(["numba"] if peer == "henderson" else [])]
    versions = {"python": sys.version.split()[0], **{name: _version(name) for name in packages}}
    return {"n": len(frame), **result, **answer(fitted), "versions": versions}


def timed(fit: Callable[[], Any], calls: int) -> tuple[dict[str, float], Any]:
    """Wall and processor seconds per call, over `calls` calls, and the last result."""
    fitted = None
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(calls):
        fitted = fit()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"wall": wall / calls, "cpu": cpu / calls}, fitted


def reset_high_water_mark() -> None:
    """Make ``VmHWM`` start again from the present size, where the system offers it."""
    marker = Path("/proc/self/clear_refs")
    if marker.exists():
        marker.write_text("5")


def _named(values: Any) -> dict[str, float]:
    pairs = values.items() if hasattr(values, "items") else enumerate(values)
    return {str(name): float(value) for name, value in pairs}


def _numbers(values: Iterable[Any]) -> list[float]:
    return [float(value) for value in values]


def _version(package: str) -> str:
    try:
        return version(package)
    except ImportError:
        return "from source"


def main(words: list[str]) -> None:
    """Run one measurement; a model that the package does not offer, or an error, is a result too."""
    peer, folder, name, repeats, budget, out = words
    case = next(case for case in CASES if case.name == name)
    try:
        result = measure(peer, Path(folder), case, int(repeats), float(budget))
    except NotOffered as reason:
        result = {"not_offered": str(reason)}
    except ImportError as error:
        result = {"not_installed": str(error)}
    except Exception as error:
        result = {"error": f"{type(error).__name__}: {error}"[:500]}
    Path(out).write_text(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1:])
