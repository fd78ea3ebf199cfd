"""The graph part of AASIST: spectral and temporal nodes attend to each other, and a master node to all.

Jung et al., "AASIST: Audio anti-spoofing using integrated spectro-temporal graph attention networks", ICASSP 2022,
sections 2.2 to 3.3. A graph is a tensor (n, nodes, features); all nodes are connected.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

LIKENESS_TEMPERATURE = 2.0
"""Of attention among nodes of one kind; these two are in no tensor."""
MIXED_TEMPERATURE = 100.0
"""Of attention among nodes of both kinds."""


class GraphAttention(nn.Module):
    """Attention among nodes of one kind: the weight of a pair comes from the product of their features."""

    def __init__(self, features: int, out: int) -> None:
        super().__init__()
        self.att_proj = nn.Linear(features, out)
        self.att_weight = nn.Parameter(torch.empty(out, 1))
        self.proj_with_att = nn.Linear(features, out)
        self.proj_without_att = nn.Linear(features, out)
        self.bn = nn.BatchNorm1d(out)

    def forward(self, nodes: Tensor) -> Tensor:
        """(n, nodes, features) -> (n, nodes, out)."""
        pairs = torch.tanh(self.att_proj(_products(nodes)))
        attention = torch.softmax((pairs @ self.att_weight).squeeze(-1) / LIKENESS_TEMPERATURE, dim=-1)
        mixed = self.proj_with_att(attention @ nodes) + self.proj_without_att(nodes)
        return _activated(mixed, self.bn)


class MixedAttention(nn.Module):
    """Attention among nodes of two kinds, with weights for each combination of kinds, and a master node.

    The master node listens to all others, and none listens to it.
    """

    def __init__(self, features: int, out: int) -> None:
        super().__init__()
        self.proj_type1 = nn.Linear(features, features)
        self.proj_type2 = nn.Linear(features, features)
        self.att_proj = nn.Linear(features, out)
        self.att_projM = nn.Linear(features, out)
        self.att_weight11 = nn.Parameter(torch.empty(out, 1))
        self.att_weight22 = nn.Parameter(torch.empty(out, 1))
        self.att_weight12 = nn.Parameter(torch.empty(out, 1))
        self.att_weightM = nn.Parameter(torch.empty(out, 1))
        self.proj_with_att = nn.Linear(features, out)
        self.proj_without_att = nn.Linear(features, out)
        self.proj_with_attM = nn.Linear(features, out)
        self.proj_without_attM = nn.Linear(features, out)
        self.bn = nn.BatchNorm1d(out)

    def forward(self, first: Tensor, second: Tensor, master: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Nodes of both kinds (n, nodes, features), a master (n or 1, 1, features) -> the same with `out` features."""
        count = first.shape[1]
        nodes = torch.cat([self.proj_type1(first), self.proj_type2(second)], dim=1)
        attention = torch.softmax(self._strengths(nodes, count) / MIXED_TEMPERATURE, dim=-1)
        mixed = self.proj_with_att(attention @ nodes) + self.proj_without_att(nodes)
        out = _activated(mixed, self.bn)
        return out[:, :count], out[:, count:], self._master(nodes, master)

    def _strengths(self, nodes: Tensor, count: int) -> Tensor:
        """(n, nodes, nodes): what each node thinks of each other one, before softmax."""
        pairs = torch.tanh(self.att_proj(_products(nodes)))
        upper, lower = pairs[:, :count], pairs[:, count:]
        from_first = [upper[:, :, :count] @ self.att_weight11, upper[:, :, count:] @ self.att_weight12]
        from_second = [lower[:, :, :count] @ self.att_weight12, lower[:, :, count:] @ self.att_weight22]
        return torch.cat([torch.cat(from_first, dim=2), torch.cat(from_second, dim=2)], dim=1).squeeze(-1)

    def _master(self, nodes: Tensor, master: Tensor) -> Tensor:
        """(n, 1, out)."""
        strengths = torch.tanh(self.att_projM(nodes * master)) @ self.att_weightM
        attention = torch.softmax(strengths / MIXED_TEMPERATURE, dim=1)
        heard = (attention * nodes).sum(dim=1, keepdim=True)
        mixed: Tensor = self.proj_with_attM(heard) + self.proj_without_attM(master)
        return mixed


