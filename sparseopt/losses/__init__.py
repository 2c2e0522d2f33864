"""Losses: the smooth term f(w), which holds its data; one family a file."""

from sparseopt.losses.base import Loss as Loss
from sparseopt.losses.huber import Huber as Huber
from sparseopt.losses.least_squares import LeastSquares as LeastSquares
from sparseopt.losses.logistic import Logistic as Logistic
from sparseopt.losses.quadratic import Quadratic as Quadratic
from sparseopt.losses.samples import SampleLoss as SampleLoss
from sparseopt.losses.samples import fitted as fitted
