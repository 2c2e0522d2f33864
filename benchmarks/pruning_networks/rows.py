"""The methods of the table: what each is given, and how it prunes."""

from dataclasses import dataclass, field, replace

from sparseopt.pruning import (
    ActivationMagnitude,
    Adam,
    AlternatingDirections,
    Cubic,
    EmpiricalFisher,
    Exponential,
    FirstOrder,
    GradientMagnitude,
    JointL0,
    JointRefit,
    LayerwiseBranchAndBound,
    LayerwiseHardThresholding,
    LayerwiseL0,
    LayerwiseL1,
    Magnitude,
    NetworkL0,
    OptimalBrainDamage,
    OptimalBrainSurgeon,
    Random,
    Relay,
    Scored,
    SparseGPT,
    Wanda,
    WoodFisher,
)

# What a method sees: a few images without or with their labels, or all of the training images with theirs.
UNLABELLED, LABELLED, ALL = "images", "labelled images", "all labelled"


@dataclass(frozen=True)
class Row:
    """One line of the table: the arguments of `prune` but for model, data and sparsity."""

    name: str
    sees: str
    options: dict = field(default_factory=dict)
    slow: bool = False


# In stages of the published network a temperature of 1 kept more accuracy on training images that were held out.
STAGES, IN_STAGES = Exponential(5, first=0.9), JointRefit(temperature=1.0)
# Chosen on 10,000 of the training images that were held out.
GRADUAL, TRAINING = Cubic(20, held=27), Adam(epochs=5, learning_rate=5e-3)
ROWS = [
    Row("random", UNLABELLED, {"method": Random()}),
    Row("magnitude", UNLABELLED, {"method": Magnitude()}),
    Row("magnitude, each layer alike", UNLABELLED, {"method": Magnitude(), "scope": "layer"}),
    Row("Wanda, each neuron alike", UNLABELLED, {"method": Wanda(), "scope": "neuron"}),
    Row("gradient |g|", LABELLED, {"method": GradientMagnitude()}),
    Row("first order |w g|", LABELLED, {"method": FirstOrder()}),
    Row("optimal brain damage", UNLABELLED, {"method": OptimalBrainDamage()}),
    Row("empirical Fisher", LABELLED, {"method": EmpiricalFisher()}),
    Row("optimal brain surgeon", UNLABELLED, {"method": OptimalBrainSurgeon()}),
    Row("WoodFisher score", LABELLED, {"method": WoodFisher()}),
    Row("SparseGPT, each layer alike", UNLABELLED, {"method": SparseGPT(threads=1), "scope": "layer"}),
    Row("Wanda + refit", UNLABELLED, {"method": ActivationMagnitude(threads=1)}),
    Row("alternating directions (ALPS)", UNLABELLED, {"method": AlternatingDirections(threads=1)}),
    Row("layerwise hard thresholding", UNLABELLED, {"method": LayerwiseHardThresholding(threads=1)}),
    Row("layerwise L1", UNLABELLED, {"method": LayerwiseL1(threads=1)}),
    Row("magnitude + layer refit", UNLABELLED, {"method": Scored(Magnitude(), refit=True)}),
    Row("branch and bound, each neuron", UNLABELLED, {"method": LayerwiseBranchAndBound(seconds=3.0)}),
    Row("joint L0, Gauss-Newton", UNLABELLED, {"method": JointL0()}),
    Row("joint L0, empirical Fisher", LABELLED, {"method": JointL0(empirical=True)}),
    Row("joint L0, empirical Fisher, first order, in stages", LABELLED,
        {"method": JointL0(empirical=True, first_order=1.0), "schedule": Exponential(15)}),
    Row("L0, each neuron on its own", UNLABELLED, {"method": LayerwiseL0(coupling=0)}),
    Row("L0", UNLABELLED, {"method": LayerwiseL0()}),
    Row("magnitude + joint refit", UNLABELLED, {"method": Magnitude(), "refit": JointRefit()}),
    Row("L0 + joint refit", UNLABELLED, {"refit": JointRefit()}),
    Row("magnitude in stages + joint refit", UNLABELLED,
        {"method": Magnitude(), "refit": IN_STAGES, "schedule": STAGES}),
    Row("L0 in stages + joint refit", UNLABELLED, {"refit": IN_STAGES, "schedule": STAGES}),
    Row("L0 over the network", UNLABELLED, {"method": NetworkL0()}),
    Row("L0 in stages + Adam, 3 epochs", ALL,
        {"schedule": Exponential(4, first=0.9), "refit": replace(TRAINING, epochs=3), "calibration": 5000}, slow=True),
    Row("L0 in stages + Adam, 5 epochs", ALL,
        {"schedule": Exponential(4, first=0.9), "refit": TRAINING, "calibration": 5000}, slow=True),
    Row("gradual magnitude + Adam, 5 epochs", ALL,
        {"method": Magnitude(), "schedule": GRADUAL, "refit": TRAINING}, slow=True),
    Row("gradual L0 + Adam, 5 epochs", ALL, {"schedule": GRADUAL, "refit": TRAINING, "calibration": 5000}, slow=True),
    # While most weights are there their choice matters little, and costs most.
    Row("gradual magnitude, then L0 + Adam, 5 epochs", ALL,
        {"method": Relay(), "schedule": GRADUAL, "refit": TRAINING, "calibration": 5000}, slow=True),
    # Some of what exchanges and further sweeps gain in a stage, training gains in the next.
    Row("gradual L0 of one sweep + Adam, 5 epochs", ALL,
        {"method": LayerwiseL0(sweeps=1, exchanges=0), "schedule": GRADUAL, "refit": TRAINING, "calibration": 5000},
        slow=True),
]  # fmt: skip
