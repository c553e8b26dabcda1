"""Linear mixed models timed side by side: henderson, R's lme4, and the Python packages that fit them.

    python benchmarks/lmer.py [--only CASE ...] [--repeats 5] [--peers lme4,glmm,...] [--out results.json]

Every package runs on the same data, alone in its own process, on one thread; what is timed is the call from
a data frame in memory to the fitted model. Answers are compared, so that no one is fast by stopping early.
See README.md.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from cases import CASES, HERE, Case, prepare, stored_criterion
from cells import Result, machine, markdown, number, ratio

PEERS = ["lme4", "statsmodels", "mixedlm", "mixedlm-rs", "glmm", "gpboost"]
THREADS = ["OMP", "OPENBLAS", "MKL", "BLIS", "VECLIB_MAXIMUM", "NUMEXPR", "NUMBA", "RAYON"]
SAME = 0.01
"""Whoever ends further than this above the lowest criterion did not fit the model, and wins no comparison."""


def main() -> None:
    """Run the cases asked for, print the tables, write everything to `--out`."""
    options = arguments()
    cases = [case for case in CASES if not options.only or case.name in options.only]
    report: Result = {"machine": machine(), "options": vars(options), "cases": {}}
    with tempfile.TemporaryDirectory(prefix="henderson-bench-") as scratch:
        for case in cases:
            report["cases"][case.name] = run_case(case, options, Path(scratch))
            if options.out:
                Path(options.out).write_text(json.dumps(report, indent=1))
    report["machine"]["load_after"] = os.getloadavg()
    if options.out:
        Path(options.out).write_text(json.dumps(report, indent=1))
    print(tables(report))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [case.name for case in CASES]
    parser.add_argument("--only", nargs="+", metavar="CASE", choices=names, help=", ".join(names))
    parser.add_argument("--repeats", type=int, default=5, help="timed calls after the first one (default 5)")
    parser.add_argument("--peers", default=",".join(PEERS), help=f"default {','.join(PEERS)}")
    parser.add_argument("--no-henderson", action="store_true", help="only the peers")
    parser.add_argument("--peer-python", default=sys.executable, help="interpreter that has the Python peers")
    parser.add_argument("--limit", type=float, default=300, help="seconds per package and case (default 300)")
    parser.add_argument("--budget", type=float, default=60, help="seconds for all repeats (default 60)")
    parser.add_argument("--out", help="write all results to this JSON file")
    options = parser.parse_args()
    options.peers = [peer for peer in options.peers.split(",") if peer]
    if unknown := set(options.peers) - set(PEERS):
        parser.error(f"unknown peers {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
    return options


def run_case(case: Case, options: argparse.Namespace, scratch: Path) -> Result:
    """All packages on one case."""
    folder = scratch / case.data
    source = scratch / f"{case.data}.source"
    if not source.exists():
        source.write_text(prepare(case.data, folder))
    results: dict[str, Result] = {}
    if not options.no_henderson:
        cache = {"NUMBA_CACHE_DIR": str(scratch / f"numba-{case.name}")}
        compiling = run_python("henderson", case, folder, options, environment=cache, repeats=0)
        results["henderson"] = run_python("henderson", case, folder, options, environment=cache)
        results["henderson"]["compiling"] = compiling
    for peer in options.peers:
        if peer == "lme4":
            results[peer] = run_lme4(case, folder, options)
        else:
            results[peer] = run_python(peer, case, folder, options)
    for peer, result in results.items():
        print(f"{case.name:18s} {peer:12s} {outcome(result)}", file=sys.stderr, flush=True)
    about = {"formula": case.formula, "n_theta": case.n_theta, "data": source.read_text()}
    return {**about, "stored_criterion": stored_criterion(case), "results": results}


def run_python(
    peer: str,
    case: Case,
    folder: Path,
    options: argparse.Namespace,
    *,
    environment: dict[str, str] | None = None,
    repeats: int | None = None,
) -> Result:
    """One Python package in a fresh process."""
    interpreter = sys.executable if peer == "henderson" else options.peer_python
    count = options.repeats if repeats is None else repeats
    command = [interpreter, HERE / "peers.py", peer, folder, case.name, count, options.budget]
    return run_process(command, options.limit, environment or {})


def run_lme4(case: Case, folder: Path, options: argparse.Namespace) -> Result:
    """`lme4` in a fresh R."""
    if shutil.which("Rscript") is None:
        return {"not_installed": "no Rscript on the path"}
    script = HERE / "lmer_lme4.R"
    return run_process(
        ["Rscript", script, "fit", folder, case.formula, options.repeats, options.budget], options.limit, {}
    )


def run_process(command: Iterable[object], limit: float, environment: dict[str, str]) -> Result:
    """Run `command` plus the name of its result file on one thread, and read the result."""
    single = {f"{name}_NUM_THREADS": "1" for name in THREADS} | {"VECLIB_MAXIMUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "result.json"
        process = subprocess.Popen(
            [str(word) for word in [*command, out]],
            env={**os.environ, **single, **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            _, errors = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return {"timed_out": limit}
        if not out.exists():
            return {"error": f"exit status {process.returncode}: {errors.strip()[-500:]}"}
        return json.loads(out.read_text())


# ---- reading the results ----


def seconds(result: Result) -> float | None:
    """Median of the repeats; the first call where no repeat fitted into the budget."""
    if "first" not in result:
        return None
    walls = [one["wall"] for one in result["repeats"]] or [result["first"]["wall"]]
    return statistics.median(walls)


def cold(result: Result) -> float | None:
    """Import and first call in a fresh process; NumPy and pandas are loaded, as there is a data frame."""
    return result["import_s"] + result["first"]["wall"] if "first" in result else None


def outcome(result: Result) -> str:
    """One result in words."""
    for key in ("not_offered", "not_installed", "error"):
        if key in result:
            return f"{key.replace('_', ' ')}: {result[key]}"
    if "timed_out" in result:
        return f"timed out ({result['timed_out']:g} s)"
    walls = len(result["repeats"])
    cpu = statistics.median(one["cpu"] for one in result["repeats"] or [result["first"]])
    return (
        f"{seconds(result):.4g} s ({walls} repeats of {result['calls']}, cpu {cpu:.4g}), "
        f"cold {cold(result):.3g} s, {result['kind']} {result['criterion']:.6f}, "
        f"{result['loaded_mb']:.0f} -> {result['peak_mb']:.0f} MB, {len(result['warnings'])} warnings"
    )


def lowest(results: dict[str, Result]) -> float | None:
    """The lowest REML criterion that any package reached."""
    return min((r["criterion"] for r in results.values() if r.get("kind") == "REML"), default=None)


def fitted_it(result: Result, best: float | None) -> bool:
    """Whether a package fitted this model by REML to its optimum."""
    return best is not None and result.get("kind") == "REML" and result["criterion"] - best <= SAME


def tables(report: Result) -> str:
    """The three tables in Markdown: henderson against the others, all seconds, all criteria."""
    cases = report["cases"]
    peers = list(dict.fromkeys(peer for case in cases.values() for peer in case["results"]))
    head = ["case", "n", "n_theta", "lme4 s", "henderson s", "lme4 / henderson", "best Python peer"]
    head += ["peer / henderson", "henderson cold s", "first ever s", "peak MB henderson", "peak MB lme4"]
    head += ["criterion henderson - lme4"]
    main_rows = [summary_row(name, case) for name, case in cases.items()]
    second_rows = [[name, *(seconds_cell(case, peer) for peer in peers)] for name, case in cases.items()]
    third_rows = [[name, *criterion_cells(case, peers)] for name, case in cases.items()]
    about = ", ".join(f"{key}: {value}" for key, value in report["machine"].items())
    return "\n".join(
        [
            f"\n{about}\n",
            markdown(head, main_rows),
            "\nMedian seconds (* stopped above the lowest criterion; ML: fitted by maximum likelihood)\n",
            markdown(["case", *peers], second_rows),
            "\nREML criterion: the lowest one, and the distance of each from it; lme4's warnings\n",
            markdown(["case", "lowest", "stored optimum", *peers, "lme4 warnings"], third_rows),
            "\n" + versions(cases),
        ]
    )


def summary_row(name: str, case: Result) -> list[str]:
    """Compare henderson with lme4 and with the fastest Python package that fits the same model."""
    results = case["results"]
    ours, lme4 = results.get("henderson", {}), results.get("lme4", {})
    best = lowest(results)
    rivals = {
        peer: seconds(result)
        for peer, result in results.items()
        if peer not in ("henderson", "lme4") and fitted_it(result, best)
    }
    rival = min(rivals, key=rivals.get, default=None)
    n = next((result["n"] for result in results.values() if "n" in result), None)
    t, t_lme4, t_rival = seconds(ours), seconds(lme4), rivals.get(rival)
    distance = ours["criterion"] - lme4["criterion"] if t and t_lme4 else None
    return [
        name,
        f"{n:,}" if n else "",
        str(case["n_theta"]),
        failure(lme4) or number(t_lme4),
        failure(ours) or number(t),
        ratio(t_lme4, t),
        f"{rival} {number(t_rival)}" if rival else "none",
        ratio(t_rival, t),
        number(cold(ours)),
        number(cold(ours["compiling"])) if t else "",
        memory(ours),
        memory(lme4),
        "" if distance is None else f"{distance:+.1e}",
    ]


def seconds_cell(case: Result, peer: str) -> str:
    """Median seconds of one package, with its mark."""
    result = case["results"].get(peer, {})
    if seconds(result) is None:
        return failure(result)
    if result["kind"] != "REML":
        return f"{number(seconds(result))} {result['kind']}"
    mark = "" if fitted_it(result, lowest(case["results"])) else " *"
    return number(seconds(result)) + mark


def criterion_cells(case: Result, peers: list[str]) -> list[str]:
    """Lowest criterion, the stored one, each package's distance from the lowest, and lme4's warnings."""
    results, best, stored = case["results"], lowest(case["results"]), case["stored_criterion"]
    cells = [f"{best:.6f}" if best is not None else "", f"{stored:.6f}" if stored is not None else ""]
    for peer in peers:
        result = results.get(peer, {})
        same = best is not None and result.get("kind") == "REML"
        cells.append(f"{result['criterion'] - best:.1e}" if same else result.get("kind", failure(result)))
    return [*cells, str(len(results.get("lme4", {}).get("warnings", [])))]


def failure(result: Result) -> str:
    """Why there is no time, in a word or two; a dash where the package has no such model."""
    words = {"timed_out": "timed out", "error": "failed", "not_offered": "-", "not_installed": "absent"}
    return next((word for key, word in words.items() if key in result), "")


def memory(result: Result) -> str:
    """Peak, and in brackets what the fits added to the process with its data loaded."""
    if "peak_mb" not in result or result["peak_mb"] is None:
        return ""
    return f"{result['peak_mb']:.0f} (+{result['peak_mb'] - result['loaded_mb']:.0f})"


def versions(cases: Result) -> str:
    """The versions that ran."""
    found: dict[str, str] = {}
    for case in cases.values():
        for result in case["results"].values():
            found |= result.get("versions", {})
    return ", ".join(f"{package} {number_}" for package, number_ in found.items())


if __name__ == "__main__":
    main()
