// TensorFlow.js as adjudge asks it, see ../README.md: its CPU backend, float32, reverse mode, and reverse mode twice.

import tf from "@tensorflow/tfjs";

import { receive, send } from "./channel.mjs";

class Unsupported extends Error {}

function lacking(what) {
  throw new Unsupported(what);
}

// -- ops: a line each, in TensorFlow.js' own words ------------------------------------------------------------------------

/** An op without parameters; NumPy's `where=` and `dtype=`, which any function there has, are not known here. */
const plain = (f) => (xs, params) => {
  const [name] = Object.keys(params);
  return name ? lacking(`TensorFlow.js has no ${name}=`) : f(...xs);
};
const axesOf = (axis) => axis ?? undefined;
const reduction = (f) => ([x], { axis, keepdims }) => f(x, axesOf(axis), keepdims ?? false);
const scan = (f) => ([x], { axis }) => (axis == null ? f(tf.reshape(x, [-1]), 0) : f(x, axis));
const positive = (axis, rank) => (axis < 0 ? axis + rank : axis);
const every = (setting, count) => (Array.isArray(setting) ? setting : Array(count).fill(setting));
const flat = (x) => tf.reshape(x, [-1]);
const prod = (numbers) => numbers.reduce((a, b) => a * b, 1);

const arithmetic = { add: tf.add, sub: tf.sub, mul: tf.mul, truediv: tf.div, pow: tf.pow };
const OPS = {
  positive: plain((x) => tf.clone(x)),
  negative: plain((x) => tf.neg(x)),
  reciprocal: plain((x) => tf.reciprocal(x)),
  square: plain((x) => tf.square(x)),
  sqrt: plain((x) => tf.sqrt(x)),
  add: plain((x, y) => tf.add(x, y)),
  subtract: plain((x, y) => tf.sub(x, y)),
  multiply: plain((x, y) => tf.mul(x, y)),
  divide: plain((x, y) => tf.div(x, y)),
  power: plain((x, y) => tf.pow(x, y)),
  add_sequence: plain((...xs) => (sameShapes(xs) ? tf.addN(xs) : xs.reduce((x, y) => tf.add(x, y)))),
  multiply_sequence: plain((...xs) => xs.reduce((x, y) => tf.mul(x, y))),
  exp: plain((x) => tf.exp(x)),
  expm1: plain((x) => tf.expm1(x)),
  log: plain((x) => tf.log(x)),
  log1p: plain((x) => tf.log1p(x)),
  sin: plain((x) => tf.sin(x)),
  cos: plain((x) => tf.cos(x)),
  tan: plain((x) => tf.tan(x)),
  csc: plain((x) => tf.div(1, tf.sin(x))),
  sec: plain((x) => tf.div(1, tf.cos(x))),
  cot: plain((x) => tf.div(tf.cos(x), tf.sin(x))),
  arcsin: plain((x) => tf.asin(x)),
  arccos: plain((x) => tf.acos(x)),
  arctan: plain((x) => tf.atan(x)),
  arctan2: plain((y, x) => tf.atan2(y, x)),
  sinh: plain((x) => tf.sinh(x)),
  cosh: plain((x) => tf.cosh(x)),
  tanh: plain((x) => tf.tanh(x)),
  csch: plain((x) => tf.div(1, tf.sinh(x))),
  sech: plain((x) => tf.div(1, tf.cosh(x))),
  coth: plain((x) => tf.div(1, tf.tanh(x))),
  arcsinh: plain((x) => tf.asinh(x)),
  arccosh: plain((x) => tf.acosh(x)),
  arctanh: plain((x) => tf.atanh(x)),
  absolute: plain((x) => tf.abs(x)),
  maximum: plain((x, y) => tf.maximum(x, y)),
  minimum: plain((x, y) => tf.minimum(x, y)),
  clip: plain((x, low, high) => tf.minimum(tf.maximum(x, low), high)),
  where: plain((condition, x, y) => tf.where(condition, x, y)),
  // Its tensors do not change: x += y is x = x + y.
  iadd: plain((x, y) => tf.add(x, y)),
  isub: plain((x, y) => tf.sub(x, y)),
  imul: plain((x, y) => tf.mul(x, y)),
  itruediv: plain((x, y) => tf.div(x, y)),
  ipow: plain((x, y) => tf.pow(x, y)),
  matmul: plain(product),
  multi_matmul: plain((...xs) => xs.reduce(product)),
  norm: ([x], { ord, axis, keepdims }) => tf.norm(x, ord ?? "euclidean", axis ?? null, keepdims ?? false),
  sum: reduction(tf.sum),
  mean: reduction(tf.mean),
  max: reduction(tf.max),
  min: reduction(tf.min),
  prod: reduction(tf.prod),
  var: ([x], { axis, keepdims, ddof }) =>
    ddof ? lacking("tf.moments has no ddof") : tf.moments(x, axesOf(axis), keepdims ?? false).variance,
  std: (xs, params) => tf.sqrt(OPS.var(xs, params)),
  cumsum: scan((x, axis) => tf.cumsum(x, axis)),
  reshape: ([x], { shape }) => tf.reshape(x, [shape].flat()),
  ravel: plain(flat),
  flatten: plain(flat),
  squeeze: ([x], { axis }) => tf.squeeze(x, axis == null ? undefined : [axis].flat()),
  expand_dims: ([x], { axis }) =>
    Array.isArray(axis) ? lacking("tf.expandDims takes one axis") : tf.expandDims(x, axis),
  transpose: ([x], { axes }) => tf.transpose(x, axes?.map((axis) => positive(axis, x.rank))),
  swapaxes: ([x], { axis1, axis2 }) => tf.transpose(x, swapped(x.rank, axis1, axis2)),
  broadcast_to: ([x], { shape }) => tf.broadcastTo(x, shape),
  concatenate: (xs, { axis }) => {
    joinable(xs, "concat");
    return axis === null ? tf.concat(xs.map(flat)) : tf.concat(xs, positive(axis, xs[0].rank));
  },
  stack: (xs, { axis }) => {
    joinable(xs, "stack");
    return tf.stack(xs, positive(axis, xs[0].rank + 1));
  },
  getitem: ([x], { index }) => part(x, index),
  relu: plain((x) => tf.relu(x)),
  leaky_relu: ([x], { slope }) => tf.leakyRelu(x, slope),
  elu: ([x], { alpha }) => (alpha === 1 ? tf.elu(x) : lacking("tf.elu has no alpha")),
  selu: plain((x) => tf.selu(x)),
  sigmoid: plain((x) => tf.sigmoid(x)),
  hard_tanh: ([x], { lower_bound, upper_bound }) => tf.clipByValue(x, lower_bound ?? -1, upper_bound ?? 1),
  soft_sign: plain((x) => tf.div(x, tf.add(tf.abs(x), 1))), // as in @tensorflow/tfjs-layers
  softmax: ([x], { axis }) => tf.softmax(x, lastAxis("softmax", axis, x.rank)),
  logsoftmax: ([x], { axis }) => tf.logSoftmax(x, lastAxis("logSoftmax", axis, x.rank)),
  glu: ([x], { axis }) => {
    const [first, second] = tf.split(x, 2, positive(axis ?? -1, x.rank));
    return tf.mul(first, tf.sigmoid(second));
  },
  conv_nd: ([x, filters], params) => convolution(x, filters, params),
  max_pool: ([x], { pool, stride }) => pooled(x, pool, every(stride, pool.length)),
  batchnorm: ([x, ...beside], { eps, given }) => {
    const channelsLast = [0, ...range(2, x.rank), 1];
    const turned = tf.transpose(x, channelsLast);
    const { mean, variance } = tf.moments(turned, range(0, x.rank - 1));
    const [gamma, beta] = ["gamma", "beta"].map((name) => beside[(given ?? []).indexOf(name)]);
    const normed = tf.batchNorm(turned, mean, variance, beta, gamma, eps);
    return tf.transpose(normed, [0, x.rank - 1, ...range(1, x.rank - 1)]);
  },
  softmax_crossentropy: plain((x, labels) => tf.losses.softmaxCrossEntropy(tf.oneHot(labels, x.shape[1]), x)),
};

