"""Imports every GraphDef of graph_samples into TensorFlow, runs those that have
values, and compares. Then writes a graph of TensorFlow's own, with variables, into
DIR/theirs for graph_samples to run. usage: check_graphs.py DIR"""
import glob
import os
import sys

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import graph_pb2

# Outputs that an implementation uses as it likes.
PRIVATE_OUTPUTS = {"FusedBatchNormV3": {3, 4, 5}, "FusedBatchNormGradV3": {3, 4}}
# Ours on purpose: more than TensorFlow takes, or what it takes but we have no dtype for.
NOT_THEIRS = {
    "Cast.1": "a float beyond int32 saturates; in TensorFlow the processor decides",
    "Range.3": "an interval that runs backwards is empty, as in NumPy",
}
# TensorFlow's CPU kernels lack these; importing them is checked all the same.
NOT_ON_CPU = ("No OpKernel was registered", "not supported", "is not implemented")


def close(ours, theirs):
    if ours.dtype.kind not in "fc" and ours.dtype.name != "bfloat16":
        return (ours == theirs).all()
    tolerance = {"float64": 1e-9, "float32": 2e-5}.get(ours.dtype.name, 1e-2)
    return np.allclose(ours.astype(np.float64), theirs.astype(np.float64), rtol=tolerance,
                       atol=tolerance, equal_nan=True)


def check(path):
    name = os.path.basename(path)[:-3]
    op = name.split(".")[0]
    definition = graph_pb2.GraphDef()
    with open(path, "rb") as file:
        definition.ParseFromString(file.read())
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(definition, name="")
        ran = 0
        config = tf.compat.v1.ConfigProto()
        config.graph_options.rewrite_options.disable_meta_optimizer = True
        with tf.compat.v1.Session(graph=graph, config=config) as session:
            for file in sorted(glob.glob(path[:-3] + ".*.npy")):
                index = int(file.split(".")[-2])
                if index in PRIVATE_OUTPUTS.get(op, ()):
                    continue
                ours = np.load(file)
                try:
                    theirs = session.run(f"result:{index}")
                except (tf.errors.UnimplementedError, tf.errors.InvalidArgumentError) as error:
                    if any(text in str(error) for text in NOT_ON_CPU):
                        continue
                    raise
                assert ours.dtype == theirs.dtype, (name, index, ours.dtype, theirs.dtype)
                assert ours.shape == theirs.shape, (name, index, ours.shape, theirs.shape)
                assert close(ours, theirs), (name, index, ours, theirs)
                ran += 1
        return ran


def write_theirs(directory):
    os.makedirs(directory)
    random = np.random.default_rng(3)
    x = random.normal(size=(5, 7)).astype(np.float32)
    with tf.Graph().as_default() as graph:
        v1 = tf.compat.v1
        fed = v1.placeholder(tf.float32, [None, 7], "x")
        hidden = fed
        for i, (rows, columns) in enumerate([(7, 6), (6, 3)]):
            kernel = v1.get_variable(f"dense_{i}/kernel", use_resource=True,
                                     initializer=random.normal(size=(rows, columns))
                                     .astype(np.float32))
            bias = v1.get_variable(f"dense_{i}/bias", use_resource=True,
                                   initializer=random.normal(size=columns).astype(np.float32))
            hidden = tf.nn.bias_add(tf.matmul(hidden, kernel), bias)
            hidden = tf.nn.relu(hidden) if i == 0 else hidden
        tf.nn.softmax(hidden, name="y")
        add = bias.assign_add(tf.reduce_mean(hidden, axis=0), read_value=False)
        tf.group(add, name="update")
        init = v1.global_variables_initializer()
        with v1.Session() as session:
            session.run(init)
            before = session.run("y:0", {fed: x})
            session.run("update", {fed: x})
            after = session.run("y:0", {fed: x})
        with open(os.path.join(directory, "graph.pb"), "wb") as file:
            file.write(graph.as_graph_def().SerializeToString())
    for name, value in (("x", x), ("before", before), ("after", after)):
        np.save(os.path.join(directory, name + ".npy"), value)


def main():
    paths = sorted(glob.glob(os.path.join(sys.argv[1], "*.pb")))
    assert len(paths) > 100, len(paths)
    failures, imported, ran = [], 0, 0
    for path in paths:
        name = os.path.basename(path)[:-3]
        if name in NOT_THEIRS or name.split(".")[0] in NOT_THEIRS:
            continue
        try:
            ran += check(path)
            imported += 1
        except Exception as error:  # all of them are reported, not the first
            failures.append(f"{os.path.basename(path)}: {type(error).__name__} "
                            f"{str(error)[:600]}")
    print("\n".join(failures))
    assert not failures, f"{len(failures)} of {len(paths)} graphs"
    assert ran > 100, ran
    print(f"interop: TensorFlow imports {imported} graphs of our ops and computes the same "
          f"{ran} outputs")
    write_theirs(os.path.join(sys.argv[1], "theirs"))


if __name__ == "__main__":
    main()
