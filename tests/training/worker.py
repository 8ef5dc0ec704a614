"""One worker of a cluster: trains as `launch.train` does and writes its own copy of every variable.

python -m tests.training.worker OUT.npz FLAGS…          (TF_CONFIG in the environment)
"""

import sys

import numpy as np


def main(out: str, arguments: list[str]) -> None:
    from launch import common
    from launch.train import argument_parser
    from tfade.training.checkpoints import snapshot
    from tfade.training.train import train

    flags = argument_parser().parse_args(arguments)
    with common.workspace().configured(flags.gin_file, flags.gin_bindings):
        model = train(flags.run_dir)
    np.savez(out, **snapshot(model.state()))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
