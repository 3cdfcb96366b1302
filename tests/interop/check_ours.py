"""Reads what interop_samples wrote, with TensorFlow and TensorBoard."""

import io
import json
import logging
import os
import sys

import keras
import numpy as np
import tensorflow as tf
from tensorboard.backend.event_processing import plugin_event_accumulator
from tensorboard.util import tensor_util

from keras_models import MODELS


class Warnings(logging.Handler):
    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


def check_model(name, root):
    directory = os.path.join(root, name)
    checkpoints = os.path.join(directory, "checkpoints")
    prefix = tf.train.latest_checkpoint(checkpoints)
    assert prefix and prefix.endswith("ckpt-2"), prefix
    state = tf.train.get_checkpoint_state(checkpoints)
    assert len(state.all_model_checkpoint_paths) == 2, state

    # Every variable, by its key.
    reader = tf.train.load_checkpoint(checkpoints)
    shapes = reader.get_variable_to_shape_map()
    with open(os.path.join(directory, "variables.json")) as f:
        variables = json.load(f)
    for v in variables:
        expected = np.load(os.path.join(directory, v["file"]))
        got = reader.get_tensor(v["key"])
        assert got.dtype == expected.dtype and (got == expected).all(), v
        assert list(expected.shape) == shapes[v["key"]], v
    assert reader.get_tensor("_tributary/step") == 3
    assert reader.get_tensor("_tributary/config") == b"{}"

    # Keras, by the object graph. The optimizer too, through its slots.
    keras.utils.clear_session()  # names as in a fresh process
    model, optimizer = MODELS[name]()
    optimizer.build(model.trainable_variables)
    checkpoint = tf.train.Checkpoint(model=model, optimizer=optimizer)
    status = checkpoint.restore(prefix)
    status.assert_existing_objects_matched()
    status.assert_consumed()  # nothing that TensorFlow would miss or wonder about
    x = np.load(os.path.join(directory, "x.npy"))
    y = np.load(os.path.join(directory, "y.npy"))
    np.testing.assert_allclose(model(x, training=False).numpy(), y, rtol=1e-5, atol=1e-5)
    assert int(optimizer.iterations) == 3, optimizer.iterations
    by_name = {v["name"]: v for v in variables if v["key"].startswith("model/")}
    for variable in model.weights:
        # Keras prefixes the model's name in a Sequential.
        short = "/".join(variable.path.split("/")[-2:])
        expected = np.load(os.path.join(directory, by_name[short]["file"]))
        assert (variable.numpy() == expected).all(), variable.path

    # The model alone, and through Keras's own manager; and training goes on.
    other, optimizer = MODELS[name]()
    status = tf.train.Checkpoint(model=other).restore(prefix)
    status.assert_existing_objects_matched()
    status.expect_partial()
    np.testing.assert_allclose(other(x, training=False).numpy(), y, rtol=1e-5, atol=1e-5)
    other.compile(optimizer, "mse")
    other.fit(x, y, verbose=0)
    manager = tf.train.CheckpointManager(
        tf.train.Checkpoint(model=model, optimizer=checkpoint.optimizer), checkpoints,
        max_to_keep=5)
    assert manager.restore_or_initialize() == prefix
    assert manager.save().endswith("ckpt-3")


def check_shards(root):
    reader = tf.train.load_checkpoint(os.path.join(root, "shards", "ckpt-1"))
    whole = np.arange(12, dtype=np.float32).reshape(4, 3)
    assert (reader.get_tensor("sliced") == whole).all()
    assert list(reader.get_tensor("text")) == [b"", b"\x00\xff", b"x" * 300]
    for dtype in ("float16", "float64", "int8", "int16", "int32", "int64", "uint8", "bool"):
        value = reader.get_tensor(dtype)
        assert value.dtype == dtype and list(value) == [0, 1], dtype
    assert reader.get_tensor("bfloat16").dtype == tf.bfloat16.as_numpy_dtype
    assert reader.get_tensor("empty").shape == (0, 5)


