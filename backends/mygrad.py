"""MyGrad under test: tensors over NumPy arrays, with NumPy's own names, memory layouts, ``out=`` and in-place updates.

Adjudge's own processes run it with NUMBA_DISABLE_JIT=1, unless the user has set that: Numba would compile MyGrad's GRU for
every dtype, which takes far longer than a few small calls do as plain Python. In your own process the choice is yours.
"""

from __future__ import annotations

from .language import Language
from .spelling import updates

name = "mygrad"
distributions = ("mygrad", "numpy")
tensors = "mygrad"
numpy_dtypes = True
dtypes = ("float64", "float32", "float16")

#: In MyGrad a constant stays one whatever is written into it, so the copy to write into is constant only if the result is.
COPY = "mg.positive({0}, constant={constant})"

language = Language(
    title="MyGrad",
    imports="import mygrad as mg",
    rooms=("mg", "mg.linalg", "mg.nnet"),
    # The arrays given become tensors without a copy, so that their layouts reach the library.
    leaf="mg.tensor({x}, constant={constant}, copy=False)",
    masked="{function}({xs}, out=mg.positive({under}, constant={constant}){params})",
    spelling=updates("{y} = " + COPY + "\n{y} SIGN= {1}")
    | {
        "matmul": "mg.astensor({0}) @ {1}",  # early releases do not export the function
        "getitem": "mg.astensor({0})[{index}]",
        "setitem": "{y} = " + COPY + "\n{y}[{index}] = {1}",
        "where": "mg.where(np.asarray({0}), {1}, {2})",
        "reshape": "mg.reshape({0}, {shape})",
        "flatten": "mg.astensor({0}).flatten()",
        "transpose": "mg.transpose({0}, *({axes} or ()))",
        "concatenate": "mg.concatenate([{xs}]{params})",
        "stack": "mg.stack([{xs}]{params})",
        "multi_matmul": "mg.multi_matmul([{xs}])",
        "einsum": "mg.einsum({subscripts}, {xs})",
        "batchnorm": "mg.nnet.batchnorm({0}, **dict(zip({given}, [{xs}][1:])), eps={eps})",
        "negative_log_likelihood": "mg.nnet.negative_log_likelihood({0}, {1}, weights=[{xs}, None][2])",
    },
    vjp="""
        def vjp({inputs}, cotangent):
            {leaves}
            {steps}
            value = np.array({out}.data)
            {out}.backward(np.array(cotangent))
            return value, [x.grad for x in [{variables}]]
    """,
    # As its users write it, the leaves made once.
    passes="""
        def passes({inputs}, cotangent):
            {leaves}

            def forward():
                {steps}
                return {out}

            def total():
                {out} = forward()
                {out}.backward(cotangent)
                return {out}, [x.grad for x in [{variables}]]

            return dict(forward=forward, total=total, arrays=lambda both: (both[0].data, both[1]))
    """,
    environment={"NUMBA_DISABLE_JIT": "1"},
)
