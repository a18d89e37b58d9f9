"""The inference form of a network: the same function in far fewer passes over memory.

Batch norms are folded into the convolutions before them (exact algebra); ReLU and the sums of residual blocks are
done by the convolution that ends in them, while its output is still in the cache; channels come last throughout,
which also skips the taps of dilated kernels that fall into the padding; dropout and the auxiliary head are gone. The
plain ``Segmenter`` is the reference: in float32 the two differ by rounding alone.

On a CPU the fused convolutions are oneDNN's, reached as in ``shared.dense``. Their weights stay unpacked: packed for
a size that is not met, as torch packs them, 1×1 convolutions ran five times slower, and gained nothing otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from segmentation.heads.aspp import ImagePooling
from segmentation.networks import Segmenter

PROBE = 128  # side of the picture that tells what a pixel costs


class InferenceForm(nn.Module):
    """A network as it predicts; its weights are a copy, so later training does not change it.

    With ``bfloat16`` weights and features have 8 significant bits in place of 24; logits are float32 either way.

    >>> from segmentation.networks import DeepLabV3
    >>> network = DeepLabV3(depth=18, width=8, channels=8).build(classes=3).eval()
    >>> images = torch.randn(1, 3, 65, 97)
    >>> bool(torch.allclose(InferenceForm(network)(images), network(images), atol=1e-4))
    True
    """

    def __init__(self, network: Segmenter, *, bfloat16: bool = False):
        super().__init__()
        self.classes, self.halo, self.jump = network.classes, network.halo, network.field.jump
        self.dtype = torch.bfloat16 if bfloat16 else torch.float32
        self.graph = _fused(network, self.dtype)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.graph.buffers()).device

    @torch.inference_mode()
    def coarse(self, images: Tensor) -> Tensor:
        """Logits at the network's own stride: ``[b, 3, h, w] -> [b, k, h', w']``, float32."""
        images = images.to(self.device, self.dtype, memory_format=torch.channels_last)
        return self.graph(images).float()

    @torch.inference_mode()
    def forward(self, images: Tensor) -> Tensor:
        """Logits for normalised pictures: ``[b, 3, h, w] -> [b, k, h, w]``, float32, any h and w."""
        coarse = self.coarse(images)
        if self.jump == 1:
            return coarse
        return F.interpolate(coarse, size=images.shape[-2:], mode="bilinear", align_corners=False)

    @cached_property
    def bytes_per_pixel(self) -> float:
        """How much memory features take at the worst moment, for each pixel of a picture; found by looking."""
        watch = _Watch(self.graph)
        with torch.inference_mode():
            probe = torch.zeros(1, 3, PROBE, PROBE, dtype=self.dtype, device=self.device)
            watch.run(probe.contiguous(memory_format=torch.channels_last))
        return watch.most / PROBE**2


class FusedConv2d(nn.Module):
    """A convolution with what follows it folded in: ``x -> relu(conv(x) + other)``, both extras as asked.

    Where ``overwrite`` says so, the sum is written into ``other``, which nothing reads afterwards.
    """

    def __init__(
        self, conv: nn.Conv2d, norm: nn.BatchNorm2d | None, *, relu: bool, overwrite: bool, dtype: torch.dtype
    ):
        super().__init__()
        weight, bias = folded(conv, norm)
        self.register_buffer("weight", weight.to(dtype, memory_format=torch.channels_last))
        self.register_buffer("bias", bias.to(dtype))
        self.geometry = (list(conv.padding), list(conv.stride), list(conv.dilation), conv.groups)
        self.relu, self.overwrite = relu, overwrite

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        """``[b, c, h, w] -> [b, c', h', w']``; ``other`` has the shape of the output."""
        if not _by_onednn(x):
            return self._plainly(x, other)
        activation = "relu" if self.relu else None
        if other is None:
            extras = (activation or "none", [], "")
            return torch.ops.mkldnn._convolution_pointwise(x, self.weight, self.bias, *self.geometry, *extras)
        extras = ("add", 1.0, activation, [], "")
        if self.overwrite:
            return torch.ops.mkldnn._convolution_pointwise_(other, x, self.weight, self.bias, *self.geometry, *extras)
        return torch.ops.mkldnn._convolution_pointwise(x, other, self.weight, self.bias, *self.geometry, *extras)

    def _plainly(self, x: Tensor, other: Tensor | None) -> Tensor:
        padding, stride, dilation, groups = self.geometry
        y = F.conv2d(x, self.weight, self.bias, stride, padding, dilation, groups)
        if other is not None:
            y += other
        return y.relu_() if self.relu else y


class FusedPooling(nn.Module):
    """``ImagePooling`` with its norm folded in: the mean of the picture, projected, in every cell."""

    def __init__(self, pooling: ImagePooling, dtype: torch.dtype):
        super().__init__()
        _, conv, norm, _ = pooling
        weight, bias = folded(conv, norm)
        self.register_buffer("weight", weight.to(dtype))
        self.register_buffer("bias", bias.to(dtype))

    def forward(self, x: Tensor) -> Tensor:
        """``[b, c, h, w] -> [b, c', h, w]``."""
        mean = F.conv2d(x.mean((2, 3), keepdim=True), self.weight, self.bias).relu_()
        return mean.expand(-1, -1, *x.shape[2:]).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def folded(conv: nn.Conv2d, norm: nn.BatchNorm2d | None) -> tuple[Tensor, Tensor]:
    """Weight and bias of the one convolution that equals both in evaluation; computed in float64, then rounded once."""

    def exactly(value: Tensor) -> Tensor:
        return value.cpu().double()  # not every device has float64

    weight = exactly(conv.weight)
    bias = weight.new_zeros(len(weight)) if conv.bias is None else exactly(conv.bias)
    if norm is not None:
        factor = exactly(norm.weight) / (exactly(norm.running_var) + norm.eps).sqrt()
        weight = weight * factor[:, None, None, None]
        bias = (bias - exactly(norm.running_mean)) * factor + exactly(norm.bias)
    device = conv.weight.device
    return weight.float().to(device), bias.float().to(device)


