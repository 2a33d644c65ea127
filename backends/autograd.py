"""HIPS autograd under test: NumPy wrapped, the ancestor of the others."""

from __future__ import annotations

from .language import Language
from .spelling import REDUCE, composed, updates

name = "autograd"
distributions = ("autograd", "numpy")
numpy_dtypes = True

language = Language(
    title="autograd",
    imports="import autograd.numpy as anp",
    helpers=REDUCE
    + """
import warnings
from autograd import make_jvp, make_vjp


def cast(x, dtype):
    return x.astype(dtype) if hasattr(x, "astype") else np.asarray(x, dtype)


def quietly(traced, *given):
    with warnings.catch_warnings():  # autograd warns where what it traces depends on no variable
        warnings.simplefilter("ignore")
        return traced(*given)


def pulled(program, variables, cotangent):
    pull, value = quietly(make_vjp(program), variables)
    return np.array(value), [np.array(g) for g in pull(np.array(cotangent))]
""",
    rooms=("anp",),
    nested="np.asarray({x})",
    cast="cast({x}, {dtype})",
    spelling=composed("anp")
    | updates("anp.FUNCTION({0}, {1}).astype({0}.dtype)")  # autograd asks for x = x + y in place of x += y
    | {
        "getitem": "{0}[{index}]",
        "reshape": "anp.reshape({0}, {shape})",
        "flatten": "anp.ravel({0})",
        "broadcast_to": "anp.broadcast_to({0}, {shape})",
        "norm": "anp.linalg.norm({args})",
        "concatenate": "anp.concatenate([{xs}], {axis:0})",
        "stack": "anp.stack([{xs}], {axis:0})",
        "multi_matmul": "reduce(anp.matmul, [{xs}])",
        "einsum": "anp.einsum({subscripts}, {xs})",
    },
    parts={
        "program": """
            {leaves}

            def program(variables):
                {variable_tuple} = variables
                {steps}
                return {out}
        """,
        "gradient": """
            def gradient(variables):
                pull, value = make_vjp(program)(variables)
                return pull(np.array(cotangent))
        """,
    },
    vjp="""
        def vjp({inputs}, cotangent):
            {program}

            return pulled(program, {variable_tuple}, cotangent)
    """,
    jvp="""
        def jvp({inputs}, {tangents}):
            {program}

            value, tangent = quietly(make_jvp(program)({variable_tuple}), {tangent_tuple})
            return np.array(value), np.array(tangent)
    """,
    hvp={
        "forward over reverse": """
            def hvp({inputs}, cotangent, {tangents}):
                {program}

                {gradient}

                gradients, products = quietly(make_jvp(gradient)({variable_tuple}), {tangent_tuple})
                return [np.array(x) for x in products]
        """,
        "reverse over reverse": """
            def hvp({inputs}, cotangent, {tangents}):
                {program}

                {gradient}

                pull, gradients = quietly(make_vjp(gradient), {variable_tuple})
                return [np.array(x) for x in pull({tangent_tuple})]
        """,
    },
    # Forwards alone autograd has nothing to trace.
    passes="""
        def passes({inputs}, cotangent):
            {program}

            def total():
                pull, value = make_vjp(program)({variable_tuple})
                return value, pull(cotangent)

            return dict(forward=lambda: program({variable_tuple}), total=total, arrays=lambda both: both)
    """,
    # It computes these but has no derivative for them, or (setitem) its arrays cannot be written to.
    lacking=("positive", "cbrt", "cumprod", "setitem"),
    unsupported="autograd has no derivative of {op}",
    refusals=(("AssertionError", "Can't handle"),),  # its word for a broadcast that its rule does not have
)
