"""Times of TensorFlow's training steps: Keras fit, tf.function, tf.function + XLA.

Prints one JSON object a line: {"job", "peer", "threads", "step_us"}.
"""
import argparse
import os

os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

import timing


def make_model(name):
    layers = tf.keras.layers
    if name == "mlp_16":
        body = [layers.Input((16,)), layers.Dense(16, activation="relu"), layers.Dense(4)]
    elif name == "mlp_mnist":
        body = [layers.Input((784,)), layers.Dense(128, activation="relu"), layers.Dense(10)]
    elif name == "mlp_512":
        body = [layers.Input((784,)), layers.Dense(512, activation="relu"),
                layers.Dense(512, activation="relu"), layers.Dense(10)]
    else:
        body = [layers.Input((28, 28, 1)),
                layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D(2),
                layers.Conv2D(64, 3, activation="relu"), layers.MaxPooling2D(2),
                layers.Flatten(), layers.Dropout(0.5), layers.Dense(10)]
    return tf.keras.Sequential(body)


def make_optimizer(name):
    if timing.JOBS[name]["optimizer"] == "sgd":
        return tf.keras.optimizers.SGD(0.01)
    return tf.keras.optimizers.Adam(1e-3)


def keras_fit(name):
    job = timing.JOBS[name]
    x, y = timing.data(name, job["batch"] * job["fit_steps"])
    model = make_model(name)
    model.compile(make_optimizer(name),
                  tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                  metrics=["accuracy"])

    def epoch():
        model.fit(x, y, batch_size=job["batch"], epochs=1, verbose=0, shuffle=True)

    return timing.block_us(epoch, job["fit_steps"], warm_up=2)


def function(name, jit):
    job = timing.JOBS[name]
    x, y = (tf.constant(a) for a in timing.data(name, job["batch"]))
    model, optimizer = make_model(name), make_optimizer(name)
    loss_of = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer.build(model.trainable_variables)

    @tf.function(jit_compile=jit)
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = loss_of(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    return timing.step_us(lambda: step(x, y))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("jobs", nargs="+")
    args = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    tf.config.threading.set_inter_op_parallelism_threads(args.threads)
    for name in args.jobs:
        for peer, measure in (("tf_function", lambda: function(name, False)),
                              ("tf_xla", lambda: function(name, True)),
                              ("keras_fit", lambda: keras_fit(name))):
            timing.report(name, peer, args.threads, measure)


main()