function range(start, stop) {
  return Array.from({ length: Math.max(stop - start, 0) }, (_, n) => start + n);
}

function sameShapes(xs) {
  return xs.every((x) => x instanceof tf.Tensor && String(x.shape) === String(xs[0].shape));
}

/** "The tensors ranks and types must match", says its documentation. */
function joinable(xs, name) {
  if (xs.some((x) => x.dtype !== xs[0].dtype)) lacking(`tf.${name} joins tensors of one dtype`);
}

function product(x, y) {
  if (x.rank > 1 && y.rank > 1) return tf.matMul(x, y);
  return x.rank < 3 && y.rank < 3 ? tf.dot(x, y) : lacking("tf.dot takes tensors of one or two axes");
}

function swapped(rank, first, second) {
  const order = range(0, rank);
  [first, second] = [positive(first, rank), positive(second, rank)];
  [order[first], order[second]] = [order[second], order[first]];
  return order;
}

function lastAxis(name, axis, rank) {
  const axes = [axis === undefined ? -1 : axis].flat();
  return axes.length === 1 && axes[0] !== null && positive(axes[0], rank) === rank - 1
    ? rank - 1
    : lacking(`tf.${name} goes along the last axis alone`);
}

/** Images (N, C, …) meet filters (F, C, …); TensorFlow.js has the channels last, and the filters' number at the very end. */
function convolution(x, filters, { stride, padding, dilation }) {
  const axes = x.rank - 2;
  const [strides, pads, apart] = [stride, padding ?? 0, dilation ?? 1].map((setting) => every(setting, axes));
  const images = tf.transpose(x, [0, ...range(2, x.rank), 1]);
  const bank = tf.transpose(filters, [...range(2, x.rank), 1, 0]);
  const back = (y) => tf.transpose(y, [0, y.rank - 1, ...range(1, y.rank - 1)]);
  if (axes === 1) return back(tf.conv1d(images, bank, strides[0], pads[0] || "valid", "NWC", apart[0]));
  const around = [[0, 0], ...pads.map((n) => [n, n]), [0, 0]];
  if (axes === 2) return back(tf.conv2d(images, bank, strides, around, "NHWC", apart));
  if (axes === 3 && pads.every((n) => n === 0)) return back(tf.conv3d(images, bank, strides, "valid", "NDHWC", apart));
  return lacking("tf.conv3d pads by 'same' or 'valid' alone, and there is no convolution along four axes");
}

