"""The model of configs/wide_deep_ps.yaml, trained by TensorFlow's parameter servers.

    TRIBUTARY_TF_PYTHON tf_parameter_servers.py [--adam] [--steps 1,8,32]
        [--tables one|each] [--seconds 4]

Starts two workers and two servers, each a process of its own by TCP on loopback, and is
their coordinator. Prints one JSON object for each number of steps that a scheduled function
makes. TensorFlow gets what it likes best: ids and normalised numbers computed once, a data
set in each worker's memory, one table of all features' rows (--tables each: one a feature,
as Keras has them), no metrics.
"""
import argparse
import json
import os
import pathlib
import socket
import subprocess
import sys
import time

os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["GRPC_FAIL_FAST"] = "use_caller"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

import wide_deep

BATCH = 128
WORKERS = SERVERS = 2
HIDDEN = (128, 64)
DIMENSION = 8
WARM_UP_STEPS = 500


def serve(cluster, job, index):
    """A worker or a server, until the coordinator's end of the pipe is closed."""
    tf.distribute.Server(tf.train.ClusterSpec(cluster), job_name=job, task_index=index)
    sys.stdin.read()
    os._exit(0)


def start_cluster():
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(WORKERS + SERVERS)]
    hosts = ["127.0.0.1:%d" % s.getsockname()[1] for s in sockets]
    cluster = {"worker": hosts[:WORKERS], "ps": hosts[WORKERS:]}
    for s in sockets:
        s.close()
    for job, members in cluster.items():
        for index in range(len(members)):
            subprocess.Popen([sys.executable, __file__, "--serve", json.dumps(cluster), job,
                              str(index)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    return cluster


def load(path, one_table):
    """Ids, the rows of each table, numbers, targets."""
    fitted = {}
    columns, target = wide_deep.features(wide_deep.read(path / "adult" / "adult.data"), fitted)
    names = [name + "_range" for name in wide_deep.RANGES] + wide_deep.WORDS
    sizes = [fitted[name] for name in names]
    ids = np.stack([columns[name] for name in names], 1)
    if one_table:
        ids += np.cumsum([0] + sizes[:-1])
        sizes = [sum(sizes)]
    return ids.astype(np.int32), sizes, columns["numbers"].astype(np.float32), target


class WideDeep(tf.Module):
    def __init__(self, tables, fields, numbers):
        super().__init__()
        glorot = tf.keras.initializers.GlorotUniform(seed=1)
        self.wide = [tf.Variable(tf.zeros((rows, 1))) for rows in tables]
        self.deep = [tf.Variable(tf.random.uniform((rows, DIMENSION), -0.05, 0.05, seed=1))
                     for rows in tables]
        self.wide_kernel = tf.Variable(glorot((numbers, 1)))
        self.wide_bias = tf.Variable(tf.zeros((1,)))
        self.layers = []
        width = fields * DIMENSION + numbers
        for units in HIDDEN + (1,):
            self.layers.append((tf.Variable(glorot((width, units))),
                                tf.Variable(tf.zeros((units,)))))
            width = units

    def loss(self, ids, numbers, target):
        parts = tf.split(ids, len(self.deep), axis=1)
        wide = tf.concat([tf.nn.embedding_lookup(t, p) for t, p in zip(self.wide, parts)], 1)
        deep = tf.concat([tf.nn.embedding_lookup(t, p) for t, p in zip(self.deep, parts)], 1)
        x = tf.concat([tf.reshape(deep, (-1, ids.shape[1] * DIMENSION)), numbers], 1)
        for i, (kernel, bias) in enumerate(self.layers):
            x = tf.nn.bias_add(tf.matmul(x, kernel), bias)
            x = tf.nn.relu(x) if i < len(HIDDEN) else x
        linear = tf.nn.bias_add(tf.matmul(numbers, self.wide_kernel), self.wide_bias)
        logit = (x + linear + tf.reduce_sum(wide, 1))[:, 0]
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(target, logit))


class Sgd:
    def __init__(self, variables, rate=0.01):
        self.variables, self.rate = variables, rate

    def apply(self, gradients):
        for variable, gradient in zip(self.variables, gradients):
            if isinstance(gradient, tf.IndexedSlices):
                variable.scatter_sub(tf.IndexedSlices(gradient.values * self.rate,
                                                      gradient.indices))
            else:
                variable.assign_sub(gradient * self.rate)


class Adam:
    """Each update is one op, at the variable. Tables are so small that dense is faster."""

    def __init__(self, variables, strategy, rate=0.001):
        self.variables, self.rate = variables, rate
        self.step = tf.Variable(0.0)
        self.moments = []
        for v in variables:
            with strategy.extended.colocate_vars_with(v):
                self.moments.append([tf.Variable(tf.zeros(v.shape)) for _ in range(2)])

    def apply(self, gradients):
        step = self.step.assign_add(1.0, read_value=True)
        powers = tf.pow(0.9, step), tf.pow(0.999, step)
        for variable, (m, v), gradient in zip(self.variables, self.moments, gradients):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle, m=m.handle, v=v.handle, beta1_power=powers[0],
                beta2_power=powers[1], lr=self.rate, beta1=0.9, beta2=0.999, epsilon=1e-7,
                grad=tf.convert_to_tensor(gradient))


