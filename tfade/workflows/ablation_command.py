"""An ablation from its gin files to its report: every row trained and evaluated by one protocol.

Runs that are finished are not repeated, so an interrupted ablation continues where it stopped.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from tfade.errors import UsageError, one_line
from tfade.evaluation.suite import FAILURES
from tfade.locks import directory_lock
from tfade.reporting.ablation_report import RunReport, write_report
from tfade.training import binding_use, configuration
from tfade.workflows.ablation import Ablation
from tfade.workflows.ablation_runs import Plan, evaluate_trained, plan_runs, train_run
from tfade.workflows.workspace import Workspace

LOCK = ".table.lock"


def run_ablation(
    workspace: Workspace,
    folder: Path,
    table: str,
    files: Sequence[str],
    bindings: Sequence[str],
    num_samples: int | None,
) -> dict[str, str]:
    """Trains and evaluates all runs of a table; writes table.md and table.html, again after each run.

    Args:
        workspace: of the gin files.
        folder: of the runs and the table.
        table: a gin file that binds an `Ablation`.
        files: gin files that override every row.
        bindings: gin lines, of the table, of all runs, or of the evaluation of finished runs.
        num_samples: samples that are evaluated; None for the table's.

    Returns:
        What failed: run → reason; empty if nothing did.

    Raises:
        UsageError: a wrong configuration, or rows that differ too much in size; nothing is trained then.
    """
    lines = sort_bindings(bindings)
    ablation = read_table(workspace, table, lines["table"])
    with directory_lock(folder, LOCK):
        plan = plan_runs(workspace, folder, ablation, files, lines["runs"], lines["evaluation"])
        spread = ablation.check_parameters(plan.parameters)
        listed = ", ".join(f"{name} {count:,}" for name, count in plan.parameters.items())
        print(f"parameters of p(x): {listed} ({spread:.1%} apart)")
        return _train_and_evaluate(workspace, folder, ablation, plan, num_samples or ablation.num_samples)


def sort_bindings(lines: Sequence[str]) -> dict[str, list[str]]:
    """Gin lines by what they are for: "table", of `Ablation` or a `Row`; "evaluation", of finished runs; or "runs"."""
    found = {"table": [], "evaluation": [], "runs": []}
    for line in lines:
        names = configuration.bound_by(line)
        if any(map(_is_of_table, names)):
            found["table"].append(line)
        elif any(name.startswith(("tfade.evaluation.", "tfade.training.inference_bound.")) for name in names):
            found["evaluation"].append(line)
        else:
            found["runs"].append(line)
    return found


def read_table(workspace: Workspace, file: str, bindings: Sequence[str]) -> Ablation:
    """The `Ablation` that a gin file describes.

    Raises:
        UsageError: the file is not a table, or a binding concerns a row that the table does not have.
    """
    with workspace.configured([file]):
        known = configuration.bound_scopes()  # a table may name rows that the bindings leave out
        if not configuration.binds(Ablation):
            raise UsageError(f"gin_file={file!r} is not a table but a recipe; train it with python -m launch.train")
    with workspace.configured([file], bindings):
        table = configuration.make(Ablation)
        binding_use.check_scopes(_is_of_table, known)
    return table


def _is_of_table(selector: str) -> bool:
    return selector.startswith(f"{Ablation.__module__}.")


def _train_and_evaluate(
    workspace: Workspace, folder: Path, ablation: Ablation, plan: Plan, num_samples: int
) -> dict[str, str]:
    reports: list[RunReport] = []
    untrained: set[Path] = set()
    for run in plan.runs:
        print(f"\n{run.row}, seed {run.seed}: {run.path}")
        report = RunReport(run.row, run.seed, run.parameters)
        untrained.add(run.path)
        try:
            if run.source is not None and run.source[0] in untrained:
                raise UsageError(f"it is a density of the codes of {run.source[0]}, whose training failed")
            report = dataclasses.replace(report, minutes=train_run(run, workspace.revision))
            untrained.remove(run.path)
            evaluated = evaluate_trained(workspace, run, num_samples, ablation.metrics, plan.evaluation)
            report = dataclasses.replace(evaluated, minutes=report.minutes)
        except FAILURES as error:  # the other rows can still be had
            report = dataclasses.replace(report, failed=one_line(error))
        if report.failed:
            print(f"failed: {report.failed}")
        reports.append(report)
        markdown = write_report(folder, ablation.table(), reports)  # readable while the rest trains
    print(f"\n{markdown}\ntable: {folder / 'table.md'}\npage:  {folder / 'table.html'}")
    return {report.name: report.failed for report in reports if report.failed}
