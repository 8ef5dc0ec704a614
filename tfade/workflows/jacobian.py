"""The Jacobian study: singular values of the generators of several runs, at latents drawn from their priors."""

from collections.abc import Sequence
from pathlib import Path

from tfade.errors import UsageError
from tfade.evaluation.latents.jacobian import Spectrum, spectrum
from tfade.reporting.jacobian_report import write_report
from tfade.seeds import as_seed
from tfade.workflows.workspace import Workspace


def compare_jacobians(
    workspace: Workspace,
    run_dirs: Sequence[str],
    out: Path,
    *,
    num_codes: int,
    temperature: float,
    seed: int,
    checkpoint: str = "latest",
) -> str:
    """Measures the spectra of runs and writes their report.

    Args:
        workspace: of the gin files.
        run_dirs: directories of runs.
        out: folder of jacobian.json and jacobian.png.
        num_codes: latents drawn from each prior.
        temperature, seed: of the latents.
        checkpoint: "latest", "best", or the step of a kept one.

    Returns:
        The summaries as text.

    Raises:
        UsageError: no run, or a model without a prior and a decoder.
    """
    ambiguous = len({Path(run).name for run in run_dirs}) < len(run_dirs)
    protocol = {"num_codes": num_codes, "temperature": temperature, "seed": seed}
    found = {
        run_dir if ambiguous else Path(run_dir).name: _measure(workspace, run_dir, checkpoint, **protocol)
        for run_dir in run_dirs
    }
    return write_report(out, found, protocol)


def _measure(
    workspace: Workspace, run_dir: str, checkpoint: str, num_codes: int, temperature: float, seed: int
) -> Spectrum:
    with workspace.open_run(run_dir, checkpoint) as run:
        model = run.model
        try:
            latents = model.prior(temperature).sample(num_codes, seed=as_seed(seed))
            model.decode(latents[:1])
        except (AttributeError, NotImplementedError) as error:
            raise UsageError(
                f"--run_dir={run_dir}: {type(model).__name__} has no prior and decoder ({error})"
            ) from error

        def progress(done):
            if done % 16 == 0 or done == num_codes:
                print(f"  {run_dir}: Jacobians of {done} of {num_codes} codes", flush=True)

        return spectrum(model.decode, latents, progress)
