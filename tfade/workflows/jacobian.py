"""The Jacobian study: singular values of the generators of several runs, at latents drawn from their priors."""

from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from tfade.errors import UsageError
from tfade.evaluation.latents.jacobian import Spectrum, spectrum
from tfade.reporting.jacobian_report import write_report
from tfade.seeds import as_seed
from tfade.workflows.workspace import OpenRun, Workspace


def compare_jacobians(
    workspace: Workspace,
    run_dirs: Sequence[str | Path],
    out: Path,
    *,
    num_codes: int,
    temperature: float,
    seed: int,
    label: int | None = None,
    checkpoint: str = "latest",
    trust_imports: bool = False,
) -> str:
    """Measures the spectra of runs and writes their report.

    Args:
        workspace: of the gin files.
        run_dirs: directories of runs.
        out: folder of jacobian.json and jacobian.png.
        num_codes: latents drawn from each prior.
        temperature, seed: of the latents.
        label: the class of conditional models; None for the others.
        checkpoint: "latest", "best", or the step of a kept one.
        trust_imports: see `tfade.load_run`.

    Returns:
        The summaries as text.

    Raises:
        UsageError: no run, a model without a prior and a differentiable decoder, or a label where there should be none
            or one.
    """
    ambiguous = len({Path(run).name for run in run_dirs}) < len(run_dirs)
    found = {}
    for run_dir in run_dirs:
        with workspace.open_run(run_dir, checkpoint, trust_imports=trust_imports) as run:
            name = str(run_dir) if ambiguous else Path(run_dir).name
            found[name] = _measure(run, num_codes, temperature, seed, label)
    protocol = {"num_codes": num_codes, "temperature": temperature, "seed": seed}
    return write_report(out, found, protocol if label is None else {**protocol, "label": label})


def _measure(run: OpenRun, num_codes: int, temperature: float, seed: int, label: int | None) -> Spectrum:
    model = run.model
    if not (model.answers("prior") and model.answers("decode")):
        raise UsageError(f"run_dir={str(run.path)!r} is a {type(model).__name__}, which has no prior and decoder")
    if model.decode_is_random:
        raise UsageError(
            f"run_dir={str(run.path)!r} is a {type(model).__name__} whose decoder draws pixels, which have no "
            "derivative in the latents; give a run whose decoder returns means"
        )
    if model.conditional != (label is not None):
        need = "is conditional; give label, one of its classes" if model.conditional else "takes no label; leave it out"
        raise UsageError(f"label={label}, but run_dir={str(run.path)!r} is a {type(model).__name__}, which {need}")

    def decode(latents):
        labels = None if label is None else tf.fill(tf.shape(latents)[:1], label)
        return model.decode(latents, **model.conditions(labels))

    def progress(done):
        if done % 16 == 0 or done == num_codes:
            print(f"  {run.path}: Jacobians at {done} of {num_codes} latents", flush=True)

    labels = None if label is None else [label] * num_codes
    return spectrum(decode, model.draw_prior(num_codes, temperature, as_seed(seed), labels), progress)
