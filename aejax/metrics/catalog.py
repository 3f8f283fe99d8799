"""Declares every metric: its unit, whether lower or higher is better, what it measures of what, and its source.

Whatever ranks, labels or lists metrics reads it here, and nothing else says so again. The functions that compute them
are in the other modules of this package, and in `losses` for terms. This one imports nothing heavy, so that they are
listed at once.
"""

import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from aejax.core import InputError

NEAR = 0.5
"""By how much an estimate may be below its ceiling and still say nothing but that the truth is as high or higher."""

Better = Literal["lower", "higher"]
"""Which of two values is better."""

Probe = Literal["logistic", "svm", "knn", "kmeans"]
"""A probe of codes: logistic regression, linear SVM, the nearest neighbour, or clusters matched to classes."""

ANY, PRIOR = "any model", "models with a prior whose posterior has a density"
IMAGES, NO_IMAGES = "images", "examples that are not images"
CODEBOOK, SPARSE = "models of discrete codes", "models of sparse codes"
FACTORS = "data whose factors are known, of which two vary"
LABELS = "data with classes"
DICTIONARY = "dictionaries of data whose features are known"
SAMPLED = (
    "models that generate examples; {features} names what stands for an example, and 10,000 are compared with as many"
)
INPUT = ("data.preprocess",)
HELD_OUT = ("data.validation",)
LIKELIHOOD = ("loss.likelihood", *INPUT)
TERM = ("loss.terms.{term}", "loss.corruption", *LIKELIHOOD)
BURDA, HOFFMAN = "Burda et al. 2016", "Hoffman & Johnson 2016, section 2"
CHEN = "Chen et al. 2018, equation 2"
PRECISION, NAEEM = "Kynkaanniemi et al. 2019, equation 2", "Naeem et al. 2020, section 3"


@dataclass(frozen=True)
class Metric:
    """Says of a metric what a reader of its number must know."""

    name: str
    """Its name in results and tables. A part in braces stands for a word or a number: nll_{samples}_nats."""
    unit: str
    """The unit of its values."""
    better: Better | None
    """Whether lower or higher values are better; None: neither is by itself."""
    meaning: str
    """What it measures."""
    of: str = ANY
    """The domain in which it is defined."""
    source: str = ""
    """The paper that defines it."""
    ceiling: Callable[[int], float] | None = None
    """Returns what its estimate cannot be above, for a number of examples, whatever the truth; None: nothing."""
    fixed_by: tuple[str, ...] = ()
    """Paths of the settings that are part of what it measures: values of experiments that differ there do not compare.
    """


