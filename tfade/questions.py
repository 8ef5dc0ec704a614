"""Questions of the contract that a class does not answer, or answers only where it has what they need."""

import functools
from collections.abc import Callable


def unanswered(reason: str) -> Callable:
    """A question that has no answer: the method keeps its signature and docstring, and raises NotImplementedError."""

    def decorate(method):
        @functools.wraps(method)
        def decline(self, *args, **kwargs):
            raise self.cannot(method.__name__, reason)

        decline.reason = reason
        return decline

    return decorate


def needs(*questions: str, network: str | Callable | None = None, likelihood: str | None = None) -> Callable:
    """A method that answers only where the model answers other `questions`, has a `network` or a `likelihood`.

    The network's name may be a function of the model.
    """

    def decorate(method):
        @functools.wraps(method)
        def answer(self, *args, **kwargs):
            name = network(self) if callable(network) else network
            if name is not None and name not in self.networks:
                raise self.cannot(method.__name__, f"it has no {name}")
            if likelihood not in (None, self.likelihood):
                raise self.cannot(method.__name__, f"its likelihood is {self.likelihood} and not {likelihood}")
            for question in questions:
                if reason := getattr(getattr(type(self), question), "reason", None):
                    raise self.cannot(method.__name__, reason)
            return method(self, *args, **kwargs)

        answer.questions, answer.network, answer.likelihood = questions, network, likelihood
        return answer

    return decorate