/** Windows over the last axes: the axes before them are a batch, and there is one channel. */
function pooled(x, pool, strides) {
  const lead = x.shape.slice(0, x.rank - pool.length);
  const sides = x.shape.slice(x.rank - pool.length);
  if (pool.length > 3) return lacking("TensorFlow.js pools along three axes at most");
  if (pool.length === 3) {
    const y = tf.maxPool3d(tf.reshape(x, [prod(lead), ...sides, 1]), pool, strides, "valid");
    return tf.reshape(y, [...lead, ...y.shape.slice(1, 4)]);
  }
  const one = pool.length === 1 ? [1] : []; // there is no pooling along one axis: it is a row of pixels
  const y = tf.maxPool(tf.reshape(x, [prod(lead), ...one, ...sides, 1]), [...one, ...pool], [...one, ...strides], "valid");
  return tf.reshape(y, [...lead, ...y.shape.slice(1 + one.length, 3)]);
}

/** What an index selects: integers, slices of step 1 or -1, new axes, and one index array. */
function part(x, index) {
  if (index.some((n) => n.dtype === "bool")) return lacking("tf.booleanMask is asynchronous, and has no gradient");
  const taken = index.filter((n) => typeof n === "number" || n.slice || n.array !== undefined).length;
  const filled = [{ slice: [null, null, null] }];
  const whole = x;
  const all = index.some((n) => n.ellipsis) ? index : [...index, { ellipsis: true }];
  const parts = all.flatMap((n) => (n.ellipsis ? Array(x.rank - taken).fill(filled).flat() : [n]));
  if (parts.filter((n) => n.array !== undefined).length > 1) return lacking("tf.gather takes one index array");
  if (parts.some((n) => n.array !== undefined) && parts.some((n) => typeof n === "number"))
    return lacking("an integer beside an index array is an index array too, and tf.gather takes one");
  let axis = 0;
  for (const n of parts) {
    if (n.newaxis) {
      x = tf.expandDims(x, axis++);
    } else if (typeof n === "number") {
      x = tf.squeeze(section(x, axis, positive(n, x.shape[axis]), 1), [axis]);
    } else if (n.array !== undefined) {
      const places = [n.array].flat(Infinity).map((place) => positive(place, x.shape[axis]));
      x = tf.gather(x, tf.tensor(places, n.shape, "int32"), axis);
      axis += n.shape.length;
    } else {
      const length = x.shape[axis];
      const [start, stop, step] = n.slice;
      if ((step ?? 1) === 1) {
        const [low, high] = [start ?? 0, stop ?? length].map((at) => Math.min(Math.max(positive(at, length), 0), length));
        x = section(x, axis, low, Math.max(high - low, 0));
      } else if (step === -1 && start === null && stop === null) {
        x = tf.reverse(x, axis);
      } else return lacking("tf.stridedSlice has no gradient");
      axis += 1;
    }
  }
  return x === whole ? tf.clone(x) : x;
}

function section(x, axis, begin, size) {
  if (size === x.shape[axis]) return x;
  return tf.slice(x, x.shape.map((_, n) => (n === axis ? begin : 0)), x.shape.map((n, a) => (a === axis ? size : n)));
}

