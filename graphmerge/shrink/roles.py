"""What a number in a config stands for, told by its name alone: a width, a count of layers, of heads, a token id ..."""

from __future__ import annotations

import re
from typing import Final

# The first role whose pattern is found in a name is that name's. Names that none of them knows keep their values.
ROLES: Final[tuple[tuple[str, str], ...]] = (
    ("keep", r"pretraining_tp|coefficient|ignore_index|sampl|dropout|_rate$|_prob|min_masks|seed|version"),
    ("token", r"token_ids?$|token_index$|^(bos|eos|pad|unk|sep|cls|mask)_index$|_start_id$|_end_id$"),
    ("vocabulary", r"vocab_size$|vocab_size_per|codebook_size$|^vocab$|num_embeds$|n_token$|num_embeddings$"),
    ("experts", r"experts$|num_local_experts|n_routed_experts|moe_num_experts"),
    ("chosen", r"experts_per_tok|moe_topk|moe_k$|num_experts_per_token|top_k_experts|experts_top_k"),
    ("one", r"topk_group|n_group$|num_expert_group|n_shared_experts|num_shared_experts|moe_num_shared_experts"),
    ("classes", r"^num_labels$"),
    ("head size", r"head_dim$|^d_kv$|^d_head$|dim_head$|attention_head_dim$|_d_head$|head_size$|kv_channels"),
    ("heads", r"heads?$|heads_per_stage$|^num_kv$"),
    ("latents", r"num_queries|num_query_tokens|n_latents|num_latents|latent_query_num|num_register_tokens|num_tokens$"),
    ("layers", r"layers?$|^depth$|_depth$|^depths$|blocks_per_stage|num_res_blocks|num_blocks$|num_hidden_groups"),
    ("image", r"^image_size$|pretrain_image_size|^crop_size$|^img_size$|^resolution$|^max_img_size$"),
    ("patch", r"patch_size$|^encoder_stride$"),
    ("window", r"^window_size$|sliding_window$|sliding_window_size|attention_window|local_attention$|chunk_size$"),
    ("positions", r"max.*positions?|position_embeddings$|^n_positions$|^n_ctx$|max_seq|context_length|max_length"),
    ("buckets", r"num_buckets|rel_pos_bins|rel_2d_pos_bins|max_distance|max_rel"),
    ("groups", r"num_groups|n_groups$|conv_pos_embedding_groups"),
    ("rank", r"lora_rank|time_step_rank|dt_rank|laurel_rank"),
    ("state", r"state_size|d_state$"),
    ("mels", r"mel_bins|^mel_dim$"),
    ("width", r"^n_embd$"),
    ("inner width", r"^n_inner$"),
    ("keep", r"kernel|stride|padding|dilation|factor|^num_channels$|^in_channels$|audio_channels|merge_size|^scale$"),
    ("keep", r"image_seq_length|tokens_per_image|grid|^num_|^n_|temporal|^max_|^min_|chunk|block_size|^extent"),
    ("inner width", r"intermediate|ffn|^d_ff$|mlp_dim|inner|linear_units|feed_?forward|hidden_dim$|shared_expert"),
    ("width", r"hidden|width|_dims?$|^dim$|_size$|embd|embed|d_model|channels|units|features|filters|in_dim|out_dim"),
)
_COMPILED: Final = tuple((role, re.compile(pattern)) for role, pattern in ROLES)


def role_of(name: str) -> str:
    """The role of a name, ``keep`` if nothing is known."""
    return next((role for role, pattern in _COMPILED if pattern.search(name)), "keep")
