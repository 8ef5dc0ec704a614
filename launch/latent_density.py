"""Fits a density to the codes of a trained run: a run of its own, which every launcher opens like any other."""

from launch import common
from launch.flags import Parser, writable_folder


def main(arguments: list[str]) -> int | None:
    parser = Parser("latent_density", __doc__)
    parser.add_run_flags(help="directory of the trained run whose codes are taken")
    parser.add_gin_flags()
    parser.add_argument("--out", required=True, type=writable_folder, help="directory of the new run")
    parser.add_argument(
        "--codes",
        choices=("centres", "samples"),
        default="centres",
        help="means of the posteriors, or draws of them",
    )
    parser.add_argument("--train_only", action="store_true", help="leave out evaluation and export")
    given = parser.parse_args(arguments)
    if not given.gin_file:
        parser.error("give --gin_file, the density, such as gin/ex_post/mixture.gin")
    workspace = common.workspace()

    from tfade.workflows.latent_density import fit_latent_density

    report = fit_latent_density(
        workspace,
        given.run_dir,
        given.out,
        given.gin_file,
        given.gin_bindings,
        codes=given.codes,
        checkpoint=given.checkpoint,
        trust_imports=given.trust_imports,
        train_only=given.train_only,
    )
    return common.exit_status(report)


if __name__ == "__main__":
    common.launch(main)