_METRICS = [
    Metric("loss_nats", "nats", "lower", "weighted sum of the loss's terms, which is minimised; losses that differ in "
           "their weights or terms cannot be compared by it", fixed_by=("loss", *INPUT)),
    Metric("reconstruction_nats", "nats", "lower", "negative log-likelihood of an example given a drawn code, the term "
           "of the loss by this name", fixed_by=TERM),
    Metric("kl_nats", "nats", "lower", "divergence of the posterior from the prior, the term of the loss by this name; "
           "lower is better where the reconstruction is as good", PRIOR, "Kingma & Welling 2014, equation 3",
           fixed_by=("loss.terms.kl", "loss.corruption")),
    Metric("{term}_nats", "nats", "lower", "any other term of the loss, before its weight", fixed_by=TERM),
    Metric("{term}_units", "units", None, "a term of the loss that counts units, before its weight", fixed_by=TERM),
    Metric("{term}_multiplier", "1", None, "factor on the weight of a term of the loss that a controller leads, after "
           "the last step of training", fixed_by=TERM),
    Metric("reconstruction_nats_per_pixel", "nats", "lower", "negative log-likelihood, for each channel of each pixel",
           IMAGES, fixed_by=TERM),
    Metric("reconstruction_nats_per_value", "nats", "lower", "negative log-likelihood, for each value of an example",
           NO_IMAGES, fixed_by=TERM),
    Metric("reconstruction_bits_per_dim", "bits", "lower", "negative log-likelihood, for each value of an example",
           "likelihoods that are masses: of levels, or of zeros and ones", fixed_by=TERM),
    Metric("squared_error", "squared units of the model's input", "lower", "squared error of the reconstruction from "
           "the mean code, summed over an example's values", fixed_by=INPUT),
    Metric("squared_error_per_pixel", "squared units of the model's input", "lower", "squared error of the "
           "reconstruction, for each channel of each pixel", IMAGES, fixed_by=INPUT),
    Metric("squared_error_per_value", "squared units of the model's input", "lower", "squared error of the "
           "reconstruction, for each value of an example", NO_IMAGES, fixed_by=INPUT),
    Metric("{images}_at_{level}x_psnr_db", "dB", "higher", "peak signal-to-noise ratio to the range of the data; "
           "images are noisy or denoised, at a multiple of the noise in training", "denoising models",
           fixed_by=("loss.corruption",)),
    Metric("{images}_at_{level}x_ssim", "1", "higher", "structural similarity over windows of 11 pixels within the "
           "image", "denoising models of images, of 11 pixels a side or more", "Wang et al. 2004, equation 13",
           fixed_by=("loss.corruption",)),
    Metric("{images}_at_{level}x_ms_ssim", "1", "higher", "structural similarity on five scales", "denoising models of "
           "images, of 176 pixels a side or more", "Wang et al. 2003, equation 7", fixed_by=("loss.corruption",)),
    Metric("{images}_at_{level}x_squared_error", "squared units of the data", "lower", "squared error to the clean "
           "example, summed over its values", "denoising models", fixed_by=("loss.corruption",)),
    Metric("negative_elbo_nats", "nats", "lower", "negative evidence lower bound: distortion plus rate, each of weight "
           "1 and of clean examples", PRIOR, "Kingma & Welling 2014, equation 3", fixed_by=LIKELIHOOD),
    Metric("negative_elbo_bits_per_dim", "bits", "lower", "the same for each value of an example",
           f"{PRIOR}, and a likelihood that is a mass", "Kingma & Welling 2014, equation 3", fixed_by=LIKELIHOOD),
    Metric("distortion_nats", "nats", "lower", "negative log-likelihood given a drawn code of the clean example; it is "
           "reconstruction_nats where the loss has that term and corrupts nothing", PRIOR, "Alemi et al. 2018",
           fixed_by=LIKELIHOOD),
    Metric("rate_nats", "nats", "lower", "divergence of the posterior from the prior, lower is better where the "
           "distortion is as low; it is kl_nats where the loss has that term and corrupts nothing", PRIOR,
           "Alemi et al. 2018"),
    Metric("rate_layer_{layer}_nats", "nats", None, "divergence of one stochastic layer's posterior from its prior, "
           "given the layers above it that were drawn, the lowest first", "top-down hierarchies",
           "Sonderby et al. 2016"),
    Metric("nll_{samples}_nats", "nats", "lower", "negative log-likelihood, estimated by so many importance samples; "
           "on average it is too high", PRIOR, f"{BURDA}, equation 8", fixed_by=LIKELIHOOD),
    Metric("nll_{samples}_bits_per_dim", "bits", "lower", "the same for each value of an example",
           f"{PRIOR}, and a likelihood that is a mass", f"{BURDA}, equation 8", fixed_by=LIKELIHOOD),
    Metric("active_units", "units", "higher", "number of latent dimensions whose posterior mean varies with the "
           "example, by a variance above 0.01, on a sphere above 0.01 of the prior's", PRIOR, f"{BURDA}, section 5.1"),
    Metric("active_units_layer_{layer}", "units", "higher", "the same of one stochastic layer", PRIOR,
           f"{BURDA}, section 5.1"),
    Metric("mutual_information_nats", "nats", None, "what a code tells about which example it came from; at most the "
           "log of the number of examples", "models with a prior and a normal posterior", HOFFMAN, math.log),
    Metric("marginal_kl_nats", "nats", "lower", "divergence of the aggregate posterior from the prior",
           "models with a prior and a normal posterior", HOFFMAN),
    Metric("total_correlation_nats", "nats", "lower", "divergence of the aggregate posterior from the product of its "
           "dimensions", "models with a standard normal prior and a normal posterior", CHEN),
    Metric("dimension_kl_nats", "nats", "lower", "sum over dimensions of the divergence of the aggregate posterior "
           "from the prior", "models with a standard normal prior and a normal posterior", CHEN),
    Metric("l0", "units", "lower", "mean number of active units of an example; lower is better where fvu is as low",
           SPARSE),
    Metric("fvu", "share", "lower", "fraction of variance unexplained by the reconstruction; 1 is that of the mean "
           "example", SPARSE),
    Metric("explained_variance", "share", "higher", "what fvu is short of 1; 0 is that of the mean example", SPARSE),
    Metric("dead_units", "units", "lower", "number of units that are active for no example", SPARSE),
    Metric("dead_share_over_{examples}_examples", "share", "lower", "share of units that are active for none of so "
           "many examples: the more are looked at, the lower it is", SPARSE),
    Metric("density_median", "share", None, "share of examples for which the middle unit is active, of all units by "
           "that share", SPARSE),
    Metric("dense_units", "units", "lower", "number of units that are active for more than a tenth of the examples",
           SPARSE),
    Metric("shrinkage", "1", None, "mean length of a reconstruction over that of its example; 1 is best, and below it "
           "reconstructions are too small", SPARSE, "Wright & Sharkey 2024"),
    Metric("mmcs", "share", "higher", "mean over the known features of the cosine to the nearest row of the decoder",
           DICTIONARY, "Sharkey et al. 2022"),
    Metric("mcc", "share", "higher", "mean absolute cosine of features and rows in the best matching of one to one",
           DICTIONARY, "O'Neill et al. 2024"),
    Metric("uniqueness", "share", "higher", "number of features that are the nearest one of some unit, as a share of "
           "the units", DICTIONARY),
    Metric("feature_f1", "share", "higher", "mean over the known features of the F1 with which the unit of the nearest "
           "row tells when a feature is active", DICTIONARY),
    Metric("true_l0", "units", None, "mean number of known features that are active in an example", DICTIONARY),
    Metric("mean_activation", "units of the code", None, "mean code over units and examples", SPARSE),
    Metric("mean_activation_lowest_unit", "units of the code", None, "lowest mean code of a unit", SPARSE),
    Metric("mean_activation_highest_unit", "units of the code", None, "highest mean code of a unit", SPARSE),
    Metric("perplexity", "codes", "higher", "e to the entropy of how often codes are used: 1 for a single code, their "
           "number where all are used alike", CODEBOOK, "van den Oord et al. 2017"),
    Metric("dead_codes", "codes", "lower", "number of codes that are never used", CODEBOOK),
    Metric("index_bits", "bits an example", "lower", "length of an example's indices, all of one length", CODEBOOK),
    Metric("index_entropy_bits", "bits an example", None, "least length of an example's indices, where slots are coded "
           "one by one", CODEBOOK),
    Metric("code_prior_bits", "bits an example", "lower", "length of an example's indices, coded by a prior that was "
           "fitted to them: each given those before it", "discrete codes with a prior that `aejax sampler` has fitted"),
    Metric("mig", "share", "higher", "mutual information gap: by how much the latent that knows most of a factor leads "
           "the second, as a share of the factor's entropy", FACTORS, "Chen et al. 2018, equation 6"),
    Metric("sap", "share", "higher", "separated attribute predictability: by how much the latent that predicts a "
           "factor best leads the second", FACTORS, "Kumar et al. 2018, section 3"),
    Metric("dci_disentanglement", "share", "higher", "how far each latent is used for one factor alone", FACTORS,
           "Eastwood & Williams 2018, section 2"),
    Metric("dci_completeness", "share", "higher", "how far each factor is predicted from one latent alone", FACTORS,
           "Eastwood & Williams 2018, section 2"),
    Metric("dci_informativeness", "share", "higher", "accuracy with which trees predict the factors", FACTORS,
           "Eastwood & Williams 2018, section 2"),
    Metric("beta_vae_score", "share", "higher", "accuracy with which a linear classifier names the factor that pairs "
           "have in common", FACTORS, "Higgins et al. 2017, section 3"),
    Metric("factor_vae_score", "share", "higher", "accuracy with which a majority vote names the factor that a batch "
           "has in common", FACTORS, "Kim & Mnih 2018, section 4"),
    Metric("fd_{features}", "squared units of the features", "lower", "squared Frechet distance of normal "
           "distributions with the moments of generated and of real examples' features; of fewer examples it is higher",
           SAMPLED, "Heusel et al. 2017, equation 6", fixed_by=HELD_OUT),
    Metric("kid_{features}", "1", "lower", "squared maximum mean discrepancy of generated and real examples under a "
           "cubic kernel of their features, without bias", SAMPLED, "Binkowski et al. 2018, section 4",
           fixed_by=HELD_OUT),
    Metric("kid_deviation_{features}", "1", None, "standard deviation of the kernel distance, from its blocks of 1,000 "
           "examples", SAMPLED, "Binkowski et al. 2018, appendix D"),
    Metric("precision_{features}", "share", "higher", "share of generated examples that lie no further from a real one "
           "than its fifth neighbour does", SAMPLED, PRECISION, fixed_by=HELD_OUT),
    Metric("recall_{features}", "share", "higher", "share of real examples that lie no further from a generated one "
           "than its fifth neighbour does", SAMPLED, PRECISION, fixed_by=HELD_OUT),
    Metric("density_{features}", "1", "higher", "number of real examples, over 5, that are no nearer to their fifth "
           "neighbour than to a generated example; that of real ones is 1, and more is possible", SAMPLED, NAEEM,
           fixed_by=HELD_OUT),
    Metric("coverage_{features}", "share", "higher", "share of real examples that are no nearer to their fifth "
           "neighbour than to some generated example", SAMPLED, NAEEM, fixed_by=HELD_OUT),
    Metric("c2st_{features}", "share", "lower", "accuracy with which a classifier tells generated examples from real "
           "ones that it has not seen; where it cannot, a half", SAMPLED, "Lopez-Paz & Oquab 2017, section 3",
           fixed_by=HELD_OUT),
    Metric("codes_c2st", "share", "lower", "accuracy with which a classifier tells codes from draws of the prior "
           "that it has not seen; where it cannot, a half", "models with a prior and codes without a density",
           "Lopez-Paz & Oquab 2017, section 3"),
    Metric("generated_examples", "examples", None, "number of generated examples, and of real ones, that were compared",
           SAMPLED),
    Metric("auroc", "share", "higher", "probability that an outlier scores above a normal example",
           "data that flag outliers", "Hanley & McNeil 1982"),
    Metric("average_precision", "share", "higher", "precision summed over the steps of recall",
           "data that flag outliers"),
    Metric("accuracy", "share", "higher", "share of labels that are predicted", LABELS),
    Metric("{probe}_accuracy", "share", "higher", "share of labels that a probe of the codes predicts", LABELS),
    Metric("error", "share", "lower", "share of labels that a fine-tuned classifier gets wrong", LABELS),
    Metric("kmeans_nmi", "share", "higher", "normalised mutual information of clusters and classes", LABELS),
]  # fmt: skip

