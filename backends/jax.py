"""JAX under test, op by op, on the CPU unless JAX_PLATFORMS says otherwise; also the witness that the oracle calls in."""

from __future__ import annotations

from .language import Language
from .spelling import REDUCE, WRITES_TWICE, composed, updates

name = "jax"
distributions = ("jax", "jaxlib", "numpy")
dtypes = ("float64", "float32", "float16", "bfloat16")
flushes_subnormals = True

language = Language(
    title="JAX",
    imports="""
import jax
import jax.numpy as jnp

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_platforms", jax.config.jax_platforms or "cpu")
""",
    helpers=REDUCE
    + WRITES_TWICE
    + """
import time


def assigned(x, value, index):
    if writes_twice(x.shape, index):
        raise NotImplementedError("JAX leaves open which value stays where an assignment repeats an index")
    return x.at[index].set(jnp.asarray(value, x.dtype))  # as NumPy casts; JAX warns


def conv_nd(x, w, stride, padding, dilation):
    axes = x.ndim - 2
    stride, padding, dilation = ((v,) * axes if isinstance(v, int) else v for v in (stride, padding, dilation))
    both = jnp.promote_types(x.dtype, w.dtype)
    padding = [(p, p) for p in padding]
    return jax.lax.conv_general_dilated(x.astype(both), w.astype(both), stride, padding, rhs_dilation=dilation)


def max_pool(x, pool, stride):
    lead = (1,) * (x.ndim - len(pool))
    strides = lead + ((stride,) * len(pool) if isinstance(stride, int) else stride)
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, lead + pool, strides, "VALID")


def likelihood(x, labels, weights=None):
    picked = jnp.take_along_axis(x, labels[:, None], axis=1)[:, 0]
    return -jnp.mean(picked if weights is None else picked * weights[labels])
""",
    rooms=("jnp",),
    leaf="jnp.array({x})",
    nested="jnp.array({x})",
    cast="jnp.asarray({x}, {dtype})",
    spelling=composed("jnp")
    | updates("{0} SIGN {1}")  # its arrays are immutable: x += y is x = x + y
    | {op: "jax.nn." + op + "({args})" for op in ("relu", "selu", "sigmoid", "soft_sign", "softmax", "glu")}
    | {
        "getitem": "{0}[{index}]",
        "setitem": "assigned({0}, {1}, np.index_exp[{index}])",
        "flatten": "jnp.ravel({0})",
        "norm": "jnp.linalg.norm({args})",
        "repeat": "jnp.repeat({0}, np.asarray({repeats}), {axis})",
        "concatenate": "jnp.concatenate([{xs}], {axis:0})",
        "stack": "jnp.stack([{xs}], {axis:0})",
        "multi_matmul": "jnp.linalg.multi_dot([{xs}])",
        "einsum": "jnp.einsum({subscripts}, {xs})",
        "leaky_relu": "jax.nn.leaky_relu({0}, {slope})",
        "elu": "jax.nn.elu({0}, {alpha})",
        "hard_tanh": "jnp.clip({0}, {lower_bound:-1}, {upper_bound:1})",
        "logsoftmax": "jax.nn.log_softmax({args})",
        "conv_nd": "conv_nd({0}, {1}, {stride}, {padding:0}, {dilation:1})",
        "max_pool": "max_pool({0}, {pool}, {stride})",
        "softmax_crossentropy": "likelihood(jax.nn.log_softmax({0}), {1})",
        "negative_log_likelihood": "likelihood({xs})",
    },
    parts={
        "program": """
            {leaves}

            def program({variables}):
                {steps}
                return jnp.asarray({out})
        """,
        "gradient": """
            def gradient({variables}):
                value, pull = jax.vjp(program, {variables})
                return pull(jnp.asarray(cotangent, value.dtype))
        """,
    },
    vjp="""
        def vjp({inputs}, cotangent):
            {program}

            value, pull = jax.vjp(program, {variables})
            if not jnp.issubdtype(value.dtype, jnp.floating):  # no variable reaches it
                return np.array(value), [None for x in {variable_tuple}]
            return np.array(value), [np.array(g) for g in pull(jnp.asarray(cotangent, value.dtype))]
    """,
    jvp="""
        def jvp({inputs}, {tangents}):
            {program}

            value, tangent = jax.jvp(program, {variable_tuple}, {tangent_tuple})
            return np.array(value), np.array(tangent)
    """,
    hvp={
        "forward over reverse": """
            def hvp({inputs}, cotangent, {tangents}):
                {program}

                {gradient}

                gradients, products = jax.jvp(gradient, {variable_tuple}, {tangent_tuple})
                return [np.array(x) for x in products]
        """,
        "reverse over reverse": """
            def hvp({inputs}, cotangent, {tangents}):
                {program}

                {gradient}

                gradients, pull = jax.vjp(gradient, {variables})
                return [np.array(x) for x in pull({tangent_tuple})]
        """,
    },
    # Compiled, warm, and its arrays on the device. JAX's memory is not NumPy's: what the compiler has laid out says how much.
    passes="""
        def passes({inputs}, cotangent):
            {program}

            def both(seed, {variables}):
                value, pull = jax.vjp(program, {variables})
                return value, pull(seed)

            seed = jnp.array(cotangent)
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
    # JAX compiles for each new shape, which takes far longer than running, and keeps every kernel in memory for good.
    session="""
def use_cache(folder):
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def forget():
    jax.clear_caches()
""",
)