// -- questions -----------------------------------------------------------------------------------------------------------

/** What TensorFlow.js says where it lacks something. */
const REFUSALS = [
  "gradient function not found", "not yet supported", "is not supported", "invalid ord value", "invalid axis",
  "Either stride", "not implemented for", "must be float",
];
/** What it says of a second derivative to which no step leads: that of a linear function, say, is no zero there. */
const NO_PATH = "Cannot compute gradient of y=f(x)";

/** An array as TensorFlow.js is given it: a tensor, or a number of JavaScript's. */
function given({ dtype, shape, bytes }, kind) {
  const at = (Kind) => new Kind(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  const numbers = {
    bool: () => at(Uint8Array), uint8: () => at(Uint8Array), int8: () => at(Int8Array), int16: () => at(Int16Array),
    uint16: () => at(Uint16Array), int32: () => at(Int32Array), uint32: () => at(Uint32Array), float32: () => at(Float32Array),
    int64: () => Array.from(at(BigInt64Array), Number), float64: () => at(Float64Array),
  }[dtype];
  if (!numbers) return lacking(`TensorFlow.js has no ${dtype}`);
  const data = numbers();
  if (kind === "number" && dtype !== "bool") return data[0];
  if (dtype === "float32") return tf.tensor(data, shape, "float32");
  if (dtype === "bool") return tf.tensor(data, shape, "bool");
  if (dtype === "float64" && kind === "array") return lacking("TensorFlow.js has no float64");
  if (dtype === "float64") return tf.tensor(Float32Array.from(data), shape, "float32");
  return tf.tensor(Int32Array.from(data), shape, "int32");
}

/** The numbers of the inputs that the output depends on. */
function reaching({ inputs, steps }) {
  const needed = new Set([inputs.length + steps.length - 1]);
  for (let n = steps.length - 1; n >= 0; n--) {
    if (needed.has(inputs.length + n)) steps[n].args.forEach((arg) => needed.add(arg));
  }
  return inputs.flatMap((input, n) => (!input.constant && needed.has(n) ? [n] : []));
}

function answer(question) {
  const { inputs, steps, mode, arrays } = question;
  const values = inputs.map(({ kind }, n) => given(arrays[n], kind));
  const variables = reaching(question);
  const program = (...xs) => {
    const held = [...values];
    variables.forEach((n, k) => (held[n] = xs[k]));
    for (const { op, args, params } of steps) held.push(OPS[op](args.map((n) => held[n]), params));
    return held.at(-1);
  };
  const cotangent = given(arrays[inputs.length], "array");
  const point = variables.map((n) => values[n]);
  const spread = (found) => inputs.map((_, n) => (variables.includes(n) ? found[variables.indexOf(n)] : null));
  if (mode === "vjp") {
    const { value, grads } = tf.valueAndGrads(program)(point, cotangent);
    return [value, ...spread(grads)];
  }
  let next = inputs.length + 1;
  const along = inputs.map(({ constant }) => (constant ? null : given(arrays[next++], "array")));
  const slope = (...xs) =>
    tf.addN(tf.grads(program)(xs, cotangent).map((g, k) => tf.sum(tf.mul(g, along[variables[k]]))));
  return spread(tf.grads(slope)(point));
}

function elements(x) {
  const data = x.dataSync();
  if (ArrayBuffer.isView(data)) return data;
  throw new TypeError(`dataSync() of a tensor of shape [${x.shape}] is no typed array`);
}

function reply(question) {
  try {
    return tf.tidy(() => {
      const found = answer(question);
      const sent = found.filter((x) => x).map((x) => ({ dtype: x.dtype, shape: x.shape, data: elements(x) }));
      let next = 0;
      return [{ answer: found.map((x) => (x ? next++ : null)) }, sent];
    });
  } catch (problem) {
    const { name, message } = problem instanceof Error ? problem : new Error(problem); // it throws texts as well
    const words = question.mode === "hvp" ? [...REFUSALS, NO_PATH] : REFUSALS;
    const refused = problem instanceof Unsupported || words.some((known) => message.includes(known));
    return [refused ? { unsupported: message } : { raised: `${name}: ${message}` }];
  }
}

function hello({ ops }) {
  return {
    name: "tensorflow.js",
    versions: { tfjs: tf.version.tfjs, node: process.versions.node },
    dtypes: ["float32"],
    ops: ops.filter((op) => op in OPS),
    modes: { vjp: [""], hvp: ["reverse over reverse"] },
  };
}

for (;;) {
  const message = receive();
  const [words, arrays] = message.do === "hello" ? [hello(message)] : reply(message);
  send({ id: message.id, ...words }, arrays);
}
