"""PyTorch: modules as `prune` sees them, and masks that hold while they train."""

from sparseopt.adapters.torch.folding import fold_batch_norm as fold_batch_norm
from sparseopt.adapters.torch.layers import SolutionLayer as SolutionLayer
from sparseopt.adapters.torch.masks import hold as hold
from sparseopt.adapters.torch.masks import mask_arrays as mask_arrays
from sparseopt.adapters.torch.masks import parametrize as parametrize
from sparseopt.adapters.torch.masks import to_torch_prune as to_torch_prune
from sparseopt.adapters.torch.network import TorchNetwork as TorchNetwork
from sparseopt.adapters.torch.network import adapt as adapt
