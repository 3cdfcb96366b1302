"""Times of PyTorch's training steps: eager and torch.compile.

Prints one JSON object a line: {"job", "peer", "threads", "step_us"}.
"""
import argparse
import os

os.environ["CUDA_VISIBLE_DEVICES"] = ""

import torch

import timing


def make_model(name):
    nn = torch.nn
    if name == "mlp_16":
        return nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4))
    if name == "mlp_mnist":
        return nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    if name == "mlp_512":
        return nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(),
                             nn.Linear(512, 10))
    return nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Flatten(), nn.Dropout(0.5), nn.Linear(1600, 10))


def make_optimizer(name, parameters):
    # The fused update is the fastest there is on a CPU.
    if timing.JOBS[name]["optimizer"] == "sgd":
        return torch.optim.SGD(parameters, 0.01, fused=True)
    return torch.optim.Adam(parameters, 1e-3, fused=True)


def step_us(name, compiled):
    x, y = (torch.from_numpy(a) for a in timing.data(name, timing.JOBS[name]["batch"]))
    model = make_model(name)
    if name == "convnet":
        x = x.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
        model = model.to(memory_format=torch.channels_last)
    optimizer = make_optimizer(name, model.parameters())
    loss_of = torch.nn.CrossEntropyLoss()

    def loss_and_gradients(x, y):
        loss = loss_of(model(x), y)
        loss.backward()
        return loss

    run = torch.compile(loss_and_gradients) if compiled else loss_and_gradients

    def step():
        optimizer.zero_grad(set_to_none=True)
        run(x, y)
        optimizer.step()

    return timing.step_us(step)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("jobs", nargs="+")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    for name in args.jobs:
        timing.report(name, "torch_eager", args.threads, lambda: step_us(name, False))
        timing.report(name, "torch_compile", args.threads, lambda: step_us(name, True))


main()
