"""Who chose what: one row a family at the sizes that were published, and what their authors say they count.

New since family_parts.py: the numbers themselves, each from the family's paper or from its released weights. Left out
on purpose: what is not published. GPT-4's row says "?" wherever OpenAI's report says nothing.

    python transformer/families.py          builds every size without memory and compares

Papers: Vaswani et al., "Attention Is All You Need" (2017); Radford et al., "Improving Language Understanding by
Generative Pre-Training" (2018); Devlin et al., "BERT" (2018); Radford et al., "Language Models are Unsupervised
Multitask Learners" (2019); Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text
Transformer" (2019); Brown et al., "Language Models are Few-Shot Learners" (2020); Chowdhery et al., "PaLM" (2022);
Touvron et al., "LLaMA" and "Llama 2" (2023); OpenAI, "GPT-4 Technical Report" (2023); Jiang et al., "Mistral 7B" (2023)
and "Mixtral of Experts" (2024); Gemma Team, "Gemma" (2024).
"""

import math
from dataclasses import dataclass, replace

from family_parts import UNKNOWN, Family

ORIGINAL = Family(
    "Transformer big", 2017, "Vaswani et al. (2017)", layers=6, width=1024, heads=16, hidden=4096, context=512,
    vocab=37_000, tokens="about 15B", sides="both", objective="translation", norm_place="post", position="sinusoidal",
    activation="relu", pattern="full, causal", attention_bias=False, scaled_embedding=True)
GPT1 = Family(
    "GPT-1", 2018, "Radford et al. (2018)", layers=12, width=768, heads=12, hidden=3072, context=512, vocab=40_478,
    norm_place="post")
BERT = Family(
    "BERT large", 2018, "Devlin et al. (2018)", layers=24, width=1024, heads=16, hidden=4096, context=512, vocab=30_522,
    tokens="about 130B", sides="encoder", objective="masked words", norm_place="post", activation="exact gelu",
    pattern="full", eps=1e-12)
GPT2 = Family(
    "GPT-2 1.5B", 2019, "Radford et al. (2019)", layers=48, width=1600, heads=25, hidden=6400, context=1024,
    vocab=50_257)
T5 = Family(
    "T5 11B", 2019, "Raffel et al. (2019)", layers=24, width=1024, heads=128, head_dim=128, hidden=65_536, context=512,
    vocab=32_128, tokens="1T", sides="both", objective="spans", norm="RMS", position="relative", activation="relu",
    pattern="full, causal", bias=False, scaled_scores=False, eps=1e-6)
GPT3 = Family(
    "GPT-3 175B", 2020, "Brown et al. (2020)", layers=96, width=12_288, heads=96, hidden=49_152, context=2048,
    vocab=50_257, tokens="300B", pattern="causal, every other banded")
PALM = Family(
    "PaLM 540B", 2022, "Chowdhery et al. (2022)", layers=118, width=18_432, heads=48, kv_heads=1, head_dim=256,
    hidden=73_728, context=2048, vocab=256_000, tokens="780B", norm="layer without bias", parallel=True,
    position="rotary", activation="SwiGLU", bias=False)
LLAMA = Family(
    "Llama 65B", 2023, "Touvron et al. (2023)", layers=80, width=8192, heads=64, hidden=22_016, context=2048,
    vocab=32_000, tokens="1.4T", norm="RMS", position="rotary", activation="SwiGLU", bias=False, tied=False, eps=1e-6)
GPT4 = Family(
    "GPT-4", 2023, "OpenAI (2023)", layers=None, width=None, heads=None, hidden=None, context=8192, vocab=100_277,
    sides=UNKNOWN, norm=UNKNOWN, norm_place=UNKNOWN, parallel=None, position=UNKNOWN, activation=UNKNOWN,
    pattern=UNKNOWN, bias=None, tied=None, experts=None)
