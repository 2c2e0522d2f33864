"""Masks on modules of PyTorch: held while they train, and in the two forms that torch has for them."""

from __future__ import annotations

import copy

import numpy as np

from sparseopt.adapters.torch import parts
from sparseopt.mask import Hold


def tensors_of(mask, module):
    """Parts of a module that a mask knows, each with the mask of its whole weight as a tensor."""
    import torch

    maps, _ = parts.linear_maps(module)
    arrays, found = dict(mask), []
    for name, part in maps.items():
        names = parts.layer_names(name, part)
        known = [layer for layer in names if layer in arrays]
        if len(known) not in {0, len(names)}:
            raise ValueError(f"the mask knows {', '.join(known)} only; give masks for all groups of {name!r}.")
        if not known:
            continue
        kept = np.ascontiguousarray(np.concatenate([arrays.pop(layer) for layer in names]))
        if kept.shape != tuple(part.weight.shape):
            raise ValueError(
                f"weight {name!r} has shape {tuple(part.weight.shape)}, its mask {kept.shape}; they must agree."
            )
        found.append((part, torch.from_numpy(kept).to(part.weight.device)))
    for name, part in module.named_modules():
        if parts.is_linear_map(part) and (
            taken := [layer for layer in parts.layer_names(name, part) if layer in arrays]
        ):
            raise ValueError(
                f"weight {taken[0]!r} is computed by a mask or parametrisation that it has, or shared with another part; "
                "make it plain first (torch.nn.utils.prune.remove, parametrize.remove_parametrizations)."
            )
    if arrays:
        raise ValueError(
            f"the mask knows {', '.join(map(repr, arrays))}, the module does not; "
            f"its plain linear layers are {', '.join(map(repr, maps)) or 'none'}."
        )
    return found


def hold(mask, module, optimizer) -> Hold:
    """Keep what a mask drops at zero in every step of an optimizer; see `Mask.hold`."""
    import torch

    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError("a module of torch is held in the steps of its optimizer: mask.hold(module, optimizer).")
    pairs = tensors_of(mask, module)
    trained = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    if not any(id(part.weight) in trained for part, _ in pairs):
        raise ValueError("the optimizer trains none of the masked weights; give the one made of module.parameters().")

    def drop_slopes():
        with torch.no_grad():
            for part, kept in pairs:
                if part.weight.grad is not None:
                    part.weight.grad.mul_(kept.to(part.weight.device))

    def before_step(_optimizer, arguments, named):
        drop_slopes()

        def without_slopes(closure):
            def called():
                loss = closure()
                drop_slopes()
                return loss

            return called

        # What evaluates the loss within a step, as L-BFGS does, makes new slopes there.
        arguments = tuple(without_slopes(value) if callable(value) else value for value in arguments)
        return arguments, {key: without_slopes(value) if callable(value) else value for key, value in named.items()}

    def drop_weights(*_step):
        with torch.no_grad():
            for part, kept in pairs:
                # Filled and not multiplied: an infinite weight would become NaN, a negative one -0.0.
                part.weight.masked_fill_(~kept.to(part.weight.device), 0)

    drop_weights()
    before = optimizer.register_step_pre_hook(before_step)
    after = optimizer.register_step_post_hook(drop_weights)
    return Hold((before.remove, after.remove))


def to_torch_prune(mask, module):
    """Mask a module through torch.nn.utils.prune; see `Mask.to_torch_prune`."""
    from torch.nn.utils import prune

    for part, kept in tensors_of(mask, module):
        prune.custom_from_mask(part, "weight", kept)
        for hook in vars(part)["_forward_pre_hooks"].values():
            if isinstance(hook, prune.CustomFromMask):
                # The buffer of the part is what is read; this second copy never is.
                hook.mask = None
        # copy.deepcopy and the pickles of torch.save find it here; a class of its own would not pickle.
        part.__deepcopy__ = _DeepCopy(part)
        part.register_state_dict_post_hook(_plain_keys)
        part.register_load_state_dict_pre_hook(_own_keys)
    return module


def parametrize(mask, module):
    """Mask a module through torch.nn.utils.parametrize; see `Mask.parametrize`."""
    from torch.nn.utils import parametrize as torch_parametrize

    from sparseopt.adapters.torch.parametrization import Masked

    for part, kept in tensors_of(mask, module):
        torch_parametrize.register_parametrization(part, "weight", Masked(kept))
        part.register_state_dict_post_hook(_plain_keys)
        part.register_load_state_dict_pre_hook(_own_keys)
    return module


def check_plain(module):
    """Raise where a weight of a layer is computed from others, so that new ones cannot be put in its place."""
    plain_keys = set(parts.plain(module).state_dict())
    if computed := [key for key in module.state_dict() if key not in plain_keys]:
        raise ValueError(
            f"the module cannot be changed in place: {computed[0]!r} belongs to a mask or parametrisation that computes a "
            "weight; make it plain first (torch.nn.utils.prune.remove, parametrize.remove_parametrizations), or take the new "
            "module, `.model` of the result."
        )


def mask_arrays(module) -> dict:
    """What a module keeps, by name: the mask of each masked layer, the nonzero weights of the others."""
    plain_maps, _ = parts.linear_maps(parts.plain(module))
    arrays: dict = {}
    for name, part in plain_maps.items():
        kept = _stored(module.get_submodule(name))
        kept = (part.weight.detach() != 0 if kept is None else kept != 0).cpu().numpy()
        arrays |= zip(parts.layer_names(name, part), np.split(kept, parts.groups(part)), strict=True)
    return arrays


def _stored(part):
    """Mask that a part stores as a tensor, or None."""
    from torch.nn.utils import parametrize as torch_parametrize

    from sparseopt.adapters.torch.parametrization import Masked

    if torch_parametrize.is_parametrized(part, "weight"):
        masks = [step.kept for step in part.parametrizations.weight if isinstance(step, Masked)]
        return masks[0] if masks else None
    return getattr(part, "weight_mask", None)


class _DeepCopy:
    """Deep copy of a part whose weight is computed from others, which `copy.deepcopy` refuses to copy."""

    def __init__(self, part):
        self.part = part

    def __call__(self, memo):
        import torch

        part = self.part
        for tensor in vars(part).values():
            if isinstance(tensor, torch.Tensor) and not tensor.is_leaf:
                memo[id(tensor)] = tensor.detach().clone()
        twin = memo[id(part)] = object.__new__(type(part))
        vars(twin).update(copy.deepcopy(vars(part), memo))
        return twin


# What the parameter of a masked weight is called, by torch.nn.utils.prune and by parametrize.
STORED = ("weight_orig", "parametrizations.weight.original")


def _plain_keys(part, state, prefix, _metadata):
    """Give the state the keys of the plain part, with the weight as it is after the mask."""
    for stored in STORED:
        if prefix + stored in state:
            state[prefix + "weight"] = part.weight.detach()
            del state[prefix + stored]
            state.pop(prefix + "weight_mask", None)


def _own_keys(part, state, prefix, *_):
    """Take a state with the keys of the plain part."""
    if prefix + "weight" not in state:
        return
    for stored in STORED:
        if stored in dict(part.named_parameters()):
            state[prefix + stored] = state.pop(prefix + "weight")
            if hasattr(part, "weight_mask"):
                state[prefix + "weight_mask"] = part.weight_mask