_ONE_NUMBER = {
    "distortion_nats": "reconstruction_nats",
    "rate_nats": "kl_nats",
    "reconstruction_nats_per_value": "reconstruction_nats_per_pixel",
    "squared_error_per_value": "squared_error_per_pixel",
}
"""Names of parts of the bound, and of the terms of a loss that are the same number where the loss has them; names of
what is measured per value, and those that it has where the examples are images, and had in older runs."""


def declared() -> tuple[Metric, ...]:
    """Returns all metrics that are declared."""
    return tuple(_METRICS)


def declare(metric: Metric) -> Metric:
    """Declares a metric of the user's own, in place of one of the same name, and returns it."""
    _METRICS[:] = [*(other for other in _METRICS if other.name != metric.name), metric]
    return metric


def describe(name: str, terms: Collection[str] = ()) -> Metric | None:
    """Returns the declaration of a metric, or None where it has none.

    Args:
        name: the name, as results have it.
        terms: the names of the loss's terms, each of which is measured as NAME_nats.
    """
    exact = next((metric for metric in _METRICS if metric.name == name), None)
    if exact is not None:
        return exact
    if name.removesuffix("_nats") in terms and name.endswith("_nats"):
        return describe("{term}_nats")
    patterns = (metric for metric in _METRICS if "{" in metric.name and metric.name != "{term}_nats")
    return next((metric for metric in patterns if _pattern(metric.name).fullmatch(name)), None)


