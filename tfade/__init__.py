"""tfade: generative models trained by likelihood and by an adversary at once. `tfade.load_run` opens a trained run."""

from tfade import kernels

kernels.prefer_onednn()  # before anything imports TensorFlow


def __getattr__(name: str):
    # TensorFlow takes seconds to import; `python -m launch.train --help` must not wait for it.
    if name == "load_run":
        import gin

        with gin.unlock_config():  # a caller may have read gin files of their own
            import tfade.configurables  # noqa: F401 (what the configuration of a run may name)
        from tfade.training.recipe import load_run

        return load_run
    raise AttributeError(f"module 'tfade' has no attribute {name!r}")
