"""The models of interop_samples.cc, in Keras."""

import keras
from keras import layers


def mlp():
    return keras.Sequential([
        layers.Input((4, 3)),
        layers.Flatten(),
        layers.Dense(8, activation="relu"),
        layers.Dropout(0.5),
        layers.Dense(3),
    ]), keras.optimizers.Adam(0.01)


def convnet():
    return keras.Sequential([
        layers.Input((8, 8, 1)),
        layers.Conv2D(4, 3, activation="relu"),
        layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2),
        layers.BatchNormalization(),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(3, name="logits"),
    ]), keras.optimizers.SGD(0.01, momentum=0.9)


def functional():
    tokens = layers.Input((5,), dtype="int32")
    x = layers.Embedding(7, 4)(tokens)
    x = layers.Flatten()(x)
    a = layers.Dense(6, activation="tanh")(x)
    b = layers.Dense(6)(x)
    y = layers.Add()([a, b])
    y = layers.LayerNormalization()(y)
    return keras.Model(tokens, layers.Dense(3)(y)), keras.optimizers.RMSprop(0.01)


MODELS = {"mlp": mlp, "convnet": convnet, "functional": functional}
