"""Prints the table of ratios from lines of JSON {"job", "peer", "threads", "step_us"}.

    ratios.py FIGURES            the table
    ratios.py --ours JOB N       turns `tributary bench step --json` (on standard input)
                                 into such lines
"""
import json
import sys

OURS = {"bare_step_us": "tributary", "train_step_us": "tributary_train",
        "bare_over_floor": "step_over_floor", "train_over_bare": "train_over_step",
        "floor_us": "floor"}
# What Keras fit does is what `tributary train` does; a bare step is a bare step.
COUNTERPART = {"keras_fit": "tributary_train"}
PEERS = ["tf_function", "tf_xla", "torch_eager", "torch_compile", "keras_fit"]


def find(report, key):
    """The first value of `key` anywhere in nested objects."""
    if isinstance(report, dict):
        if key in report:
            return report[key]
        for value in report.values():
            found = find(value, key)
            if found is not None:
                return found
    return None


def ours(job, threads):
    text = sys.stdin.read()
    if not text.strip():
        raise SystemExit("`tributary bench step` printed nothing")
    report = json.loads(text)
    for key, peer in OURS.items():
        value = find(report, key)
        if value is None:
            print(f"peers: `bench step --json` has no {key}", file=sys.stderr)
        else:
            print(json.dumps({"job": job, "peer": peer, "threads": threads, "step_us": value}))


def table(path):
    times = {}
    with open(path) as file:
        for line in map(json.loads, file):
            if "error" in line:
                print(f"{line['peer']} left out of {line['job']}: {line['error']}")
            if "step_us" in line:
                times.setdefault((line["job"], line["threads"]), {})[line["peer"]] = line["step_us"]
    for (job, threads), row in times.items():
        print(f"\n{job}, {threads} thread{'s' if threads > 1 else ''}, microseconds a step")
        for peer in ("floor", "tributary", "tributary_train"):
            if peer in row:
                print(f"  {peer:16} {row[peer]:12,.1f}")
        if "step_over_floor" in row:
            print(f"  {'step / floor':16} {row['step_over_floor']:12.2f}")
        if "train_over_step" in row:
            print(f"  {'train / step':16} {row['train_over_step']:12.2f}")
        for peer in PEERS:
            own = row.get(COUNTERPART.get(peer, "tributary"))
            if peer in row:
                ratio = f"{row[peer] / own:8.2f} x ours" if own else ""
                print(f"  {peer:16} {row[peer]:12,.1f} {ratio}")


if len(sys.argv) == 4 and sys.argv[1] == "--ours":
    ours(sys.argv[2], int(sys.argv[3]))
elif len(sys.argv) == 2:
    table(sys.argv[1])
else:
    raise SystemExit(__doc__)
