"""Writes checkpoints and events for interop_samples to read."""

import os
import sys

import numpy as np
import tensorflow as tf

from keras_models import MODELS


def main():
    root = sys.argv[1]
    generator = np.random.default_rng(1)
    for name, make in MODELS.items():
        directory = os.path.join(root, name)
        model, optimizer = make()
        shape = (6,) + model.input_shape[1:]
        if name == "functional":
            x = generator.integers(0, 7, shape).astype(np.int32)
        else:
            x = generator.normal(size=shape).astype(np.float32)
        model.compile(optimizer, "mse")
        model.fit(x, generator.normal(size=(6, 3)), epochs=2, verbose=0)
        tf.train.Checkpoint(model=model, optimizer=optimizer).save(
            os.path.join(directory, "checkpoints", "ckpt"))
        np.save(os.path.join(directory, "x.npy"), x)
        np.save(os.path.join(directory, "y.npy"), model(x, training=False).numpy())
    writer = tf.summary.create_file_writer(os.path.join(root, "logs"))
    with writer.as_default():
        for step in range(3):
            tf.summary.scalar("loss", step * 0.5, step)
        tf.summary.text("note", "hello", 0)
    writer.close()


if __name__ == "__main__":
    main()
