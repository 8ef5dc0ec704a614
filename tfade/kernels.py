"""The kernels that TensorFlow computes with on a CPU: oneDNN's on every x86 processor.

TensorFlow decides when it is imported. By default it takes oneDNN's on processors with AVX-512 VNNI or newer only, and
Eigen's on older ones, on which a convolution by oneDNN takes about half the time, too.
"""

import os
import platform
import re
import sys
from pathlib import Path

ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
_CPU = Path("/proc/cpuinfo")
_SETS = ("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile")


def prefer_onednn() -> None:
    """Has TensorFlow take oneDNN's kernels on x86; without effect once it is imported, or where the user chose.

    The choice is the environment variable TF_ENABLE_ONEDNN_OPTS, which processes that are started inherit.
    """
    if "tensorflow" not in sys.modules and platform.machine().lower() in ("x86_64", "amd64"):
        os.environ.setdefault(ONEDNN, "1")


def cpu_kernels() -> dict:
    """What results of a CPU depend on: {"library", "instruction_sets", "intra_op_threads", "inter_op_threads"}.

    "library" is "oneDNN", "Eigen", or None if TensorFlow does not say; "instruction_sets" are the processor's, [] if
    the system does not list them; numbers of threads are 0 for one per core.
    """
    import tensorflow as tf

    try:
        from tensorflow.python.util import _pywrap_util_port

        library = "oneDNN" if _pywrap_util_port.IsMklEnabled() else "Eigen"
    except (ImportError, AttributeError):
        library = None
    return {
        "library": library,
        "instruction_sets": _instruction_sets(),
        "intra_op_threads": tf.config.threading.get_intra_op_parallelism_threads(),
        "inter_op_threads": tf.config.threading.get_inter_op_parallelism_threads(),
    }


def _instruction_sets() -> list[str]:
    try:
        found = re.search(r"^flags\s*:(.*)$", _CPU.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    except OSError:  # not Linux
        return []
    flags = set(found[1].split()) if found else set()
    return [name for name in _SETS if name in flags]