LLAMA2 = replace(LLAMA, name="Llama 2 70B", kv_heads=8, hidden=28_672, context=4096, tokens="2T", eps=1e-5)
MISTRAL = replace(
    LLAMA, name="Mistral 7B", paper="Jiang et al. (2023)", layers=32, width=4096, heads=32, kv_heads=8, hidden=14_336,
    context=8192, tokens=UNKNOWN, pattern="sliding window", window=4096, eps=1e-5)
MIXTRAL = replace(
    MISTRAL, name="Mixtral 8x7B", year=2024, paper="Jiang et al. (2024)", context=32_768, pattern="causal", window=0,
    theta=1e6, experts=8, top_k=2)
GEMMA = Family(
    "Gemma 7B", 2024, "Gemma Team (2024)", layers=28, width=3072, heads=16, head_dim=256, hidden=24_576, context=8192,
    vocab=256_000, tokens="6T", norm="RMS (1 + w)", position="rotary", activation="GEGLU", bias=False,
    scaled_embedding=True, eps=1e-6)

FAMILIES = [ORIGINAL, GPT1, BERT, GPT2, T5, GPT3, PALM, LLAMA, GPT4, LLAMA2, MISTRAL, MIXTRAL, GEMMA]
DECODERS = [GPT1, GPT2, GPT3, PALM, LLAMA, LLAMA2, MISTRAL, MIXTRAL, GEMMA]  # one stack, and not a secret


@dataclass
class Size:
    """One size that was published. stated: in the paper, as text ("8.63B"); weights: exactly, in the released file.

    A stated number that our count does not round to needs a note that says why.
    """

    family: Family
    stated: str | None
    weights: int | None = None
    note: str = ""


def resized(family, name, layers, width, heads, hidden=0, **more):
    """The same choices at another size; hidden 0: four times the width."""
    return replace(family, name=name, layers=layers, width=width, heads=heads, hidden=hidden or 4 * width,
                   **{"kv_heads": 0, "head_dim": 0, **more})


GPT2_NOTE = "the paper miscounted, as OpenAI has said; see below"
SIZES = [
    Size(resized(ORIGINAL, "Transformer base", 6, 512, 8), "65M",
         note="the vocabulary is only said to be about 37,000"),
    Size(ORIGINAL, "213M", note="the same"),
    Size(GPT1, "117M", 116_534_784, "as it is usually quoted"),
    Size(resized(BERT, "BERT base", 12, 768, 12), "110M", 110_106_428),
    Size(BERT, "340M", 336_226_108),
    Size(resized(GPT2, "GPT-2 small", 12, 768, 12), "117M", 124_439_808, GPT2_NOTE),
    Size(resized(GPT2, "GPT-2 medium", 24, 1024, 16), "345M", 354_823_168, "the same"),
    Size(resized(GPT2, "GPT-2 large", 36, 1280, 20), "762M", 774_030_080, "the same"),
    Size(GPT2, "1542M", 1_557_611_200, "the same"),
    Size(resized(T5, "T5 small", 6, 512, 8), "60M", 60_506_624),
    Size(resized(T5, "T5 base", 12, 768, 12), "220M", 222_903_552),
    Size(resized(T5, "T5 large", 24, 1024, 16), "770M", 737_668_096, "see below"),
    Size(resized(T5, "T5 3B", 24, 1024, 32, 16_384, head_dim=128), "2.8B", 2_851_598_336),
    Size(T5, "11B", 11_307_321_344),
    Size(resized(GPT3, "GPT-3 small", 12, 768, 12), "125M"),
    Size(resized(GPT3, "GPT-3 medium", 24, 1024, 16), "356M"),
    Size(resized(GPT3, "GPT-3 large", 24, 1536, 16), "760M"),
    Size(resized(GPT3, "GPT-3 XL", 24, 2048, 16), "1,320M"),
    Size(resized(GPT3, "  as printed", 24, 2048, 24, head_dim=128), "1,320M", note="24 heads of 128 are more"),
    Size(resized(GPT3, "GPT-3 2.7B", 32, 2560, 32), "2,650M"),
    Size(resized(GPT3, "GPT-3 6.7B", 32, 4096, 32), "6,660M"),
    Size(resized(GPT3, "GPT-3 13B", 40, 5120, 40), "12,850M"),
    Size(resized(GPT3, "  as printed", 40, 5140, 40, head_dim=128), "12,850M", note="a width of 5,140 is more"),
    Size(GPT3, "174,600M"),
    Size(resized(PALM, "PaLM 8B", 32, 4096, 16, kv_heads=1, head_dim=256), "8.63B"),
    Size(resized(PALM, "PaLM 62B", 64, 8192, 32, kv_heads=1, head_dim=256), "62.50B"),
    Size(PALM, "540.35B"),
    Size(resized(LLAMA, "Llama 7B", 32, 4096, 32, 11_008, tokens="1T"), "6.7B", 6_738_415_616),
    Size(resized(LLAMA, "Llama 13B", 40, 5120, 40, 13_824, tokens="1T"), "13.0B", 13_015_864_320),
    Size(resized(LLAMA, "Llama 33B", 60, 6656, 52, 17_920), "32.5B", 32_528_943_616),
    Size(LLAMA, "65.2B", 65_285_660_672),
    Size(resized(LLAMA2, "Llama 2 7B", 32, 4096, 32, 11_008), "7B", 6_738_415_616),
    Size(resized(LLAMA2, "Llama 2 13B", 40, 5120, 40, 13_824), "13B", 13_015_864_320),
    Size(LLAMA2, "70B", 68_976_648_192),
    Size(MISTRAL, "7B", 7_241_732_096),
    Size(MIXTRAL, "47B", 46_702_792_704),
    Size(resized(GEMMA, "Gemma 2B", 18, 2048, 8, 16_384, kv_heads=1, head_dim=256, tokens="3T"), "2.51B",
         2_506_172_416),
    Size(GEMMA, "8.54B", 8_537_680_896),
]


