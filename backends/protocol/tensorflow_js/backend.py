"""TensorFlow.js under Node.js, on its CPU backend: ``npm ci`` here, then ``adjudge check backend.py --ledger ledger.toml``."""

name = "tensorflow.js"
command = ["node", "server.mjs"]