def check_npy(root):
    array = np.load(os.path.join(root, "array.npy"))
    assert array.dtype == np.float32 and array.shape == (2, 3), array
    assert (array == [[0, 1, 2], [3, 4, 5]]).all()
    assert np.load(os.path.join(root, "scalar.npy")) == 7


def check_run(logs):
    """A run's own summaries: every kind is there, and images are what was fed."""
    events = plugin_event_accumulator.EventAccumulator(logs, size_guidance={"tensors": 0})
    events.Reload()
    inputs = tensor_util.make_ndarray(events.Tensors("inputs")[0].tensor_proto)
    assert len(inputs) == 5 and [int(v) for v in inputs[:2]] == [5, 4], inputs[:2]
    for blob in inputs[2:]:
        pixels = tf.io.decode_png(blob).numpy()
        expected = np.round(np.arange(20) * 255 / 19).reshape(4, 5, 1)
        assert (pixels == expected).all(), pixels
    outputs = events.Tensors("outputs")
    assert [e.step for e in outputs] == [1, 2], outputs
    for tag, plugin in (("inputs", "images"), ("outputs", "images"), ("batch_loss", "scalars"),
                        ("epoch_loss", "scalars"), ("dense/kernel", "histograms"),
                        ("job", "text")):
        assert events.SummaryMetadata(tag).plugin_data.plugin_name == plugin, tag
    assert len(events.Graph().node) > 5


def check_events(root):
    logs = os.path.join(root, "logs")
    # What the TensorBoard application reads with.
    events = plugin_event_accumulator.EventAccumulator(
        logs, size_guidance={"tensors": 0})
    events.Reload()
    loss = events.Tensors("loss")
    steps = [e.step for e in loss]
    assert steps == [1, 2, 3, 4, 5, 6], steps  # 4 and 5 were written twice
    values = [float(tensor_util.make_ndarray(e.tensor_proto)) for e in loss]
    assert values == [1, 2, 3, 40, 50, 60], values
    assert all(a.wall_time <= b.wall_time for a, b in zip(loss, loss[1:]))

    histogram = tensor_util.make_ndarray(events.Tensors("weights")[0].tensor_proto)
    assert histogram.shape == (30, 3) and histogram[:, 2].sum() == 100, histogram

    image = tensor_util.make_ndarray(events.Tensors("image")[0].tensor_proto)
    assert [int(v) for v in image[:2]] == [6, 4], image[:2]
    assert len(image) == 4
    pixels = tf.io.decode_png(image[2]).numpy()
    assert pixels.shape == (4, 6, 3)
    assert (pixels.ravel() == np.arange(72) % 256).all()
    grey = tf.io.decode_png(tensor_util.make_ndarray(
        events.Tensors("grey")[0].tensor_proto)[2]).numpy()
    assert grey.shape == (2, 2, 1) and list(grey.ravel()) == [0, 128, 255, 255], grey

    text = tensor_util.make_ndarray(events.Tensors("job")[0].tensor_proto)
    assert text == b"# a job", text

    check_run(os.path.join(root, "run", "summaries", "train"))
    plugins = {tag: events.SummaryMetadata(tag).plugin_data.plugin_name
               for tag in ("loss", "weights", "image", "job")}
    assert plugins == {"loss": "scalars", "weights": "histograms", "image": "images",
                       "job": "text"}, plugins
    names = [node.name for node in events.Graph().node]
    assert "x" in names and "MatMul" in names, names
    with tf.Graph().as_default():
        tf.import_graph_def(
            tf.compat.v1.GraphDef.FromString(events.Graph().SerializeToString()), name="")


def main():
    root = sys.argv[1]
    warnings = Warnings()
    tf.get_logger().addHandler(warnings)
    check_npy(root)
    check_shards(root)
    for name in MODELS:
        check_model(name, root)
        print("interop: TensorFlow restores", name)
    check_events(root)
    print("interop: TensorBoard reads the summaries")
    noise = [w for w in warnings.lines if "_tributary" in w]
    assert not noise, noise


if __name__ == "__main__":
    main()
