"""Folded-concave penalties near a point: a|w| + b w**2 / 2 between two bounds, with b possibly negative."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sparseopt.forms import SeparableForm
from sparseopt.penalties import MCP, SCAD, Nonnegative, Ridged, Weighted


def local_form(penalty, w):
    """The piece of a penalty that each nonzero coordinate of w lies on; None for a penalty without such pieces."""
    match penalty:
        case MCP(alpha, gamma):
            return _pieces(w, np.array([0.0, gamma * alpha]), np.array([alpha, 0.0]), np.array([-1.0 / gamma, 0.0]))
        case SCAD(alpha, gamma):
            ends = np.array([0.0, alpha, gamma * alpha])
            linear = np.array([alpha, gamma * alpha / (gamma - 1.0), 0.0])
            return _pieces(w, ends, linear, np.array([0.0, -1.0 / (gamma - 1.0), 0.0]))
        case Ridged(inner, beta):
            form = local_form(inner, w)
            return form and replace(form, b=form.b + beta)
        case Nonnegative(inner):
            form = local_form(inner, w)
            return form and replace(form, lower=np.maximum(form.lower, 0.0))
    return None


def local_form_on(penalty, features, w):
    """The same for some features, w being theirs."""
    if isinstance(penalty, Weighted):
        weights = penalty.weights[features]
        form = local_form(penalty.penalty, w)
        return form and replace(form, a=form.a * weights, b=form.b * weights)
    return local_form(penalty, w)


def _pieces(w, ends, linear, curved):
    """Pieces that begin at `ends`, mirrored for negative w."""
    size = np.abs(w)
    piece = np.searchsorted(ends, size, side="left") - 1
    piece[w == 0.0] = 0
    inner, outer = ends[piece], np.append(ends[1:], np.inf)[piece]
    is_negative = w < 0.0
    # a coordinate at zero may go either way; at its inner end it stops, except at zero, where it may stay
    lower = np.where(is_negative, -outer, np.where(inner > 0.0, inner, -outer))
    upper = np.where(is_negative, np.where(inner > 0.0, -inner, outer), outer)
    return SeparableForm(linear[piece], curved[piece], lower, upper)
