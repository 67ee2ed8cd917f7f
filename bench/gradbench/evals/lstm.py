"""A network of layers with memory predicts a sequence; all weights are diagonal."""

import gpuad.numpy as np
from gpuad import grad
from gpuad.scipy.special import expit


def read(given):
    return tuple(np.array(given[name], dtype=float) for name in ("main_params", "extra_params", "state", "sequence"))


def objective(main, extra, state, sequence):
    steps, width = len(sequence) - 1, sequence.shape[1]
    layers = [Layer(main[i : i + 2], state[i], state[i + 1]) for i in range(0, len(main), 2)]
    outputs = []
    for x in sequence[:-1] * extra[0]:
        for layer in layers:
            x = layer.step(x)
        outputs.append(x)
    y = np.stack(outputs) * extra[1] + extra[2]
    normalization = np.log(2 + np.sum(np.exp(y), axis=1))
    return -np.sum(sequence[1:] * (y - normalization[:, None])) / (width * steps)


class Layer:
    """The gates, and what is remembered from step to step."""

    def __init__(self, parameters, hidden, cell):
        weights, biases = parameters
        self.forget, self.enter, self.leave, self.change = zip(np.split(weights, 4), np.split(biases, 4), strict=True)
        self.hidden, self.cell = hidden, cell

    def step(self, x):
        forget, enter = expit(gate(x, self.forget)), expit(gate(self.hidden, self.enter))
        leave, change = expit(gate(x, self.leave)), np.tanh(gate(self.hidden, self.change))
        self.cell = self.cell * forget + enter * change
        self.hidden = leave * np.tanh(self.cell)
        return self.hidden


def gate(x, parameters):
    weight, bias = parameters
    return x * weight + bias


def jacobian(main, extra, state, sequence):
    gradients = grad(objective, (0, 1))(main, extra, state, sequence)
    return np.concatenate([g.ravel() for g in gradients])


FUNCTIONS = {"objective": objective, "jacobian": jacobian}
