"""Bindings that nothing uses, by the scopes of the calls."""

import gin

from tfade.training import binding_use, configuration
from tfade.training.isolation import isolated


def test_what_is_bound_in_a_scope_holds_in_those_within_it_alone():
    lines = ("discriminator/adam.epsilon = 1e-7", "critic/adam.epsilon = 1e-7")
    with isolated():
        configuration.parse([], lines)
        for scope, name in (("discriminator", "sgd"), ("code_discriminator", "adam"), ("old/discriminator", "adam")):
            with gin.config_scope(scope):
                gin.get_configurable(name)()
        for scope, name in (("critic", "sgd"), ("critic/late", "adam")):
            with gin.config_scope(scope):
                gin.get_configurable(name)()
        assert binding_use.unused() == ["discriminator/adam.epsilon"]


def test_a_scope_is_entered_with_those_within_it():
    with isolated():
        configuration.parse([], ["critic/adam.epsilon = 1e-7"])
        with gin.config_scope("critic/late"):
            gin.get_configurable("adam")()
        assert binding_use.unused() == []


def test_a_binding_that_a_deeper_scope_overrides_in_every_call_is_unused():
    with isolated():
        configuration.parse([], [f"{scope}adam.epsilon = 1e-7" for scope in ("", "critic/", "critic/late/")])
        for scope, name in (("critic", "sgd"), ("critic/late", "adam")):
            with gin.config_scope(scope):
                gin.get_configurable(name)()
        assert binding_use.unused() == ["adam.epsilon", "critic/adam.epsilon"]
        gin.get_configurable("adam")()
        assert binding_use.unused() == ["critic/adam.epsilon"]
