"""Prompts of rerankers with a language-modelling head: one entry for each kind of model.

Each piece is tokenized by itself, as the models' authors do; pieces end where no token can span the
end. Only the document's tail is ever cut, so the text after it is always whole.
"""

from __future__ import annotations

from resift.text.prompt import Prompt

# https://huggingface.co/Qwen/Qwen3-Reranker-0.6B, "Transformers Usage".
QWEN3_RERANKER = Prompt(
    before=(
        "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query "
        'and the Instruct provided. Note that the answer can only be "yes" or "no".<|im_end|>\n'
        "<|im_start|>user\n",
        "<Instruct>: Given a web search query, retrieve relevant passages that answer the query\n"
        "<Query>:",
    ),
    query=" {}\n",
    between=(),
    label=("<Document>:",),
    document=" {}",
    after=("<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",),
    answers=("no", "yes"),
)

# https://github.com/mixedbread-ai/mxbai-rerank, mxbai_rerank/mxbai_rerank_v2.py.
MXBAI_RERANK_V2 = Prompt(
    before=(
        "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant."
        "<|im_end|>\n<|im_start|>user\n",
        "query:",
    ),
    query=" {}",
    between=("\n",),
    label=("document:",),
    document=" {}",
    after=(
        "\n",
        "You are a search relevance expert who evaluates how well documents match search queries. "
        "For each query-document pair, carefully analyze the semantic relationship between them, "
        "then provide your binary relevance judgment (0 for not relevant, 1 for relevant).\n"
        "Relevance:",
        "<|im_end|>\n<|im_start|>assistant\n",
    ),
    answers=("0", "1"),
)

# https://github.com/FlagOpen/FlagEmbedding, FlagEmbedding/inference/reranker/decoder_only/base.py.
BGE_RERANKER_GEMMA = Prompt(
    before=("<bos>", "A:"),
    query=" {}",
    between=("\n",),
    label=("B:",),
    document=" {}",
    after=(
        "\n",
        "Given a query A and a passage B, determine whether the passage contains an answer to the "
        "query by providing a prediction of either 'Yes' or 'No'.",
    ),
    answers=("Yes",),
)

# As above, layerwise.py. Words that begin a text and words within one differ in this model's
# tokenizer, so each text is tokenized with its label, as FlagEmbedding does.
BGE_RERANKER_MINICPM = Prompt(
    before=("<s>",),
    query="A: {}",
    between=("\n",),
    label=(),
    document="B: {}",
    after=BGE_RERANKER_GEMMA.after,
    answers=(),
)

# As above, lightweight.py.
BGE_RERANKER_GEMMA2 = BGE_RERANKER_GEMMA._replace(
    after=("\n", "Predict whether passage B contains an answer to query A."),
    answers=(),
)

# Nogueira et al. 2020, https://arxiv.org/abs/2003.06713; https://github.com/castorini/pygaggle,
# pygaggle/rerank/transformer.py.
MONO_T5 = Prompt(
    before=("Query:",),
    query="{}",
    between=(),
    label=("Document:",),
    document="{}",
    after=("Relevant:", "</s>"),
    answers=("▁false", "▁true"),
)

# Zhuang et al. 2022, https://arxiv.org/abs/2210.10634, section 3.
RANK_T5 = Prompt(
    before=("Query:",),
    query="{}",
    between=(),
    label=("Document:",),
    document="{}",
    after=("</s>",),
    answers=("<extra_id_10>",),
)
