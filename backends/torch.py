"""PyTorch under test, with the user's own settings of threads and flags."""

from __future__ import annotations

from .language import Language
from .spelling import REDUCE, WRITES_TWICE, arithmetic, composed, updates

name = "torch"
distributions = ("torch", "numpy")
dtypes = ("float64", "float32", "float16", "bfloat16")

language = Language(
    title="PyTorch",
    imports="import torch",
    helpers=REDUCE
    + WRITES_TWICE
    + """
from torch.autograd import forward_ad
from torch.nn import functional as F

def tensor(x):
    x = np.array(x)  # a copy: PyTorch takes neither negative strides nor read-only memory
    if x.dtype.name == "bfloat16":  # which PyTorch does not take from NumPy
        return torch.from_numpy(x.astype(np.float32)).to(torch.bfloat16)
    return torch.from_numpy(x)
def array(x):
    if x.dtype == torch.bfloat16:
        return x.float().numpy(force=True).astype("bfloat16")
    return np.array(x.numpy(force=True))
def arrays(xs):
    return [None if x is None else array(x) for x in xs]

def pulled(value, variables, cotangent, **kept):
    if not value.requires_grad:
        return [None] * len(variables)
    return torch.autograd.grad(value, variables, cotangent.to(value.dtype), allow_unused=True, **kept)
def pulled_again(gradients, variables, tangents):
    pairs = [(g, tensor(v)) for g, v in zip(gradients, tangents) if g is not None and g.requires_grad]
    curved, weights = [g for g, _ in pairs], [v for _, v in pairs]
    return torch.autograd.grad(curved, variables, weights, allow_unused=True) if pairs else [None] * len(variables)

def places(index, shape):
    if any(isinstance(p, slice) and (p.step or 1) < 0 for p in index):
        raise NotImplementedError("PyTorch has no slices with a negative step")
    kept = [p.astype(np.int64) if isinstance(p, np.ndarray) and p.dtype != bool else p for p in index]
    taken = tuple(torch.from_numpy(p) if isinstance(p, np.ndarray) else p for p in kept)
    mixed, every = {int, np.ndarray} <= {type(p) for p in index}, np.arange(int(np.prod(shape))).reshape(tuple(shape))
    if mixed and every[index].shape != torch.from_numpy(every)[taken].shape:
        raise NotImplementedError("PyTorch puts axes in another order: an integer is no index array to it, as it is to NumPy")
    return taken
def assigned(x, value, index):
    if writes_twice(tuple(x.shape), index):
        raise NotImplementedError("PyTorch leaves open which value stays where an assignment repeats an index")
    out = x.clone()
    out[places(index, x.shape)] = value.to(x.dtype) if isinstance(value, torch.Tensor) else value
    return out

def prod(x, axis, keepdims):  # PyTorch's takes one axis at a time
    axes = range(x.ndim) if axis is None else [a % x.ndim for a in np.atleast_1d(axis).tolist()]
    return reduce(lambda part, a: torch.prod(part, a, keepdim=keepdims), sorted(axes, reverse=True), x)
def scan(function, x, axis):
    return function(x.ravel(), 0) if axis is None else function(x, axis)
def along(function, x, axis):
    if isinstance(axis, tuple):
        raise NotImplementedError("PyTorch's {} takes one axis".format(function.__name__))
    return function(x, axis) if axis is not None else function(x.ravel(), 0).reshape(x.shape)
def expand_dims(x, axis):
    axes = np.atleast_1d(axis).tolist()
    return reduce(torch.unsqueeze, sorted(a % (x.ndim + len(axes)) for a in axes), x)
def roll(x, shift, axis):  # one shift for each axis: PyTorch does not repeat a lone one
    return torch.roll(x, np.broadcast_to(shift, np.shape(axis)).tolist() if isinstance(axis, tuple) else shift, axis)
def joined(xs, axis):
    return torch.cat(xs, axis) if axis is not None else torch.cat([x.ravel() for x in xs])

def alike(*xs):
    if len({x.dtype for x in xs}) > 1:
        raise NotImplementedError("PyTorch multiplies matrices of one dtype only")
    return xs
def max_pool(x, pool, stride):
    lead = x.shape[: x.ndim - len(pool)]
    largest = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[len(pool) - 1]
    out = largest(x.reshape(1, -1, *x.shape[len(lead) :]), pool, stride)
    return out.reshape(*lead, *out.shape[2:])
def batchnorm(given, eps, x, *beside):
    named = dict(zip(given, beside))
    return F.batch_norm(x, None, None, named.get("gamma"), named.get("beta"), True, eps=eps)
def likelihood(x, labels, weights=None):
    if weights is not None and weights.dtype != x.dtype:
        raise NotImplementedError("PyTorch takes weights of the scores' dtype only")
    return F.nll_loss(x, labels.long(), weights, reduction="none").mean()
""",
    rooms=("torch",),
    step="{function}({xs}{params})",
    leaf="tensor({x})",
    nested="tensor({x})",
    number="torch.tensor({x}, dtype=torch.result_type({beside:torch.zeros((), dtype=torch.float64)}, {x}))",
    takes_numbers=(*arithmetic(""), *updates(""), "setitem"),
    cast="{x}.to(getattr(torch, {dtype}))",
    spelling=composed("torch")
    | updates("{y} = {0}.clone()\n{y} SIGN= {1}")
    | arithmetic("{0} SIGN {1}")
    | dict.fromkeys(("sum", "mean"), "{function}({0}, {axis}, {keepdims:False})")
    | dict.fromkeys(("var", "std"), "{function}({0}, {axis}, correction={ddof:0}, keepdim={keepdims:False})")
    | dict.fromkeys(("cumsum", "cumprod"), "scan({function}, {0}, {axis})")
    | {
        "setitem": "assigned({0}, {1}, np.index_exp[{index}])",
        "getitem": "{0}[places(np.index_exp[{index}], {0}.shape)]",
        "max": "torch.amax({0}, {axis}, {keepdims:False})",
        "min": "torch.amin({0}, {axis}, {keepdims:False})",
        "prod": "prod({0}, {axis}, {keepdims:False})",
        "norm": "torch.linalg.vector_norm({0}, {ord:2}, {axis}, {keepdims:False})",
        "expand_dims": "expand_dims({0}, {axis})",
        "transpose": "torch.permute({0}, {axes} or tuple(reversed(range({0}.ndim))))",
        "swapaxes": "torch.swapaxes({0}, {axis1}, {axis2})",
        "broadcast_to": "torch.broadcast_to({0}, {shape})",
        "reshape": "torch.reshape({0}, tuple(np.atleast_1d({shape}).tolist()))",
        "roll": "roll({0}, {shift}, {axis})",
        "repeat": "torch.repeat_interleave({0}, torch.as_tensor({repeats}, dtype=torch.int64), {axis})",
        "concatenate": "joined([{xs}], {axis:0})",
        "stack": "torch.stack([{xs}], {axis:0})",
        "where": "torch.where({0}.bool(), {1}, {2})",
        "matmul": "torch.matmul(*alike({xs}))",
        "multi_matmul": "torch.linalg.multi_dot(alike({xs}))",
        "einsum": "torch.einsum({subscripts}, *alike({xs}))",
        "leaky_relu": "F.leaky_relu({0}, {slope})",
        "elu": "F.elu({0}, {alpha})",
        "hard_tanh": "F.hardtanh({0}, {lower_bound:-1}, {upper_bound:1})",
        "soft_sign": "F.softsign({0})",
        "softmax": "along(torch.softmax, {0}, {axis:-1})",
        "logsoftmax": "along(torch.log_softmax, {0}, {axis:-1})",
        "glu": "F.glu({0}, {axis:-1})",
        "conv_nd": "(F.conv1d, F.conv2d, F.conv3d)[{0}.ndim - 3](*alike({0}, {1}), None, {stride}, {padding:0}, {dilation:1})",
        "max_pool": "max_pool({0}, {pool}, {stride})",
        "batchnorm": "batchnorm({given}, {eps}, *alike({xs}))",
        "softmax_crossentropy": "F.cross_entropy({0}, {1}.long())",
        "negative_log_likelihood": "likelihood({xs})",
        "multiclass_hinge": "F.multi_margin_loss({0}, {1}.long(), margin={hinge:1.0}) * {0}.shape[1]",
        "margin_ranking_loss": (
            "F.margin_ranking_loss({0}, {1}, {2}.reshape(-1, *(1,) * ({0}.ndim - 1)).expand_as({0}), {margin})"
        ),
    },
    vjp="""
        def vjp({inputs}, cotangent):
            {leaves}
            {x}.requires_grad_()
            {steps}
            return array({out}), arrays(pulled({out}, [{variables}], tensor(cotangent)))
    """,
    jvp="""
        def jvp({inputs}, {tangents}):
            {leaves}
            with forward_ad.dual_level():
                {x} = forward_ad.make_dual({x}, tensor(along_{x}))
                {steps}
                value, tangent = forward_ad.unpack_dual({out})
            return array(value), array(torch.zeros_like(value) if tangent is None else tangent)
    """,
    hvp={
        "forward over reverse": """
            def hvp({inputs}, cotangent, {tangents}):
                {leaves}
                {x}.requires_grad_()
                with forward_ad.dual_level():
                    {x} = forward_ad.make_dual({x}, tensor(along_{x}))
                    {steps}
                    gradients = pulled({out}, [{variables}], tensor(cotangent), create_graph=True)
                    return arrays(None if g is None else forward_ad.unpack_dual(g).tangent for g in gradients)
        """,
        "reverse over reverse": """
            def hvp({inputs}, cotangent, {tangents}):
                {leaves}
                {x}.requires_grad_()
                {steps}
                gradients = pulled({out}, [{variables}], tensor(cotangent), create_graph=True)
                return arrays(pulled_again(gradients, [{variables}], [{tangents}]))
        """,
    },
    # On the arrays' own memory. PyTorch's is not NumPy's: its profiler tells of every piece that is taken and given back.
    passes="""
        def passes({inputs}, cotangent):
            {x} = torch.from_numpy({x}).requires_grad_()
            seed = torch.from_numpy(cotangent)

            def forward():
                {steps}
                return {out}

            def total():
                {out} = forward()
                return {out}, torch.autograd.grad({out}, [{variables}], seed)

            def peak():
                import json
                import tempfile

                from torch.profiler import ProfilerActivity, profile

                with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
                    total()
                with tempfile.TemporaryDirectory() as folder:
                    seen.export_chrome_trace(folder + "/trace.json")
                    with open(folder + "/trace.json") as file:
                        events = json.load(file)["traceEvents"]
                memory = [event["args"] for event in events if event["name"] == "[memory]"]
                return max(m["Total Allocated"] for m in memory) - memory[0]["Total Allocated"] + memory[0]["Bytes"]

            arrays = lambda both: (both[0].detach().numpy(), [g.numpy() for g in both[1]])
            return dict(forward=forward, total=total, arrays=arrays, peak=peak)
    """,
    session="""
import warnings

with warnings.catch_warnings():  # what forward mode imports when it is first used calls a function that PyTorch deprecates
    warnings.simplefilter("ignore", DeprecationWarning)
    import torch._decomp.decompositions_for_jvp
""",
    lacking=("gru",),  # PyTorch's applies the reset gate to the product
    refusals=(("RuntimeError", "not supported"), ("RuntimeError", "not implemented")),  # it has no exception of its own
)