class _Coarse(nn.Module):
    """A network without its auxiliary head and without the last enlargement."""

    def __init__(self, network: Segmenter):
        super().__init__()
        self.backbone, self.classifier = network.backbone, network.classifier

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.backbone(images))


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        # batch norms and dropouts may be those of a team (shared.training.whole_batch), which torch does not know
        return isinstance(m, (ImagePooling, nn.BatchNorm2d, nn.Dropout)) or super().is_leaf_module(
            m, module_qualified_name
        )

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: tuple, kwargs: dict[str, Any]) -> Any:
        if isinstance(m, nn.Sequential) and not isinstance(m, ImagePooling):  # also a slice of one, which has no name
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)


def _fused(network: Segmenter, dtype: torch.dtype) -> fx.GraphModule:
    root = _Coarse(network)
    graph = _Tracer().trace(root)
    fusion = _Fusion(graph, dict(root.named_modules()), fx.GraphModule(root, graph), dtype)
    for node in list(graph.nodes):
        fusion.visit(node)
    graph.lint()
    fusion.result.delete_all_unused_submodules()
    fusion.result.recompile()
    return fusion.result


class _Fusion:
    """Walks the graph of a network in order, and puts one module in the place of each chain that begins in a conv."""

    def __init__(self, graph: fx.Graph, modules: dict[str, nn.Module], result: fx.GraphModule, dtype: torch.dtype):
        self.graph, self.modules, self.result, self.dtype = graph, modules, result, dtype
        self.when = {node: at for at, node in enumerate(graph.nodes)}

    def visit(self, node: fx.Node) -> None:
        """Replace what begins at this node, if anything does."""
        module = self._module(node)
        if isinstance(module, nn.Dropout):
            node.replace_all_uses_with(node.args[0])
            self.graph.erase_node(node)
        elif isinstance(module, ImagePooling):
            self._put([node], FusedPooling(module, self.dtype), node.args)
        elif isinstance(module, nn.Conv2d):
            self._fuse(node, module)

    def _fuse(self, node: fx.Node, conv: nn.Conv2d) -> None:
        chain, norm, inputs, overwrite = [node], None, [node.args[0]], False
        if isinstance(self._module(self._after(chain)), nn.BatchNorm2d):
            chain.append(self._after(chain))
            norm = self._module(chain[-1])
        following = self._after(chain)
        if following is not None and following.target == "add_" and following.args[0] is chain[-1]:
            other = following.args[1]
            overwrite = all(self.when[user] <= self.when[following] for user in other.users)
            inputs.append(other)
            chain.append(following)
        relu = self._is_relu(self._after(chain))
        if relu:
            chain.append(self._after(chain))
        self._put(chain, FusedConv2d(conv, norm, relu=relu, overwrite=overwrite, dtype=self.dtype), inputs)

    def _put(self, chain: list[fx.Node], module: nn.Module, inputs: Any) -> None:
        """At the place of the chain's last node, where all that it needs is there."""
        name = f"step{self.when[chain[0]]}"
        self.result.add_submodule(name, module)
        with self.graph.inserting_after(chain[-1]):
            new = self.graph.call_module(name, tuple(inputs))
        self.when[new] = self.when[chain[-1]]
        chain[-1].replace_all_uses_with(new)
        for node in reversed(chain):
            self.graph.erase_node(node)

    def _module(self, node: fx.Node | None) -> nn.Module | None:
        return self.modules.get(node.target) if node is not None and node.op == "call_module" else None

    def _after(self, chain: list[fx.Node]) -> fx.Node | None:
        """The one node that reads the end of the chain; None where there are several."""
        users = list(chain[-1].users)
        return users[0] if len(users) == 1 else None

    def _is_relu(self, node: fx.Node | None) -> bool:
        return node is not None and (node.target is F.relu or isinstance(self._module(node), nn.ReLU))


class _Watch(fx.Interpreter):
    """Runs a graph and keeps count of what is alive."""

    most = 0

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        alive = [value for value in [*self.env.values(), result] if isinstance(value, Tensor)]
        storages = {value.untyped_storage().data_ptr(): value.untyped_storage().nbytes() for value in alive}
        self.most = max(self.most, sum(storages.values()))
        return result


def _by_onednn(x: Tensor) -> bool:
    return x.device.type == "cpu" and _onednn_serves(x.dtype)


@cache
def _onednn_serves(dtype: torch.dtype) -> bool:
    """Ask by doing: a build of torch without oneDNN, or a processor without bfloat16, says no."""
    try:
        x = torch.ones(1, 16, 2, 2, dtype=dtype).contiguous(memory_format=torch.channels_last)
        weight, bias, geometry = (
            torch.ones(16, 16, 1, 1, dtype=dtype),
            torch.ones(16, dtype=dtype),
            ([0, 0], [1, 1], [1, 1], 1),
        )
        y = torch.ops.mkldnn._convolution_pointwise(x, weight, bias, *geometry, "relu", [], "")
        y = torch.ops.mkldnn._convolution_pointwise_(y, x, weight, bias, *geometry, "add", 1.0, "relu", [], "")
    except (RuntimeError, AttributeError):
        return False
    return bool((y == 34).all())
