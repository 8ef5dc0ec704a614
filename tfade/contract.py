"""The public contract: the questions that every model answers, or declines with a reason."""

import functools
from collections.abc import Callable, Sequence

import tensorflow as tf
import tensorflow_probability as tfp

from tfade import numerics
from tfade.errors import UsageError
from tfade.questions import needs, unanswered
from tfade.spec import Spec

QUESTIONS = (
    *("sample", "prior", "encode", "codes", "decode", "reconstruct", "interpolate", "translate", "translate_back"),
    *("discriminate", "classify", "log_prob", "log_density"),
    *("observation", "to_observation", "to_image", "log_likelihood"),
)
CODES = ("centres", "samples")  # of posteriors: their means, or a draw of each


def forwarded(member: str, *questions: str) -> Callable:
    """A class whose answers to `questions` are those of the model that it wraps, its attribute `member`."""

    def forward(question: str):
        @functools.wraps(getattr(Contract, question))
        def method(self, *args, **kwargs):
            wrapped = getattr(self, member)
            if not wrapped.answers(question):
                raise self.cannot(
                    question, getattr(getattr(type(wrapped), question), "reason", None) or f"its {member} does not"
                )
            return getattr(wrapped, question)(*args, **kwargs)

        method.member, method.reason, method.questions = member, None, ()
        return method

    def decorate(kind: type) -> type:
        for question in questions:
            setattr(kind, question, forward(question))
        return kind

    return decorate


