"""The founding tutorial as examples that run, on the reference and on MyGrad (``python -m adjudge.tutorial``).

Every section is a doctest of ``lib``, the library under test; the numbers are the tutorial's.
"""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import sys
import tempfile
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

#: Sections that need an optional part of a library, or another library.
NEEDS = {
    "a convolution slides a kernel over a padded image": "nnet",
    "the derivative of sin(2x) cos(x) exp(-x/3) at 10,000 points makes a picture": "matplotlib",
}

#: Where a library does something else than the tutorial promises.
KNOWN_DIVERGENCES = {
    ("mygrad", "backward on a constant does nothing at all, to other results neither"): (
        "it clears the graph above the constant, so that another result of the same variable raises InvalidBackprop"
    ),
    ("mygrad", "a new operation nulls the gradient of a view, too"): (
        "the view keeps its creator, and fetches the gradient from its base again"
    ),
    ("mygrad", "null_grad nulls the gradient of a view, too"): (
        "the view keeps its creator, and fetches the gradient from its base again"
    ),
    ("mygrad", "a view stays a view after backward"): (
        "the graph that ties the view to its base is cleared: an update of either is not seen in the other"
    ),
}

TUTORIAL = {
    # -- at a glance -----------------------------------------------------------------------------------------------------------
    "the partial derivatives of xy + x**2 at (2, 4) are 8 and 2": """
        >>> x, y = lib.tensor(2.0), lib.tensor(4.0)
        >>> f = x * y + x ** 2
        >>> f
        Tensor(12.)
        >>> f.backward()
        >>> x.grad, y.grad
        (array(8.), array(2.))
    """,
    # -- creation --------------------------------------------------------------------------------------------------------------
    "a tensor holds a number, a list, an array or another tensor, in any dtype": """
        >>> lib.tensor(2.3)
        Tensor(2.3)
        >>> lib.tensor([1.0, 2.0, 3.0], dtype=np.float32)
        Tensor([1., 2., 3.], dtype=float32)
        >>> lib.tensor(np.ones((3, 3)))
        Tensor([[1., 1., 1.],
                [1., 1., 1.],
                [1., 1., 1.]])
        >>> lib.tensor(lib.tensor([1.0, 2.0]))
        Tensor([1., 2.])
        >>> x = lib.arange(9.)
        >>> x
        Tensor([0., 1., 2., 3., 4., 5., 6., 7., 8.])
        >>> x.reshape(3, 3)
        Tensor([[0., 1., 2.],
                [3., 4., 5.],
                [6., 7., 8.]])
    """,
    "the creation functions are NumPy's": """
        >>> lib.arange(10.)
        Tensor([0., 1., 2., 3., 4., 5., 6., 7., 8., 9.])
        >>> lib.zeros((2, 3, 4))
        Tensor([[[0., 0., 0., 0.],
                 [0., 0., 0., 0.],
                 [0., 0., 0., 0.]],
        <BLANKLINE>
                [[0., 0., 0., 0.],
                 [0., 0., 0., 0.],
                 [0., 0., 0., 0.]]], dtype=float32)
        >>> lib.ones(2), lib.full((2,), 7.0), lib.identity(2)
        (Tensor([1., 1.], dtype=float32), Tensor([7., 7.]), Tensor([[1., 0.],
               [0., 1.]]))
        >>> lib.ones_like(lib.eye(2, 3))
        Tensor([[1., 1., 1.],
                [1., 1., 1.]])
        >>> lib.logspace(0, 2, 3), lib.geomspace(1, 100, 3)
        (Tensor([ 1., 10., 100.]), Tensor([ 1., 10., 100.]))
        >>> x = lib.tensor([1.0, 2.0])
        >>> lib.astensor(x) is x
        True
    """,
    "random numbers fill a shape, lie in [0, 1), and are the same again from the same seed": """
        >>> lib.random.seed(0)
        >>> x = lib.random.rand(3, 4)
        >>> x.shape, bool((x >= 0).all() and (x < 1).all())
        ((3, 4), True)
        >>> lib.random.seed(0)
        >>> bool((lib.random.rand(3, 4) == x).all())
        True
        >>> lib.random.randn(2, 2).shape, lib.random.randint(0, 9, (4,)).constant
        ((2, 2), True)
    """,
    "exercise 1: fifteen evenly spaced numbers from 0 to pi": """
        >>> lib.linspace(0, lib.pi, 15)
        Tensor([0.        , 0.22439948, 0.44879895, 0.67319843, 0.8975979 ,
                1.12199738, 1.34639685, 1.57079633, 1.7951958 , 2.01959528,
                2.24399475, 2.46839423, 2.6927937 , 2.91719318, 3.14159265])
        >>> lib.linspace(0, lib.pi, 15, dtype=np.float32).dtype
        dtype('float32')
    """,
    # -- mathematics -----------------------------------------------------------------------------------------------------------
    "functions work element by element, broadcast, and reduce": """
        >>> x = lib.tensor([0.0, 0.25, 0.5, 0.75, 1.0])
        >>> y = lib.tensor([[0.0], [1.0], [2.0]])
        >>> lib.sin(x)
        Tensor([0.        , 0.24740396, 0.47942554, 0.68163876, 0.84147098])
        >>> x * y
        Tensor([[0.  , 0.  , 0.  , 0.  , 0.  ],
                [0.  , 0.25, 0.5 , 0.75, 1.  ],
                [0.  , 0.5 , 1.  , 1.5 , 2.  ]])
        >>> lib.sum(x * y, axis=0)
        Tensor([0.  , 0.75, 1.5 , 2.25, 3.  ])
    """,
    "all of these functions can be differentiated": """
        >>> x = lib.tensor([0.0, 0.25, 0.5, 0.75, 1.0])
        >>> y = lib.tensor([[0.0], [1.0], [2.0]])
        >>> lib.sum(x * y).backward()
        >>> x.grad
        array([3., 3., 3., 3., 3.])
        >>> y.grad
        array([[2.5],
               [2.5],
               [2.5]])
    """,
    "exercise 2: indexing, quadrants, a mean, and rows made unit vectors in place": """
        >>> x = lib.arange(16.).reshape(4, 4)
        >>> lib.log(x[2, 0::2])
        Tensor([2.07944154, 2.30258509])
        >>> x[:2, :2] + x[:2, -2:] + x[-2:, :2] + x[-2:, -2:]
        Tensor([[20., 24.],
                [36., 40.]])
        >>> x.mean(axis=1)
        Tensor([ 1.5, 5.5, 9.5, 13.5])
        >>> x /= lib.sqrt(lib.sum(x ** 2, axis=1, keepdims=True))
        >>> (x ** 2).sum(axis=1)
        Tensor([1., 1., 1., 1.])
    """,
    # -- linear algebra --------------------------------------------------------------------------------------------------------
    "matmul multiplies vectors, matrices, and stacks of matrices": """
        >>> lib.matmul(lib.tensor([1.0, 2.0]), lib.tensor([-3.0, -4.0]))
        Tensor(-11.)
        >>> a = lib.tensor([[1, 0], [0, 1], [2, 1], [3, 4]])
        >>> b = lib.tensor([[4, 1, 5], [2, 2, 6]])
        >>> a @ b
        Tensor([[ 4,  1,  5],
                [ 2,  2,  6],
                [10,  4, 16],
                [20, 11, 39]])
        >>> x, y = lib.random.rand(5, 3, 4), lib.random.rand(4, 2)
        >>> stack = lib.matmul(x, y)
        >>> stack.shape, bool(np.array_equal(stack.data, x.data @ y.data))
        ((5, 3, 2), True)
    """,
    "exercise 3: einsum takes the dot product of each pair of rows": """
        >>> x, y = lib.arange(12.).reshape(4, 3), -lib.arange(12.).reshape(4, 3)
        >>> lib.einsum("nd,nd->n", x, y)
        Tensor([  -5.,  -50., -149., -302.])
    """,
    "a convolution slides a kernel over a padded image": """
        >>> kernel = lib.tensor([[[[0., 1., 0.], [1., 1., 1.], [0., 1., 0.]]]])
        >>> image = lib.arange(25.).reshape(1, 1, 5, 5)
        >>> lib.nnet.conv_nd(image, kernel, stride=1, padding=1)
        Tensor([[[[ 6.,  9., 13., 17., 16.],
                  [21., 30., 35., 40., 35.],
                  [41., 55., 60., 65., 55.],
                  [61., 80., 85., 90., 75.],
                  [56., 79., 83., 87., 66.]]]])
    """,
    # -- differentiation -------------------------------------------------------------------------------------------------------
    "an operator is a function": """
        >>> x, y = lib.tensor([1.0, 2.0]), lib.tensor([3.0, 5.0])
        >>> bool((x + y == lib.add(x, y)).all()), bool((x * y == lib.multiply(x, y)).all())
        (True, True)
    """,
    "NumPy's functions return tensors of tensors": """
        >>> x = lib.tensor(3.0)
        >>> y = np.square(x)
        >>> y
        Tensor(9.)
        >>> y.backward()
        >>> x.grad
        array(6.)
    """,
    "a function written for arrays can be differentiated as it is": """
        >>> def entropy(scores):
        ...     p = np.exp(scores - np.max(scores))
        ...     p = p / np.sum(p)
        ...     return -np.sum(p * np.log(p))
        >>> scores = [0.0, 1.0, 3.0]
        >>> x = lib.tensor(scores)
        >>> out = entropy(x)
        >>> out
        Tensor(0.52426662)
        >>> bool(out.data == entropy(np.array(scores)))
        True
        >>> out.backward()
        >>> x.grad
        array([ 0.11114097,  0.18791727, -0.29905823])
    """,
    "backward fills in the gradient of everything that a result was computed from": """
        >>> x, y = lib.tensor(2.0), lib.tensor(3.0)
        >>> f = x * y
        >>> loss = f + x - 2
        >>> loss.backward()
        >>> f.grad, y.grad, x.grad
        (array(1.), array(2.), array(4.))
    """,
    "a new operation nulls the gradient": """
        >>> x, y = lib.tensor(2.0), lib.tensor(3.0)
        >>> (x * y + x - 2).backward()
        >>> x.grad
        array(4.)
        >>> x + 2
        Tensor(4.)
        >>> x.grad is None
        True
    """,
    "null_grad nulls the gradient, and returns the tensor": """
        >>> x, y = lib.tensor(2.0), lib.tensor(3.0)
        >>> (x * y + x - 2).backward()
        >>> y.grad
        array(2.)
        >>> y.null_grad()
        Tensor(3.)
        >>> y.grad is None
        True
    """,
    "exercise 4: three derivatives at 2.5": """
        >>> x = lib.Tensor(2.5)
        >>> (2 + 3 * x - 5 * x ** 2).backward()
        >>> x.grad
        array(-22.)
        >>> lib.cos(lib.sqrt(x)).backward()
        >>> x.grad
        array(-0.31621085)
        >>> f = x ** 2
        >>> ((2 * x * f) ** 2 - f).backward()
        >>> x.grad
        array(2338.75)
    """,
    "exercise 5: the same function by another name has the same derivative": """
        >>> x = lib.Tensor(2.5)
        >>> (x * x).backward()
        >>> x.grad
        array(5.)
        >>> (x ** 2).backward()
        >>> x.grad
        array(5.)
        >>> lib.exp(lib.log(x)).backward()
        >>> x.grad
        array(1.)
        >>> x.backward()
        >>> x.grad
        array(1.)
    """,
    # -- constants -------------------------------------------------------------------------------------------------------------
    "an array beside a tensor is a constant": """
        >>> x, y = lib.tensor([1.0, 2.0]), np.array([3.0, 4.0])
        >>> (x * y).backward()
        >>> x.grad
        array([3., 4.])
    """,
    "a constant tensor gets no gradient": """
        >>> x, y = lib.tensor([1.0, 2.0]), lib.tensor([3.0, 4.0], constant=True)
        >>> x.constant, y.constant
        (False, True)
        >>> (x * y).backward()
        >>> x.grad
        array([3., 4.])
        >>> y.grad is None
        True
    """,
    "constants make constants, and backward on one does nothing": """
        >>> out = lib.Tensor([1.0, 2.0], constant=True) + lib.Tensor([3.0, 4.0], constant=True)
        >>> out.constant
        True
        >>> out.backward()
        >>> out.grad is None
        True
    """,
    "every function takes constant=True": """
        >>> x = lib.tensor([1.0, 2.0])
        >>> lib.exp(x, constant=True).constant, lib.sum(x, constant=True).constant, lib.zeros(2, constant=True).constant
        (True, True, True)
    """,
    # -- under the hood --------------------------------------------------------------------------------------------------------
    "a tensor holds an array": """
        >>> x = lib.arange(4.)
        >>> x.data
        array([0., 1., 2., 3.])
        >>> np.asarray(x)
        array([0., 1., 2., 3.])
        >>> lib.asarray(x)
        array([0., 1., 2., 3.])
    """,
    "gradient descent on w**2 goes from 10 to 0.00104858 in ten steps": """
        >>> w = lib.Tensor(10.0)
        >>> print(w)
        Tensor(10.)
        >>> for step in range(10):
        ...     loss = w ** 2
        ...     loss.backward()
        ...     w.data -= 0.3 * w.grad
        ...     print(w)
        Tensor(4.)
        Tensor(1.6)
        Tensor(0.64)
        Tensor(0.256)
        Tensor(0.1024)
        Tensor(0.04096)
        Tensor(0.016384)
        Tensor(0.0065536)
        Tensor(0.00262144)
        Tensor(0.00104858)
    """,
    "exercise 6: one step of descent, of one tensor or of many": """
        >>> a, b, idle = lib.tensor([1.0, 2.0]), lib.tensor(3.0), lib.tensor(4.0)
        >>> (b * a).backward()
        >>> gradient_step(lib, [a, b, idle], 0.1)
        >>> a, b, idle
        (Tensor([0.7, 1.7]), Tensor(2.7), Tensor(4.))
        >>> gradient_step(lib, b, 1.0)
        >>> b
        Tensor(-0.3)
    """,
    # -- many variables in one tensor ------------------------------------------------------------------------------------------
    "each element of a tensor is a variable": """
        >>> tensor = lib.tensor([2.0, 4.0, 8.0])
        >>> (np.array([-1.0, 2.0, 0.0]) * tensor ** 2).sum().backward()
        >>> tensor.grad
        array([-4., 16.,  0.])
    """,
    "exercise 7: the derivatives of 0 x0 + 1 x1 + ... + 8 x8": """
        >>> x = lib.Tensor([[2.0, 6.0, 7.0], [1.0, 4.0, 9.0], [10.0, 8.0, 5.0]])
        >>> lib.sum(np.arange(9.).reshape(3, 3) * x).backward()
        >>> x.grad
        array([[0., 1., 2.],
               [3., 4., 5.],
               [6., 7., 8.]])
    """,
    "exercise 8: down the paraboloid 2 w1**2 + 3 w2**2": """
        >>> def descend(w_start, learning_rate, num_steps):
        ...     w = lib.Tensor(w_start)
        ...     for _ in range(num_steps):
        ...         (np.array([2.0, 3.0]) * w ** 2).backward()
        ...         gradient_step(lib, w, learning_rate)
        ...     return w
        >>> start = lib.Tensor([2.0, 4.0])
        >>> descend(start, 0.1, 10)
        Tensor([0.01209324, 0.00041943])
        >>> start
        Tensor([2., 4.])
    """,
    "backward from a result that is no scalar differentiates its sum": """
        >>> x = lib.linspace(-5, 5, 100)
        >>> (x ** 2).backward()
        >>> x.grad[:4], x.grad[-2:]
        (array([-10.        ,  -9.7979798 ,  -9.5959596 ,  -9.39393939]), array([ 9.7979798, 10.       ]))
        >>> bool((x.grad == 2 * x.data).all())
        True
    """,
    "the derivative of sin(2x) cos(x) exp(-x/3) at 10,000 points makes a picture": """
        >>> def f(x):
        ...     return lib.sin(2 * x) * lib.cos(x) * lib.exp(-x / 3) * 100
        >>> figure, axes = plot_func_and_deriv(lib, lib.linspace(0, 10, 10000), f)
        >>> curve, slope = axes.lines
        >>> len(curve.get_xdata()), [line.get_label() for line in axes.lines]
        (10000, ['f(x)', 'df/dx'])
        >>> slope.get_ydata()[0]  # 2 cos(0) cos(0) 100
        np.float64(200.0)
        >>> figure.savefig(picture)
        >>> picture.read_bytes()[1:4]
        b'PNG'
    """,
    # -- what the tutorial promises in passing ---------------------------------------------------------------------------------
    "backward on a constant does nothing at all, to other results neither": """
        >>> x = lib.tensor([1.0, 2.0])
        >>> fixed, loss = lib.multiply(x, 2.0, constant=True), x * 3.0
        >>> fixed.backward()
        >>> loss.backward()
        >>> x.grad
        array([3., 3.])
    """,
    "a new operation nulls the gradient of a view, too": """
        >>> x = lib.tensor([1.0, 2.0, 3.0])
        >>> view = x[:2]
        >>> (x ** 2).backward()
        >>> view.grad
        array([2., 4.])
        >>> _ = view * 5
        >>> view.grad is None
        True
    """,
    "null_grad nulls the gradient of a view, too": """
        >>> x = lib.tensor([1.0, 2.0, 3.0])
        >>> view = x[:2]
        >>> (x ** 2).backward()
        >>> _ = view.null_grad()
        >>> view.grad is None
        True
    """,
    "a view stays a view after backward": """
        >>> x = lib.tensor([1.0, 2.0, 3.0])
        >>> view = x[:2]
        >>> (view ** 2).backward()
        >>> view *= 10
        >>> x
        Tensor([10., 20., 3.])
    """,
}


