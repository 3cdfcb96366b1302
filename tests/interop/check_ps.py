"""Reads with TensorFlow the checkpoints that two parameter servers wrote of ps_job.yaml."""

import os
import sys

import numpy as np
import tensorflow as tf

STEPS = 2048 // 64
BUCKETS = 10 + 1000 + 200
KERNELS = {"bottom_0": (5, 16), "bottom_1": (16, 8), "bottom_2": (8, 4), "top_0": (10, 16),
           "logits": (16, 1)}
SLOTS = ("momentum", "velocity")  # of Adam
ROW_SLOT = "accumulator"          # of RowWiseAdagrad: one number a row
SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"


def dense_variables():
    for layer, (inputs, units) in KERNELS.items():
        yield layer + "/kernel", (inputs, units)
        yield layer + "/bias", (units,)


def read(reader, name, shape, dtype):
    """A tensor, once the shape and dtype that are listed are found to be those of its value."""
    assert tuple(reader.get_variable_to_shape_map()[name]) == shape, name
    assert reader.get_variable_to_dtype_map()[name] == tf.as_dtype(dtype), name
    value = reader.get_tensor(name)
    assert value.shape == shape and value.dtype == dtype, (name, value.shape, value.dtype)
    if dtype == np.float32:
        assert np.isfinite(value).all(), name
    return value


def check_slices(prefix, name, whole):
    """The two parts lie in the servers' files; whether they lie in different ones."""
    files = []
    for server in range(2):
        with open(f"{prefix}.data-{server:05d}-of-00003", "rb") as file:
            files.append(file.read())
    cut = len(whole) // 2
    where = [[part.tobytes() in file for file in files] for part in (whole[:cut], whole[cut:])]
    assert [sum(found) for found in where] == [1, 1], (name, where)
    assert not any(whole.tobytes() in file for file in files), name
    return where[0] != where[1]


def check_dense(reader, prefix):
    apart = 0
    for name, shape in dense_variables():
        whole = read(reader, name, shape, np.float32)
        assert (whole == read(reader, f"model/{name}{SUFFIX}", shape, np.float32)).all(), name
        for slot in SLOTS:
            value = read(reader, f"{name}/{slot}", shape, np.float32)
            assert value.any() and (slot != "velocity" or (value >= 0).all()), (name, slot)
            if shape[0] > 1:
                apart += check_slices(prefix, f"{name}/{slot}", value)
        if shape[0] > 1:
            apart += check_slices(prefix, name, whole)
    assert apart > 0, "no variable had a part on either server"


def check_table(reader, table, rule):
    rows = reader.get_variable_to_shape_map()[table + "/ids"][0]
    ids = read(reader, table + "/ids", (rows,), np.int64)
    assert 100 < rows <= BUCKETS and len(np.unique(ids)) == rows, rows
    assert ids.min() >= 0 and ids.max() < BUCKETS, (ids.min(), ids.max())
    values = read(reader, table + "/values", (rows, 4), np.float32)
    assert values.any(axis=1).all(), "a row of zeros"
    slots = {ROW_SLOT: (rows,)} if rule == "RowWiseAdagrad" else dict.fromkeys(SLOTS, (rows, 4))
    for slot, shape in slots.items():
        value = read(reader, f"{table}/{slot}", shape, np.float32)
        assert value.any() and (slot == "momentum" or (value >= 0).all()), slot
    seen = read(reader, table + "/seen", (rows,), np.int64)
    assert 0 <= seen.min() and seen.max() <= STEPS, (seen.min(), seen.max())
    assert (read(reader, table + "/frequency", (rows,), np.int32) >= 1).all()


def check_restore(reader, prefix):
    """tf.train.Checkpoint restores the dense part into objects of TensorFlow's own."""
    model, optimizer = tf.Module(), tf.Module()
    for name, shape in dense_variables():
        layer, attribute = name.split("/")
        if not hasattr(model, layer):
            setattr(model, layer, tf.Module())
        setattr(getattr(model, layer), attribute, tf.Variable(tf.zeros(shape)))
    optimizer._iterations = tf.Variable(0, dtype=tf.int64)
    optimizer._learning_rate = tf.Variable(0.0)
    status = tf.train.Checkpoint(model=model, optimizer=optimizer).restore(prefix)
    status.assert_existing_objects_matched()
    status.assert_consumed()
    for name, _ in dense_variables():
        layer, attribute = name.split("/")
        value = getattr(getattr(model, layer), attribute).numpy()
        assert (value == reader.get_tensor(name)).all(), name
    assert int(optimizer._iterations) == STEPS, optimizer._iterations
    assert abs(float(optimizer._learning_rate) - 1e-2) < 1e-9, optimizer._learning_rate


def check_keras(reader, prefix):
    """Keras layers of the same names find their weights too."""
    layers = [tf.keras.layers.Dense(shape[1], name=layer) for layer, shape in KERNELS.items()]
    root = tf.train.Checkpoint()
    root.model = tf.train.Checkpoint(**{layer.name: layer for layer in layers})
    for layer, shape in zip(layers, KERNELS.values()):
        layer.build((None, shape[0]))
    root.restore(prefix).assert_existing_objects_matched().expect_partial()
    for layer in layers:
        assert (layer.kernel.numpy() == reader.get_tensor(layer.name + "/kernel")).all()
        assert (layer.bias.numpy() == reader.get_tensor(layer.name + "/bias")).all()


def check_job(run_dir, rule):
    checkpoints = os.path.join(run_dir, "checkpoints")
    prefix = tf.train.latest_checkpoint(checkpoints)
    assert prefix and prefix.endswith(f"ckpt-{STEPS}"), prefix
    reader = tf.train.load_checkpoint(checkpoints)
    names = list(reader.get_variable_to_shape_map())
    for name in names:
        reader.get_tensor(name)  # each that is listed can be read
    assert reader.get_tensor("_tributary/step") == STEPS
    check_dense(reader, prefix)
    tables = [name[:-len("/ids")] for name in names if name.endswith("/ids")]
    assert len(tables) == 1, tables
    check_table(reader, tables[0], rule)
    check_restore(reader, prefix)
    check_keras(reader, prefix)


def main():
    for rule in ("LazyAdam", "RowWiseAdagrad"):
        check_job(os.path.join(sys.argv[1], rule), rule)
        print(f"interop: TensorFlow reads what parameter servers saved, rows by {rule}")


if __name__ == "__main__":
    main()
