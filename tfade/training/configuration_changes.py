"""What changed between two configurations of one run."""

from collections.abc import Collection

from tfade.training.configuration import values

# What may differ between two starts of one run: where things lie, how many devices carry it, and a later end.
MAY_CHANGE = (
    *("load.cache_dir", "load.data_dir", "load.download", "Recipe.devices", "Recipe.strategy"),
    *("adopt_weights.run_dir", "SqueezeNetFeatures.weights", "VGG16Features.weights"),
)


def differences(old: str, new: str, besides: Collection[str] = ()) -> list[str]:
    """What changed between two configurations that one run may not survive, one line for each binding.

    Args:
        old, new: the configurations.
        besides: keys, such as "Recipe.data", that may differ.
    """
    before, after = values(old), values(new)
    # A run may be made longer, but not where its length has shaped its past, as a decay over %steps has.
    users = [key for key, value in after.items() if "%steps" in value]
    has_stages = after.get("Recipe.stages", "()") != "()"  # then a longer stage moves those after it
    users = [] if has_stages else users
    ends = (
        {"Recipe.steps", "steps/macro.value"}
        if users == ["Recipe.steps"]
        else set()
        if has_stages
        else {"Recipe.steps"}
    )
    lines = []
    for key in sorted(before.keys() | after.keys()):
        was, now = before.get(key), after.get(key)
        if was == now or key in MAY_CHANGE or key in besides or (key in ends and _grew(was, now)):
            continue
        name = key.removesuffix("/macro.value")
        lines.append(f"{name}: {_shortened(was)} before, {_shortened(now)} now")
    return lines


def _shortened(value: str | None) -> str:
    """A value as an error shows it."""
    return "unset" if value is None else value if len(value) <= 80 else f"{value[:79]}…"


def _grew(was: str | None, now: str | None) -> bool:
    return was is not None and now is not None and was.isdigit() and now.isdigit() and int(now) > int(was)
