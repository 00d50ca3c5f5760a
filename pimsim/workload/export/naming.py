"""Roles and names of nodes, from what they read and what reads them; never from a model's own names."""

from __future__ import annotations

from pimsim.errors import InputError
from pimsim.workload.export.node import AFTER, BEFORE, BLOCK, ROUTER_OPS, Node
from pimsim.workload.ops import ACTIVATIONS, NORMS, TRANSPARENT

_ROLES = {
    **dict.fromkeys(NORMS, "norm"),
    "attention": "attn",
    **dict.fromkeys((*ACTIVATIONS, "mul", "tanh"), "activation"),
    "softmax": "router",
    "topk": "router",
    "sigmoid": "router",
    "add": "residual",
    "scale": "scale",
    "rope": "rope",
    "embedding": "embed",
    "conv": "ssm",
    "ssm_update": "ssm",
}
# Names of operators of which a layer has one; numbered if it has more.
_NAMES = {
    "attention": "attention",
    **dict.fromkeys(ACTIVATIONS, "ffn_act"),
    "mul": "ffn_mul",
    "rope": "rope",
    "embedding": "embed",
    "softmax": "router_softmax",
    "topk": "router_topk",
    "conv": "ssm_conv",
    "ssm_update": "ssm_update",
    "sigmoid": "router_sigmoid",
}

_CROSS = "cross_"  # before the names of what an attention to an encoder's vectors has

Readers = dict[Node, list[Node]]


def assign(nodes: list[Node]) -> None:
    """Give every node its role and its name; InputError for a matrix product without a role."""
    readers: Readers = {node: [] for node in nodes}
    for node in nodes:
        for source in node.sources:
            readers[source].append(node)
    for node in nodes:
        if node.op == "sigmoid" and any(reader.op != "topk" for reader in readers[node]):
            raise InputError(
                f"module {node.call.where}: aten::sigmoid is an operator that a trace has for routers only"
            )
        node.role = _linear_role(node, readers) if node.op == "linear" else _ROLES[node.op]
    for group in _by_layer(nodes):
        _name(group, readers)


def _by_layer(nodes: list[Node]) -> list[list[Node]]:
    """Nodes of each scope and layer, in order."""
    groups: dict[tuple[str, int], list[Node]] = {}
    for node in nodes:
        groups.setdefault((node.scope, node.layer), []).append(node)
    return list(groups.values())


# ---- roles


def _linear_role(node: Node, readers: Readers) -> str:
    """The role of a matrix product: what feeds it and what it feeds."""
    after, before = _reached(node, readers), _origins(node)
    if node.scope == AFTER and all(reader.op in ("scale", "tanh") for reader in readers[node]):
        return "lm_head"
    if node.mixer:
        return "ssm"
    if node.scope == BLOCK:
        if any(other.op in ROUTER_OPS for other in after):
            return "router"
        if any(other.op == "attention" for other in after) or _is_latent(node, readers):
            return "qkv"
        if any(other.op in (*ACTIVATIONS, "mul") for other in before):
            return "ffn_down"
        if any(other.op == "attention" for other in before):
            return "attn_out"
        if role := _entry_role(_summed(node, readers), readers):
            return role
        if (made := readers[node]) and all(other.op == "linear" for other in made):  # a matrix of low rank
            return _linear_role(made[0], readers)
        if before and all(other.op == "linear" for other in before):
            return _linear_role(before[0], readers)
    raise InputError(
        f"module {node.call.where}: no role for its matrix product of {node.inputs} x {node.outputs}: it is neither "
        "q, k, v or output of an attention, nor part of a feed-forward network, a router or the LM head"
    )


def _is_latent(node: Node, readers: Readers) -> bool:
    """True if a product makes what other products of its layer make q, or k and v, of."""
    own = [other for other in _reached(node, readers) if other.op == "linear" and other.layer == node.layer]
    return any(reader.op == "attention" for other in own for reader in _reached(other, readers))


def _entry_role(direct: list[Node], readers: Readers) -> str:
    """The first products of a feed-forward network: the gate is what is multiplied after an activation."""
    acts = [reader for reader in direct if reader.op in ACTIVATIONS]
    multiplied = any(reader.op == "mul" for reader in direct)
    if acts and not multiplied and any(other.op == "mul" for act in acts for other in readers[act]):
        return "ffn_gate"
    return "ffn_up" if acts or multiplied else ""


def _reached(node: Node, readers: Readers) -> list[Node]:
    """What reads a node, directly or through what is transparent."""
    found: list[Node] = []
    for reader in readers[node]:
        found += _reached(reader, readers) if reader.op in TRANSPARENT or _is_sum(reader) else [reader]
    return found


def _is_sum(node: Node) -> bool:
    """True for the sum of two products: of a matrix and what adapts it, if no residual."""
    return node.op == "add" and len(node.sources) > 1 and all(source.op == "linear" for source in node.sources)


def _summed(node: Node, readers: Readers) -> list[Node]:
    """What reads a product, or the sum that it is a part of."""
    return [other for reader in readers[node] for other in (readers[reader] if _is_sum(reader) else [reader])]


def _origins(node: Node) -> list[Node]:
    """What a node reads, directly or through what is transparent, inside its layer."""
    found: list[Node] = []
    for source in node.sources:
        if source.layer == node.layer and source.scope == node.scope:
            found += _origins(source) if source.op in TRANSPARENT else [source]
    return found


# ---- names


