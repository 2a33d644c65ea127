"""JAX under test, op by op, on the CPU unless JAX_PLATFORMS says otherwise; also the witness that the oracle calls in."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..oracle.program import Program
from ..oracle.protocol import Answer, Unsupported
from .spelling import Spelling, composed, composed_words, evaluate, no_out, writes_twice

config: Any = jax.config
if not config.jax_platforms:
    config.update("jax_platforms", "cpu")
config.update("jax_enable_x64", True)

name = "jax"
dtypes = ("float64", "float32", "float16")
flushes_subnormals = True


def versions() -> dict[str, str]:
    """JAX's version, and that of the compiler it comes with."""
    return {"jax": jax.__version__, "jaxlib": version("jaxlib"), "numpy": np.__version__}


def use_cache(folder: str | Path) -> None:
    """Keep every compiled kernel in `folder`: JAX compiles for each new shape, which takes far longer than running."""
    config.update("jax_compilation_cache_dir", str(folder))
    config.update("jax_persistent_cache_min_compile_time_secs", 0)
    config.update("jax_persistent_cache_min_entry_size_bytes", -1)


#: JAX keeps every kernel in memory for good, some megabytes a program: after so many programs it is told to forget them.
FORGET_EVERY = 100
_asked = itertools.count(1)


def _forget() -> None:
    if next(_asked) % FORGET_EVERY == 0:
        jax.clear_caches()  # type: ignore[no-untyped-call]


def _setitem(x: Any, value: Any, index: Any) -> Any:
    if writes_twice(x.shape, index):
        raise Unsupported("JAX leaves open which value stays where an assignment repeats an index")
    return x.at[index].set(jnp.asarray(value, x.dtype))  # as NumPy casts; JAX warns


def _conv_nd(x: Any, w: Any, stride: Any, padding: Any = 0, dilation: Any = 1) -> Any:
    axes = x.ndim - 2
    stride, padding, dilation = ((v,) * axes if isinstance(v, int) else v for v in (stride, padding, dilation))
    both = jnp.promote_types(x.dtype, w.dtype)
    return jax.lax.conv_general_dilated(
        x.astype(both), w.astype(both), stride, [(p, p) for p in padding], rhs_dilation=dilation
    )


def _max_pool(x: Any, pool: Any, stride: Any) -> Any:
    lead = (1,) * (x.ndim - len(pool))
    strides = (*lead, *((stride,) * len(pool) if isinstance(stride, int) else stride))
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (*lead, *pool), strides, "VALID")


def _likelihood(x: Any, labels: Any, weights: Any = None) -> Any:
    picked = jnp.take_along_axis(x, labels[:, None], axis=1)[:, 0]
    return -jnp.mean(picked if weights is None else picked * weights[labels])


#: Only what JAX does not spell as NumPy's names and parameters suggest. Its arrays are immutable: ``x += y`` is ``x = x + y``.
SPELLING: dict[str, Spelling] = composed(jnp) | {
    "iadd": operator.iadd,
    "isub": operator.isub,
    "imul": operator.imul,
    "itruediv": operator.itruediv,
    "ipow": operator.ipow,
    "getitem": lambda x, index: x[index],
    "setitem": _setitem,
    "flatten": jnp.ravel,
    "norm": jnp.linalg.norm,
    "repeat": lambda x, repeats, axis=None: jnp.repeat(x, np.asarray(repeats), axis),
    "concatenate": lambda *xs, axis=0: jnp.concatenate(xs, axis),
    "stack": lambda *xs, axis=0: jnp.stack(xs, axis),
    "multi_matmul": lambda *xs: jnp.linalg.multi_dot(xs),
    "einsum": lambda *xs, subscripts: jnp.einsum(subscripts, *xs),
    "relu": jax.nn.relu,
    "leaky_relu": lambda x, slope: jax.nn.leaky_relu(x, slope),
    "elu": lambda x, alpha: jax.nn.elu(x, alpha),
    "selu": jax.nn.selu,
    "sigmoid": jax.nn.sigmoid,
    "hard_tanh": lambda x, lower_bound=-1, upper_bound=1: jnp.clip(x, lower_bound, upper_bound),
    "soft_sign": jax.nn.soft_sign,
    "softmax": jax.nn.softmax,
    "logsoftmax": jax.nn.log_softmax,
    "glu": jax.nn.glu,
    "conv_nd": _conv_nd,
    "max_pool": _max_pool,
    "softmax_crossentropy": lambda x, labels: _likelihood(jax.nn.log_softmax(x), labels),
    "negative_log_likelihood": _likelihood,
}


