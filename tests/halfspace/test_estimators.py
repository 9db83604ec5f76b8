"""The scikit-learn classifiers: scikit-learn's own checks, and what those cannot see."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from jaxrobust import halfspace
from jaxrobust.halfspace import _fit, decision_list
from jaxrobust.halfspace.estimators import (
    DecisionListClassifier,
    FilterTronClassifier,
    HalfspaceClassifier,
)

QUICK = [
    HalfspaceClassifier(steps=2000, random_state=0),
    FilterTronClassifier(steps=300, random_state=0),
    DecisionListClassifier(rounds=3, steps=100, random_state=0),
]
names = [type(model).__name__ for model in QUICK]


def changed(model, **parameters):
    return type(model)(**{**model.get_params(), **parameters})


def table(n=120):
    """Separable points away from the origin, in units of their own, in both classes."""
    rng = np.random.default_rng(1)
    side = np.where(np.arange(n) % 3 == 0, 1, -1)
    X = rng.uniform(-1, 1, (n, 3))
    X[:, 0] = side * rng.uniform(0.3, 1, n)
    return 5 * X + np.array([2.0, -1.0, 3.0]), side


@parametrize_with_checks(QUICK)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("model", QUICK, ids=names)
def test_separable_points_are_separated(model):
    X, side = table()
    if "eps" in model.get_params():
        model = changed(model, eps=1e-3)  # a share of .001 of 120 rows: none may be wrong
    # Hold-out keeps the first iterate without a mistake on a few rows: not yet one without any.
    model = changed(model, eta=0.0, choice="last")
    assert model.fit(X, side).score(X, side) == 1.0


@pytest.mark.parametrize("model", QUICK, ids=names)
def test_any_two_labels_give_the_same_predictions(model):
    X, side = table()
    said = changed(model).fit(X, side).predict(X) == 1
    for y in (side > 0, (side + 1) // 2, np.where(side > 0, "b", "a"), 1.5 * side - 0.5):
        fitted = changed(model).fit(X, y.astype(object) if y.dtype.kind == "U" else y)
        assert not fitted.__sklearn_tags__().classifier_tags.multi_class
        assert fitted.predict(X).dtype == fitted.classes_.dtype
        np.testing.assert_array_equal(fitted.predict(X) == fitted.classes_[1], said)


@pytest.mark.parametrize("model", QUICK[:2], ids=names[:2])
@pytest.mark.parametrize("intercept", [True, False])
def test_weights_are_in_the_users_units(model, intercept):
    X, side = table()
    one = changed(model, fit_intercept=intercept).fit(X, side)
    many = changed(model, fit_intercept=intercept).fit(1024 * X, side)
    np.testing.assert_array_equal(1024 * many.coef_, one.coef_)
    np.testing.assert_array_equal(many.intercept_, one.intercept_)
    assert one.coef_.shape == (1, 3)
    assert one.intercept_.shape == (1,)
    assert (one.intercept_[0] != 0) == intercept
    scores = X @ one.coef_[0] + one.intercept_[0]
    np.testing.assert_allclose(one.decision_function(X), scores, atol=1e-14)


def test_the_whole_fit_is_the_learner_of_the_library():
    """One pass, last iterate: `trajectory.over` on the same rows, put in the ball by hand."""
    X, side = table()
    options = {"rule": "leaky", "eta": 0.2, "gamma": 0.1}
    model = HalfspaceClassifier(
        steps=120, snapshots=4, choice="last", step=0.3, random_state=7, **options
    )
    model.fit(X, side)
    rng = np.random.default_rng(np.random.RandomState(7).randint(2**31 - 1))
    rows = rng.permuted(np.arange(120, dtype=np.int32)[None], axis=1)[0]
    R = np.linalg.norm(X, axis=1).max()
    x = np.column_stack([X / R, np.ones(120)]) / np.sqrt(2)
    path = halfspace.over(x[rows], side[rows], mu=0.3, snapshots=4, **options)
    w = np.append(model.coef_[0] * R, model.intercept_) * np.sqrt(2)
    np.testing.assert_allclose(w, path.w[-1], atol=1e-13)
    average = changed(model, choice="average").fit(X, side)
    w = np.append(average.coef_[0] * R, average.intercept_) * np.sqrt(2)
    np.testing.assert_allclose(w, path.average[-1], atol=1e-13)


@pytest.mark.parametrize("choice", _fit.CHOICES)
def test_padding_changes_nothing(choice, monkeypatch):
    X, side = table(100)
    noisy = np.where(np.arange(100) % 7 == 0, -side, side)
    model = HalfspaceClassifier(choice=choice, eta=0.2, gamma=0.1, steps=600, random_state=0)
    before = model.fit(X, noisy).decision_function(X)
    monkeypatch.setattr(_fit, "size", lambda n: 3 * n + 1)
    after = model.fit(X, noisy).decision_function(X)
    np.testing.assert_array_equal(before > 0, after > 0)
    np.testing.assert_allclose(before, after, atol=1e-12)


@pytest.fixture(scope="module")
def lever():
    it = halfspace.lever(0.05, 0.3)
    return it, *(np.asarray(v) for v in it.draw(jax.random.key(0), 20_000))


@pytest.mark.parametrize(
    ("rule", "choice", "low", "high"),
    [
        ("normalized", "holdout", 0.059, 0.07),
        ("normalized", "average", 0.059, 0.07),
        ("normalized_max", "last", 0.059, 0.07),
        ("logistic", "average", 0.3, 1.0),
        ("leaky", "average", 0.3, 1.0),
    ],
)
def test_lever_separates_the_rules(lever, rule, choice, low, high):
    it, X, y = lever
    model = HalfspaceClassifier(rule, choice=choice, fit_intercept=False, random_state=0)
    error = it.error(jnp.asarray(model.fit(X, y).coef_[0]))
    assert low < error < high


@pytest.mark.parametrize("kind", [FilterTronClassifier, DecisionListClassifier])
def test_rivals_stand_up_to_lever_too(lever, kind):
    it, X, y = lever
    model = kind(fit_intercept=False, random_state=0).fit(X[:2000], y[:2000])
    says = it.error_of(lambda x: jnp.asarray(model.predict(np.asarray(x))))
    assert 0.059 < says < 0.1


def test_the_list_predicts_as_the_library_does(lever):
    _, X, y = lever
    model = DecisionListClassifier(choice="last", fit_intercept=False).fit(X[:1600], y[:1600])
    R = np.linalg.norm(X[:1600], axis=1).max()
    x, signs = jnp.asarray(X[:1600] / R), jnp.asarray(y[:1600])
    rules = _fit.rule_list(x, signs, 0.35, 0.02, 1.0, rounds=10, steps=500)
    np.testing.assert_array_equal(model.predict(X[:1600]), decision_list.predict(rules, x))
    assert model.thresholds_.size == rules.used.sum()
    # What is held out chooses a prefix: here the best on labels that the list has not seen.
    w, thresholds = np.asarray(rules.w), np.asarray(rules.threshold)
    says = decision_list.prefixes(rules, jnp.asarray(X[1600:2000] / R))[: rules.used.sum()]
    for k, expected in enumerate(says):
        z = X[1600:2000] / R @ w[: k + 1].T
        np.testing.assert_array_equal(_fit.first_rule(z, thresholds[: k + 1]), expected)


def test_pipeline_grid_search():
    X, side = table()
    pipe = make_pipeline(StandardScaler(), HalfspaceClassifier(steps=500, random_state=0))
    search = GridSearchCV(pipe, {"halfspaceclassifier__gamma": [0.5, 0.05]}, cv=2)
    assert search.fit(X, np.where(side > 0, "yes", "no")).best_score_ > 0.9


def test_float32_suffices():
    X, side = table()
    with jax.enable_x64(False):
        for model in QUICK:
            fitted = changed(model, eta=0.1).fit(1e30 * X, side)
            assert np.isfinite(fitted.coef_).all()
            assert fitted.score(1e30 * X, side) > 0.9


BAD = [
    (HalfspaceClassifier(gamma=0.0), "gamma must lie in"),
    (HalfspaceClassifier(gamma=-1), "gamma must lie in"),
    (HalfspaceClassifier(gamma=50), r"gamma must lie in \(0, 1\), got 50"),
    (HalfspaceClassifier(gamma="small"), "gamma must hold real"),
    (HalfspaceClassifier(eta=0.5), "eta must lie in"),
    (HalfspaceClassifier(eta=-0.1), "eta must lie in"),
    (HalfspaceClassifier(eta=[0.1, 0.2]), "eta must have shape"),
    (HalfspaceClassifier("svm"), "rule must be one of normalized"),
    (HalfspaceClassifier(step="big"), "step must"),
    (HalfspaceClassifier(step=0), "step must"),
    (HalfspaceClassifier(steps=0), "steps must"),
    (HalfspaceClassifier(snapshots=2.5), "snapshots must"),
    (HalfspaceClassifier(holdout=1.0), "holdout must"),
    (HalfspaceClassifier(choice="mean_iterate"), "choice must be one of holdout"),
    (HalfspaceClassifier(step=1e9), "step must lie in"),
    (HalfspaceClassifier("hinge", gamma=1e-310, steps=100), "'theory' made the weights overflow"),
    (FilterTronClassifier(eta=0.6), "eta must"),
    (FilterTronClassifier(eta=0.45, eps=0.1), "eta \\+ eps"),
    (FilterTronClassifier(eps=0.0), "eps must"),
    (FilterTronClassifier(least=0.0), "least must"),
    (FilterTronClassifier(slabs=0), "slabs must"),
    (DecisionListClassifier(rounds=0), "rounds must"),
    (DecisionListClassifier(choice="average"), "choice must be one of holdout, last"),
]


@pytest.mark.parametrize(("model", "message"), BAD)
def test_bad_parameters_are_named_at_fit(model, message):
    with pytest.raises(ValueError, match=message) as error:
        model.fit(*table())
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.ones(120), "one class only, 1.0: two are needed"),
        (np.arange(120) % 3, "Only binary classification is supported"),
        (np.linspace(0, 1, 120), "Unknown label type"),
    ],
)
def test_bad_labels_are_named_at_fit(y, message):
    for model in QUICK:
        with pytest.raises(ValueError, match=message):
            changed(model).fit(table()[0], y)


def test_nan_is_refused():
    X, side = table()
    X[3, 1] = np.nan
    with pytest.raises(ValueError, match="contains NaN"):
        HalfspaceClassifier().fit(X, side)
