"""Losses: the smooth term f(w), which holds its data; one family a file."""

from sparseopt.losses.base import DualLoss as DualLoss
from sparseopt.losses.base import Loss as Loss
from sparseopt.losses.base import LossTerm as LossTerm
from sparseopt.losses.cox import Cox as Cox
from sparseopt.losses.gamma import Gamma as Gamma
from sparseopt.losses.huber import Huber as Huber
from sparseopt.losses.least_squares import LeastSquares as LeastSquares
from sparseopt.losses.logistic import Logistic as Logistic
from sparseopt.losses.multi_response import MultiResponse as MultiResponse
from sparseopt.losses.multinomial import Multinomial as Multinomial
from sparseopt.losses.outputs import OutputsLoss as OutputsLoss
from sparseopt.losses.perturbed import Perturbed as Perturbed
from sparseopt.losses.poisson import Poisson as Poisson
from sparseopt.losses.quadratic import Quadratic as Quadratic
from sparseopt.losses.quantile import Quantile as Quantile
from sparseopt.losses.samples import Offset as Offset
from sparseopt.losses.samples import SampleLoss as SampleLoss
from sparseopt.losses.samples import fitted as fitted
from sparseopt.losses.smooth import Smooth as Smooth
from sparseopt.losses.squared_hinge import SquaredHinge as SquaredHinge
from sparseopt.losses.worst_case import WorstCase as WorstCase
