"""What the model's own activations say about its weights: the second moments of every matrix's inputs.

New since the last chapter: stories go through the model layer by layer, and at each matrix it is noted how large
its inputs are and which come together, H = sum of x x^T over all tokens. With H alone one knows what a change of
the weights does to the outputs of these tokens: the squared error of W' x against W x, summed, is the trace of
(W' - W) H (W' - W)^T. H does not grow with the number of stories. gptq.py and awq.py build on this file.
Left out on purpose: padding (each story goes through alone).
Shapes: a matrix is (R, N), its H (N, N).

    python quantization/calibration.py          checks that equation on the shipped model; ten seconds

Papers: Hassibi and Stork, "Second Order Derivatives for Network Pruning: Optimal Brain Surgeon" (1993), for H;
Frantar et al., "GPTQ" (2022), for the order: each layer sees what the quantized layers before it give.
"""

import argparse

import torch

from checkpoint import load_model
from cli import positive_int, run
from data import calibration_ids
from quantize import MODEL, matrices, quantize
from tokenizer import load_tokenizer

# The matrices of a layer, in the order of the forward pass; those of one line read the same input.
STAGES = (
    ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    ("self_attn.o_proj",),
    ("mlp.gate_proj", "mlp.up_proj"),
    ("mlp.down_proj",),
)


def run_layer(model, layer, x):
    """One layer of the model for one story: (1, T, C) -> (1, T, C)"""
    T = x.shape[1]
    return layer(x, model.model.cos[:T], model.model.sin[:T])


def second_moments(module, passes):
    """H (N, N) in float64 of all that enters `module` while the functions `passes` run."""
    H = torch.zeros(module.in_features, module.in_features, dtype=torch.float64)

    def note(module, inputs):
        x = inputs[0].flatten(0, -2)  # (T, N)
        H.add_((x.T @ x).double())

    handle = module.register_forward_pre_hook(note)
    for run_pass in passes:
        run_pass()
    handle.remove()
    return H


@torch.no_grad()
def walk(model, stories):
    """Yields (names, modules, H) for the matrices of every layer, in the order of the forward pass.

    stories: lists of ids. The caller may change the weights of the modules before it asks for the next: all that
    follows is computed with what they are then.
    """
    states = [model.model.embed_tokens(torch.tensor([ids])) for ids in stories]
    for number, layer in enumerate(model.model.layers):
        for stage in STAGES:
            modules = [layer.get_submodule(name) for name in stage]
            H = second_moments(modules[0], [lambda x=x: run_layer(model, layer, x) for x in states])  # noqa: B023
            yield [f"model.layers.{number}.{name}.weight" for name in stage], modules, H
        states = [run_layer(model, layer, x) for x in states]


@torch.no_grad()
def head_moments(model, stories):
    """H (C, C) of the output layer's inputs, the last norm's outputs."""
    return second_moments(model.lm_head, [lambda ids=ids: model(torch.tensor([ids])) for ids in stories])


def output_error(weight, changed, H):
    """The squared error of a matrix's outputs over those that W x itself has, from H alone."""
    W, D = weight.to(H.dtype), (changed - weight).to(H.dtype)
    return (((D @ H) * D).sum() / ((W @ H) * W).sum()).item()


def main(argv=None):
    parser = argparse.ArgumentParser(description="Collects the second moments of each matrix's inputs.")
    parser.add_argument("folder", nargs="?", default=MODEL, help=f"a model folder (default {MODEL})")
    parser.add_argument("--data", default="datasets/stories", help="folder with train.txt (default datasets/stories)")
    parser.add_argument("--calibration", type=positive_int, default=16, help="stories to look at (default 16)")
    parser.add_argument("--threads", type=positive_int, default=1, help="CPU threads (default 1)")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    model, tokenizer = load_model(args.folder), load_tokenizer(f"{args.folder}/tokenizer.json")
    stories = calibration_ids(args.data, tokenizer, args.calibration, model.config.max_position_embeddings)
    print(f"{len(stories)} stories, {sum(map(len, stories)):,} tokens\n\n"
          f"{'matrix':40}{'largest / mean input':>22}{'directions for 99 %':>21}{'error of int4':>15}")
    found = [*walk(model, stories), (["lm_head.weight"], [model.lm_head], head_moments(model, stories))]
    for names, modules, H in found:
        size, power = H.diagonal().sqrt(), torch.linalg.eigvalsh(H).flip(0).cumsum(0)
        directions = int((power < 0.99 * power[-1]).sum()) + 1
        error = output_error(modules[0].weight, quantize(modules[0].weight, 4, 32).dequantize(), H)
        print(f"{names[0].removesuffix('.weight'):40}{(size.max() / size.mean()).item():22.1f}"
              f"{directions:14} of {len(H):3}{error:15.2%}")
    layer, direct = model.model.layers[0], 0.0
    x = [layer.input_layernorm(model.model.embed_tokens(torch.tensor(ids))) for ids in stories]
    weight = layer.self_attn.q_proj.weight
    D = quantize(weight, 4, 32).dequantize() - weight
    direct = sum((y @ D.T).square().sum() for y in x) / sum((y @ weight.T).square().sum() for y in x)
    from_H = output_error(weight, weight + D, found[0][2])
    print(f"\nthe error of layer 0's q_proj, summed over its outputs: {direct.item():.6%}, from H: {from_H:.6%}")
    assert abs(direct.item() - from_H) < 1e-4 * from_H and len(matrices(model)) == 7 * model.config.num_hidden_layers + 1


if __name__ == "__main__":
    run(main)
