"""An implementation that has sin, multiply and sum of float64 arrays, and knows of adjudge what the protocol's page says.

It stands for one in another language: it imports neither adjudge nor NumPy. ``python tiny.py WHEN CODE`` does something to its
replies to "hello" or "ask": CODE sees the `reply` and the `data` that follows it.
"""

import json
import math
import struct
import sys
from typing import Any

SIZES = {"bool": 1, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "float16": 2, "bfloat16": 2, "int32": 4, "uint32": 4}
STEPS = {"sin", "multiply", "sum"}


def count(shape: list[int]) -> int:
    return math.prod(shape)


def hello(message: Any, arrays: list[Any]) -> tuple[dict[str, Any], list[Any]]:
    return {"name": "tiny", "versions": {"tiny": "1.0"}, "dtypes": ["float64"], "ops": sorted(STEPS & set(message["ops"]))}, []


def ask(message: Any, arrays: list[Any]) -> tuple[dict[str, Any], list[Any]]:
    if any(step["params"] for step in message["steps"]) or any(form["dtype"] != "float64" for form, _ in arrays):
        return {"unsupported": "tiny has float64 alone, and no parameters"}, []
    inputs = len(message["inputs"])
    values = list(arrays[:inputs])
    for step in message["steps"]:
        (form, x), (other, y) = values[step["args"][0]], values[step["args"][-1]]
        if step["op"] == "sum":
            form, made = {**form, "shape": []}, [math.fsum(x)]
        elif step["op"] == "sin":
            made = [math.sin(v) for v in x]
        elif form == other:
            made = [v * w for v, w in zip(x, y, strict=True)]
        else:
            return {"unsupported": "tiny does not broadcast"}, []
        values.append((form, made))
    slopes = [[0.0] * len(numbers) for _, numbers in values]
    slopes[-1] = arrays[inputs][1]
    for number, step in reversed(list(enumerate(message["steps"], inputs))):
        first, last, g = step["args"][0], step["args"][-1], slopes[number]
        x, y = values[first][1], values[last][1]
        if step["op"] == "sum":
            slopes[first] = [s + g[0] for s in slopes[first]]
        elif step["op"] == "sin":
            slopes[first] = [s + v * math.cos(w) for s, v, w in zip(slopes[first], g, x, strict=True)]
        else:
            slopes[first] = [s + v * w for s, v, w in zip(slopes[first], g, y, strict=True)]
            slopes[last] = [s + v * w for s, v, w in zip(slopes[last], g, x, strict=True)]
    wanted = [n for n, i in enumerate(message["inputs"]) if not i["constant"]]
    sent = [values[-1], *((values[n][0], slopes[n]) for n in wanted)]
    return {"answer": [0, *(1 + wanted.index(n) if n in wanted else None for n in range(inputs))]}, sent


def main() -> None:
    source, out = sys.stdin.buffer, sys.stdout.buffer
    when, code = sys.argv[1:] or ("", "")
    while line := source.readline():
        message, arrays = json.loads(line), list[Any]()
        for form in message.get("arrays", []):
            raw = source.read(count(form["shape"]) * SIZES.get(form["dtype"], 8))
            numbers = struct.unpack(f"<{count(form['shape'])}d", raw) if form["dtype"] == "float64" else raw
            arrays.append((form, list(numbers)))
        reply, sent = {"hello": hello, "ask": ask}[message["do"]](message, arrays)
        reply = {"id": message["id"], **reply, "arrays": [form for form, _ in sent]}
        data = b"".join(struct.pack(f"<{len(numbers)}d", *numbers) for _, numbers in sent)
        if message["do"] == when and (when == "hello" or sent):
            spoilt: dict[str, Any] = {"reply": reply, "data": data, "out": out}
            exec(code, spoilt)
            reply, data = spoilt["reply"], spoilt["data"]
        out.write((reply if isinstance(reply, bytes) else json.dumps(reply).encode()) + b"\n" + data)
        out.flush()


main()
