"""The verb of this floor: prune a model, step by step, and keep the best that came of it."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from sparseopt.mask import Mask
from sparseopt.models import adapt, door_of
from sparseopt.pruning.clock import Clock
from sparseopt.pruning.data import as_data
from sparseopt.pruning.judging import Judge
from sparseopt.pruning.layer_stats import Samples
from sparseopt.pruning.methods import Method, StructuredMethod, masked, refitted
from sparseopt.pruning.networks import Network
from sparseopt.pruning.objectives import Distillation, Mixed
from sparseopt.pruning.options import (
    as_budget,
    as_calibration,
    as_chosen,
    as_clock,
    as_labels,
    as_method,
    as_refit,
    as_seed,
    as_stops,
    checked_outputs,
)
from sparseopt.pruning.pruned import LayerReport, Pruned, PruningStatus, Step, relative_error
from sparseopt.pruning.schedules import OneShot
from sparseopt.pruning.scopes import NofM, Scope
from sparseopt.pruning.stopping import Stop
from sparseopt.pruning.training import Training


def prune(
    model,
    X,
    y=None,
    *,
    sparsity=None,
    threshold=None,
    method=None,
    scope=Scope.NETWORK,
    pattern=None,
    schedule=OneShot(),  # noqa: B008, a frozen value
    refit=None,
    stop=None,
    validation=None,
    calibration=None,
    layers=None,
    time_limit=np.inf,
    resume=None,
    keep_best=True,
    progress=False,
    random_state=0,
    inplace=False,
) -> Pruned:
    """Return a model with few nonzero weights that behaves as the given one does on samples X.

    Each step of the schedule scores the weights, drops the least, fits those that stay, and measures what is left.
    A weight that is gone stays gone.

    Parameters
    ----------
    model : NumpyMLP, list of matrices, scikit-learn model, module of torch or Network
        A fitted linear model or MLP of scikit-learn; matrices have shape (inputs, outputs) and ReLU
        between them, and give a NumpyMLP. The model is untouched unless `inplace`.
    X : array, data frame or tensor of shape (samples, inputs)
        A few thousand samples such as the model will meet. A frame has the columns that the model was fitted on.
    y : array of shape (samples,), optional
        Targets, for scores that look at the loss and for training on labels; the other methods keep what the
        model does, right or wrong, and need none.
    sparsity : float
        Part of the weights to be zero, at least 0 and below 1. Biases are not counted.
    threshold : float
        In place of a sparsity: weights whose score is below it go, but for the best one of each layer.
    method : Method or Score, default=LayerwiseL0()
        A score alone prunes without a refit. A StructuredMethod prunes whole features or neurons at once, and takes
        `sparsity`, `validation`, `time_limit`, `progress` and `random_state` only.
    scope : Scope or its name, default=Scope.NETWORK
        "network": all weights compete, so that layers and neurons with much to spare give most;
        "layer" and "neuron": each gives the same part. No layer is emptied: one without any kept weight keeps its
        best, in place of the worst kept one elsewhere.
    pattern : NofM, optional
        In place of a sparsity and a scope: n of every m consecutive inputs of a neuron stay.
    schedule : Schedule, default=OneShot()
        Linear, Cubic or Exponential: sparsity after each of several steps.
    refit : "layer" or Training, optional
        What fits the kept weights after each step: "layer" the layer's old outputs by least squares; Adam, SGD or
        GradientDescent the labels, or without any the model's outputs before. By default the method's own fit alone.
    stop : Stop or sequence of Stop, optional
        Iterations, SparsityReached, QualityLoss: what ends the run before the schedule does.
    validation : (X, y) or X, optional
        Samples on which the quality is measured; by default up to 5000 of X, with y where it is given.
    calibration : int, optional
        How many of the samples, drawn at random, scores and fits of layers look at; all by default. Training takes
        all of them in any case: with a large X, a few thousand save time and cost little.
    layers : sequence of str, optional
        Names of the layers to prune; all of them by default. The sparsity counts their weights only.
    time_limit : float, default=inf
        Seconds. Looked at between steps, between the layers and outputs that are fitted (those left are pruned without a
        refit) or, by `LayerwiseL0`, scored, and in training; the first step is always made, with its passes of the samples.
    resume : Pruned, optional
        Go on where an earlier run ended: `model` and the options are those of that run.
    keep_best : bool, default=True
        Return the step of the best quality among those of the highest sparsity, where there are validation data;
        otherwise the last one.
    progress : bool, default=False
        Write a line to the standard error for each step.
    random_state : int, default=0
        Seed of random scores and of batches.
    inplace : bool, default=False
        Change the given model, which is then `.model`.

    Returns
    -------
    Pruned
        `.model` of the kind given, `.mask`, `.layers` (kept weights and error of each), `.steps` (the trace),
        `.status`, `.seconds`. After Ctrl-C or at the time limit the best by then, and `.status` says so; Ctrl-C in
        the first step raises.
    """
    clock, random_state, method = as_clock(time_limit), as_seed(random_state), as_method(method, threshold)
    if inplace:
        door_of(model).check_overwrite(model)
    if isinstance(method, StructuredMethod):
        taken = {
            "threshold": threshold, "calibration": calibration, "pattern": pattern, "refit": refit, "stop": stop, "layers": layers, "resume": resume,
            "schedule": None if isinstance(schedule, OneShot) else schedule, "inplace": inplace or None,
            "scope": None if Scope(scope) is Scope.NETWORK else scope,
        }  # fmt: skip
        strange = [name for name, value in taken.items() if value is not None]
        if strange:
            raise ValueError(f"{method!r} takes no {' or '.join(strange)}; leave out what it does not take.")
        return method.prune(
            model, X, y, sparsity=sparsity, validation=validation, random_state=random_state, clock=clock,
            progress=progress,
        )  # fmt: skip
    levels, choose = as_budget(sparsity, threshold, scope, pattern, schedule)
    network = adapt(model)
    X = as_data(X, network.feature_names)
    outputs = checked_outputs(network, X)
    labels = as_labels(network, X, y)
    if method.needs_labels and labels is None:
        raise ValueError(f"{method!r} looks at the loss and needs y; give it, or a method without labels.")
    run = _Run(
        dense=network,
        samples=as_calibration(calibration, X, labels, random_state, clock),
        training_data=Samples(X, labels, random_state),
        method=method,
        last=levels[-1],
        choose=choose,
        has_rivals=threshold is None,
        pattern=pattern,
        chosen=as_chosen(network, layers),
        refit=as_refit(refit),
        stops=as_stops(stop),
        judge=Judge.of(network, X, outputs, labels, validation, random_state),
        clock=clock,
        told=progress,
    )
    start, levels = _start(network, run.chosen, levels, resume)
    pruned = run.to_the_end(start, levels, resume, keep_best=keep_best and validation is not None)
    return replace(pruned, model=door_of(model).overwrite(model, pruned.model)) if inplace else pruned


@dataclass(frozen=True, eq=False)
class _State:
    """A network, and what it keeps of each layer."""

    network: Network
    kept: Sequence[np.ndarray]
    is_cut: bool = False  # the time was up before it was fitted


@dataclass(frozen=True, eq=False)
class _Run:
    """One call of the verb, its options resolved."""

    dense: Network
    samples: Samples
    training_data: Samples
    method: Method
    last: float
    choose: object
    has_rivals: bool  # a threshold is one of the method's own scores
    pattern: NofM | None
    chosen: Sequence[bool]
    refit: object
    stops: Sequence[Stop]
    judge: Judge
    clock: Clock
    told: bool
    known: dict = field(default_factory=dict)

    def to_the_end(self, start, levels, resume, *, keep_best) -> Pruned:
        """All steps, and the best of them."""
        state, best = start, start
        steps = [] if resume is None else list(resume.steps)
        best_step = next((step for step in reversed(steps) if step.accepted), None)
        status, reason = PruningStatus.DONE, PruningStatus.DONE.value
        session = self._session(len(levels))
        for level in levels:
            if state is not start and self.clock.expired:
                status = PruningStatus.TIME_LIMIT
                break
            try:
                # Where there is nothing more to prune, a step is there to train.
                held = bool(steps) and steps[-1].accepted and steps[-1].target == level
                state, step = self._step(state if held else self._pruned(state, level), level, session)
            except KeyboardInterrupt:
                if state is start and resume is None:
                    raise
                status = PruningStatus.INTERRUPTED
                break
            broken = [
                (rule, why) for rule in self.stops if (why := rule.reason([*steps, step], self.judge.dense_quality))
            ]
            accepted = not any(rule.rejects for rule, _ in broken)
            steps.append(replace(step, accepted=accepted))
            if accepted and _is_better(step, best_step, keep_best=keep_best):
                best, best_step = state, step
            if broken:
                status, reason = PruningStatus.STOPPED, broken[0][1]
                break
        if status is PruningStatus.DONE and state.is_cut:
            status = PruningStatus.TIME_LIMIT
        if status in {PruningStatus.TIME_LIMIT, PruningStatus.INTERRUPTED}:
            reason = status.value
        return self._result(best, best_step, steps, status, reason)

    def _session(self, parts):
        if not isinstance(self.refit, Training) or not parts:
            return None
        data, distil = self.training_data, self.refit.distil
        if data.labels is not None and distil == 0:
            objective = data.labels
        else:
            objective = Distillation.of(self.dense, data.X, self.refit.temperature)
            if data.labels is not None and distil < 1:
                objective = Mixed(data.labels, objective, distil)
        rng = np.random.default_rng(data.seed)
        return self.refit.session(self.dense, data.X, objective, rng=rng, clock=self.clock, steps=parts)

    def _old_outputs(self, temperature):
        judge = self.judge
        if temperature == 1 and judge.X is self.samples.X and isinstance(judge.objective, Distillation):
            return judge.objective
        if temperature not in self.known:
            self.known[temperature] = Distillation.of(self.dense, self.samples.X, temperature)
        return self.known[temperature]

    def _pruned(self, state, level) -> _State:
        method = self.method.at(level, self.last)
        scores = method.scores(state.network, self.samples)
        if not all(np.isfinite(score).all() for score in scores):
            raise ValueError(f"the scores of {method!r} are not finite; raise its damping, or mend the data.")
        self._tell(f"{sum(score.size for score in scores)} weights scored")
        fitted = self._fitted(method, state, self._supports(state, scores, level))
        is_asked = self.has_rivals and not self.clock.expired
        rivals = method.rival_scores(state.network, self.samples, scores) if is_asked else None
        if rivals is not None:
            other = self._fitted(method, state, self._supports(state, rivals, level))
            fitted = min(fitted, other, key=self._divergence)
        network, kept = method.fit_network(
            state.network, fitted.network, fitted.kept, self.samples,
            lambda others: self._supports(state, others, level), self._old_outputs(method.temperature), self.clock,
        )  # fmt: skip
        is_late = network is not fitted.network and self.clock.expired
        return _State(network, kept, fitted.is_cut or is_late)

    def _divergence(self, state):
        return self._old_outputs(1.0).value_and_seeds(state.network.outputs(self.samples.X))[0]

    def _step(self, state, level, session) -> tuple[_State, Step]:
        network, kept, is_cut = state.network, state.kept, state.is_cut
        if session is not None:
            network = session.advance(network, kept)
            is_cut = is_cut or self.clock.expired
        quality, loss = self.judge.measured(network)
        kept_count = sum(int(keep.sum()) for keep, chosen in zip(kept, self.chosen, strict=True) if chosen)
        total = sum(keep.size for keep, chosen in zip(kept, self.chosen, strict=True) if chosen)
        step = Step(float(level), kept_count, total, quality, loss, self.clock.seconds)
        self._tell(f"{kept_count} of {total} weights kept, quality {quality:.4g}, loss {loss:.4g}")
        return _State(network, kept, is_cut), step

    def _supports(self, state, scores, level):
        """What each layer keeps; pruned weights and layers that were not chosen take no part."""
        places = np.flatnonzero(self.chosen)
        before = [state.kept[i] for i in places]
        scores = [np.where(keep, scores[i], -np.inf) for i, keep in zip(places, before, strict=True)]
        found = [keep & old for keep, old in zip(self.choose(scores, level), before, strict=True)]
        supports = list(state.kept)
        for i, keep in zip(places, found, strict=True):
            supports[i] = keep
        return supports

    def _fitted(self, method, state, supports) -> _State:
        """Layers from the first to the last, each with the inputs that it will really meet."""
        # A teacher that has been trained since knows more than the model before.
        teacher = state.network if self._trains_on_labels else self.dense
        needs_data = method.refits or self.refit == "layer"
        dense_inputs = teacher.inputs(self.samples.X) if needs_data else itertools.repeat(None)
        layers, network, kept = list(state.network.layers()), state.network, list(supports)
        metrics = method.metrics(teacher, self.samples) if method.refits else itertools.repeat(None)
        is_cut = False
        for i, (layer, wanted, at_hand, metric) in enumerate(zip(layers, teacher.layers(), dense_inputs, metrics)):  # noqa: B905
            if not self.chosen[i]:
                continue
            if needs_data and not self.clock.expired:
                inputs = next(itertools.islice(network.inputs(self.samples.X), i, None))
                layers[i], kept[i] = self._fitted_layer(method, metric, layer, supports[i], inputs, wanted(at_hand))
                is_cut = is_cut or self.clock.expired
            else:
                layers[i], is_cut = masked(layer, supports[i]), needs_data
            network = network.with_layers(layers)
            self._tell(f"{layer.name}: {int(kept[i].sum())} of {kept[i].size} weights kept")
        return _State(network, kept, is_cut)

    def _fitted_layer(self, method, metric, layer, support, inputs, targets):
        grams = self.samples.grams(inputs)
        moments = method.moments(layer, inputs, targets, grams)
        if moments is None:
            fitted, kept = method.fit_with(metric, layer, support, inputs, targets)
        else:
            fitted, kept = method.fit_moments(metric, layer, support, replace(moments, clock=self.clock))
        if self.pattern is not None and not np.array_equal(kept, support):
            # An exchange has broken the pattern.
            return refitted(layer, support, inputs, targets), support
        return (refitted(layer, kept, inputs, targets) if self.refit == "layer" else fitted), kept

    @property
    def _trains_on_labels(self):
        return isinstance(self.refit, Training) and self.samples.labels is not None and self.refit.distil < 1

    def _result(self, best, best_step, steps, status, reason) -> Pruned:
        """What is returned, with the error of each layer on the inputs that it really meets."""
        X, reports, arrays, certificates = self.samples.X, [], {}, {}
        method = self.method if best_step is None else self.method.at(best_step.target, self.last)
        pairs = zip(self.dense.layers(), best.network.layers(), strict=True)
        data = zip(self.dense.inputs(X), best.network.inputs(X), strict=True)
        for i, ((old, new), (dense_inputs, inputs)) in enumerate(zip(pairs, data, strict=True)):
            if not self.chosen[i]:
                continue
            keep, targets = best.kept[i], old(dense_inputs)
            arrays[new.name] = new.own(keep)
            error = relative_error(new(inputs), targets)
            reports.append(LayerReport(new.name, int(keep.sum()), keep.size, error, method))
            proof = method.certificate(new, keep, inputs, targets)
            if proof is not None:
                certificates[new.name] = proof
        left = [layer.name for layer, chosen in zip(self.dense.layers(), self.chosen, strict=True) if not chosen]
        left += self.dense.left_out
        return Pruned(
            best.network.model(), Mask(arrays), tuple(reports), self.method, self.clock.seconds, tuple(steps),
            self.judge.dense_quality if best_step is None else best_step.quality, self.judge.dense_quality, status, reason, certificates,
            (f"not pruned: {', '.join(left)}.",) if left else (),
        )  # fmt: skip

    def _tell(self, text):
        if self.told:
            sys.stderr.write(f"{self.clock.seconds:6.1f} s  {text}\n")


def _is_better(step, best, *, keep_best):
    return best is None or not keep_best or (step.target, step.quality) >= (best.target, best.quality)


def _start(network, chosen, levels, resume):
    """Where the run begins, and the levels that are still to come."""
    if resume is None:
        return _State(network, [np.ones(layer.weight.shape, bool) for layer in network.layers()]), levels
    if not isinstance(resume, Pruned):
        raise TypeError(f"resume is {type(resume).__name__}; give the Pruned that an earlier run of `prune` returned.")
    found = network.reading(resume.model)
    names = [layer.name for layer, is_chosen in zip(network.layers(), chosen, strict=True) if is_chosen]
    if list(resume.mask) != names or [layer.weight.shape for layer in found.layers()] != [
        layer.weight.shape for layer in network.layers()
    ]:
        raise ValueError(
            "resume= comes from another model or other layers; give the model and the options of that run."
        )
    kept = [
        layer.with_own(resume.mask[layer.name]).weight if layer.name in names else np.ones(layer.weight.shape, bool)
        for layer in found.layers()
    ]
    done = [step.target for step in resume.steps if step.accepted]
    if len(done) <= len(levels) and np.allclose(done, levels[: len(done)], rtol=1e-12, atol=0):
        levels = levels[len(done) :]
    else:
        levels = levels[levels > max(done, default=-np.inf)]
    return _State(found, kept), levels
