"""What networks are built of: values against loops, mpmath and NumPy; statistics of the initialisers; what refusals say."""

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from scipy import stats

from adjudge import Program, certify
from adjudge.oracle import reference

ref: Any = reference
nnet = ref.nnet

#: No sample here, whose seeds are fixed, is as unlikely as that.
UNLIKELY = 1e-3

# -- windows: small whole numbers, so that equal means equal -------------------------------------------------------------------


def whole(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-3, 4, shape).astype(float)


def by_loops(x: np.ndarray, w: np.ndarray, stride: int, padding: int, dilation: int) -> np.ndarray:
    """A convolution as its definition has it."""
    axes = x.ndim - 2
    x = np.pad(x, [(0, 0), (0, 0)] + [(padding, padding)] * axes)
    fit = [(n - (k - 1) * dilation - 1) // stride + 1 for n, k in zip(x.shape[2:], w.shape[2:], strict=True)]
    out = np.zeros((len(x), len(w), *fit))
    for image, bank, *at in np.ndindex(*out.shape):
        for channel, *tap in np.ndindex(*w.shape[1:]):
            place = [a * stride + t * dilation for a, t in zip(at, tap, strict=True)]
            out[(image, bank, *at)] += x[(image, channel, *place)] * w[(bank, channel, *tap)]
    return out


@pytest.mark.parametrize(
    ("images", "filters", "stride", "padding", "dilation"),
    [
        ((2, 3, 7), (4, 3, 3), 1, 0, 1),
        ((1, 1, 7), (2, 1, 3), 2, 0, 1),
        ((1, 2, 7), (1, 2, 3), 1, 1, 2),
        ((2, 2, 5, 4), (3, 2, 2, 3), 1, 0, 1),
        ((1, 2, 5, 7), (2, 2, 3, 3), 2, 1, 1),
        ((1, 1, 5, 5), (1, 1, 2, 2), 1, 0, 3),
        ((1, 2, 3, 3, 4), (2, 2, 2, 2, 2), 1, 0, 1),
        ((1, 1, 3, 3, 3), (1, 1, 2, 2, 2), 1, 1, 2),
    ],
)
def test_a_convolution_is_what_its_definition_says(
    images: tuple[int, ...], filters: tuple[int, ...], stride: int, padding: int, dilation: int
) -> None:
    x, w = whole(images), whole(filters, 1)
    tx, tw = ref.tensor(x), ref.tensor(w)
    y = nnet.conv_nd(tx, tw, stride=stride, padding=padding, dilation=dilation)
    assert np.array_equal(y.data, by_loops(x, w, stride, padding, dilation))
    # A product's gradient is what is left of it when one factor is a unit array: asked of a few elements.
    y.backward()
    for place in list(np.ndindex(*w.shape))[:: max(1, w.size // 5)]:
        unit = np.zeros_like(w)
        unit[place] = 1
        assert tw.grad[place] == by_loops(x, unit, stride, padding, dilation).sum()
    for place in list(np.ndindex(*x.shape))[:: max(1, x.size // 5)]:
        unit = np.zeros_like(x)
        unit[place] = 1
        assert tx.grad[place] == by_loops(unit, w, stride, padding, dilation).sum()


@pytest.mark.parametrize(("pool", "stride"), [((2,), 1), ((2, 2), 2), ((3, 2), (1, 2)), ((2, 2, 2), 2)])
def test_pooling_takes_the_largest_of_every_window(pool: tuple[int, ...], stride: Any) -> None:
    x = np.random.default_rng(0).permutation(2 * 4 * 5 * 4).reshape(2, 4, 5, 4)[..., :5, :].astype(float)
    x = x[:, :, : 4 if len(pool) == 3 or pool == (2, 2) else 5]
    steps = (stride,) * len(pool) if isinstance(stride, int) else stride
    every: Any = np.lib.stride_tricks.sliding_window_view(x, pool, tuple(range(x.ndim - len(pool), x.ndim)))
    every = every[(..., *(slice(None, None, s) for s in steps), *(slice(None),) * len(pool))]
    t = ref.tensor(x)
    y = nnet.max_pool(t, pool, stride)
    assert np.array_equal(y.data, every.max(tuple(range(-len(pool), 0))))
    y.backward()
    assert t.grad.sum() == y.size  # every window gives its one to its largest
    assert set(x[t.grad > 0]) == set(y.data.ravel())


@pytest.mark.parametrize(("window", "step", "dilation"), [((2,), 1, None), ((2, 3), (1, 2), None), ((2, 2), 2, (1, 2))])
def test_windows_slide(window: tuple[int, ...], step: Any, dilation: Any) -> None:
    x = np.arange(60.0).reshape(3, 4, 5)
    steps, apart = (np.broadcast_to(1 if v is None else v, len(window)).tolist() for v in (step, dilation))
    axes = tuple(range(3 - len(window), 3))
    reach = [(w - 1) * d + 1 for w, d in zip(window, apart, strict=True)]
    every: Any = np.lib.stride_tricks.sliding_window_view(x, reach, axes)
    every = every[(..., *(slice(None, None, s) for s in steps), *(slice(None, None, d) for d in apart))]
    lead = 3 - len(window)
    expected = np.moveaxis(every, range(lead), range(len(window), 3))
    t = ref.tensor(x)
    y = ref.sliding_window_view(t, window, step, dilation)
    assert np.array_equal(y.data, expected)
    y.backward()
    assert t.grad.sum() == y.size


# -- formulas: mpmath is the witness -------------------------------------------------------------------------------------------

Mp = Any
X = np.array([[0.5, -1.25, 3.0], [2.0, 2.25, -40.0]])
LABELS = np.array([2, 0])


def softmax(row: list[Mp]) -> list[Mp]:
    return [mpmath.exp(v) / mpmath.fsum(map(mpmath.exp, row)) for v in row]


def sigmoid(v: Mp) -> Mp:
    return 1 / (1 + mpmath.exp(-v))


def cross_entropy(x: list[list[Mp]]) -> Mp:
    return -mpmath.fsum(mpmath.log(softmax(r)[n]) for r, n in zip(x, LABELS.tolist(), strict=True)) / len(x)


def hinge(x: list[list[Mp]]) -> Mp:
    short = [max(0, v - r[n] + 1) for r, n in zip(x, LABELS.tolist(), strict=True) for j, v in enumerate(r) if j != n]
    return mpmath.fsum(short) / len(x)


def focal(x: list[list[Mp]]) -> list[Mp]:
    chosen = [softmax(r)[n] for r, n in zip(x, LABELS.tolist(), strict=True)]
    return [-((1 - p) ** 2) * mpmath.log(p) / 4 for p in chosen]


def batchnorm(x: list[list[Mp]]) -> list[list[Mp]]:
    columns = list(zip(*x, strict=True))
    mean = [mpmath.fsum(c) / len(c) for c in columns]
    var = [mpmath.fsum((v - m) ** 2 for v in c) / len(c) for c, m in zip(columns, mean, strict=True)]
    return [[(v - m) / mpmath.sqrt(s + mpmath.mpf(0.125)) for v, m, s in zip(r, mean, var, strict=True)] for r in x]


WITNESSED: dict[str, tuple[str, list[Any], dict[str, Any], Callable[[list[list[Mp]]], Any]]] = {
    "softmax": ("softmax", [], {}, lambda x: [softmax(r) for r in x]),
    "logsoftmax": ("logsoftmax", [], {}, lambda x: [[mpmath.log(p) for p in softmax(r)] for r in x]),
    "glu": ("glu", [], {"axis": 0}, lambda x: [[a * sigmoid(b) for a, b in zip(x[0], x[1], strict=True)]]),
    "cross-entropy": ("softmax_crossentropy", [LABELS], {}, cross_entropy),
    "likelihood": (
        "negative_log_likelihood", [LABELS], {},
        lambda x: -mpmath.fsum(r[n] for r, n in zip(x, LABELS.tolist(), strict=True)) / len(x),
    ),
    "hinge": ("multiclass_hinge", [LABELS], {}, hinge),
    "focal": ("softmax_focal_loss", [LABELS], {"alpha": 0.25, "gamma": 2}, focal),
    "batchnorm": ("batchnorm", [], {"eps": 0.125, "given": []}, batchnorm),
}  # fmt: skip


@pytest.mark.parametrize("name", WITNESSED)
def test_values_are_mpmaths(name: str) -> None:
    op, beside, params, formula = WITNESSED[name]
    c = certify(Program.of([X, *beside], [(op, [*range(1 + len(beside))], params)]))
    with mpmath.workdps(80):
        expected = np.array(formula([[mpmath.mpf(v) for v in r] for r in X.tolist()]), dtype=object)
        assert c.value is not None
        assert c.value.balls.shape == expected.shape
        for ball, number in zip(np.ravel(c.value.balls), np.ravel(expected), strict=True):
            assert abs(mpmath.mpf(ball.mid().str(60, radius=False)) - number) <= mpmath.mpf(10) ** -28 * (1 + abs(number))


def test_a_gated_recurrent_unit_is_what_its_paper_says() -> None:
    draw = np.random.default_rng(1)
    t, n, c, d = 3, 2, 2, 3
    shapes = [(t, n, c), *((c, d), (d, d), (d,)) * 3, (n, d)]
    arrays = [np.round(draw.normal(size=shape), 2) for shape in shapes]
    program = Program.of(arrays, [("gru", [*range(11)])])
    found = certify(program).value
    assert found is not None
    with mpmath.workdps(60):
        exact = [np.vectorize(mpmath.mpf, otypes=[object])(a) for a in arrays]
        x, (uz, wz, bz, ur, wr, br, uh, wh, bh), s = exact[0], exact[1:10], exact[10]
        sig, tanh = (np.vectorize(f, otypes=[object]) for f in (sigmoid, mpmath.tanh))
        states = [s]
        for now in x:
            z, r = sig(now.dot(uz) + s.dot(wz) + bz), sig(now.dot(ur) + s.dot(wr) + br)
            s = (1 - z) * tanh(now.dot(uh) + (r * s).dot(wh) + bh) + z * s
            states.append(s)
        for ball, number in zip(np.ravel(found.balls), np.ravel(np.stack(states)), strict=True):
            assert abs(mpmath.mpf(ball.mid().str(50, radius=False)) - number) <= mpmath.mpf(10) ** -28


def test_what_drops_out_of_a_recurrent_unit_is_scaled_up_elsewhere() -> None:
    units, share = 2000, 0.25
    zeros, shut = np.zeros((units, units)), np.full(units, -1e4)
    gates = [zeros[:1], zeros, shut, zeros[:1], zeros, shut, np.full((1, units), 2.0**-10), zeros, zeros[0]]
    ref.random.seed(3)
    state = nnet.gru(np.ones((1, 1, 1)), *gates, dropout=share).data[1, 0]  # the candidate alone, tanh of the product
    assert set(state) == {0.0, np.tanh(2.0**-10 / (1 - share))}
    assert stats.binomtest(int((state == 0).sum()), units, share).pvalue > UNLIKELY
    ref.random.seed(3)
    assert np.array_equal(nnet.gru(np.ones((1, 1, 1)), *gates, dropout=share).data[1, 0], state)


def test_a_limit_stops_the_cotangent_of_a_state() -> None:
    draw = np.random.default_rng(2)
    shapes = [(4, 1, 2), *((2, 2), (2, 2), (2,)) * 3]
    arrays = [draw.normal(size=shape) for shape in shapes]

    def gradient(**limit: int) -> np.ndarray:
        tensors = [ref.tensor(a) for a in arrays]
        nnet.gru(*tensors, **limit)[-1].sum().backward()
        return np.asarray(tensors[0].grad)

    limited, free = gradient(bp_lim=1), gradient()
    assert not limited[:2].any()
    assert np.array_equal(limited[3], free[3])
    assert free[0].any()


# -- initialisers: statistics of 40,000 numbers --------------------------------------------------------------------------------

#: Shape (outputs, inputs, window): 100 * 4 numbers go in, 100 * 4 come out.
SHAPE = (100, 100, 4)
DISTRIBUTIONS = {
    "normal": ({"mean": 1, "std": 2}, stats.norm(1, 2)),
    "uniform": ({"lower_bound": -1, "upper_bound": 3}, stats.uniform(-1, 4)),
    "glorot_normal": ({"gain": 2}, stats.norm(0, 2 * np.sqrt(2 / 800))),
    "glorot_uniform": ({}, stats.uniform(-np.sqrt(6 / 800), 2 * np.sqrt(6 / 800))),
    "he_normal": ({"gain": 2}, stats.norm(0, 2 / np.sqrt(400))),
    "he_uniform": ({}, stats.uniform(-np.sqrt(3 / 400), 2 * np.sqrt(3 / 400))),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_weights_are_distributed_as_their_papers_say(name: str) -> None:
    params, distribution = DISTRIBUTIONS[name]
    ref.random.seed(0)
    w = getattr(nnet.initializers, name)(*SHAPE, **params)
    assert w.shape == SHAPE
    assert w.dtype == np.float32
    assert stats.kstest(w.data.ravel().astype(float), distribution.cdf).pvalue > UNLIKELY
    # the check can fail: a spread off by a twentieth is seen in so many numbers
    assert stats.kstest(1.05 * w.data.ravel().astype(float), distribution.cdf).pvalue < UNLIKELY
    ref.random.seed(0)
    assert np.array_equal(getattr(nnet.initializers, name)(SHAPE, **params).data, w.data)


def test_weights_that_are_not_random() -> None:
    assert np.array_equal(nnet.initializers.constant(2, 3, value=1.5).data, np.full((2, 3), 1.5))
    assert np.array_equal(nnet.initializers.identity(3).data, np.eye(3))
    image = whole((1, 2, 5))
    assert np.array_equal(nnet.conv_nd(image, nnet.initializers.dirac(2, 2, 3), stride=1, padding=1).data, image)


# -- refusals ------------------------------------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "channels": (lambda: nnet.conv_nd(np.ones((1, 2, 3)), np.ones((1, 3, 2)), stride=1), ValueError, "number of channels"),
    "stride": (lambda: nnet.conv_nd(np.ones((1, 1, 4)), np.ones((1, 1, 2)), stride=0), ValueError, "stride=0"),
    "settings": (
        lambda: nnet.conv_nd(np.ones((1, 1, 4)), np.ones((1, 1, 2)), stride=(1, 1)), ValueError, "each of the 1 axes",
    ),
    "left over": (lambda: nnet.conv_nd(np.ones((1, 1, 4)), np.ones((1, 1, 3)), stride=2), ValueError, "stride must divide"),
    "pool": (lambda: nnet.max_pool(np.ones(3), (2, 2), 1), ValueError, "at most 1"),
    "batch": (lambda: nnet.batchnorm(np.ones(3), eps=1e-3), ValueError, r"must be of shape \(N, C"),
    "gamma": (lambda: nnet.batchnorm(np.ones((2, 3)), gamma=np.ones(2), eps=1e-3), ValueError, r"gamma of shape \(2,\)"),
    "halves": (lambda: nnet.glu(np.ones((2, 3))), ValueError, "must be even"),
    "labels": (lambda: nnet.softmax_crossentropy(np.ones((2, 3)), np.array([0, 3])), ValueError, "from 0 to one less"),
    "floats": (lambda: nnet.softmax_crossentropy(np.ones((2, 3)), np.array([0.0, 1.0])), TypeError, "give integers"),
    "dropout": (lambda: nnet.gru(*[np.ones((1, 1, 1))] * 10, dropout=1.0), ValueError, "dropout=1.0"),
    "limit": (lambda: nnet.gru(*[np.ones((1, 1, 1))] * 10, bp_lim=4), ValueError, "bp_lim=4"),
    "axes": (lambda: nnet.he_normal(3), ValueError, "at least 2 axes"),
    "integers": (lambda: nnet.normal(2, 2, dtype=int), ValueError, "give a float dtype"),
    "bounds": (lambda: nnet.uniform(2, lower_bound=1, upper_bound=1), ValueError, "below the upper"),
    "window": (lambda: ref.sliding_window_view(np.ones(3), (4,), 1), ValueError, "do not fit"),
    "unknown": (lambda: nnet.swish, AttributeError, "no 'swish'"),
    "argument": (lambda: nnet.relu(np.ones(2), slope=1), TypeError, "relu"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_makes_no_sense_is_refused_in_a_sentence(name: str) -> None:
    call, kind, said = REFUSED[name]
    with pytest.raises(kind, match=said):
        call()


def test_constants_make_constants() -> None:
    x = ref.tensor([[1.0, 2.0]], constant=True)
    assert nnet.softmax(x).constant
    assert not nnet.softmax(ref.tensor([[1.0, 2.0]])).constant
    assert nnet.relu(ref.tensor([1.0]), constant=True).constant
