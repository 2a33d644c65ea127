"""How fast the gradients are: backprop of a few ops timed in worker processes, and every timed answer judged right first."""
