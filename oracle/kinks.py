"""Kinks: exact ties leave a choice of branches, and the convex hull of their gradients contains Clarke's subdifferential."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from .certificate import Certificate
from .program import letter
from .verdicts import Finding

__all__ = ["Separation", "Subdifferential"]

#: The linear-programming solver's own feasibility tolerance (HiGHS), in units of the spread between vertices.
FEASIBILITY = 1e-7

Arrays = dict[int, np.ndarray]


@dataclass(frozen=True)
class Separation:
    """A direction among the gradients along which some gradients lie beyond the hull of the vertices.

    Parameters
    ----------
    slope : dict of int to ndarray
        The direction, by input.
    most : float
        The largest component of any subgradient along it, allowances included.
    """

    slope: Arrays
    most: float


@dataclass(frozen=True)
class Subdifferential:
    """The gradients of every choice of branches at a kink.

    Parameters
    ----------
    certificate : Certificate
        At a kink.
    """

    certificate: Certificate

    @cached_property
    def vertices(self) -> Arrays:
        """For each variable the gradients of all choices, stacked."""
        variables = self.certificate.question.program.variables
        return {n: np.stack([c.gradients[n].nearest for c in self.certificate.choices]) for n in variables}  # type: ignore[union-attr]

    @cached_property
    def allowances(self) -> Arrays:
        """For each variable the allowances of all choices, stacked."""
        variables = self.certificate.question.program.variables
        return {n: np.stack([c.gradients[n].allowance for c in self.certificate.choices]) for n in variables}  # type: ignore[union-attr]

    @cached_property
    def lossy(self) -> Arrays:
        """For each variable how far loss of digits alone goes, for all choices."""
        variables = self.certificate.question.program.variables
        return {n: np.stack([c.lossy[1 + n] for c in self.certificate.choices]) for n in variables}  # type: ignore[misc]

    @cached_property
    def free(self) -> Arrays:
        """Where the choices give different gradients: everywhere else the gradient is judged as at any other point."""
        return {n: v.max(0) - v.min(0) > 2 * self.allowances[n].min(0) for n, v in self.vertices.items()}

    def shown(self, gradients: Sequence[Any]) -> Arrays:
        """Those of an implementation's gradients that have the right shape."""
        return {
            n: np.asarray(g)
            for n, g in enumerate(gradients)
            if g is not None and n in self.vertices and np.shape(g) == self.vertices[n].shape[1:]
        }

    def findings(self, gradients: Sequence[Any]) -> dict[int, Finding]:
        """Findings about the gradients where they are free, by input.

        There each element must lie between the vertices, and all of them together in the vertices' convex hull, up to the
        allowance; up to the bound of loss of digits they are lossy.
        """
        shown = self.shown(gradients)
        out = self._outside(shown, {n: room.max(0) for n, room in self.allowances.items()})
        finite = all(np.isfinite(g[self.free[n]]).all() for n, g in shown.items())
        if out and finite and not self._outside(shown, {n: room.max(0) for n, room in self.lossy.items()}):
            reason = "at a kink: the textbook formula rounds that much"
            return {n: replace(finding, verdict="lossy", reason=reason) for n, finding in out.items()}
        return out

    def _outside(self, shown: Arrays, rooms: Arrays) -> dict[int, Finding]:
        """Findings about gradients that lie outside the hull of the vertices by more than the room."""
        out: dict[int, Finding] = {}
        for n, g in shown.items():
            low, high, room = self.vertices[n].min(0), self.vertices[n].max(0), rooms[n]
            got = g.astype(np.float64)
            outside = self.free[n] & ~((got >= low - room) & (got <= high + room))
            if outside.any():
                place = tuple(int(i) for i in np.argwhere(outside)[0]) if outside.ndim else ()
                verdict = "outside subdifferential" if np.isfinite(got[place]) else "non-finite"
                reason = f"{got[place]:.6g} where a subgradient lies in [{low[place]:.6g}, {high[place]:.6g}]"
                allowed = float(room[place])
                out[n] = Finding(verdict, f"gradient of {letter(n)}", reason, place, float(got[place]), allowance=allowed)
        if not out and self.separation(shown, rooms) is not None:
            first = next(n for n in shown if self.free[n].any())
            name = f"gradient of {letter(first)}"
            reason = "no convex combination of the one-sided gradients gives this"
            out[first] = Finding("outside subdifferential", name, reason)
        return out

    def separation(self, shown: Arrays, rooms: Arrays | None = None) -> Separation | None:
        """A direction that separates gradients from the hull of the vertices; None where they lie in it, up to the rooms.

        Parameters
        ----------
        shown : dict of int to ndarray
            Gradients by input, as `shown` gives them.
        rooms : dict of int to ndarray, optional
            How far each may be outside; the allowances if left out.

        Notes
        -----
        The direction w maximises ``w.got - max(w.vertex) - |w|.room`` over the cube: a linear program, whose optimum is 0
        where the gradients lie in the hull (Boyd and Vandenberghe, *Convex Optimization*, section 2.5.1).
        """
        rooms = rooms or {n: room.max(0) for n, room in self.allowances.items()}
        places = [(n, self.free[n]) for n in shown if self.free[n].any()]
        if not places:
            return None
        corners = np.concatenate([self.vertices[n][..., mask] for n, mask in places], axis=-1)
        target = np.concatenate([shown[n].astype(np.float64)[mask] for n, mask in places])
        room = np.concatenate([rooms[n][mask] for n, mask in places])
        if not np.isfinite(target).all() or not np.isfinite(room).all():
            return None
        width = corners.max(0) - corners.min(0)
        corners, target, room = corners / width, target / width, room / width + FEASIBILITY
        from scipy.optimize import linprog  # takes half a second to load, and is seldom needed

        # w = p - q, each part of it between 0 and 1; the last variable is what w.vertex does not exceed.
        optimum = linprog(
            np.concatenate([room - target, room + target, [1.0]]),
            A_ub=np.concatenate([corners, -corners, -np.ones((len(corners), 1))], axis=1),
            b_ub=np.zeros(len(corners)),
            bounds=[(0, 1)] * (2 * target.size) + [(None, None)],
        )
        w = optimum.x[: target.size] - optimum.x[target.size : -1]
        most = float((corners @ w).max() + np.abs(w) @ room)
        if w @ target <= most + FEASIBILITY:
            return None
        slope = {n: np.zeros(g.shape) for n, g in shown.items()}
        start = 0
        for n, mask in places:
            stop = start + math.prod(slope[n][mask].shape)
            slope[n][mask] = (w / width)[start:stop]
            start = stop
        return Separation(slope, most)
