"""Test accuracy of Keras's MNIST models: 9,000 images to train, the last 1,000 to test.

    TRIBUTARY_TF_PYTHON accuracy.py [--data DIR] [--seeds 3] [mlp] [convnet]

Prints one JSON object a line: {"model", "seed", "accuracy"}, then means. The images are
the 10,000 of the t10k files; the models those of configs/mnist_mlp.yaml and mnist_cnn.yaml.
"""
import argparse
import gzip
import json
import os
import pathlib
import statistics

os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf


def read_idx(folder, name, header):
    for path, opener in ((folder / (name + ".gz"), gzip.open), (folder / name, open)):
        if path.exists():
            with opener(path, "rb") as file:
                return np.frombuffer(file.read(), np.uint8, offset=header)
    raise SystemExit(f"accuracy: {name} is not in {folder}")


def load(folder):
    images = read_idx(folder, "t10k-images-idx3-ubyte", 16).reshape(-1, 28, 28, 1)
    labels = read_idx(folder, "t10k-labels-idx1-ubyte", 8).astype(np.int64)
    return images.astype(np.float32) / 255, labels


def make_model(name):
    layers = tf.keras.layers
    if name == "mlp":
        body = [layers.Flatten(), layers.Dense(128, activation="relu"), layers.Dense(10)]
    else:
        body = [layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D(2),
                layers.Conv2D(64, 3, activation="relu"), layers.MaxPooling2D(2),
                layers.Flatten(), layers.Dropout(0.5), layers.Dense(10)]
    return tf.keras.Sequential([layers.Input((28, 28, 1)), *body])


def train(name, seed, images, labels, epochs):
    tf.keras.utils.set_random_seed(seed)
    model = make_model(name)
    model.compile(tf.keras.optimizers.Adam(1e-3),
                  tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                  metrics=["accuracy"])
    model.fit(images[:9000], labels[:9000], batch_size=32 if name == "mlp" else 64,
              epochs=epochs, verbose=0)
    return model.evaluate(images[9000:], labels[9000:], batch_size=1000, verbose=0)[1]


def main():
    here = pathlib.Path(__file__).resolve().parents[3]
    default = os.environ.get("TRIBUTARY_DATA_DIR", here.parent / "shared" / "data")
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path(default))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("models", nargs="*", default=["mlp", "convnet"])
    args = parser.parse_args()
    images, labels = load(args.data / "mnist")
    for name in args.models:
        found = []
        for seed in range(1, args.seeds + 1):
            found.append(train(name, seed, images, labels, args.epochs))
            print(json.dumps({"model": name, "seed": seed, "accuracy": round(found[-1], 4)}),
                  flush=True)
        print(json.dumps({"model": name, "mean_accuracy": round(statistics.mean(found), 4)}),
              flush=True)


main()