class GraphPool(nn.Module):
    """Keeps the nodes of highest score, best first, each multiplied by its score.

    Args:
        features: of each node.
        ratio: share of nodes that stay, rounded down, at least one node.
    """

    def __init__(self, features: int, ratio: float) -> None:
        super().__init__()
        self.proj = nn.Linear(features, 1)
        self.ratio = ratio

    def forward(self, nodes: Tensor) -> Tensor:
        """(n, nodes, features) -> (n, kept, features)."""
        scores = torch.sigmoid(self.proj(nodes))
        kept = max(int(int(nodes.shape[1]) * self.ratio), 1)
        best = scores.topk(kept, dim=1).indices
        return (nodes * scores).gather(1, best.expand(-1, -1, nodes.shape[2]))


class SpectroTemporalGraph(nn.Module):
    """From spectral and temporal features to two logits; the last third of AASIST, with whatever stands before it.

    Args:
        features: of each node at the input.
        hidden: of each node after the first attention, and after those of both kinds.
        ratios: share of nodes that stay: spectral, temporal, of both kinds.
    """

    def __init__(self, features: int, hidden: tuple[int, int], ratios: Sequence[float]) -> None:
        super().__init__()
        single, mixed = hidden
        spectral, temporal, both = ratios
        self.master1 = nn.Parameter(torch.empty(1, 1, single))
        self.master2 = nn.Parameter(torch.empty(1, 1, single))
        self.GAT_layer_S = GraphAttention(features, single)
        self.GAT_layer_T = GraphAttention(features, single)
        self.HtrgGAT_layer_ST11 = MixedAttention(single, mixed)
        self.HtrgGAT_layer_ST12 = MixedAttention(mixed, mixed)
        self.HtrgGAT_layer_ST21 = MixedAttention(single, mixed)
        self.HtrgGAT_layer_ST22 = MixedAttention(mixed, mixed)
        self.pool_S = GraphPool(single, spectral)
        self.pool_T = GraphPool(single, temporal)
        self.pool_hS1 = GraphPool(mixed, both)
        self.pool_hT1 = GraphPool(mixed, both)
        self.pool_hS2 = GraphPool(mixed, both)
        self.pool_hT2 = GraphPool(mixed, both)
        self.out_layer = nn.Linear(5 * mixed, 2)

    def judge(self, spectral: Tensor, temporal: Tensor) -> Tensor:
        """(n, nodes, features) of each kind -> logits (n, 2)."""
        spectral = self.pool_S(self.GAT_layer_S(spectral))
        temporal = self.pool_T(self.GAT_layer_T(temporal))
        one = self._branch(
            *(temporal, spectral, self.master1),
            *(self.HtrgGAT_layer_ST11, self.HtrgGAT_layer_ST12, self.pool_hT1, self.pool_hS1),
        )
        other = self._branch(
            *(temporal, spectral, self.master2),
            *(self.HtrgGAT_layer_ST21, self.HtrgGAT_layer_ST22, self.pool_hT2, self.pool_hS2),
        )
        # The stronger of both branches, feature by feature; nodes stand in the order of their scores.
        temporal, spectral, master = (torch.maximum(a, b) for a, b in zip(one, other, strict=True))
        readout = [*_summary(temporal), *_summary(spectral), master.squeeze(1)]
        logits: Tensor = self.out_layer(torch.cat(readout, dim=1))
        return logits

    @staticmethod
    def _branch(
        temporal: Tensor,
        spectral: Tensor,
        master: Tensor,
        first: nn.Module,
        second: nn.Module,
        pool_temporal: nn.Module,
        pool_spectral: nn.Module,
    ) -> tuple[Tensor, Tensor, Tensor]:
        temporal, spectral, master = first(temporal, spectral, master)
        temporal, spectral = pool_temporal(temporal), pool_spectral(spectral)
        more_temporal, more_spectral, more_master = second(temporal, spectral, master)
        return temporal + more_temporal, spectral + more_spectral, master + more_master


def _products(nodes: Tensor) -> Tensor:
    """(n, nodes, features) -> (n, nodes, nodes, features), the product of each pair."""
    return nodes.unsqueeze(2) * nodes.unsqueeze(1)


def _activated(nodes: Tensor, norm: nn.Module) -> Tensor:
    """Normalised feature by feature over all nodes, then SELU."""
    return nn.functional.selu(norm(nodes.transpose(1, 2)).transpose(1, 2))


def _summary(nodes: Tensor) -> tuple[Tensor, Tensor]:
    """(n, nodes, features) -> the largest magnitude and the mean over nodes, (n, features) each."""
    return nodes.abs().amax(dim=1), nodes.mean(dim=1)