def supports(op: str) -> bool:
    """Whether JAX has an op of this name, or it can be written with those it has."""
    return op in SPELLING or hasattr(jnp, op)


def _apply(op: str, operands: list[Any], params: dict[str, Any]) -> Any:
    if not supports(op):
        raise Unsupported(f"JAX has no {op}")
    no_out("JAX", params)
    if dtype := params.pop("dtype", None):
        operands = [jnp.asarray(x, dtype) for x in operands]
    return (SPELLING.get(op) or getattr(jnp, op))(*operands, **params)


def _function(program: Program, inputs: Sequence[Any]) -> tuple[Callable[[list[Any]], Any], list[Any]]:
    """The program as a function of the list of its variables, and their values; constants are closed over."""
    _forget()
    leaves = [x if i.kind == "number" else jnp.array(x) for i, x in zip(program.inputs, inputs, strict=True)]

    def run(variables: list[Any]) -> Any:
        given = list(leaves)
        for number, x in zip(program.variables, variables, strict=True):
            given[number] = x
        return jnp.asarray(evaluate(program, given, _apply)[-1])

    return run, [leaves[number] for number in program.variables]


def vjp(program: Program, inputs: Sequence[Any], cotangent: np.ndarray) -> Answer:
    """Value and gradients by ``jax.vjp``."""
    run, variables = _function(program, inputs)
    value, pull = jax.vjp(run, variables)
    gradients: list[np.ndarray | None] = [None] * len(program.inputs)
    if jnp.issubdtype(value.dtype, jnp.floating):  # else no variable reaches it
        for number, g in zip(program.variables, pull(jnp.asarray(cotangent, value.dtype))[0], strict=True):
            gradients[number] = np.array(g)
    return Answer(np.array(value), gradients)


def jvp(program: Program, inputs: Sequence[Any], tangents: Sequence[np.ndarray | None]) -> tuple[np.ndarray, np.ndarray]:
    """Value and tangent by ``jax.jvp``."""
    run, variables = _function(program, inputs)
    along = [jnp.asarray(tangents[number], x.dtype) for number, x in zip(program.variables, variables, strict=True)]
    value, tangent = jax.jvp(run, (variables,), (along,))
    return np.array(value), np.array(tangent)