def _name(nodes: list[Node], readers: Readers) -> None:
    """Name the nodes of one layer, or of what comes before or after the layers."""
    taken: dict[str, int] = {}
    adds = [node for node in nodes if node.op == "add" and node.experts == 1 and not _is_adapted(node)]
    adds = [node for node in adds if not _is_mixed(node)]
    for node in nodes:
        name = _residual(node, adds) if node in adds else _base_name(node, readers)
        taken[name] = taken.get(name, 0) + 1
        node.name = name if taken[name] == 1 else f"{name}_{taken[name]}"


def _residual(node: Node, adds: list[Node]) -> str:
    """The first sum of a layer follows attention, the last the feed-forward network."""
    if node.scope == BEFORE:
        return "embed_sum"
    if any(crossing(source) for source in _origins(node)):
        return "cross_residual"
    if node is adds[-1]:
        return "ffn_residual"
    return "attn_residual" if node is adds[0] else "residual"


def crossing(node: Node) -> bool:
    """True for the product behind an attention to what an encoder made."""
    return node.op == "linear" and any(source.crosses for source in _origins(node))


def _is_mixed(node: Node) -> bool:
    """True for the sum that follows a mixer."""
    return node.op == "add" and any(source.role == "ssm" for source in _origins(node))


def _is_adapted(node: Node) -> bool:
    """True for the sum of two products that are one."""
    return _is_sum(node) and {source.role for source in node.sources} <= {"qkv", "ffn_up", "ffn_gate"}


def _base_name(node: Node, readers: Readers) -> str:
    if node.mixer:
        return _mixer_name(node, readers)
    if node.op == "linear":
        if node.role != "qkv":
            return f"cross_{node.role}" if crossing(node) else node.role
        return _latent_input(node, readers) if _is_latent(node, readers) else _attention_input(node, readers)
    if node.op in NORMS:
        return _norm_name(node, readers)
    if node.op == "add":
        return (
            "ssm_residual" if _is_mixed(node) else f"{node.sources[0].name}_sum" if _is_adapted(node) else "expert_sum"
        )
    if node.op in ("scale", "tanh"):
        return _after_source(node)
    return node.positions or (_CROSS if node.crosses else "") + _NAMES[node.op]


def _mixer_name(node: Node, readers: Readers) -> str:
    """By what it reads and what reads it inside the mixer: see `states`."""
    before, after = [source.op for source in node.sources], [reader.op for reader in readers[node]]
    own = any(source.mixer for source in node.sources)
    if node.op == "linear":
        if not own:
            return "ssm_in"
        if "mul" in before or node.sources[0].name == "ssm_gate_norm":
            return "ssm_out"
        return "ssm_x" if any(op in ACTIVATIONS for op in before) else "ssm_dt"
    if node.op in ACTIVATIONS:
        return "ssm_conv_act" if "conv" in before else "ssm_gate_act"
    if node.op == "mul":
        return "ssm_gate"
    if node.op in NORMS:
        return "ssm_gate_norm" if "mul" in before else "ssm_dt_norm" if "linear" in after else "ssm_bc_norm"
    return _NAMES[node.op]


def _after_source(node: Node) -> str:
    """`q_scale`, `lm_head_tanh`: the scale before a softcap's tanh has no part in its name."""
    source = node.sources[0]
    if node.op == "tanh" and source.op == "scale":
        source = source.sources[0]
    return f"{source.name if source.layer == node.layer else 'input'}_{node.op}"


def _attention_input(node: Node, readers: Readers) -> str:
    """`q`, `k`, `v` or several of them: `qkv` if one product makes all three."""
    attention = next(other for other in _reached(node, readers) if other.op == "attention")
    fed = [
        letter for letter, roots in zip("qkv", attention.feeds, strict=False) if any(_is_from(r, node) for r in roots)
    ]
    return (_CROSS if attention.crosses else "") + "".join(fed)


def _latent_input(node: Node, readers: Readers) -> str:
    """`q_a`, `kv_a`: what `q`, and `k` and `v`, are made of."""
    made = [other for other in _reached(node, readers) if other.op == "linear" and other.layer == node.layer]
    return f"{_attention_input(made[0], readers)}_a"


def _is_from(root: Node, node: Node) -> bool:
    """True if `root` is `node`, or a norm or scale of it."""
    passes = root.op in TRANSPARENT or _is_sum(root)
    return root is node or (passes and any(_is_from(source, node) for source in root.sources))


def _norm_name(node: Node, readers: Readers) -> str:
    """By what it follows (q, k, attention, feed-forward network), else by what it feeds."""
    if node.scope != BLOCK:
        return "final_norm" if node.scope == AFTER else "embed_norm"
    follows = next((source for source in node.sources if source.layer == node.layer), None)
    if follows is not None and follows.op == "linear":
        if follows.role == "qkv":
            latent = not any(other.op == "attention" for other in _reached(node, readers))
            return f"{follows.name if latent else _attention_input(node, readers)}_norm"
        return "attn_post_norm" if follows.role == "attn_out" else "ffn_post_norm"
    own = [reader for reader in readers[node] if reader.layer == node.layer]
    if not own and follows is not None:
        return "ffn_post_norm"  # the last of a layer whose norms stand behind what they are of
    if any(other.crosses for reader in own if reader.role == "qkv" for other in _reached(reader, readers)):
        return "cross_norm"
    fed = {reader.role for reader in own}
    return "ssm_norm" if "ssm" in fed else "attn_norm" if "qkv" in fed else "ffn_norm"