def gradient_step(lib: Any, tensors: Any, learning_rate: float) -> None:
    """Take a step of gradient descent in place, on one tensor or several; those without a gradient stay as they are."""
    for t in [tensors] if isinstance(tensors, lib.Tensor) else tensors:
        if t.grad is not None:
            t.data -= learning_rate * t.grad


def plot_func_and_deriv(lib: Any, x: Any, func: Any) -> tuple[Any, Any]:
    """Plot a function and its derivative at the points `x`, and return the figure and its axes."""
    x = lib.Tensor(x)
    y = func(x)
    y.backward()
    figure = importlib.import_module("matplotlib.figure").Figure()
    axes = figure.add_subplot()
    axes.plot(x.data, y.data, label="f(x)")
    axes.plot(x.data, x.grad, ls="--", label="df/dx")
    axes.grid(visible=True)
    axes.legend()
    axes.set_xlabel("x")
    return figure, axes


def library(name: str) -> ModuleType | None:
    """The reference, or MyGrad with its `nnet`; None if it is not installed."""
    place = {"reference": "adjudge.oracle.reference"}.get(name, name)
    try:
        importlib.import_module(f"{place}.nnet")
    except ModuleNotFoundError as missing:
        if not (missing.name or "").endswith(".nnet"):
            return None
    return importlib.import_module(place)


