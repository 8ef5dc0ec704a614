"""One worker of a cluster: trains as `launch.train` does and, at its end, writes its own copy of every variable.

python -m tests.training.worker OUT.npz FLAGS…          (TF_CONFIG in the environment)
"""

import sys

import numpy as np


def main(out: str, arguments: list[str]) -> int:
    from launch import common
    from launch import train as launcher
    from tfade.training import train
    from tfade.training.checkpoints import snapshot

    models, loop = [], train.TrainingLoop
    train.TrainingLoop = lambda model, *rest: models.append(model) or loop(model, *rest)
    try:
        return common.guarded(launcher.main, arguments)
    finally:
        np.savez(out, **snapshot(models[0].state()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