def make_step(model, optimizer, steps):
    """What is scheduled: `steps` training steps of one worker, and the last one's loss."""

    @tf.function
    def run(iterator):
        for _ in range(steps):
            ids, numbers, target = next(iterator)
            with tf.GradientTape() as tape:
                loss = model.loss(ids, numbers, target)
            optimizer.apply(tape.gradient(loss, optimizer.variables))
        return loss

    return run


def measure(coordinator, step, iterator, steps, seconds):
    """Samples a second, in a time of about `seconds` after warming up."""

    def timed(closures):
        start = time.perf_counter()
        for _ in range(closures):
            coordinator.schedule(step, args=(iterator,))
        coordinator.join()
        return closures / (time.perf_counter() - start)

    timed(WORKERS)  # traced, placed, and the data sets begin
    rate = timed(max(WORKERS, WARM_UP_STEPS // steps))
    return timed(max(WORKERS, round(rate * seconds))) * steps * BATCH


def main():
    here = pathlib.Path(__file__).resolve().parents[3]
    default = os.environ.get("TRIBUTARY_DATA_DIR", here.parent / "shared" / "data")
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path(default))
    parser.add_argument("--adam", action="store_true")
    parser.add_argument("--tables", choices=["one", "each"], default="one")
    parser.add_argument("--steps", default="1,8,32")
    parser.add_argument("--seconds", type=float, default=4)
    args = parser.parse_args()
    cluster = start_cluster()
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec(cluster), rpc_layer="grpc")
    strategy = tf.distribute.ParameterServerStrategy(resolver)
    coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
    ids, tables, numbers, target = load(args.data, args.tables == "one")
    with strategy.scope():
        model = WideDeep(tables, ids.shape[1], numbers.shape[1])
        variables = model.trainable_variables
        optimizer = Adam(variables, strategy) if args.adam else Sgd(variables)

    def dataset():
        data = tf.data.Dataset.from_tensor_slices((ids, numbers, target)).cache()
        data = data.shuffle(len(ids)).repeat().batch(BATCH, drop_remainder=True)
        return data.prefetch(tf.data.AUTOTUNE)

    iterator = iter(coordinator.create_per_worker_dataset(dataset))
    for steps in map(int, args.steps.split(",")):
        step = make_step(model, optimizer, steps)
        rate = measure(coordinator, step, iterator, steps, args.seconds)
        print(json.dumps({"peer": "tf_parameter_servers", "steps_a_closure": steps,
                          "optimizer": "adam" if args.adam else "sgd",
                          "tables": args.tables, "samples_per_s": round(rate),
                          "loss": round(float(model.loss(ids, numbers, target)), 4)}), flush=True)
    os._exit(0)  # what is left of the cluster ends with this process


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(json.loads(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
    else:
        main()