class Contract:
    """What may be asked of a model. Images are NHWC, uint8 or float32 in [0, 1]; vectors are float32 [batch, D].

    Conditional models take `labels`, integers [batch] in [0, num_classes), in every question about examples.

    Attributes:
        spec: what the data look like.
        fields: the fields of a `Batch` that training needs.
        likelihood: what `log_prob` returns: "exact", "unbiased" (an estimate of it that draws noise, whose mean over
            draws is exact), "lower_bound", or None for nothing.
        latent_size: dimension of z, or None for a model without latent variables.
        pixel_levels: None where `log_prob` is of a density on [0, 1]^D, otherwise the number of levels of its pmf.
        gaussian_codes: `encode` returns a distribution with a standard deviation in closed form.
        decode_is_random: `decode` draws from a pmf of images, so that it has no derivative in the latents.
        conditional: the model is of p(x | y) and takes labels.
        finite: `sample` hands out a fixed set of images, each once.
        fit_protocol: settings that `log_prob` depends on and the recipe does not state.
        code_protocol: settings of a search that finds the code of an example; empty where a network gives it.
        bound_rises_with_draws: a lower bound takes the number of its draws from `num_samples`.
        bound_takes_any_prior: `log_prob` stays what it is declared to be with another prior in place of the model's.
    """

    spec: Spec
    fields: tuple[str, ...] = ("images",)
    likelihood: str | None = None
    latent_size: int | None = None
    pixel_levels: int | None = None
    gaussian_codes: bool = False
    decode_is_random: bool = False
    conditional: bool = False
    finite: bool = False
    fit_protocol: dict = {}
    code_protocol: dict = {}
    bound_rises_with_draws: bool = True
    bound_takes_any_prior: bool = True
    networks: dict = {}

    # ---- Questions about the contract itself ----

    def answers(self, question: str) -> bool:
        """Whether the model answers a question, the name of one of the methods below.

        Raises:
            ValueError: no such question.
        """
        if question not in QUESTIONS:
            raise ValueError(f"question={question!r} is not one of {', '.join(QUESTIONS)}")
        method = getattr(type(self), question)
        if getattr(method, "reason", None) is not None:
            return False
        if member := getattr(method, "member", None):
            return getattr(self, member).answers(question)
        network, likelihood = getattr(method, "network", None), getattr(method, "likelihood", None)
        network = network(self) if callable(network) else network
        return (
            (network is None or network in self.networks)
            and likelihood in (None, self.likelihood)
            and all(map(self.answers, getattr(method, "questions", ())))
        )

    def cannot(self, question: str, reason: str) -> NotImplementedError:
        """The error of a question that this model has no answer to."""
        return NotImplementedError(f"{type(self).__name__} cannot {question}: {reason}")

    def conditions(self, labels) -> dict:
        """Keyword arguments that condition a question on labels: {} for an unconditional model."""
        return {"labels": labels} if self.conditional else {}

    def checked_labels(self, labels, count=None) -> tf.Tensor | None:
        """Labels int32 [count] of a conditional model; None of an unconditional one.

        Raises:
            UsageError: labels for an unconditional model, none for a conditional one, or labels that are not integers
                [count] in [0, num_classes).
        """
        name = type(self).__name__
        if not self.conditional:
            if labels is not None:
                raise UsageError(f"labels were given to {name}, which is not conditional; leave them out")
            return None
        if labels is None:
            raise UsageError(
                f"labels=None, but {name} is conditional; give integers [batch] in [0, {self.spec.num_classes})"
            )
        return numerics.checked_labels(labels, self.spec.num_classes, count, name)

    # ---- Samples and latent variables ----

    @unanswered("it does not define samples")
    def sample(self, n: int, temperature: float = 1.0, seed=None, labels=None) -> tf.Tensor:
        """Images [n, H, W, C], float32 in [0, 1] (vectors [n, D]).

        Args:
            n: how many.
            temperature: factor on the standard deviation of the prior; 1 is the model itself. For p^(1/τ) it is √τ:
                exactly in volume-preserving flows over a normal or a tempered logistic prior (NICE, its preprocessing
                aside), in other models as an approximation.
            seed: an integer or a scalar tensor; equal seeds give equal images. None draws fresh entropy.
            labels: classes of a conditional model, integers [n]; None draws them uniformly, from `seed`.
        """

    @unanswered("it has no prior over latent variables")
    def prior(self, temperature: float = 1.0):
        """The TFP distribution p(z) over latents [latent_size], its standard deviation times `temperature`.

        Where the prior depends on the class (`has_class_prior`) it is the mixture over classes, each of them tempered.
        """

    has_class_prior = False  # whether the prior is one of each class

    def draw_prior(self, n: int, temperature: float = 1.0, seed=None, labels=None) -> tf.Tensor:
        """Latents of the prior [n, latent_size]; those of the classes `labels` [n] where it depends on them."""
        return self.prior(temperature).sample(n, seed=seed)

    @unanswered("it has no encoder")
    def encode(self, x, labels=None):
        """The TFP distribution over codes [batch, latent_size] given examples.

        Not every one has a density: point masses (`Deterministic`) have none, nor `ImplicitCodes`, whose `log_prob`
        raises NotImplementedError.
        """

    @needs("encode")
    def codes(self, x, labels=None) -> tf.Tensor:
        """The code that stands for each example, [batch, latent_size]: the mean of `encode`, or its centre."""
        self.checked_labels(labels)
        return self.encode(x, **self.conditions(labels)).mean()

    @property
    def code_noise_size(self) -> int | None:
        """Dimension of the noise that `sampled_codes` takes."""
        return self.latent_size

    def sampled_codes(self, x, noise, labels=None) -> tf.Tensor:
        """Codes [batch, latent_size] drawn from `encode`, as a function of standard normal noise.

        Args:
            x: examples.
            noise: [batch, code_noise_size].
            labels: of a conditional model.
        """
        posterior = self.encode(x, **self.conditions(labels))
        return posterior.mean() + posterior.stddev() * noise

    @unanswered("it has no decoder")
    def decode(self, z, labels=None) -> tf.Tensor:
        """Images in [0, 1], [batch, H, W, C], from latents [batch, latent_size]."""

    @needs("encode", "decode")
    def reconstruct(self, x, labels=None) -> tf.Tensor:
        """Images in [0, 1] decoded from the codes of examples."""
        self.checked_labels(labels)
        condition = self.conditions(labels)
        return self.decode(self.codes(x, **condition), **condition)

    @needs("encode", "decode")
    def interpolate(self, first, last, steps: int = 8, labels=None, in_noise: bool = False) -> tf.Tensor:
        """Images on straight lines between codes: [n, steps, H, W, C], from `first` [n, H, W, C] to `last`.

        Args:
            first, last: examples.
            steps: images on a line, its ends included.
            labels: of a conditional model, [n].
            in_noise: lines are straight in the noise that the prior's flow makes codes of, not among the codes.

        Raises:
            UsageError: `in_noise` of a model whose prior is not a flow.
        """
        self.checked_labels(labels)
        condition = self.conditions(labels)
        ends = [self.codes(images, **condition) for images in (first, last)]
        if in_noise:
            flow = self.prior_flow()
            if flow is None:
                name = type(self).__name__
                raise UsageError(f"in_noise=True, but the prior of this {name} is not a flow; set in_noise=False")
            ends = [flow.inverse(codes) for codes in ends]
        weights = tf.reshape(tf.linspace(0.0, 1.0, steps), (1, -1, 1))
        codes = ends[0][:, None] * (1 - weights) + ends[1][:, None] * weights
        codes = tf.reshape(codes, (-1, ends[0].shape[-1]))
        if in_noise:
            codes = flow.forward(codes)
        if self.conditional:
            condition = self.conditions(tf.repeat(labels, steps))
        return tf.reshape(self.decode(codes, **condition), (-1, steps, *self.spec.shape))

    def prior_flow(self) -> tfp.bijectors.Bijector | None:
        """The bijector from noise to latents of a prior that is a flow; None of other priors, or without one."""
        prior = self.prior() if self.answers("prior") else None
        if isinstance(prior, tfp.distributions.MultivariateNormalLinearOperator):  # TFP transforms a normal for it, too
            return None
        return getattr(prior, "bijector", None)  # TFP's transformed distributions are of two classes

    # ---- A second domain ----

    @unanswered("it has one domain")
    def translate(self, x) -> tf.Tensor:
        """Images [batch, ...] of the second domain, in [0, 1], from images of the first."""

    @unanswered("it has one domain")
    def translate_back(self, y) -> tf.Tensor:
        """Images [batch, H, W, C] of the first domain, in [0, 1], from images of the second."""

    # ---- Discrimination, classification, likelihood ----

    @unanswered("it has no discriminator")
    def discriminate(self, x, labels=None) -> tf.Tensor:
        """The data discriminator's outputs [batch] on examples."""

    @unanswered("it has no classifier")
    def classify(self, x) -> tf.Tensor:
        """log p(c | x) in nats, [batch, num_classes], of the classes of the data."""

    @unanswered("it defines no density")
    def log_prob(self, x, num_samples: int = 1, labels=None) -> tf.Tensor:
        """Nats per example [batch], of the kind that `likelihood` declares.

        Args:
            x: examples.
            num_samples: draws of what the model integrates over by sampling: latents, or dequantisation noise.
            labels: of a conditional model, whose log p(x | y) this is.
        """

    @unanswered("its density has no closed form")
    def log_density(self, y) -> tf.Tensor:
        """Nats [batch] of an exact density at continuous points y, images in [0, 1] or vectors; no noise is added."""

    @unanswered("it has no observation model around what it decodes")
    def observation(self, z):
        """The TFP distribution p(· | z) of what a model with a bound observes, for latents [batch, latent_size]."""

    @unanswered("it has no observation model around what it decodes")
    def to_observation(self, x) -> tuple[tf.Tensor, tf.Tensor]:
        """What `observation` is a distribution of, for examples, and log |det| of that change of variables, [batch]."""

    @unanswered("it has no observation model around what it decodes")
    def to_image(self, observed) -> tf.Tensor:
        """Images in [0, 1] from what `observation` is a distribution of, such as its draws."""

    @needs("observation", "to_observation")
    def log_likelihood(self, x, z) -> tf.Tensor:
        """log p(x | z) in nats [batch] of examples with one latent vector each."""
        observed, log_det = self.to_observation(x)
        return self.observation(z).log_prob(observed) + log_det


def as_spec(spec: Spec | Sequence[int]) -> Spec:
    """The specification of the data that a model is made for, given one or the bare shape of an example."""
    return spec if isinstance(spec, Spec) else Spec.of_shape(spec)
