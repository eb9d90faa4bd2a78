"""Texts of the close of page Learn: sentences of the usual tutorial, and what the numbers say."""

# ruff: noqa: RUF001 - Chinese has commas, colons and brackets of its own

TEXTS: dict[str, tuple[str, str]] = {
    "tutorial_title": ("Is the tutorial right?", "教程说得对吗？"),
    "tutorial_about": (
        "Sentences of the usual tutorial, each with this model's number. “Almost” means within a "
        "tenth.",
        "常见教程中的说法，以及该模型的数字。“几乎”指相差不超过一成。",
    ),
    "tutorial_scores": ("Quality by heads: {source}", "不同头数的质量：{source}"),
    "claimed_true": ("true{tokens}", "正确{tokens}"),
    "claimed_true_below": ("true below {tokens} tokens", "{tokens} token 以下正确"),
    "claimed_true_from": ("true from {tokens} tokens on", "{tokens} token 起正确"),
    "claimed_partly": ("partly true{tokens}", "部分正确{tokens}"),
    "claimed_false": ("false{tokens}", "错误{tokens}"),
    "claimed_unknown": ("not known{tokens}", "未知{tokens}"),
    "claim_same_answer": ("“The answer is the same with a cache”", "“有没有缓存，回答都一样”"),
    "said_same_answer": (
        "Measured: the same {output_tokens} tokens, in {cached_s} with a cache and {uncached_s} "
        "without, {slower_ratio} times as long.",
        "实测：{output_tokens} 个 token 完全相同，有缓存用时 {cached_s}，没有缓存用时 "
        "{uncached_s}，"
        "是前者的 {slower_ratio} 倍。",
    ),
    "claim_constant_work": ("“Work per token is almost constant”", "“每个 token 的计算量几乎不变”"),
    "said_constant_work": (
        "At {context_tokens} tokens one more costs {growth_ratio} times the operations of the "
        "first: "
        "attention still reads all before it.",
        "到 {context_tokens} token 时，再多一个的运算量是第一个的 {growth_ratio} 倍："
        "注意力仍要读取之前的全部内容。",
    ),
    "claim_quadratic_to_linear": (
        "“The total goes from quadratic to linear”",
        "“总计算量从平方变为线性”",
    ),
    "said_quadratic_to_linear": (
        "At {output_tokens} tokens operations grow with the length to the power {cached_exponent} "
        "with a cache and {uncached_exponent} without; measured seconds to "
        "{measured_cached_exponent} "
        "and {measured_uncached_exponent}. Far out, attention makes them 2 and 3.",
        "在 {output_tokens} token 处，运算量随长度的增长：有缓存为 {cached_exponent} 次方，没有"
        "缓存为 "
        "{uncached_exponent} 次方；实测用时为 {measured_cached_exponent} 与 "
        "{measured_uncached_exponent}。长度很大时，注意力会使其趋于 2 与 3。",
    ),
    "claim_exponential": (
        "“Without a cache the cost explodes exponentially”",
        "“没有缓存，成本会指数级爆炸”",
    ),
    "said_exponential": (
        "Doubling the answer to {output_tokens} tokens costs {doubling_ratio} times as much; the "
        "doubling before cost {doubling_before_ratio} times, so exponential growth would be "
        "{exponential_ratio}. It is a power of the length.",
        "回答加倍到 {output_tokens} token，成本为 {doubling_ratio} 倍；前一次加倍为 "
        "{doubling_before_ratio} 倍，若是指数增长应为 {exponential_ratio} 倍。实际只是长度的幂。",
    ),
    "claim_stable_speed": (
        "“Speed stays stable however long the answer”",
        "“回答再长，速度也保持稳定”",
    ),
    "said_stable_speed": (
        "{requests} requests each get at most {first_tokens_per_s} tokens per second at the "
        "start and "
        "{last_tokens_per_s} at {context_tokens} tokens: each step reads every request's cache.",
        "{requests} 个请求，起初每个每秒至多 {first_tokens_per_s} token，到 {context_tokens} "
        "token 时为 "
        "{last_tokens_per_s}：每一步都要读取所有请求的缓存。",
    ),
    "claim_outgrows_weights": ("“The cache can outgrow the weights”", "“缓存可能比权重还大”"),
    "said_outgrows_weights": (
        "{requests} requests of {context_tokens} tokens hold {cache_of_weights} of what the "
        "weights "
        "({weights_bytes}) take.",
        "{requests} 个 {context_tokens} token 的请求，缓存为权重（{weights_bytes}）的 "
        "{cache_of_weights}。",
    ),
    "claim_memory_bound": (
        "“The bottleneck is memory, not arithmetic”",
        "“瓶颈在显存，不在算力”",
    ),
    "said_memory_bound": (
        "Decoding {requests} requests at {context_tokens} tokens does {decode_flops_per_byte} "
        "operations "
        "per byte; this GPU breaks even at {ridge_flops_per_byte}. A longer prompt than stated "
        "is bound "
        "by arithmetic.",
        "{requests} 个请求在 {context_tokens} token 处解码，每字节 {decode_flops_per_byte} 次运算；"
        "该 GPU 的平衡点为 {ridge_flops_per_byte}。更长的提示在预填充时受限于算力。",
    ),
    "claim_mqa_saves": (
        "“MQA cuts the cache to a few tens of a part”",
        "“MQA 把缓存降到几十分之一”",
    ),
    "said_mqa_saves": (
        "With one head for all {attention_heads}, a request takes {mqa_bytes} in place of "
        "{mha_bytes}: "
        "1 of {parts}.",
        "{attention_heads} 个头共用一个 KV 头，一个请求由 {mha_bytes} 降为 {mqa_bytes}："
        "{parts} 分之一。",
    ),
    "claim_gqa_keeps_quality": (
        "“GQA keeps quality and cuts memory”",
        "“GQA 保住质量又省显存”",
    ),
    "said_gqa_keeps_quality": (
        "{kv_heads} of {attention_heads} heads cut this cache to 1 of {parts}. Published scores of "
        "another model: {mha_score} with all heads, {gqa_score} with GQA, {mqa_score} with MQA.",
        "{attention_heads} 个头只保留 {kv_heads} 个 KV 头，缓存降为 {parts} 分之一。"
        "另一模型的公开得分：全部保留 {mha_score}，GQA {gqa_score}，MQA {mqa_score}。",
    ),
    "claim_paging_fills": (
        "“Paging brings utilisation to almost 100 %”",
        "“分页让利用率接近 100 %”",
    ),
    "said_paging_fills": (
        "Requests of {request_tokens} tokens use {paged_share} of their blocks of {block_tokens} "
        "tokens, and {reserved_share} of {context_tokens} reserved. 95 % count as almost.",
        "{request_tokens} token 的请求用到其 {block_tokens} token 块的 {paged_share}；"
        "若预留 {context_tokens} token，则只用到 {reserved_share}。达到 95 % 视为“接近”。",
    ),
    "claim_paging_speeds": ("“Paging raises throughput”", "“分页提高吞吐”"),
    "said_paging_speeds": (
        "{paged_requests} requests of {request_tokens} tokens fit paged, {reserved_requests} "
        "reserved "
        "at {context_tokens} (at most {limit_requests} run): {throughput_ratio} times the "
        "tokens per "
        "second, at most.",
        "{request_tokens} token 的请求，分页可容纳 {paged_requests} 个，按 {context_tokens} 预留"
        "则为 "
        "{reserved_requests} 个（上限 {limit_requests}）：每秒 token 数至多为 "
        "{throughput_ratio} 倍。",
    ),
    "claim_quantising_halves": ("“Quantising saves more than half”", "“量化能省一半以上”"),
    "said_quantising_halves": (
        "Scales counted, 8 bits save {saved_at_8_bits} and 4 bits {saved_at_4_bits} of a "
        "request of "
        "{context_tokens} tokens; recurrent states are not quantised.",
        "计入缩放因子，{context_tokens} token 的请求在 8 位时节省 {saved_at_8_bits}，4 位时节省 "
        "{saved_at_4_bits}；循环状态不量化。",
    ),
    "claim_quantising_harmless": ("“Quantising hardly hurts”", "“量化几乎没有损失”"),
    "said_quantising_harmless": (
        "Measured on a small model, the likeliest token stays in {int8_agreement} (int8), "
        "{fp8_e4m3_agreement} (fp8), {int4_agreement} (int4) and {int2_agreement} (int2) of all "
        "places.",
        "小模型实测，最可能的 token 保持不变的比例：int8 {int8_agreement}，fp8 "
        "{fp8_e4m3_agreement}，"
        "int4 {int4_agreement}，int2 {int2_agreement}。",
    ),
}
