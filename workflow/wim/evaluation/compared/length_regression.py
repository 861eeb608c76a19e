"""The regression of length-controlled win rates, on soft scores with an L1 penalty.

As AlpacaEval 2 fits it: liblinear without an intercept, the penalty by cross-validation over five
folds of rows, by the log-loss of the soft scores.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

# What decides the published fit.
FOLDS, STRENGTHS, SEED = 5, 10, 123
NOT_CONVERGED = "the regression has not converged"


@dataclass(frozen=True)
class Rows:
    """What is fitted: features (n, columns), scores (n,) in 0..1 and weights (n,)."""

    features: "Array"
    scores: "Array"
    weights: "Array"

    def after(self, before: "Rows | None") -> "Rows":
        """Other rows and then these; the order decides the folds."""
        import numpy as np

        if before is None:
            return self
        return Rows(
            np.concatenate([before.features, self.features]),
            np.concatenate([before.scores, self.scores]),
            np.concatenate([before.weights, self.weights]),
        )

    @property
    def has_both(self) -> bool:
        """Whether both outcomes occur, without which there is no fit."""
        weighted = self.scores[self.weights > 0]
        return bool((weighted > 0).any() and (weighted < 1).any())

    def doubled(self) -> "tuple[Array, Array, Array]":
        """Each row with y = 1, then each with y = 0: features, labels, weights."""
        import numpy as np

        n = len(self.scores)
        features = np.concatenate([self.features, self.features])
        labels = np.concatenate([np.ones(n, np.int64), np.zeros(n, np.int64)])
        shares = np.concatenate([self.scores, 1 - self.scores])
        return features, labels, shares * np.concatenate([self.weights, self.weights])


def every_fold_has_both(rows: Rows) -> bool:
    """Whether each fold leaves rows of both outcomes to fit."""
    import numpy as np
    from sklearn.model_selection import GroupKFold

    folds = GroupKFold(FOLDS).split(np.tile(rows.scores, 2), groups=_groups(rows))
    n = len(rows.scores)
    return all(
        Rows(rows.features[some], rows.scores[some], rows.weights[some]).has_both
        for some in (np.unique(fitted % n) for fitted, _ in folds)
    )


def _groups(rows: Rows) -> "Array":
    import numpy as np

    return np.tile(np.arange(len(rows.scores)), 2)


def fit(rows: Rows) -> "tuple[Array, float, tuple[str, ...]]":
    """The weights (columns,), the C that cross-validation chose, and notes."""
    import warnings

    import numpy as np
    from sklearn import config_context
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.metrics import make_scorer
    from sklearn.model_selection import GroupKFold

    features, labels, weights = rows.doubled()
    with (
        warnings.catch_warnings(category=ConvergenceWarning, record=True) as warned,
        config_context(enable_metadata_routing=True),
    ):
        warnings.simplefilter("always", ConvergenceWarning)
        scorer = make_scorer(
            _log_loss, response_method="predict_proba", greater_is_better=False
        ).set_score_request(scores=True, weights=True)
        model = LogisticRegressionCV(
            Cs=STRENGTHS,
            cv=GroupKFold(FOLDS),
            scoring=scorer,
            use_legacy_attributes=False,
            **_liblinear(l1_ratios=(1,)),
        ).fit(
            features,
            labels,
            sample_weight=weights,
            groups=_groups(rows),
            scores=np.tile(rows.scores, 2),
            weights=np.tile(rows.weights, 2),
        )
    return model.coef_[0], float(model.C_), (NOT_CONVERGED,) if warned else ()


def _liblinear(**options: object) -> dict[str, Any]:
    return {"solver": "liblinear", "fit_intercept": False, "random_state": SEED, **options}


def _log_loss(y_true: "Array", y_pred: "Array", *, scores: "Array", weights: "Array") -> float:
    """The mean weighted log-loss of predictions of y = 1 against scores in 0..1."""
    import numpy as np

    bounded = np.clip(y_pred, 1e-15, 1 - 1e-15)
    loss = scores * np.log(bounded) + (1 - scores) * np.log(1 - bounded)
    return float(-(loss * weights).mean())


def refitted(rows: Rows, penalty: float) -> "Array":
    """The weights (columns,) at a penalty C that is already chosen."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    features, labels, weights = rows.doubled()
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        model = LogisticRegression(C=penalty, **_liblinear(l1_ratio=1)).fit(
            features, labels, sample_weight=weights
        )
    fitted: Array = model.coef_[0]
    return fitted


def logistic(logits: "Array") -> "Array":
    """1 / (1 + exp(-logit))."""
    from scipy.special import expit

    shares: Array = expit(logits)
    return shares