def lacking(lib: ModuleType, section: str) -> str:
    """The requirement of a section that is missing; "" if none is."""
    need = NEEDS.get(section, "")
    if need == "nnet":
        return "" if hasattr(lib, "nnet") else f"{lib.__name__} has no nnet"
    return f"{need} is not installed" if need and importlib.util.find_spec(need) is None else ""


def examine(lib: ModuleType, section: str, folder: Path) -> str:
    """Run one section, and return doctest's report of what came out differently; "" if nothing did."""
    names = {
        "lib": lib,
        "np": np,
        "gradient_step": gradient_step,
        "plot_func_and_deriv": plot_func_and_deriv,
        "picture": folder / f"{lib.__name__}.png",
    }
    report: list[str] = []
    test = doctest.DocTestParser().get_doctest(TUTORIAL[section], names, section, None, 0)
    doctest.DocTestRunner(verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE).run(test, out=report.append)
    return "".join(report)


def main() -> int:
    """Print one line per section, for both libraries."""
    failed = 0
    width = max(map(len, TUTORIAL))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("error")
        libraries = {name: library(name) for name in ("reference", "mygrad")}
        for section in TUTORIAL:
            outcomes = []
            for name, lib in libraries.items():
                if lib is None:
                    outcomes.append(f"{name} not installed")
                elif reason := lacking(lib, section):
                    outcomes.append(f"{name} skipped ({reason})")
                elif not examine(lib, section, Path(folder)):
                    outcomes.append(f"{name} ok")
                elif (name, section) in KNOWN_DIVERGENCES:
                    outcomes.append(f"{name} diverges: {KNOWN_DIVERGENCES[name, section]}")
                else:
                    outcomes.append(f"{name} FAILED")
                    failed += 1
            print(f"{section:<{width}}  {', '.join(outcomes)}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