def agrees(count, stated):
    """Whether `count` rounds to what a paper states, or is cut off to it: "8.63B" has two places, "2,650M" none."""
    number, unit = float(stated[:-1].replace(",", "")), {"M": 1e6, "B": 1e9}[stated[-1]]
    places = len(stated[:-1].partition(".")[2])
    digit = 10.0**-places
    while not places and number % (10 * digit) == 0:  # 2,650 is known to tens
        digit *= 10
    steps = count / unit / digit
    return round(number / digit) in (math.floor(steps), math.floor(steps + 0.5))


def cached_tokens(family, T):
    """How many tokens' keys and values are kept after T of them: a sliding window forgets what no layer looks at."""
    return min(T, family.window) if family.pattern == "sliding window" else T


def cache_bytes(family, T=1, bytes_a_number=2):
    """Bytes of keys and values after T tokens, in bfloat16: 2 L K D numbers a token. 0 for an encoder alone.

    Where a decoder reads an encoder, it keeps the keys and values of the encoder's T tokens as well.
    """
    if family.sides == "encoder":
        return 0
    readings = 2 if family.sides == "both" else 1
    numbers = 2 * family.layers * family.kv_heads * family.head_dim
    return readings * numbers * bytes_a_number * cached_tokens(family, T)


def as_trained(family, context=64, vocab=4096, layers=2, width=64, heads=4):
    """The family's choices, in its own proportions, 64 wide: four heads, at most four experts, windows of a quarter."""
    K = 1 if family.kv_heads == 1 else max(2, heads * family.kv_heads // family.heads)
    D = round(family.heads * family.head_dim / family.width * width / heads / 2) * 2  # even, as rotary positions need
    return replace(
        family, name=family.name.rpartition(" ")[0] or family.name, layers=layers, width=width, heads=heads, kv_heads=K,
        head_dim=D, hidden=round(width * family.hidden / family.width), context=context, vocab=vocab,
        window=context // 4 if family.window or "banded" in family.pattern else 0, experts=min(family.experts, 4))