#: How a case is written in JAX's words (see `adjudge.reports.script`).
SCRIPT = {
    "import": """
        from functools import reduce

        import jax
        import jax.numpy as jnp

        jax.config.update("jax_enable_x64", True)
        jax.config.update("jax_platforms", jax.config.jax_platforms or "cpu")
    """,
    "leaf": "{x} = jnp.array({x})",
    "list": "{x} = jnp.array({x})",
    "run": """
        def run({inputs}):
            {leaves}

            def program({variables}):
                {steps}
                return jnp.asarray({out})

            value, pull = jax.vjp(program, {variables})
            return np.array(value), [np.array(g) for g in pull(jnp.asarray(COTANGENT, value.dtype))]
    """,
    "push": """
        def push({inputs}, {tangents}):
            {leaves}

            def program({variables}):
                {steps}
                return jnp.asarray({out})

            value, tangent = jax.jvp(program, ({variables},), ({tangents},))
            return np.array(value), np.array(tangent)
    """,
    "step": "{y} = jnp.{op}({args})",
    "cast": "jnp.asarray({x}, {dtype})",
    "steps": composed_words("jnp")
    | {
        "iadd": "{y} = {0} + {1}",
        "isub": "{y} = {0} - {1}",
        "imul": "{y} = {0} * {1}",
        "itruediv": "{y} = {0} / {1}",
        "ipow": "{y} = {0} ** {1}",
        "getitem": "{y} = {0}[{index}]",
        "setitem": "{y} = {0}.at[{index}].set({1})",
        "flatten": "{y} = jnp.ravel({0})",
        "norm": "{y} = jnp.linalg.norm({args})",
        "repeat": "{y} = jnp.repeat({0}, np.asarray({repeats}), {axis})",
        "concatenate": "{y} = jnp.concatenate([{xs}]{params})",
        "stack": "{y} = jnp.stack([{xs}]{params})",
        "multi_matmul": "{y} = jnp.linalg.multi_dot([{xs}])",
        "einsum": "{y} = jnp.einsum({subscripts}, {xs})",
        **{op: f"{{y}} = jax.nn.{op}({{values}})" for op in ("relu", "leaky_relu", "elu", "selu", "sigmoid", "soft_sign")},
        "hard_tanh": "{y} = jnp.clip({0}, *(b if b is not None else d for b, d in (({lower_bound}, -1), ({upper_bound}, 1))))",
        **{op: f"{{y}} = jax.nn.{op}({{args}})" for op in ("softmax", "glu")},
        "logsoftmax": "{y} = jax.nn.log_softmax({args})",
        "max_pool": (
            "lead = (1,) * ({0}.ndim - len({pool}))\n"
            "strides = lead + (len({pool}) * ({stride},) if isinstance({stride}, int) else {stride})\n"
            '{y} = jax.lax.reduce_window({0}, -jnp.inf, jax.lax.max, lead + {pool}, strides, "VALID")'
        ),
        "softmax_crossentropy": "{y} = -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax({0}), {1}[:, None], axis=1)[:, 0])",
        "negative_log_likelihood": (
            "x, labels, weights = [{xs}, None][:3]\n"
            "picked = jnp.take_along_axis(x, labels[:, None], axis=1)[:, 0]\n"
            "{y} = -jnp.mean(picked if weights is None else picked * weights[labels])"
        ),
        "conv_nd": (
            "each = lambda v, default: ({0}.ndim - 2) * [v or default] if v is None or isinstance(v, int) else list(v)\n"
            "{y} = jax.lax.conv_general_dilated({0}, {1}, each({stride}, 1), "
            "[(p, p) for p in each({padding}, 0)], rhs_dilation=each({dilation}, 1))"
        ),
    },
}

#: How a program is timed (see `adjudge.bench.worker`): compiled, warm, and its arrays on the device. JAX's memory is not
#: NumPy's: what the compiler has laid out says how much there is of it.
TIMED = {
    "leaf": "{x} = jnp.array({x})",
    "passes": """
        def passes({inputs}):
            {leaves}
            seed = jnp.array(COTANGENT)

            def program({variables}):
                {steps}
                return jnp.asarray({out})

            def both(seed, {variables}):
                value, pull = jax.vjp(program, {variables})
                return value, pull(seed)

            value = jax.jit(program).lower({variables}).compile()
            start = time.perf_counter()
            all_of_it = jax.jit(both).lower(seed, {variables}).compile()
            compile_s = time.perf_counter() - start
            room = all_of_it.memory_analysis()
            return dict(
                forward=lambda: value({variables}).block_until_ready(),
                total=lambda: jax.block_until_ready(all_of_it(seed, {variables})),
                arrays=lambda answer: answer,
                compile_s=compile_s,
                peak=lambda: room.temp_size_in_bytes + room.output_size_in_bytes,
            )
    """,
}
