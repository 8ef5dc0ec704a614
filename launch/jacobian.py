"""Compares how runs stretch space: singular values of their generators' Jacobians, as numbers and a plot."""

from launch import common
from launch.flags import TEMPERATURE, Parser, temperature, whole, writable_folder


def main(arguments: list[str]) -> int | None:
    parser = Parser("jacobian", __doc__)
    parser.add_run_flags(action="append", help="a trained run; give several to compare them")
    parser.add_argument("--out", required=True, type=writable_folder, help="folder for jacobian.png and jacobian.json")
    parser.add_argument("--num_codes", type=whole(1), default=64, help="latents drawn from the prior")
    parser.add_argument("--temperature", type=temperature, default=1.0, help=TEMPERATURE)
    parser.add_argument("--seed", type=whole(0), default=0, help="of the latents")
    parser.add_argument("--label", type=whole(0), default=None, help="the class of conditional models")
    flags = parser.parse_args(arguments)
    workspace = common.workspace()

    from tfade.workflows.jacobian import compare_jacobians

    table = compare_jacobians(
        workspace,
        flags.run_dir,
        flags.out,
        num_codes=flags.num_codes,
        temperature=flags.temperature,
        seed=flags.seed,
        label=flags.label,
        checkpoint=flags.checkpoint,
        trust_imports=flags.trust_imports,
    )
    print(f"{table}\nplot and numbers: {flags.out}")


if __name__ == "__main__":
    common.launch(main)
