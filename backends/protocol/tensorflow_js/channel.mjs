// The protocol's messages, as ../README.md describes them: a line of JSON, then the bytes of its arrays.

import { readSync, writeSync } from "node:fs";

const BYTES = {
  bool: 1, int8: 1, uint8: 1, int16: 2, uint16: 2, float16: 2, bfloat16: 2,
  int32: 4, uint32: 4, float32: 4, int64: 8, uint64: 8, float64: 8,
};
const PIECE = Buffer.alloc(2 ** 16);
let held = Buffer.alloc(0);

/** The next `size` bytes of the standard input; the process ends where that ends. */
function take(size) {
  while (held.length < size) fill();
  const taken = held.subarray(0, size);
  held = held.subarray(size);
  return taken;
}

function fill() {
  const count = readSync(0, PIECE);
  if (count === 0) process.exit(0);
  held = Buffer.concat([held, PIECE.subarray(0, count)]);
}

/** The next message, where each of its `arrays` has its bytes beside dtype and shape. */
export function receive() {
  while (!held.includes(10)) fill();
  const message = JSON.parse(take(held.indexOf(10) + 1).toString());
  for (const array of message.arrays ?? []) {
    array.bytes = Buffer.from(take(array.shape.reduce((a, b) => a * b, BYTES[array.dtype])));
  }
  return message;
}

/** Send a message, and arrays: each has a dtype, a shape and its elements, a typed array. */
export function send(message, arrays = []) {
  const listed = arrays.map(({ dtype, shape }) => ({ dtype, shape }));
  const parts = arrays.map(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  const whole = Buffer.concat([Buffer.from(JSON.stringify({ ...message, arrays: listed }) + "\n"), ...parts]);
  for (let sent = 0; sent < whole.length; ) sent += writeSync(1, whole, sent);
}
