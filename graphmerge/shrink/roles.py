"""What a number in a config stands for, told by its name alone: a width, a count of layers, of heads, a token id ..."""

from __future__ import annotations

import re
from typing import Final

# The first role whose pattern is found in a name is that name's. Names that none of them knows keep their values.
ROLES: Final[tuple[tuple[str, str], ...]] = (
    (
        "keep",
        r"pretraining_tp|coefficient|ignore_|(?<!up)(?<!down)(?<!sub)(?<!re)sampl|dropout|_rate$|_prob|min_masks|seed",
    ),
    ("keep", r"version|steps?$|scalar|background_size"),
    ("ratio", r"mlp_ratios?$|expand(_|sion_)ratios?$"),
    ("keep", r"iterations|temperature|timescale|_scale$|_theta$|divisible|multiple_of|max_period"),
    ("token", r"token_ids?$|token_index$|^(bos|eos|pad|unk|sep|cls|mask)_index$|_start_id$|_end_id$|(bos|eos|pad)_id$"),
    ("token", r"think_id$|newline_id$|_patch_id$|prompt_id$"),
    ("codes", r"codebook_size$|codevectors_per_group"),
    (
        "vocabulary",
        r"vocab_size$|vocab_size_(per|base)|^vocab$|num_embeds$|n_token$|num_embeddings$|_vocab$|xpath_\w*unit",
    ),
    ("vocabulary", r"hash_buckets|num_(qa|object|attr|bpe|wordpiece)_labels|num_character_labels"),
    ("experts", r"experts$|num_local_experts|n_routed_experts|moe_num_experts|expert_num$"),
    ("chosen", r"experts_per_tok|moe_topk|moe_k$|num_experts_per_token|top_k_experts|experts_top_k|index_topk"),
    ("one", r"topk_group|n_group$|num_expert_group|n_shared_experts|num_shared_experts|moe_num_shared_experts"),
    ("classes", r"^num_labels$|num_classes$|num_ctc_classes|class_expand|(?<!mel)(?<!spectrogram)(?<!pos)_bins$"),
    ("head size", r"head_dim$|^d_kv$|^d_head$|dim_head$|_d_head$|head_size$|kv_channels|headdim$"),
    ("rotary", r"rotary_dim$|^rotary_emb_dim$"),
    ("heads", r"heads?$|heads_per_(stage|layer)$|^num_kv$"),
    ("latents", r"num_queries|num_query_tokens|n_latents|num_latents|latent_query_num|num_register_tokens|num_tokens$"),
    ("latents", r"num_denoising|num_proposals|detection_tokens|num_prompts|prompt_length|num_landmarks"),
    (
        "layers",
        r"layers?$|^depth$|_depth$|^depths$|blocks_per_stage|num_res_blocks|num_blocks$|num_block_repeats|num_hidden_groups",
    ),
    ("image", r"^image_size$|pretrain_image_size|^crop_size$|^img_size$|^resolution$|^max_img_size$|^frame_size$"),
    ("patch", r"patch_size$|^encoder_stride$"),
    (
        "window",
        r"^window_size|sliding_window$|sliding_window_size|attention_window|local_attention$|chunk_size$|_radius$",
    ),
    (
        "positions",
        r"max.*positions?|position_embeddings$|^n_positions$|^n_ctx$|max_seq|context_length|max_length|max_pos_emb",
    ),
    ("positions", r"^max_ep_len$|max_text_len|^rel_extent$|max_num_patches|^max_\w*embeddings$|^text_seq|task_seq_len"),
    ("buckets", r"num_buckets|rel_pos_bins|rel_2d_pos_bins|max_(bucket_)?distance|max_rel|position_buckets"),
    ("groups", r"num_groups|n_groups$|conv_pos_embedding_groups"),
    ("reach", r"num_conv_pos_embeddings"),
    ("few", r"^num_frames$|frames_per_clip"),
    ("rank", r"lora_rank|time_step_rank|dt_rank|laurel_rank|lowrank$|adapter_rank"),
    ("state", r"state_size|d_state$"),
    ("mels", r"mel_bins|^mel_dim$|^spectrogram_bins$|input_feat_per_channel|^n_mels$|^feature_size$"),
    (
        "width",
        r"^n_embd$|num_filters|upsample_groups|upsample_initial_channel|conv_channels|\w_latents$|dim_model_base",
    ),
    ("half width", r"num_pos_feats"),
    ("channels", r"^num_channels$|^in_channels$|^(audio|image|input|num_input)_channels$"),
    ("width", r"channels?$|channel_list$"),
    ("inner width", r"^n_inner$|^dff$|dim_ff$|d_ssm$"),
    ("keep", r"kernel|stride|padding|dilation|factor|merge_size|^scale$"),
    ("keep", r"image_seq_length|tokens_per_image|grid|^num_|^n_|temporal|^max_|^min_|chunk|block_size|^extent"),
    ("keep", r"indices$|indexes$|_ids$|_id$"),
    ("inner width", r"intermediate|ffn|^d_ff$|mlp_dim|inner|linear_units|feed_?forward|hidden_dim$|shared_expert"),
    ("width", r"hidden|width|_dims?$|^dim$|_size$|embd|embed|d_model|channels|units|features|filters|in_dim|out_dim"),
)
_COMPILED: Final = tuple((role, re.compile(pattern)) for role, pattern in ROLES)


def role_of(name: str) -> str:
    """The role of a name, ``keep`` if nothing is known."""
    return next((role for role, pattern in _COMPILED if pattern.search(name)), "keep")
