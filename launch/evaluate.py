"""Evaluates a run: how well it reconstructs, and how its samples compare with held-out data."""

from pathlib import Path

from launch import common


def main(arguments: list[str]) -> int | None:
    parser = common.Parser("evaluate", __doc__)
    parser.add_argument("--run_dir", required=True, help="directory of a trained run")
    parser.add_argument("--metrics", help="names with commas between; all that apply by default")
    parser.add_argument("--num_samples", type=common.whole(2), default=10_000, help="samples to draw")
    parser.add_argument(
        "--temperature", type=common.temperature, default=1.0, help="factor on the prior's standard deviation"
    )
    parser.add_argument("--seed", type=common.whole(0), default=0, help="of the samples")
    parser.add_argument(
        "--bound", action="store_true", help="fit an inference network to a model without a likelihood, such as a GAN"
    )
    parser.add_argument("--gin_bindings", action="append", default=[], help="gin line over the run's configuration")
    common.add_checkpoint_flag(parser)
    flags = parser.parse_args(arguments)

    with common.opened(flags.run_dir, flags.gin_bindings, flags.checkpoint) as (recipe, model):
        report = evaluate_run(
            Path(flags.run_dir),
            model,
            recipe,
            metrics=flags.metrics,
            num_samples=flags.num_samples,
            temperature=flags.temperature,
            seed=flags.seed,
            bound=flags.bound,
        )
    print(report.table())
    print(f"\nnumbers: {Path(flags.run_dir) / 'evaluation'}")


def evaluate_run(run_dir: Path, model, recipe, *, metrics: str | None = None, bound: bool = False, **sampling):
    """Evaluates an opened run on the test split and writes evaluation/<metric>.json.

    Args:
        run_dir: the run directory.
        model, recipe: what `common.opened` gives.
        metrics: names with commas between, or None for those that gin binds to `evaluate`, all by default.
        bound: whether a model without a likelihood gets that of an inference network around its generator.
        **sampling: num_samples, temperature and seed of `Subject`.

    Returns:
        The report.
    """
    from tfade import data
    from tfade.evaluation import Subject, evaluate, select
    from tfade.training.inference_bound import inference_bound

    chosen = {} if metrics is None else {"metrics": select(metrics)}
    subject = Subject(
        model,
        real=data.load(recipe.data, "test"),
        train=data.load(recipe.data, "train"),
        cache_dir=common.CACHE / "classifiers",
        fit_bound=inference_bound if bound else None,
        **sampling,
    )
    report = evaluate(subject, **chosen)
    report.save(run_dir / "evaluation")
    return report


if __name__ == "__main__":
    common.launch(main)
