"""The tables of `gwas.py`: times and memory, answers, and where henderson's time goes."""

import json
import statistics
from typing import Any

from cells import markdown, number, ratio

STEPS = ["grm", "scan", "whole"]
ANSWERS_HEAD = [
    "case",
    "tested GEMMA",
    "tested henderson",
    "by both",
    "alleles swapped",
    "beta, in SE",
    "SE, relative",
    "-log10 p Wald",
    "LRT",
    "score",
    "lambda REML, relative",
    "95 % below",
    "lambda ML",
    "95 % below",
]

Result = dict[str, Any]


def failure(result: Result) -> str:
    """Why there is no time, in a word or two."""
    words = {"timed_out": "timed out", "error": "failed", "not_installed": "absent"}
    return next((word for key, word in words.items() if key in result), "")


def outcome(result: Result) -> str:
    """One run in words."""
    if failure(result):
        return f"{failure(result)}: {result.get('error', '')}"
    return (
        f"{result['wall']:.2f} s, cpu {result['cpu']:.2f} s, {result['peak_mb']:.0f} MB, "
        f"load before {result['load_before']:.2f}"
    )


def step_runs(case: Result, program: str, step: str) -> list[Result]:
    """All runs of one step; GEMMA's whole is its GRM and its scan of the same repeat."""
    runs = case["runs"][program]
    if step in runs:
        return list(runs[step])
    parts = [runs["grm"], runs["scan"]]
    if failed := [run for part in parts for run in part if failure(run)]:
        return failed[:1]
    return [
        {
            "wall": first["wall"] + second["wall"],
            "cpu": first["cpu"] + second["cpu"],
            "peak_mb": max(first["peak_mb"], second["peak_mb"]),
            "load_before": max(first["load_before"], second["load_before"]),
        }
        for first, second in zip(*parts, strict=True)
    ]


def median(runs: list[Result], key: str) -> float | None:
    """Median of one measure; none where a run failed."""
    if not runs or any(map(failure, runs)):
        return None
    return statistics.median(run[key] for run in runs)


def tables(report: Result) -> str:
    """The tables in Markdown: times, answers, and where henderson's time goes."""
    cases = {name: case for name, case in report["cases"].items() if "runs" in case}
    about = ", ".join(f"{key}: {value}" for key, value in report["machine"].items())
    left_out = [
        f"{name} was left out: {case['files']['absent']}."
        for name, case in report["cases"].items()
        if name not in cases
    ]
    head = ["case", "n", "m", "step", "GEMMA s", "henderson s", "GEMMA / henderson", "GEMMA cpu s"]
    head += ["henderson cpu s", "GEMMA MB", "henderson MB", "first ever s", "load before"]
    rows = [time_row(name, case, step) for name, case in cases.items() for step in STEPS]
    parts = [f"\n{about}\n", *left_out, markdown(head, rows)]
    parts += ["\nAnswers of the whole commands: the largest difference over all variants\n"]
    parts += [markdown(ANSWERS_HEAD, [answer_row(name, case["answers"]) for name, case in cases.items()])]
    for name, case in cases.items():
        if case["phases"]:
            parts += [f"\nWhere henderson's time goes: {name}, last run of the whole\n", phase_table(case)]
    parts += [f"\nthreads: {report['options']['threads']} each; {json.dumps(report['versions'])}"]
    return "\n".join(parts)


def time_row(name: str, case: Result, step: str) -> list[str]:
    """One step of one case."""
    theirs, ours = (step_runs(case, program, step) for program in ("gemma", "henderson"))
    t, t_gemma = median(ours, "wall"), median(theirs, "wall")
    loads = [run["load_before"] for run in [*theirs, *ours] if "load_before" in run]
    return [
        name,
        f"{case['files']['n']:,}",
        f"{case['files']['m']:,}",
        step,
        shown(theirs, "wall"),
        shown(ours, "wall"),
        ratio(t_gemma, t),
        number(median(theirs, "cpu")),
        number(median(ours, "cpu")),
        shown(theirs, "peak_mb", "{:.0f}"),
        shown(ours, "peak_mb", "{:.0f}"),
        shown([case["first_ever"]], "wall") if step == "whole" else "",
        f"{min(loads):.1f} to {max(loads):.1f}" if loads else "",
    ]


def answer_row(name: str, answers: Result) -> list[str]:
    """How far two programs' answers are apart."""
    if "n_both" not in answers:
        return [name, answers.get("error", "not compared"), *[""] * (len(ANSWERS_HEAD) - 2)]
    counts = [
        f"{answers[key]:,}" for key in ("n_gemma", "n_henderson", "n_both", "n_swapped") if key in answers
    ]
    keys = ["beta_in_se", "se", "p_wald", "p_lrt", "p_score", "l_remle", "l_remle_95", "l_mle", "l_mle_95"]
    return [name, *counts, *(f"{answers[key]:.1e}" if key in answers else "" for key in keys)]


def phase_table(case: Result) -> str:
    """Lines of the log that took a tenth of a second, and what the log does not see."""
    rows, before = [], 0.0
    for line in case["phases"]:
        took = line["seconds"] - before
        before = line["seconds"]
        if took > 0.05:
            rows.append([f"{before:.1f}", f"{took:.1f}", line["text"].strip().replace("|", "/")])
    last = step_runs(case, "henderson", "whole")[-1]
    if "wall" in last:
        rows.append(["", f"{last['wall'] - before:.1f}", "before the log begins, and after its last line"])
    return markdown(["at s", "took s", "what came to its end"], rows)


def shown(runs: list[Result], key: str, style: str = "") -> str:
    """Median, or why there is none."""
    why = next((failure(run) for run in runs if failure(run)), "")
    value = median(runs, key)
    return why or ("" if value is None else style.format(value) if style else number(value))
