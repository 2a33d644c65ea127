"""The tensor: a NumPy array that remembers how it was computed and can be differentiated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..dtypes import is_integer, is_number, is_real
from .evaluate import find
from .graph import NOTHING, Node, compute, laid_out, pull_back
from .op import Op
from .tables import OPS

__all__ = ["Tensor", "apply", "record"]

#: Ops whose value may be a view of the operand's memory.
VIEWING = frozenset((
    "getitem", "reshape", "ravel", "squeeze", "expand_dims", "atleast_1d", "atleast_2d", "atleast_3d", "transpose",
    "moveaxis", "swapaxes", "broadcast_to", "einsum",
))  # fmt: skip

Recipe = tuple[Op, Mapping[str, Any]]

# -- operators -----------------------------------------------------------------------------------------------------------------

GETITEM, SETITEM, POSITIVE, TRANSPOSE, POWER = (OPS[n] for n in ("getitem", "setitem", "positive", "transpose", "power"))
#: As in NumPy's ``**``, these exponents have functions of their own.
POWERS = {1: POSITIVE, 2: OPS["square"], 0.5: OPS["sqrt"], -1: OPS["reciprocal"]}

Operator = Callable[[Any, Any], Any]


def _operator(name: str) -> tuple[Operator, Operator, Operator]:
    """An operator, its reflection, and its update in place."""
    op = OPS[name]

    def forwards(self: Tensor, other: Any) -> Tensor:
        return record(op, (self, other))

    def reflected(self: Tensor, other: Any) -> Tensor:
        return record(op, (other, self))

    def in_place(self: Tensor, other: Any) -> Tensor:
        return self._become(op, (self, other))

    return forwards, reflected, in_place


def _comparison(ufunc: np.ufunc) -> Operator:
    return lambda self, other: ufunc(self.data, _plain(other))


def _plain(x: Any) -> Any:
    return x.data if isinstance(x, Tensor) else x


def _raised(x: Tensor, exponent: Any) -> tuple[Op, tuple[Any, ...]]:
    """The op of ``x ** exponent``, and its operands."""
    if type(exponent) in (int, float) and is_real(x.dtype) and exponent in POWERS:
        return POWERS[exponent], (x,)
    return POWER, (x, exponent)


class Printed(np.ndarray):
    """An array that prints as a tensor does: NumPy takes the name from the class."""


Printed.__name__ = "Tensor"


class Tensor:
    """An array of numbers that acts like a NumPy array and remembers how it was computed.

    Parameters
    ----------
    x : array_like
        Numbers, nested lists, an array, or another tensor.
    dtype : dtype, optional
        A float, integer or boolean type; NumPy's choice if left out.
    constant : bool, optional
        Whether no gradient is computed for this tensor. Tensors of integers and booleans always are constants.
    copy : bool
        Whether to copy the numbers into memory of the tensor's own.
    ndmin : int
        Axes of length one are added in front until there are this many.

    Notes
    -----
    A tensor is a name for a value, and values never change. An update in place (``x += 1``, ``x[0] = y``, ``out=x``) gives the
    name a new value: what was computed from the old one still depends on the old one. A view (``v = x[:2]``) is always that
    part of whatever its base denotes, so an update of either is seen in both, and the gradient of a view is that view of its
    base's gradient.

    Examples
    --------
    >>> x = Tensor([1.0, 2.0])
    >>> y = (x * x).sum()
    >>> y
    Tensor(5.)
    >>> y.backward()
    >>> x.grad
    array([2., 4.])
    """

    # Added by `functions`, with NumPy's names and parameters.
    sum: Callable[..., Tensor]
    mean: Callable[..., Tensor]
    var: Callable[..., Tensor]
    std: Callable[..., Tensor]
    prod: Callable[..., Tensor]
    max: Callable[..., Tensor]
    min: Callable[..., Tensor]
    cumsum: Callable[..., Tensor]
    cumprod: Callable[..., Tensor]
    clip: Callable[..., Tensor]
    ravel: Callable[..., Tensor]
    flatten: Callable[..., Tensor]
    squeeze: Callable[..., Tensor]
    swapaxes: Callable[..., Tensor]
    moveaxis: Callable[..., Tensor]
    repeat: Callable[..., Tensor]
    take: Callable[..., Tensor]
    dot: Callable[..., Tensor]
    trace: Callable[..., Tensor]
    diagonal: Callable[..., Tensor]
    any: Callable[..., np.ndarray]
    all: Callable[..., np.ndarray]
    argmax: Callable[..., np.ndarray]
    argmin: Callable[..., np.ndarray]
    argsort: Callable[..., np.ndarray]

    __slots__ = ("__weakref__", "_node", "_nulled", "_parent", "_recipe", "_source")

    #: Whether constants also remember how they were computed.
    remembers = False

    _node: Node
    #: For a view: the tensor it is a view of, and the op that takes it from there.
    _parent: Tensor | None
    _recipe: Recipe | None
    #: For a view: the array that it was taken from.
    _source: np.ndarray | None
    #: For a view: the gradient of the base that this view's gradient has been nulled from.
    _nulled: np.ndarray | None

    def __init__(self, x: Any, *, dtype: Any = None, constant: bool | None = None, copy: bool = True, ndmin: int = 0) -> None:
        if constant is not None and not isinstance(constant, bool):
            raise TypeError(f"constant={constant!r} says neither yes nor no: give True, False or None")
        data = _array(x, dtype, copy)
        if data.ndim < ndmin:
            data = data[(None,) * (ndmin - data.ndim)]
        if not (is_real(data.dtype) or is_number(data.dtype)):
            raise TypeError(f"a tensor cannot hold {data.dtype}: only real floats, integers and booleans; convert it first")
        if not is_real(data.dtype) and constant is False:
            raise ValueError(f"a tensor of {data.dtype} has no derivative and must be constant: give floats, or constant=True")
        self._hold(Node(data, not is_real(data.dtype) if constant is None else constant))

    def _hold(self, node: Node, parent: Tensor | None = None, recipe: Recipe | None = None) -> None:
        self._node, self._parent, self._recipe, self._nulled = node, parent, recipe, None
        self._source = None if parent is None else parent._node.data

    # -- what it denotes -----------------------------------------------------------------------------------------------

    def _now(self) -> Node:
        """The value that this tensor denotes now: a view follows its base; a cleared value becomes one that was given."""
        node, parent = self._node, self._parent
        if parent is None:
            if node.cleared:
                self._node = Node(node.data, node.constant)
                self._node.grad = node.grad
            return self._node
        above = parent._now()
        if node.cleared or node.operands[0] is not above or self._source is not above.data:
            assert self._recipe is not None
            self._source = above.data
            self._node = compute(self._recipe[0], (above,), self._recipe[1], node.constant, remember=True)
            self._node.grad = node.grad if node.cleared else None
        return self._node

    @property
    def data(self) -> np.ndarray:
        """The array itself. Gradients do not take account of what is written into it."""
        return self._node.data if self._parent is None else self._now().data

    @data.setter
    def data(self, value: Any) -> None:
        node = self._now()
        if value is node.data:
            return
        self._hold(node)  # a view of other memory is no longer a view of the base
        node.data = np.asarray(value)

    @property
    def grad(self) -> np.ndarray | None:
        """The derivative of the last terminus by this tensor: an array of its shape and dtype, or None."""
        base = self.base
        if base is None or base.constant or self.constant:
            return self._node.grad
        whole = base._node.grad
        return None if whole is None or whole is self._nulled else self._seen_in(whole)

    def _seen_in(self, whole: np.ndarray) -> np.ndarray:
        """The part of an array of the base's shape that this view shows."""
        if self._parent is None:
            return whole
        assert self._recipe is not None
        op, params = self._recipe
        return compute(op, (self._parent._seen_in(whole),), params).data

    @property
    def constant(self) -> bool:
        """Whether no gradient is computed for this tensor."""
        return self._node.constant

    @property
    def creator(self) -> Node | None:
        """How this was computed (its ``op``, ``operands`` and ``params``); None for what was given or has been cleared."""
        node = self._now()
        return None if node.op is None else node

    @property
    def base(self) -> Tensor | None:
        """The tensor that owns the memory this one is a view of; None for one that owns its memory."""
        parent = self._parent
        while parent is not None and parent._parent is not None:
            parent = parent._parent
        return parent

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return self.data.shape

    @property
    def dtype(self) -> np.dtype:
        """Type of the elements."""
        return self.data.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.data.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.data.size

    @property
    def T(self) -> Tensor:
        """The axes in reverse order."""
        return record(TRANSPOSE, (self,))

    # -- differentiation -----------------------------------------------------------------------------------------------

    def backward(self, grad: Any = None) -> None:
        """Store the derivative of this tensor by every variable that it depends on in that variable's ``grad``.

        Afterwards the graph is cleared: each of those variables can be used in new computations.

        Parameters
        ----------
        grad : array_like, optional
            The derivative of another quantity by this tensor; must broadcast to its shape. Without it, a tensor that is not a
            scalar counts as summed.

        Raises
        ------
        ClearedGraph
            Where an earlier `backward` has cleared part of the graph.
        ValueError
            Where `grad` does not broadcast to this tensor's shape.
        """
        node = self._now()
        if node.constant:
            return
        data = node.data
        if grad is None:
            seed = np.ones_like(data)
        else:
            given = np.asarray(_plain(grad))
            try:
                seed = laid_out(np.broadcast_to(given, data.shape), data)
            except ValueError:
                raise ValueError(
                    f"backward was given a gradient of shape {given.shape} for a tensor of shape {data.shape}: "
                    "it must broadcast to the tensor's shape; reshape it, or leave it out for ones"
                ) from None
        pull_back(node, seed)

    def null_grad(self) -> Tensor:
        """Forget the gradient, and return the tensor itself."""
        self._node.grad = None
        base = self.base
        if base is not None:
            self._nulled = base._node.grad
        return self

    # -- indexing and updates in place ---------------------------------------------------------------------------------

    def __getitem__(self, index: Any) -> Tensor:
        return record(GETITEM, (self,), {"index": _index(index)})

    def __setitem__(self, index: Any, value: Any) -> None:
        self._become(SETITEM, (self, value), {"index": _index(index)})

    def _become(self, op: Op, operands: tuple[Any, ...], params: Mapping[str, Any] = NOTHING) -> Tensor:
        """Denote the value of an op from now on; the base and all its views follow."""
        old = self._now()
        if not old.data.flags.writeable:
            raise ValueError(
                f"a tensor of shape {self.shape} is read-only: it shows memory that must not be written, or the same memory "
                "in several places; update a copy, x.copy(), instead"
            )
        value = record(op, operands, params, old.constant or None)
        if value.dtype != self.dtype:
            if not np.can_cast(value.dtype, self.dtype, "same_kind"):
                raise TypeError(
                    f"{op.name} gives {value.dtype}, which a tensor of {self.dtype} cannot hold: update a tensor of floats, "
                    f"x.astype({str(value.dtype)!r}), or write the result into a new one"
                )
            value = record(POSITIVE, (value,), {"dtype": self.dtype.name}, old.constant or None)
        if value.shape != self.shape:
            try:
                value = record(OPS["broadcast_to"], (value,), {"shape": self.shape}, old.constant or None)
            except ValueError:
                raise ValueError(
                    f"{op.name} gives shape {value.shape}, and a tensor of shape {self.shape} cannot hold it: "
                    "an update in place keeps the shape; write the result into a new tensor"
                ) from None
        if value.data.base is not None:
            value = record(POSITIVE, (value,), NOTHING, old.constant or None)
        value._node.constant = old.constant  # a variable that is overwritten with constants becomes a variable that was given
        base = self.base
        if base is None:
            self._node = value._node
        else:
            base._node = self._written_back(base, value._node)
        return self

    def _written_back(self, base: Tensor, value: Node) -> Node:
        """The base's new value, given that of this view of it."""
        whole, constant, remember = base._now(), base.constant, base.remembers
        assert self._recipe is not None
        if self._parent is base and self._recipe[0] is GETITEM:
            return compute(SETITEM, (whole, value), self._recipe[1], constant, remember)
        places = self._seen_in(np.arange(base.size).reshape(base.shape))
        flat = compute(OPS["reshape"], (whole,), {"shape": (-1,)}, constant, remember)
        flat = compute(SETITEM, (flat, value), {"index": (places,)}, constant, remember)
        return compute(OPS["reshape"], (flat,), {"shape": base.shape}, constant, remember)

    # -- as an array of NumPy -----------------------------------------------------------------------------------------

    def copy(self, *, constant: bool | None = None) -> Tensor:
        """A tensor with a copy of the array and of the gradient, which remembers nothing."""
        out = type(self)(self.data, constant=self.constant if constant is None else constant)
        held = self.grad
        out._node.grad = None if held is None else held.copy()
        return out

    __copy__ = copy

    def __deepcopy__(self, memo: Any) -> Tensor:
        return self.copy()

    def astype(self, dtype: Any, casting: Any = "unsafe", copy: bool = True, *, constant: bool | None = None) -> Tensor:
        """A tensor of another dtype, which remembers nothing; the tensor itself where nothing changes and `copy` is False."""
        data = self.data.astype(dtype, casting=casting, copy=copy)
        if data is self.data and constant in (None, self.constant):
            return self
        return type(self)(data, copy=False, constant=constant)

    def reshape(self, *shape: Any, constant: bool | None = None) -> Tensor:
        """The same elements in another shape: ``x.reshape(3, -1)`` or ``x.reshape((3, -1))``."""
        return record(OPS["reshape"], (self,), {"shape": shape[0] if len(shape) == 1 else shape}, constant)

    def transpose(self, *axes: Any, constant: bool | None = None) -> Tensor:
        """The axes in another order: ``x.transpose(1, 0)`` or ``x.transpose((1, 0))``; reversed if none is given."""
        given = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes or None
        return record(TRANSPOSE, (self,), {"axes": given}, constant)

    def item(self) -> Any:
        """The only element, as a Python number."""
        if self.size != 1:
            raise ValueError(f"a tensor of shape {self.shape} has {self.size} elements: only one can be a number; index it")
        return self.data.item()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.data, dtype=dtype, copy=copy)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        answer = UFUNCS.get((ufunc, method))
        return _plainly(getattr(ufunc, method), ufunc, inputs, kwargs) if answer is None else answer(*inputs, **kwargs)

    def __array_function__(self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        answer = ARRAY_FUNCTIONS.get(func)
        return _plainly(func, func, args, kwargs) if answer is None else answer(*args, **kwargs)

    def __repr__(self) -> str:
        return np.array_repr(self.data.view(Printed))

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[Tensor]:
        if not self.ndim:
            raise TypeError("a 0-d tensor has no axis to iterate over: reshape it, or take its item()")
        return (self[n] for n in range(len(self)))

    def __contains__(self, x: Any) -> bool:
        return bool((self.data == _plain(x)).any())

    def __bool__(self) -> bool:
        return bool(self.data)

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        return self.data.__index__()

    def __neg__(self) -> Tensor:
        return record(OPS["negative"], (self,))

    def __pos__(self) -> Tensor:
        return record(POSITIVE, (self,))

    def __abs__(self) -> Tensor:
        return record(OPS["absolute"], (self,))

    def __pow__(self, exponent: Any) -> Tensor:
        return record(*_raised(self, exponent))

    def __ipow__(self, exponent: Any) -> Tensor:
        return self._become(*_raised(self, exponent))

    _, __rpow__, _ = _operator("power")
    __add__, __radd__, __iadd__ = _operator("add")
    __sub__, __rsub__, __isub__ = _operator("subtract")
    __mul__, __rmul__, __imul__ = _operator("multiply")
    __truediv__, __rtruediv__, __itruediv__ = _operator("divide")
    __matmul__, __rmatmul__, __imatmul__ = _operator("matmul")
    __lt__, __le__, __gt__, __ge__ = map(_comparison, (np.less, np.less_equal, np.greater, np.greater_equal))
    __eq__, __ne__ = _comparison(np.equal), _comparison(np.not_equal)
    __hash__ = None  # type: ignore[assignment]

    def __floordiv__(self, other: Any) -> Any:
        return np.floor_divide(self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return np.floor_divide(other, self)

    def __mod__(self, other: Any) -> Any:
        return np.remainder(self, other)

    def __rmod__(self, other: Any) -> Any:
        return np.remainder(other, self)


def _index(index: Any) -> tuple[Any, ...]:
    """An index as a tuple, its arrays copied."""
    return tuple(map(_index_part, index if isinstance(index, tuple) else (index,)))


def _index_part(part: Any) -> Any:
    if part is None or part is Ellipsis or isinstance(part, slice) or type(part) is int:
        return part
    array = np.array(_plain(part), dtype=np.intp if isinstance(part, (list, tuple)) and not part else None)
    return int(array) if array.ndim == 0 and is_integer(array.dtype) else array


def _array(x: Any, dtype: Any, copy: bool) -> np.ndarray:
    try:
        return np.array(x, dtype=dtype) if copy else np.asarray(x, dtype=dtype)
    except ValueError as problem:
        if isinstance(x, (list, tuple)) and "inhomogeneous" in str(problem):
            lengths = [len(row) if hasattr(row, "__len__") else "a number" for row in x]
            raise ValueError(
                f"a ragged list cannot be a tensor: its rows are {lengths} long, and all must be equally long; pad them"
            ) from problem
        raise


# -- called by NumPy -----------------------------------------------------------------------------------------------------------

#: Replacements for NumPy's universal functions (and their methods), and for its other functions. Filled by `functions`.
UFUNCS: dict[tuple[np.ufunc, str], Callable[..., Any]] = {}
ARRAY_FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {}
#: Functions whose results have no derivative (an order, a place, a type): they take any tensor and return no tensor.
INDIFFERENT: set[Callable[..., Any]] = set()


def _full_name(function: Any, call: Any) -> str:
    """`numpy.sort`, `numpy.add.at`."""
    name = f"{getattr(function, '__module__', None) or 'numpy'}.{function.__name__}"
    return name if call.__name__ in (function.__name__, "__call__") else f"{name}.{call.__name__}"


def _plainly(call: Callable[..., Any], function: Any, args: Any, kwargs: Any) -> Any:
    """NumPy's own result on the tensors' arrays, for a function without a derivative; no operand may be a variable."""

    def array(x: Any) -> Any:
        if isinstance(x, Tensor):
            if function not in INDIFFERENT and not x.constant:
                raise TypeError(
                    f"{_full_name(function, call)} has no derivative here, and an operand is a variable: write it with "
                    "functions that have one, or call it on the tensor's data if no gradient should flow through it"
                )
            return x.data
        if isinstance(x, (list, tuple)):
            return type(x)(map(array, x))
        return x

    return call(*map(array, args), **{k: array(v) for k, v in kwargs.items()})


# -- recording -----------------------------------------------------------------------------------------------------------------


def record(op: Op, operands: tuple[Any, ...], params: Mapping[str, Any] = NOTHING, constant: bool | None = None) -> Tensor:
    """Apply an op to tensors, arrays and numbers; the tensors' gradients are nulled unless the result is a view.

    Parameters
    ----------
    op : Op
    operands : tuple
    params : mapping
        The op's keyword parameters.
    constant : bool, optional
        Whether the result is a constant; left out, it is one if all operands are.
    """
    kind: type[Tensor] = Tensor
    nodes: list[Any] = []
    for x in operands:
        if isinstance(x, Tensor):
            nodes.append(x._now())
            if type(x) is not Tensor:
                kind = type(x)
        elif type(x) is np.ndarray or (op.elementwise and type(x) in (int, float, bool)):
            nodes.append(x)
        else:
            nodes.append(np.asarray(x))
    viewing = op.name in VIEWING and isinstance(operands[0], Tensor)
    node = compute(op, tuple(nodes), params, constant, viewing or kind.remembers)
    out = kind.__new__(kind)
    if viewing and _shares(node.data, nodes[0].data):
        out._hold(node, operands[0], (op, params))
        return out
    if node.constant and not kind.remembers:
        node.op, node.operands, node.params = None, (), NOTHING
    out._hold(node)
    for x in operands:
        if isinstance(x, Tensor):
            x.null_grad()
    return out


def _shares(data: np.ndarray, source: np.ndarray) -> bool:
    """Whether an array is a view of another one's memory."""
    return data is source or (data.base is not None and (data.base is source or data.base is source.base))


def apply(name: str, *operands: Any, constant: bool | None = None, **params: Any) -> Tensor:
    """Apply the op of this name to tensors, arrays and numbers.

    Parameters
    ----------
    name : str
        One of `adjudge.oracle.reference.OPS`.
    *operands : tensors, array_like
    constant : bool, optional
        Whether the result is a constant; left out, it is one if all operands are.
    **params
        The op's keyword parameters.

    Examples
    --------
    >>> apply("sum", [[1.0, 2.0], [3.0, 4.0]], axis=0)
    Tensor([4., 6.])
    """
    return record(find(name), operands, params, constant)
