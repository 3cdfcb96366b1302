"""The model of configs/wide_deep_adult.yaml in Keras: accuracy, AUC and speed of `fit`.

    TRIBUTARY_TF_PYTHON wide_deep.py [--data DIR] [--seeds 3] [--epochs 10] [--threads N]
    TRIBUTARY_TF_PYTHON wide_deep.py --speed [--threads N]

Prints one JSON object a line. Keras gets what its training loop likes best: ids and
normalised numbers as arrays, computed once before `fit`; words are never looked up in a
step. Speed is the median of epochs after the first.
"""
import argparse
import csv
import json
import os
import pathlib
import statistics
import time

os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

NAMES = ["age", "workclass", "fnlwgt", "education", "education_num", "marital_status",
         "occupation", "relationship", "race", "sex", "capital_gain", "capital_loss",
         "hours_per_week", "country", "income"]
NUMBERS = ["age", "education_num", "capital_gain", "capital_loss", "hours_per_week"]
LOGS = ["capital_gain", "capital_loss"]
RANGES = {"capital_gain": [1, 3000, 5000, 5100, 7000, 8000, 10000, 15000, 20000],
          "capital_loss": [1, 1500, 1700, 1800, 1850, 1900, 1950, 2000, 2200, 2400]}
WORDS = ["workclass", "education", "marital_status", "occupation", "relationship", "race",
         "sex", "country"]


def read(path):
    with open(path) as file:
        rows = [[field.strip() for field in row] for row in csv.reader(file)]
    rows = [row for row in rows if len(row) == len(NAMES)]
    return {name: [row[i] for row in rows] for i, name in enumerate(NAMES)}


def features(data, fitted):
    numbers = [np.array(data[n], np.float32) for n in NUMBERS]
    numbers += [np.log1p(np.array(data[n], np.float32)) for n in LOGS]
    numbers = np.stack(numbers, 1)
    fitted.setdefault("mean", numbers.mean(0))
    fitted.setdefault("deviation", numbers.std(0))
    out = {"numbers": (numbers - fitted["mean"]) / fitted["deviation"]}
    for name, boundaries in RANGES.items():
        out[name + "_range"] = np.digitize(np.array(data[name], np.float32), boundaries)
        fitted[name + "_range"] = len(boundaries) + 1
    for name in WORDS:
        words = fitted.setdefault("of_" + name, sorted(set(data[name])))
        place = {word: i + 1 for i, word in enumerate(words)}
        out[name] = np.array([place.get(word, 0) for word in data[name]])
        fitted[name] = len(words) + 1
    for name in out:
        if name != "numbers":
            out[name] = out[name].astype(np.int32)
    target = np.array([word.rstrip(".") == ">50K" for word in data["income"]], np.float32)
    return out, target


def make_model(fitted):
    layers = tf.keras.layers
    names = [name + "_range" for name in RANGES] + WORDS
    inputs = {name: layers.Input((), dtype="int32", name=name) for name in names}
    inputs["numbers"] = layers.Input((len(NUMBERS) + len(LOGS),), name="numbers")
    wide = [layers.Embedding(fitted[n], 1, embeddings_initializer="zeros")(inputs[n])
            for n in names]
    deep = [layers.Embedding(fitted[n], 8)(inputs[n]) for n in names]
    x = layers.Concatenate()(deep + [inputs["numbers"]])
    for units in (128, 64):
        x = layers.Dense(units, activation="relu")(x)
    logit = layers.Add()(wide + [layers.Dense(1)(inputs["numbers"]), layers.Dense(1)(x)])
    model = tf.keras.Model(inputs, layers.Activation("sigmoid")(logit))
    model.compile(tf.keras.optimizers.Adam(1e-3), "binary_crossentropy",
                  metrics=["accuracy", tf.keras.metrics.AUC(name="auc")])
    return model


class Clock(tf.keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds = getattr(self, "seconds", []) + [time.perf_counter() - self.start]


def main():
    here = pathlib.Path(__file__).resolve().parents[3]
    default = os.environ.get("TRIBUTARY_DATA_DIR", here.parent / "shared" / "data")
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path(default))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--speed", action="store_true")
    args = parser.parse_args()
    if args.threads:
        tf.config.threading.set_intra_op_parallelism_threads(args.threads)
        tf.config.threading.set_inter_op_parallelism_threads(args.threads)
    fitted = {}
    x, y = features(read(args.data / "adult" / "adult.data"), fitted)
    test_x, test_y = features(read(args.data / "adult" / "adult.test"), fitted)
    if args.speed:
        clock = Clock()
        make_model(fitted).fit(x, y, batch_size=128, epochs=4, verbose=0, callbacks=[clock])
        rate = len(y) / statistics.median(clock.seconds[1:])
        print(json.dumps({"peer": "keras_fit", "samples_per_s": round(rate)}))
        return
    found = []
    for seed in range(1, args.seeds + 1):
        tf.keras.utils.set_random_seed(seed)
        model = make_model(fitted)
        model.fit(x, y, batch_size=128, epochs=args.epochs, verbose=0)
        found.append(model.evaluate(test_x, test_y, batch_size=1024, verbose=0)[1:])
        print(json.dumps({"peer": "keras", "seed": seed, "accuracy": round(found[-1][0], 4),
                          "auc": round(found[-1][1], 4)}), flush=True)
    means = [round(statistics.mean(column), 4) for column in zip(*found)]
    print(json.dumps({"peer": "keras", "mean_accuracy": means[0], "mean_auc": means[1]}))


if __name__ == "__main__":
    main()
