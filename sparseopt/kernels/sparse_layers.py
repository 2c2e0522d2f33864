"""A layer with a sparse matrix on few samples, where the calls of SciPy cost more than the products."""

from sparseopt._jit import kernel


@kernel
def sparse_layer(data, indices, starts, bias, inputs, outputs):
    """Put inputs @ S' + bias into `outputs`, for rows S in compressed form with unsigned places."""
    for sample in range(inputs.shape[0]):
        x, out = inputs[sample], outputs[sample]
        for row in range(out.size):
            total = bias[row]
            for place in range(starts[row], starts[row + 1]):
                total += data[place] * x[indices[place]]
            out[row] = total