def direction(name: str, terms: Collection[str] = (), given: Better | None = None) -> Better:
    """Returns which values of a metric are better, which whatever ranks by it must know.

    Args:
        name: the metric's name.
        terms: the names of the loss's terms.
        given: what the user says; None: what the metric's declaration says.

    Raises:
        InputError: where neither says it.
    """
    metric = describe(name, terms)
    if given is None and (metric is None or metric.better is None):
        why = "is not known" if metric is None else "is better neither lower nor higher by itself"
        raise InputError(f"the metric {name} {why}: give --minimize or --maximize (in Python better='lower', 'higher')")
    return given or metric.better  # type: ignore[union-attr, return-value]


def at_ceiling(metrics: Mapping[str, float], examples: int) -> dict[str, float]:
    """Returns the ceilings of those metrics that are near them, by name: of these the truth may be anything above.

    Args:
        metrics: the metrics, by name.
        examples: the number of examples that were measured.
    """
    known = {name: describe(name) for name in metrics}
    ceilings = {name: metric.ceiling(examples) for name, metric in known.items() if metric and metric.ceiling}
    return {name: ceiling for name, ceiling in ceilings.items() if metrics[name] > ceiling - NEAR}


def fixed_by(name: str, terms: Collection[str] = ()) -> tuple[str, ...]:
    """Returns the paths of the settings that are part of what a metric measures: see `Metric.fixed_by`.

    Args:
        name: the metric's name.
        terms: the names of the loss's terms.
    """
    metric = describe(name, terms)
    term = re.sub(r"(_nats)?_per_(pixel|value)$|_bits_per_dim$|_nats$|_units$", "", name)
    return () if metric is None else tuple(path.replace("{term}", term) for path in metric.fixed_by)


def labelled(name: str, better: Better | None) -> str:
    """Returns the name with an arrow, up where higher values are better and down where lower ones are."""
    return name if better is None else f"{name} {'↑' if better == 'higher' else '↓'}"


def named_in(name: str, measured: Collection[str]) -> str | None:
    """Returns the name that a metric has among measured ones; None where it is not there.

    The distortion and the rate of a bound are measured under the names of the loss's terms where these are the same
    numbers; each name finds the other.
    """
    others = _ONE_NUMBER | {term: part for part, term in _ONE_NUMBER.items()}
    return next((known for known in (name, others.get(name)) if known in measured), None)


@cache
def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{\w+\\}", r"[\\w.-]+", re.escape(name)))
